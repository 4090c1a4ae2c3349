"""Lists of indicators: plain text, CSV, STIX 2.1 and MISP JSON. What cannot be used is counted and said, never guessed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tidewaiter.catalog import indicators as names
from tidewaiter.catalog.columns import plain
from tidewaiter.errors import PolicyError
from tidewaiter.policy.document import ListFormat, is_domain, network
from tidewaiter.policy.stix import comparisons
from tidewaiter.reading import paths

LARGEST = 64_000_000
"""Bytes of one list."""
_HASH = re.compile(r"(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64})")
_SINK = re.compile(r"^(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+(\S+)$")
DEEPEST = 8
"""How deep events and objects of MISP may lie."""


class Indicators:
    """Values by kind, in comparison form, and how many could not be used, by reason."""

    def __init__(self) -> None:
        self.hashes: set[str] = set()
        self.domains: set[str] = set()
        self.addresses: set[str] = set()
        self.networks: list[Any] = []
        self.urls: set[str] = set()
        self.unused: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.hashes) + len(self.domains) + len(self.addresses) + len(self.networks) + len(self.urls)

    def add(self, value: str, kind: str = "any") -> None:
        """Add one value of a kind; "any" lets its form decide. What is none of that kind is counted as unused."""
        text = refanged(value)
        found = kind_of(text)
        if found is None or (kind != "any" and found != kind):
            self.unused["no hash, domain, address or URL" if kind == "any" else f"no {kind}"] += 1
        elif found == "hash":
            self.hashes.add(text.lower())
        elif found == "domain":
            self.domains.add(text.lower().rstrip("."))
        elif found == "url":
            self.urls |= paths.url_keys([text])
        else:
            self._add_network(text)

    def _add_network(self, text: str) -> None:
        known = network(text)
        if known is None:  # pragma: no cover - kind_of has asked already
            return
        if known.num_addresses == 1:
            self.addresses.add(str(known.network_address))
        elif known.prefixlen == 0:
            self.unused["every address there is"] += 1
        else:
            self.networks.append(known)


def refanged(value: str) -> str:
    """A value without what keeps people from clicking it: hxxp, [.], (.), [:]."""
    text = value.strip().strip("\"'")
    text = re.sub(r"^h(?:xx|XX|\*\*)p(s?)(?=\[?:)", r"http\1", text)
    return re.sub(r"\[(\.|:|://)\]|\((\.)\)|\{(\.)\}", lambda match: match[1] or match[2] or match[3], text)


def kind_of(text: str) -> str | None:
    """What a value is by its form."""
    if _HASH.fullmatch(text):
        return "hash"
    if re.match(r"(?i)[a-z][a-z0-9+.-]*://\S", text):
        return "url"
    if (text[:1].isdigit() or ":" in text) and network(text) is not None:
        return "address"
    return "domain" if is_domain(text) else None


def read_list(path: Path, given: ListFormat | None, now: datetime | None = None) -> Indicators:
    """The indicators of a file. Raises PolicyError where it cannot be read, or is not what the policy says."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise PolicyError(str(path), "file", error.strerror or str(error)) from None
    if len(data) > LARGEST:
        raise PolicyError(str(path), "file", f"is larger than {LARGEST:,} bytes; split it")
    return parse_list(data.decode("utf-8-sig", "replace"), str(path), given, now)


def parse_list(text: str, file: str, given: ListFormat | None = None, now: datetime | None = None) -> Indicators:
    """The indicators of a text, whose format is the given one or what it looks like."""
    found = Indicators()
    if given in ("stix", "misp") or (given is None and text.lstrip()[:1] in ("{", "[")):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PolicyError(file, "file", f"is no JSON: {error}") from None
        if given is None:
            given = "stix" if '"indicator"' in text and '"pattern"' in text else "misp"
        if given == "stix":
            _stix(value, found, now or datetime.now(UTC))
        else:
            _misp(value, found)
    elif given == "csv" or (given is None and _looks_like_csv(text)):
        _csv(text, found)
    else:
        _plain(text, found)
    return found


