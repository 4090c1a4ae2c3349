"""Scripts of file-transfer sessions: what ftp, tftp, sftp, lftp, smbclient and WinSCP are told to get and put."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from tidewaiter.reading import locations
from tidewaiter.reading.budget import Budget

LANGUAGES = frozenset({"ftp", "tftp", "sftp", "lftp", "smbclient", "winscp"})
"""Session languages that `read` knows."""

_GET = frozenset({"get", "mget", "recv", "reget", "pget", "mirror", "synchronize", "newer"})
_PUT = frozenset({"put", "mput", "send", "append", "reput"})
_OPEN = frozenset({"open", "connect", "o"})
_OPEN_VALUES = frozenset({"-e", "-u", "-p", "-s", "--user", "--password", "--port", "--env-password", "--slot"})
"""Options of lftp's `open` whose value is the next word."""
_HAS_PORT = re.compile(r"^(?:[^@\s]*@)?(?:\[[^\]]+\]|[^:\[\]\s]+):\d{1,5}$")
_NUMBER = re.compile(r"[0-9]{1,5}")
_PORT = re.compile(r"(?:-p|--port=)(\d{1,5})$")


@dataclass(frozen=True)
class Item:
    """One file that the session moves."""

    get: bool
    source: str  # get: the source as a URL, UNC path or host:file; put: the local file
    dest: str | None  # get: local path; put: remote name
    peer: str | None
    printed: bool = False  # get: to standard output


def read(text: str, peer: str | None, budget: Budget) -> list[Item]:
    """The items that a session script moves, in order. Never raises on odd lines: they are passed over."""
    items: list[Item] = []
    folder: str | None = None
    for line in re.split(r"[\r\n;]+", text.replace("\\n", "\n"))[:2_000]:
        budget.spend()
        words = _words(line)
        if not words:
            continue
        verb, rest = words[0].lower().lstrip("@"), words[1:]
        if verb in _OPEN and rest:
            peer = _opened(rest) or peer
        elif verb == "lcd" and rest:
            folder = rest[0]
        elif verb in _GET:
            items.extend(_get(verb, rest, peer, folder))
        elif verb in _PUT:
            files = _positional(rest)
            items.extend(Item(False, name, files[1] if len(files) > 1 else None, peer) for name in files[:1])
    return items


def _opened(rest: list[str]) -> str | None:
    """The peer that the words behind `open` name, with the port that an option names beside it; None without a peer."""
    host = port = None
    waiting = list(rest)
    while waiting:
        word = waiting.pop(0)
        if word in _OPEN_VALUES:
            value = waiting.pop(0) if waiting else ""
            port = value if word in ("-p", "--port") and _NUMBER.fullmatch(value) else port
        elif word.startswith("-"):
            found = _PORT.match(word)
            port = found[1] if found else port
        elif host is None:
            host = word
    return host if host is None or port is None else with_port(host, port)


def with_port(peer: str, port: str) -> str:
    """HOST:PORT, also inside a URL; an address of IPv6 in brackets. What names its port already stays, and all beside a port
    that is none."""
    if not _NUMBER.fullmatch(port):
        return peer
    found = re.match(r"^([a-z][a-z0-9+.-]*://)?([^/@\s]*@)?(\[[^\]]+\]|[^/\[\]\s]+?)(:\d+)?(/.*)?$", peer, re.I)
    if found is None:
        return peer
    scheme, user, host, own, path = (group or "" for group in found.groups())
    if own and host.count(":") == 0:
        return peer
    if ":" in host + own and not host.startswith("["):
        host = f"[{host}{own}]"
    return f"{scheme}{user}{host}:{port}{path}"


def _words(line: str) -> list[str]:
    line = line.strip()
    if not line or line.startswith("#"):
        return []
    try:
        lexer = shlex.shlex(line, posix=True)
        lexer.whitespace_split = True
        lexer.escape = ""
        lexer.commenters = ""
        return list(lexer)
    except ValueError:
        return line.split()


def _positional(words: list[str]) -> list[str]:
    return [word for word in words if not re.match(r"^-[A-Za-z]", word)]


def _get(verb: str, rest: list[str], peer: str | None, folder: str | None) -> list[Item]:
    if verb in ("mirror", "synchronize"):
        if any(word.lower() in ("-r", "--reverse", "remote") for word in rest):
            return []
        rest = [word for word in rest if word.lower() != "local"]
    values, names = _options(rest)
    if not names:
        return []
    if verb == "mget":
        target = values.get("-O") or folder
        return [Item(True, _source(peer, name), _many(name, target), peer) for name in names[:32]]
    output = values.get("-o") or (locations.join(values["-O"], locations.basename(names[0]) or "") if "-O" in values else None)
    local = output or (names[1] if len(names) > 1 else locations.basename(names[0]) or names[0])
    if local == "-":
        return [Item(True, _source(peer, names[0]), None, peer, printed=True)]
    source = _source(peer, names[0])
    if local:
        local = local if output else locations.into(local, names[0])
        if folder and not re.match(r"^([/\\~%]|[A-Za-z]:)", local):
            local = locations.join(folder, local)
    return [Item(True, source, local, peer)]


def _options(rest: list[str]) -> tuple[dict[str, str], list[str]]:
    """The options of lftp that take a value (output file, output folder, number of connections), and the names."""
    values: dict[str, str] = {}
    words: list[str] = []
    waiting = list(rest)
    while waiting:
        word = waiting.pop(0)
        if word in ("-o", "-O", "-n") and waiting:
            values[word] = waiting.pop(0)
        else:
            words.append(word)
    return values, _positional(words)


def _many(name: str, folder: str | None) -> str | None:
    """Where one of many files lands; a pattern only says the folder."""
    base = locations.basename(name)
    if base is None or any(mark in base for mark in "*?["):
        return folder
    return locations.join(folder, base) if folder else base


def _source(peer: str | None, name: str) -> str:
    if locations.is_url(name):
        return name
    if peer is None:
        return name
    if locations.is_url(peer):
        return peer
    if locations.is_unc(peer):
        separator = "/" if peer.startswith("//") else "\\"
        return peer.rstrip("\\/") + separator + name.lstrip("\\/")
    if _HAS_PORT.search(peer):
        return f"{peer}/{name.lstrip('/')}"
    return f"{peer}:{name}"
