"""Secrets come from a file or the environment, are never part of a settings file, and never show in a text.

A setting that is secret is two keys, `NAME_file` and `NAME_env`: at most one of them is given. The key `NAME` itself, and
anything else that looks like a secret in a settings table, is refused with the remedy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from tidewaiter.errors import UsageError

LARGEST = 65_536
"""Bytes of a file that holds a secret."""

_TELLING = re.compile(
    r"passw(or)?d|passphrase|secret|token|api[_.-]?key|authori[sz]ation|credential|key[_.-]pem|cookie", re.IGNORECASE
)
_ELSEWHERE = ("_file", "_env")


class Secret:
    """A text that shows only to who asks for it by `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself. What it returns goes to the peer and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"


def read_secret(name: str, file: Path | None, variable: str | None) -> Secret | None:
    """The secret `name` from a file (one line end is cut off) or an environment variable; None where neither is given.

    Raises UsageError, which names the file or the variable and never the content.
    """
    if file is not None and variable:
        raise UsageError(f"{name}_file and {name}_env are both given: keep one of them")
    if file is not None:
        try:
            with file.open("rb") as opened:
                data = opened.read(LARGEST + 1)
        except OSError as error:
            raise UsageError(f"{name}_file: {file}: {error.strerror or 'cannot be read'}") from None
        if len(data) > LARGEST:
            raise UsageError(f"{name}_file: {file}: is larger than {LARGEST:,} bytes; it should hold the secret alone")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise UsageError(f"{name}_file: {file}: is no UTF-8") from None
        return _checked(name, re.sub(r"\r?\n\Z", "", text), f"the file {file}")
    if variable:
        return _checked(name, os.environ.get(variable, ""), f"the environment variable {variable}")
    return None


def _checked(name: str, text: str, place: str) -> Secret:
    if not text:
        raise UsageError(f"{name}: {place} is empty or not there")
    if not text.isprintable():
        raise UsageError(f"{name}: {place} holds more than one line or control characters")
    return Secret(text)


def looks_secret(name: str) -> bool:
    """Whether a setting or field of that name would hold a secret itself (not: the name of its file or variable)."""
    return bool(_TELLING.search(name)) and not name.endswith(_ELSEWHERE)


def refuse_inline(table: Mapping[str, object]) -> None:
    """Raise UsageError where a settings table holds a secret itself, with the key and the remedy but not the value."""
    for path, key, value in _leaves(table, ""):
        if looks_secret(key):
            stem = re.sub(r"\W", "_", key)
            raise UsageError(
                f"{path}: secrets do not belong into this file; put it into a file of its own and name that in {stem}_file, "
                f"or into an environment variable and name that in {stem}_env"
            )
        if isinstance(value, str) and _has_password(value):
            raise UsageError(f"{path}: the URL holds a password; give user name and password as settings of their own")


def _has_password(text: str) -> bool:
    if "://" not in text:
        return False
    try:
        return urlsplit(text).password is not None
    except ValueError:  # a broken URL is refused by who needs it
        return False


def _leaves(value: object, path: str) -> Iterator[tuple[str, str, object]]:
    """Every key of nested tables and lists with its path in words."""
    pairs: Iterator[tuple[object, object]]
    if isinstance(value, Mapping):
        pairs = iter(value.items())
    elif isinstance(value, list | tuple):
        pairs = ((number, item) for number, item in enumerate(value, 1))
    else:
        return
    for key, item in pairs:
        inner = f"{path}.{key}" if path else str(key)
        yield inner, str(key), item
        yield from _leaves(item, inner)
