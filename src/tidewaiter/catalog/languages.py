"""Typed, frozen reader of knowledge/languages/*.toml: how code of a language is spelled, and what its calls do.

An unknown key, an unknown word or an example without a verdict is a KnowledgeError that names the file and the place.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Literal

import msgspec

from tidewaiter.catalog import kept
from tidewaiter.errors import KnowledgeError

Effect = Literal[
    "fetch",  # content of `url` comes back, or goes to `dest`
    "request",  # as fetch, but it is the receiver that carries the content from now on
    "connect",  # a socket to `host` and `port`: what is read from it is content
    "client",  # an object for one host: later requests name only a path
    "upload",  # sends content away; what comes back is content
    "open",  # a file: `path` and `mode`
    "write",  # `content` goes to `path`
    "print",  # arguments go to standard output
    "run",  # arguments are a program or shell text
    "eval",  # argument is code of the same language
    "load",  # argument names code to load: a file, or a URL where the language allows it
    "value",  # a constant computation, by name in `computes`
    "module",  # gives the module or object whose name is its argument
    "list",  # gives its arguments as a list
    "apply",  # calls the function that argument 0 names with the other arguments
    "member",  # gives the member of argument 0 that argument 1 names
    "same",  # gives back its argument (or receiver): constructors of paths and URLs, decoders of text, casts
    "option",  # sets an option of the object in argument 0: `options` says which does what
    "machine",  # names another host on which later programs run
    "nothing",  # the result says nothing about content: status codes, sizes
]


class Syntax(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the language is spelled."""

    line_comments: tuple[str, ...] = ()
    block_comments: bool = False  # /* ... */
    plain_quotes: str = ""  # strings in which only the quote itself is escaped
    quotes: str = '"'  # strings with backslash escapes
    doubled_quotes: bool = False  # "" inside a string is one quote; no other escapes
    triple_quotes: bool = False
    prefixes: str = ""  # letters that may stand before a quote (r, b, f, u)
    interpolation: Literal["", "python", "javascript", "ruby", "perl", "php"] = ""
    backtick: Literal["", "shell", "string"] = ""
    sigils: str = ""  # characters that begin a variable
    generic_quotes: bool = False  # q{} qq{} qx{} qw{} (perl), %q{} %x{} %w{} (ruby)
    slashed_patterns: bool = False  # /.../ where a value is expected
    newline_ends: bool = False  # a line end ends a statement
    keeps_escapes: bool = False  # a backslash before any other character stays
    colon_ends: bool = False  # a colon ends a statement
    joins: tuple[str, ...] = ("+",)  # operators that join text
    juxtaposed: bool = False  # text side by side is joined
    bare_calls: bool = False  # calls without parentheses: puts "a", x.Run "b"
    bare_methods: bool = False  # a member without arguments is a call
    blocks: Literal["brace", "end", "indent"] = "brace"
    phrases: dict[str, str] = {}  # several words that are one name
    keywords: tuple[str, ...] = ()  # words that mean nothing here


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One group of calls that do the same.

    Names are dotted in every language ("lwp.simple.get" for LWP::Simple::get), lower case; ".name" is a method of anything,
    a name with a dot in it also matches at the end of a longer one, "()" stands for an object made by a call. Argument
    places: "0" is the first argument, "name=" a named one, "receiver" what the method belongs to.
    """

    names: tuple[str, ...]
    does: Effect
    url: tuple[str, ...] = ("0",)
    also: tuple[str, ...] = ()  # fetch: the path where `url` is only a host
    dest: tuple[str, ...] = ()
    lands: bool = False  # fetch: always into a file, also where `dest` is not given
    basename: bool = False  # fetch: the name of the file is the last part of the URL where `dest` is not given
    runs: bool = False  # fetch: and hands it to an interpreter or loader
    remote_only: bool = False  # fetch: a local path is not a fetch
    scheme: str = "http"  # client, and fetch of a host
    host: tuple[str, ...] = ("0",)
    port: tuple[str, ...] = ("1",)
    path: tuple[str, ...] = ("0",)
    mode: tuple[str, ...] = ("1",)
    modes: bool = True  # open: False where the call always opens for writing
    into: tuple[str, ...] = ()  # open: the variable that becomes the file
    content: tuple[str, ...] = ()
    only_files: bool = False  # write: nothing is written where `path` is not known to be a file
    program: tuple[str, ...] = ("0",)
    arguments: tuple[str, ...] = ()  # run: further arguments of the program; "rest" for all
    own_name: bool = False  # run: the first of them is the name of the program once more
    shell: str = "shell"  # run: which shell reads the text
    computes: str = ""
    verbs: bool = False  # request: the first argument is GET, POST ...
    options: dict[str, Literal["url", "file", "content"]] = {}


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Code and what it does. `urls` empty: no fetch at all; `label` "benign": fetched, but it goes nowhere."""

    code: str
    label: Literal["ingress", "benign", "upload", "lateral"]
    urls: tuple[str, ...] = ()
    dest: str | None = None
    runs: bool = False
    shell: tuple[str, ...] = ()  # the nested shell texts


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One language file."""

    name: str
    utility: str  # the name of the interpreter in actions
    also: tuple[str, ...] = ()  # other names of the language or its interpreters
    syntax: Syntax
    silent_members: tuple[str, ...] = ()  # members that say nothing about content
    call: tuple[Call, ...]
    example: tuple[Example, ...]


def parse_language(text: str, file: str) -> Language:
    """A language from TOML text; raises KnowledgeError with file and place."""
    try:
        language = msgspec.toml.decode(text, type=Language)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        problem, _, place = str(error).partition(" - at ")
        raise KnowledgeError(file, place.strip("`") or "file", problem) from None
    seen: set[str] = set()
    for call in language.call:
        for name in call.names:
            if name in seen or name != name.lower():
                raise KnowledgeError(file, name, "is there twice" if name in seen else "must be lower case")
            seen.add(name)
    labels = {example.label == "benign" for example in language.example}
    if labels != {True, False}:
        raise KnowledgeError(file, "example", "needs at least one positive and one negative example")
    return language


@functools.cache
def load() -> dict[str, Language]:
    """Every shipped language by its name and its other names. Raises KnowledgeError when a file is wrong."""
    sources = ("knowledge/languages", "catalog/languages.py")
    shipped = kept.worked_out("languages", tuple[Language, ...], sources, _shipped)
    return {name: language for language in shipped for name in (language.name, *language.also)}


def _shipped() -> tuple[Language, ...]:
    found: dict[str, Language] = {}
    folder = resources.files("tidewaiter") / "knowledge" / "languages"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            language = parse_language(file.read_text(encoding="utf-8"), file.name)
            for name in (language.name, *language.also):
                if name in found:
                    raise KnowledgeError(file.name, name, "is the name of two languages")
                found[name] = language
    return tuple({language.name: language for language in found.values()}.values())


def find(name: str) -> Language | None:
    """The language of a name or program: "python3.11", "/usr/bin/perl", "node.exe"."""
    base = re.split(r"[\\/]", name.lower())[-1].removesuffix(".exe")
    languages = load()
    return languages.get(base) or languages.get(re.sub(r"[\d.]+$", "", base))
