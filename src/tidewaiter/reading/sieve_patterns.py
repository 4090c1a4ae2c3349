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
_HIDDEN = r"(?:[$%!`^'@+]|[a-z]\\[a-z]{1,8}\s)"
_OF_INTEREST = frozenset({"ingress", "lateral", "upload", "verify_hash", "portproxy"})
_SHOWN = frozenset({"url", "net", "unc", "inner", "download", "mounted"})
"""Filters that let only words through in which the signs of an address stand."""
_LEADS = (
    " ", r"\x00", "/", r"\\", '"', "'", r"\(", ";", r"\|", "&", "`", "=", r"\{", ",", r"\n", r"\t", ":", ">", "<", "@", r"\[",
    r"\r", r"\)", r"\}", r"\$", r"\^", r"\+", "!", "%", r"\.", r"\*", r"\?", r"\]", "~", "#",
)  # fmt: skip
_CODE_MARKS = "(';"
"""Code that calls something has one of these."""
_COMPARED = re.compile(r"^(?:arg|args|opt|rest)(?:\.[-\w]+)?[=~](.+)$")
_CARRYING_CALLS = frozenset({"fetch", "request", "connect", "client", "upload", "machine", "load"})


class Patterns(NamedTuple):
    """What the sieve looks for in texts in lower case with 0 for every digit, in syntax that Hyperscan, Rust's regex and
    Python's re share.

    A text that matches one of `always` is a candidate. One that matches one of `hints` is one where it matches `asked` too.
    """

    always: tuple[str, ...]
    hints: tuple[str, ...]
    asked: tuple[str, ...]


@functools.cache
def load() -> Patterns:
    """All patterns. Raises KnowledgeError where a file of the catalog is wrong."""
    always: list[str] = []
    hints: list[str] = []
    asked: list[str] = []
    marks = set(_CODE_MARKS)
    for sign in signs.load():
        marks.update(sign.marks)
        target = asked if sign.marks else always
        target += [pattern.replace("«", START).replace("»", END) for pattern in sign.patterns]
    for names, words in of_utilities(utilities.load().utilities):
        if words:
            hints += _by_name(names)
            asked.append(_named(names, words))
        else:
            always += _by_name(names)
    asked += _of_languages()
    hints.append(f"[{re.escape(''.join(sorted(marks)))}]")
    return Patterns(*(tuple(dict.fromkeys(patterns)) for patterns in (always, hints, asked)))


def _spelled(words: Iterable[str]) -> list[str]:
    """The words as patterns for texts in which every digit is 0."""
    return sorted({re.escape(re.sub(r"[0-9]", "0", word.lower())) for word in words})


def _any(words: Iterable[str]) -> str:
    return "(?:" + "|".join(_spelled(words)) + ")"


def _by_name(names: Iterable[str]) -> list[str]:
    """The names as whole words. Two letters alone are found everywhere: what stands in front is spelled out with them."""
    long = _spelled(name for name in names if len(name) > 2)
    short = _spelled(name for name in names if len(name) < 3)
    leading = [f"(?:{'|'.join(lead + name for lead in _LEADS)})" for name in short]
    return [*(START + name + _NAME_END for name in long), *(start + _NAME_END for start in leading)]


def _named(names: Iterable[str], words: Iterable[str]) -> str:
    behind = rf"[^0-9a-z_\x00-]{_any(words)}|{_HIDDEN}"
    return f"{START}{_any(names)}(?:{_HIDDEN}|{_NAME_THEN}(?:{_any(words)}|{_BEHIND}(?:{behind})))"


def of_utilities(every: Iterable[Utility]) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Per utility that carries something whose address need not be in the text: its names, and the words of which one must
    stand behind them; without words the name is enough."""
    aliases: dict[str, list[str]] = {}
    for alias, cmdlet in powershell.load().aliases.items():
        aliases.setdefault(cmdlet, []).append(alias)
    for utility in every:
        needs = list(_needs(utility))
        if needs:
            names = {_telling(name) for name in utility.names}
            names |= {alias for name in utility.names for alias in aliases.get(name, ())}
            words = frozenset(word for wanted in needs for word in wanted)
            yield frozenset(names), words if all(needs) else frozenset()
        renamed = _of_renamed(utility)
        if renamed:
            yield renamed, frozenset()


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


def _of_renamed(utility: Utility) -> frozenset[str]:
    """A renamed copy is known by its arguments: where no address must be among them, the options themselves are the sign."""
    if not utility.distinctive or any(map(_demands_address, utility.distinctive)):
        return frozenset()
    roles = utility.distinctive[0].split("|")
    spelled = [spelling.rstrip("=[]") for role in roles for spelling in utility.options.get(role, "").split()]
    return frozenset(spelling.lstrip("-/").lower() for spelling in spelled)


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