# ------------------------------------------------------------------ lines, CSV
def _plain(text: str, found: Indicators) -> None:
    for line in text.splitlines():
        value = re.split(r"\s+[#;]|^[#;!]", line.strip(), maxsplit=1)[0].strip()
        if value:
            sink = _SINK.match(value)  # a hosts file
            found.add(sink[1] if sink else value)


def _looks_like_csv(text: str) -> bool:
    lines = [line for line in text[:65_536].splitlines() if line.strip() and not line.startswith("#")][:5]
    return bool(lines) and all(re.search(r"[,;\t]", line) for line in lines)


def _csv(text: str, found: Indicators) -> None:
    """By the header where one names a known column; else the first cell of each row whose form says what it is."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    first = lines[0] if lines else ""
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(1_000_000)
    rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, skipinitialspace=True)
    columns: list[tuple[int, str]] = []
    for number, row in enumerate(_readable(rows, found)):
        if number == 0:
            known = names.load()
            columns = [(place, kind) for place, cell in enumerate(row) if (kind := known.column(plain(cell))) is not None]
            if columns:
                continue
        if columns:
            for place, kind in columns:
                if place < len(row) and row[place].strip():
                    found.add(row[place], kind)
            continue
        value = next((cell for cell in row if kind_of(refanged(cell)) is not None), None)
        if value is not None:
            found.add(value)
        else:
            found.unused["row without a hash, domain, address or URL"] += 1


def _readable(rows: Iterator[list[str]], found: Indicators) -> Iterator[list[str]]:
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            found.unused["row that is no CSV"] += 1
            continue
        yield row


# ------------------------------------------------------------------------ STIX
def _stix(value: Any, found: Indicators, now: datetime) -> None:
    """Indicators of a STIX 2.1 bundle, or of a list of objects."""
    objects = value.get("objects", [value]) if isinstance(value, dict) else value
    known = names.load()
    for item in objects if isinstance(objects, list) else ():
        if not isinstance(item, dict) or item.get("type") != "indicator":
            continue
        problem = _outdated(item, now)
        pattern = item.get("pattern")
        if problem is None and (not isinstance(pattern, str) or item.get("pattern_type", "stix") != "stix"):
            problem = "pattern in another language than STIX"
        if problem is not None:
            found.unused[problem] += 1
            continue
        pairs = comparisons(str(pattern))
        wanted = [(known.stix[path], text) for path, text in pairs or () if path in known.stix]
        if not wanted:
            found.unused["pattern that is not simple, or of nothing that a transfer has"] += 1
        for kind, text in wanted:
            found.add(text, kind)


def _outdated(item: dict[str, Any], now: datetime) -> str | None:
    if item.get("revoked") is True:
        return "revoked"
    until = item.get("valid_until")
    if isinstance(until, str):
        try:
            moment = datetime.fromisoformat(until)
        except ValueError:
            return "valid_until is no time"
        if (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) <= now:
            return "no longer valid"
    return None


# ------------------------------------------------------------------------ MISP
def _misp(value: Any, found: Indicators) -> None:
    """Attributes of MISP events, wherever the export puts them."""
    known = names.load()
    for attribute in _attributes(value, 0):
        kinds = known.misp.get(str(attribute.get("type")))
        text = attribute.get("value")
        if kinds is None or not isinstance(text, str):
            found.unused["attribute of nothing that a transfer has"] += 1
        elif attribute.get("to_ids") is False or attribute.get("deleted") is True:
            found.unused["attribute that is not meant for detection"] += 1
        else:
            for kind, part in zip(kinds, text.split("|"), strict=False):
                if kind != "-":
                    found.add(part, kind)


def _attributes(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth > DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _attributes(item, depth + 1)
    elif isinstance(value, dict):
        if isinstance(value.get("type"), str) and "value" in value:
            yield value
        for name in ("response", "Event", "Attribute", "Object"):
            if name in value:
                yield from _attributes(value[name], depth + 1)
