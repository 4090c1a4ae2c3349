"""Comparison keys of paths and sources: what a command spells and what a sensor saw can be the same."""

from __future__ import annotations

import functools
import re
from urllib.parse import urlsplit

from tidewaiter.reading import locations

_DOUBLED = re.compile(r"(?<!^)/{2,}")
_PORT_ALONE = re.compile(r"^(?:[^@\s]*@)?(?:\[[^\]]+\]|[^:\s]+):(\d{1,5})$")
_PORT = re.compile(r"^(?:\[[^\]]+\]|[^:\\/\s]+):(\d{1,5})(?:/|$)")
_PATHS_BEHIND_COLON = frozenset({"ssh", "rsync"})
_ADDRESS = re.compile(r"^(?:\d{1,3}\.){3}\d{1,3}$|:.*:")


def path_key(path: str | None) -> str:
    """A path for comparing: lower case, forward slashes, no quotes, device prefixes or doubled separators."""
    if not path:
        return ""
    text = path.strip().strip("\"'").replace("\\", "/").lower()
    if text.startswith(("//?/", "//./", "/??/")):
        text = text[4:]
    if "//" in text:
        text = _DOUBLED.sub("/", text)
    if "/./" in text:
        text = text.replace("/./", "/")
    return text.rstrip("/")


def base_key(path: str | None) -> str:
    """The last part of a path for comparing."""
    return path_key(path).rsplit("/", 1)[-1]


def resolve(path: str, cwd: str | None) -> str:
    """A relative path joined with the working directory, as spelled otherwise."""
    text = path.strip().strip("\"'")
    if not cwd or re.match(r"^(?:[A-Za-z]:|[\\/~%$])", text):
        return text
    separator = "\\" if "\\" in cwd or re.match(r"^[A-Za-z]:", cwd) else "/"
    text = re.sub(r"^\.[\\/]", "", text)
    return f"{cwd.rstrip(chr(92) + '/')}{separator}{text}"


_VARIABLE = re.compile(r"^(?:%[^%]+%|\$env:\w+|\$\{?\w+\}?|~)(?=[\\/]|$)", re.I)


def same_path(spelled: str | None, seen: str | None, cwd: str | None = None) -> bool:
    """Whether a path as a command spells it can be the path that a sensor saw: equal, or equal behind a variable or folder."""
    if not spelled or not seen:
        return False
    left, right = path_key(spelled), path_key(seen)
    if left == right or (cwd and path_key(resolve(spelled, cwd)) == right):
        return True
    if left.rsplit("/", 1)[-1] != right.rsplit("/", 1)[-1]:
        return False
    stripped = _VARIABLE.sub("", left).lstrip("/")
    if stripped != left:
        return right.endswith("/" + stripped)
    if "/" not in left:
        return cwd is None  # a bare name lands in the working directory: any folder will do only where no log tells it
    return not re.match(r"^(?:[a-z]:|/)", left) and right.endswith("/" + left.lstrip("./"))


def folder_seen(spelled: str, seen: str | None, cwd: str | None) -> str | None:
    """The folder that a command spells, as the sensor saw it, where a file appeared inside it; None where it did not."""
    if not seen:
        return None
    left, right = path_key(resolve(spelled, cwd)), path_key(seen)
    if len(seen) != len(right):
        return spelled if right.startswith(left + "/") else None  # places in the key are not places in the path
    if right.startswith(left + "/"):
        return seen[: len(left)]
    tail = _VARIABLE.sub("", left).strip("/")  # behind %TEMP% or ~, or relative to a folder that no log names
    position = right.find(f"/{tail}/") if tail and not left.startswith("/") else -1
    return seen[: position + len(tail) + 1] if position >= 0 else None


def url_keys(urls: tuple[str, ...] | list[str]) -> frozenset[str]:
    """URLs for comparing: lower case, without scheme's default port, trailing slash and quotes."""
    found = set()
    for url in urls:
        text = url.strip().strip("\"'").rstrip("/").lower()
        if ":80" in text or ":443" in text:
            text = re.sub(r"^(http://[^/:]+):80(?=/|$)", r"\1", text)
            text = re.sub(r"^(https://[^/:]+):443(?=/|$)", r"\1", text)
        if text:
            found.add(text)
    return frozenset(found)


def endpoint(source: str, protocol: str | None = None) -> tuple[str | None, int | None]:
    """Host and port that a source names: URL, UNC, user@host:path, host:port or host:port/path.

    `protocol` is what carries it, where that is known: over ssh and rsync, digits behind the colon begin a path.
    """
    host = locations.host_of(source)
    port = None
    if "://" in source:
        try:
            port = urlsplit(source).port
        except ValueError:
            port = None
        if port is None:
            port = {"http": 80, "https": 443, "ftp": 21, "tftp": 69}.get(source.split(":", 1)[0].lower())
    else:
        match = (_PORT_ALONE if protocol in _PATHS_BEHIND_COLON or "@" in source else _PORT).match(source)
        port = int(match[1]) if match and int(match[1]) < 65_536 else None
    return host, port


def is_address(text: str | None) -> bool:
    """Whether a host is spelled as an IP address."""
    if not text:
        return False
    return _short_is_address(text) if len(text) < _SHORT else _is_address(text)


def _is_address(text: str) -> bool:
    return _ADDRESS.search(text) is not None


_SHORT = 64
_short_is_address = functools.lru_cache(maxsize=8_192)(_is_address)
