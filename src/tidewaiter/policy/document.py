"""The TOML file of a policy: its tables, and what is wrong in it. docs/policy.md describes it for people."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec

from tidewaiter.errors import PolicyError

ListFormat = Literal["plain", "csv", "stix", "misp"]
LARGEST = 4_000_000
"""Bytes of a policy file."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are errors."""


class Entry(_Table, frozen=True):
    """What every entry says of itself. It holds until the end of the day `expires` (UTC)."""

    id: str
    reason: str
    owner: str
    expires: date


class TrustedDomain(Entry, frozen=True):
    """Domains whose content is expected; each stands for everything below it."""

    domains: tuple[str, ...]


class DistributionServer(Entry, frozen=True):
    """Servers that distribute software inside: names (with everything below them), addresses or networks."""

    servers: tuple[str, ...]


class Updater(Entry, frozen=True):
    """Programs that fetch from these domains; both must hold."""

    programs: tuple[str, ...]
    domains: tuple[str, ...]


class AllowedUtility(Entry, frozen=True):
    """Utilities that may be used on these hosts: names with `*`, addresses, networks, or `@group`."""

    utilities: tuple[str, ...]
    hosts: tuple[str, ...]
    users: tuple[str, ...] = ()  # names with `*`; empty: whoever


class InternalNetwork(Entry, frozen=True):
    """Networks that are inside, beside those that are by default."""

    networks: tuple[str, ...]


class KnownBad(Entry, frozen=True):
    """Hashes, domains, addresses, networks and URLs that are known to be bad, here or in a file beside this one."""

    values: tuple[str, ...] = ()
    file: str | None = None
    format: ListFormat | None = None  # None: by the content


class Document(_Table, frozen=True):
    """A whole policy file."""

    name: str | None = None
    groups: dict[str, tuple[str, ...]] = {}
    trusted_domain: tuple[TrustedDomain, ...] = ()
    distribution_server: tuple[DistributionServer, ...] = ()
    updater: tuple[Updater, ...] = ()
    allowed_utility: tuple[AllowedUtility, ...] = ()
    internal_network: tuple[InternalNetwork, ...] = ()
    known_bad: tuple[KnownBad, ...] = ()

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Every entry with the name of its table, in the order of the tables."""
        for table in TABLES:
            for entry in getattr(self, table):
                yield table, entry


TABLES = ("trusted_domain", "distribution_server", "updater", "allowed_utility", "internal_network", "known_bad")


def read_document(path: Path) -> Document:
    """The policy in a file. Raises PolicyError that names file and place where it cannot be read or says what cannot be."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise PolicyError(str(path), "file", error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise PolicyError(str(path), f"byte {error.start}", "is no UTF-8") from None
    if len(data) > LARGEST:
        raise PolicyError(str(path), "file", f"is larger than {LARGEST:,} bytes; put long lists into files of their own")
    return parse_document(text, str(path))


def parse_document(text: str, file: str) -> Document:
    """The policy of a TOML text; raises PolicyError as `read_document` does."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError(file, "file", f"is no TOML: {error}") from None
    try:
        document = msgspec.convert(raw, Document)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at ")
        raise PolicyError(file, _place(place, raw), problem) from None
    _check(document, file)
    return document


def _place(path: str, raw: dict[str, object]) -> str:
    """`$.updater[0].x` as `updater 1 (id ...) x`."""
    match = re.fullmatch(r"`\$\.(\w+)\[(\d+)\]\.?(.*)`", path)
    if match is None:
        return path.strip("`").removeprefix("$.").removeprefix("$") or "file"
    tables = raw.get(match[1])
    entry = tables[int(match[2])] if isinstance(tables, list) else None
    named = f" (id {entry['id']!r})" if isinstance(entry, dict) and isinstance(entry.get("id"), str) else ""
    return f"{match[1]} {int(match[2]) + 1}{named}{' ' + match[3] if match[3] else ''}"


def _check(document: Document, file: str) -> None:
    known: set[str] = set()
    for table, entry in document.entries():
        place = f"{table} (id {entry.id!r})"
        for name in ("id", "reason", "owner"):
            if not getattr(entry, name).strip():
                raise PolicyError(file, place, f"{name} is empty")
        if entry.id in known:
            raise PolicyError(file, place, "another entry of this file has the same id")
        known.add(entry.id)
        for problem in _problems(entry, document):
            raise PolicyError(file, place, problem)


def _problems(entry: Entry, document: Document) -> Iterator[str]:
    """What an entry says that cannot be."""
    for name in ("domains", "servers", "programs", "utilities", "hosts", "networks"):
        listed = getattr(entry, name, None)
        if listed is not None and not listed:
            yield f"{name} is empty"
        for value in listed or ():
            problem = _problem(name, value, document)
            if problem is not None:
                yield f"{value!r} {problem}"
    if isinstance(entry, KnownBad) and bool(entry.values) == (entry.file is not None):
        yield "needs either values or file"


def _problem(name: str, value: str, document: Document) -> str | None:
    """What is wrong with one value of a list."""
    if not value.strip():
        return f"in {name} is an empty text"
    if name == "domains" and not is_domain(value):
        return "is no domain such as example.com"
    if name == "servers" and not is_domain(value) and network(value) is None:
        return "is no name, address or network"
    if name == "networks" and network(value) is None:
        return "is no network such as 10.0.0.0/8"
    if name == "hosts" and value.startswith("@") and value[1:] not in document.groups:
        return "is no group of this file"
    return None


_DOMAIN = re.compile(r"(?i)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")


def is_domain(text: str) -> bool:
    """Whether a text is a domain of at least two labels: one label alone would stand for half the world."""
    return len(text) <= 253 and _DOMAIN.fullmatch(text.strip().rstrip(".")) is not None


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """An address or network; None where it is none."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
