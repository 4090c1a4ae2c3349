"""The patterns of the sieve, derived from the catalog: what a text must hold to be read as a transfer.

An action comes from a form of a utility. A form that takes only sources which show themselves (a URL, a UNC path) needs no
pattern of its own: the signs of an address find it. Any other form gives the utility's names and, where the form asks for
certain words, those words behind the name. What hides names or words is found by the signs of hiding.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tidewaiter.catalog import languages, powershell, signs, utilities
from tidewaiter.catalog.utilities import Form, Utility
from tidewaiter.reading import sessions

START = r"[^0-9a-z_-]"
"""In front of a word: no letter, digit, underscore or dash."""
END = r"[^0-9a-z_-]"
_NAME_END = r"(?:[^a-z_-]|-[0-9])"
"""Behind a name a version may stand: python3.11, curl-8."""
_NAME_THEN = r"(?:[^a-z_\x00-]|-[0-9])"
"""The same where more must follow in the same text."""
_BEHIND = r"[^\x00]*"
"""Anything up to the end of the text: texts are joined by zero bytes."""
_HIDDEN = r"[$%!`^'\\@+]"
_OF_INTEREST = frozenset({"ingress", "lateral", "upload", "verify_hash", "portproxy"})
_SHOWN = frozenset({"url", "net", "unc", "inner", "download", "mounted"})
"""Filters that let only words through in which the signs of an address stand."""
_CODE_MARKS = "(';"
"""Code that calls something has one of these."""
_COMPARED = re.compile(r"^(?:arg|args|opt|rest)(?:\.[-\w]+)?[=~](.+)$")
_CARRYING_CALLS = frozenset({"fetch", "request", "connect", "client", "upload", "machine", "load"})


class Patterns(NamedTuple):
    """What the sieve looks for, without regard to case, in syntax that Hyperscan, Rust's regex and Python's re share.

    `always` is looked for in every text, `marked` only in texts that hold one of the characters `marks`.
    """

    always: tuple[str, ...]
    marks: str
    marked: tuple[str, ...]


@functools.cache
def load() -> Patterns:
    """All patterns. Raises KnowledgeError where a file of the catalog is wrong."""
    always: list[str] = []
    marked: list[str] = []
    marks: set[str] = set()
    for sign in signs.load():
        marks.update(sign.marks)
        target = marked if sign.marks else always
        target += [pattern.replace("«", START).replace("»", END) for pattern in sign.patterns]
    always += _of_utilities(utilities.load().utilities)
    marks.update(_CODE_MARKS)
    marked += _of_languages()
    return Patterns(tuple(dict.fromkeys(always)), "".join(sorted(marks)), tuple(dict.fromkeys(marked)))


def _any(words: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(word) for word in sorted(words)) + ")"


def _named(names: Iterable[str]) -> str:
    return START + _any(names) + _NAME_END


def _of_utilities(every: Iterable[utilities.Utility]) -> Iterator[str]:
    """Per utility: its names, or its names and what must stand behind them."""
    aliases: dict[str, list[str]] = {}
    for alias, cmdlet in powershell.load().aliases.items():
        aliases.setdefault(cmdlet, []).append(alias)
    for utility in every:
        needs = list(_needs(utility))
        if not needs:
            continue
        names = {_telling(name) for name in utility.names}
        names |= {alias for name in utility.names for alias in aliases.get(name, ())}
        if any(not words for words in needs):
            yield _named(names)
        else:
            words = _any(word for words in needs for word in words)
            yield rf"{START}{_any(names)}(?:{_HIDDEN}|{_NAME_THEN}(?:{words}|{_BEHIND}(?:[^0-9a-z_\x00-]{words}|{_HIDDEN})))"
        yield from _of_renamed(utility)


def _needs(utility: Utility) -> Iterator[frozenset[str]]:
    """For each way of carrying something that no address must show: the words it asks for; empty where it asks for none."""
    for form in utility.form:
        if form.action in _OF_INTEREST and not _shown(form):
            yield _words(form)
    for code in utility.code:
        if code.language in sessions.LANGUAGES or code.session is not None:
            yield frozenset()
        elif code.remote is not None and not any(map(_demands_address, code.when)):
            yield _compared(code.when)
    for wrap in utility.wrap:
        if wrap.remote is not None and not any(map(_demands_address, wrap.when)):
            yield _compared(wrap.when)


def _shown(form: Form) -> bool:
    """Whether an address must stand in the text."""
    if any(map(_demands_address, form.when)):
        return True
    return bool(form.source) and not form.sourceless and all(map(_selects_address, form.source))


def _selects_address(selector: str) -> bool:
    return "{" not in selector and selector.rpartition(":")[2] in _SHOWN


def _demands_address(condition: str) -> bool:
    if condition.startswith("!"):
        return False
    parts = condition.split("|")
    return all((_selects_address(part) and not re.search("[=~<>]", part)) or part.endswith(r"~\\") for part in parts)


def _words(form: Form) -> frozenset[str]:
    return frozenset(verb.split()[0].lower() for verb in form.verb) or _compared(form.when)


def _compared(conditions: Iterable[str]) -> frozenset[str]:
    """The words of the first condition that compares with words; those that begin with a sign stand for themselves."""
    for condition in conditions:
        found = _COMPARED.match(condition)
        if found and "|" not in condition:
            words = frozenset(found[1].lower().split(","))
            if all(re.fullmatch(r"[a-z0-9].{2,}", word) for word in words):
                return words
    return frozenset()


def _telling(name: str) -> str:
    """The part of a name that its text holds: of a method or class the last long part, else the first word."""
    if name.startswith(("com:", "system.", "microsoft.")):
        parts = [part for part in re.split(r"[.:]", name) if len(part) > 3 or part == name]
        return parts[-1] if len(parts[-1]) > 7 else max(parts[-2:], key=len)
    words = re.findall(r"[0-9a-z_.-]+", name)
    return words[0].strip(".") if words else name


def _of_renamed(utility: Utility) -> Iterator[str]:
    """A renamed copy is known by its arguments: where no address must be among them, the options themselves are the sign."""
    if not utility.distinctive or any(map(_demands_address, utility.distinctive)):
        return
    roles = utility.distinctive[0].split("|")
    spelled = [spelling.rstrip("=[]") for role in roles for spelling in utility.options.get(role, "").split()]
    yield _any(spelled)


def _of_languages() -> Iterator[str]:
    """Code of a programming language behind its interpreter that calls what carries, also without any address."""
    interpreters: dict[str, set[str]] = {}
    for utility in utilities.load().utilities:
        for code in utility.code:
            interpreters.setdefault(code.language, set()).update(map(_telling, utility.names))
    for language in {id(one): one for one in languages.load().values()}.values():
        names = {language.name, language.utility, *language.also, *interpreters.get(language.name, ())}
        words = {word for call in language.call if call.does in _CARRYING_CALLS for name in call.names for word in _parts(name)}
        if words:
            yield rf"{START}{_any(names)}{_NAME_THEN}{_BEHIND}[^0-9a-z_\x00-]{_any(words)}"


def _parts(name: str) -> list[str]:
    parts = re.findall(r"\w+", name)
    long = [part for part in parts if len(part) > 4 and part not in ("create", "document", "application")]
    return long or parts[-1:]
