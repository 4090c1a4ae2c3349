"""Documents of an Elasticsearch or OpenSearch index, by the bulk interface over plain HTTP.

The transfer's id is the id of its document and the revision its version (`external_gte`): a repetition changes nothing, and an
older revision that arrives late does not overwrite a newer one. A withdrawn transfer's document stays and says so. The index is
an ordinary one; a data stream takes no versions.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Literal

import msgspec

from tidewaiter import sink
from tidewaiter.errors import SinkError, UsageError
from tidewaiter.sink import Delivery, Surroundings
from tidewaiter.transport.http import HttpClient, HttpError
from tidewaiter.transport.secrets import Secret
from tidewaiter.transport.tls import client_context

LARGEST_REQUEST = 8_388_608
"""Bytes of a bulk request; servers take 100 MB by default, and less behind proxies. One larger document goes alone."""

AGAIN = {408, 425, 429}
LOCKED_OUT = {401, 403, 404, 407}
"""Answers about permissions, a missing index or a block on it: they hold until somebody mends that, so deliveries wait."""

NEWER_THERE = 409
"""The version of the document in the index is newer: what we have is old news."""


class Settings(sink.Settings, frozen=True, kw_only=True):
    """`type = "elasticsearch"`, also for OpenSearch."""

    url: str  # of the server; a path in it is put before /_bulk
    index: str = "tidewaiter-transfers"
    document: Literal["plain", "ecs"] = "ecs"
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    api_key_file: str = ""  # as the server gave it out: base64 of id:key
    api_key_env: str = ""
    ca_file: str = ""  # PEM of the only authorities to trust; empty: the system's
    certificate_file: str = ""  # PEM, for servers that want to know who we are
    key_file: str = ""
    timeout: float = 30.0  # seconds


class _Item(msgspec.Struct):
    status: int
    error: Any = None


class _Bulk(msgspec.Struct):
    errors: bool
    items: list[dict[str, _Item]] = []


class Sink:
    """`type = "elasticsearch"`."""

    batch = 200

    def __init__(self, settings: Settings, here: Surroundings) -> None:
        self.name = here.name
        if not re.fullmatch(r"[a-z0-9][a-z0-9._+-]{0,200}", settings.index):
            raise UsageError("index: must be lower-case letters, digits and . _ + - only")
        if not 0.1 <= settings.timeout <= 300:
            raise UsageError("timeout: must be 0.1 to 300 seconds")
        self._index, self._document = settings.index, _ecs if settings.document == "ecs" else _plain
        tls = client_context(here.path(settings.ca_file), here.path(settings.certificate_file), here.path(settings.key_file))
        self._client = HttpClient(settings.url, timeout=settings.timeout, tls=tls)
        if "?" in self._client.path:
            raise UsageError("url: must not hold a query")
        self._authorization = _authorization(settings, here)
        if self._authorization is not None and not self._client.private:
            raise UsageError("url: http:// would send the password or key readable to another machine; use https://")

    def deliver(self, batch: Sequence[Delivery]) -> None:
        """Index them. Raises SinkError: with `retry` unless the server refuses a document for what is in it."""
        for lines in _requests(self._lines(batch)):
            self._post(lines)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _lines(self, batch: Iterable[Delivery]) -> Iterator[bytes]:
        for delivery in batch:
            action = {"_index": self._index, "_id": delivery.id, "version": delivery.revision, "version_type": "external_gte"}
            document = self._document(delivery)
            yield sink.encoded({"index": action}) + b"\n" + sink.encoded(document) + b"\n"

    def _post(self, lines: Sequence[bytes]) -> None:
        headers = {"Content-Type": "application/x-ndjson", "User-Agent": "tidewaiter"}
        if self._authorization is not None:
            headers["Authorization"] = self._authorization.reveal()
        try:
            answer = self._client.post(b"".join(lines), headers, f"{self._client.path.rstrip('/')}/_bulk")
        except HttpError as error:
            raise SinkError(str(error), retry=True) from None
        where = self._client.where
        if answer.status == 413:
            raise SinkError(f"{where}: the request is too large for it", retry=False)  # comes again in parts
        if not 200 <= answer.status < 300:
            raise SinkError(f"{where}: answered {answer.status}", retry=True, after=answer.retry_after())
        try:
            told = msgspec.json.decode(answer.body, type=_Bulk)
        except msgspec.DecodeError:
            raise SinkError(f"{where}: answered what no bulk interface answers", retry=True) from None
        if len(told.items) != len(lines):
            raise SinkError(f"{where}: told of {len(told.items)} documents of {len(lines)}", retry=True)
        if told.errors:
            self._judge([item for entry in told.items for item in entry.values()])

    def _judge(self, items: Iterable[_Item]) -> None:
        """Raise what the documents call for: first what may pass by itself, then what never will."""
        bad = [item for item in items if item.status >= 300 and item.status != NEWER_THERE]
        passing = [item for item in bad if item.status >= 500 or item.status in AGAIN | LOCKED_OUT]
        for item in passing or bad:
            problem = f"{self._client.where}: index {self._index}: {item.status} {_kind(item.error)}"
            raise SinkError(problem, retry=bool(passing))


def _requests(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines in as few requests as their size allows."""
    request: list[bytes] = []
    size = 0
    for line in lines:
        if request and size + len(line) > LARGEST_REQUEST:
            yield request
            request, size = [], 0
        request.append(line)
        size += len(line)
    if request:
        yield request


def _kind(error: Any) -> str:
    """What the server calls an error. Its reason would quote the document."""
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""


def _authorization(settings: Settings, here: Surroundings) -> Secret | None:
    """The header that says who we are."""
    password, key = here.secret(settings, "password"), here.secret(settings, "api_key")
    if (password is None) != (not settings.username):
        raise UsageError("username and password_file (or password_env) go together")
    if password is not None and key is not None:
        raise UsageError("api_key and password are both given: keep one of them")
    if password is not None:
        pair = f"{settings.username}:{password.reveal()}".encode()
        return Secret(f"Basic {base64.b64encode(pair).decode()}")
    if key is not None:
        if not key.reveal().isascii():
            raise UsageError("api_key: must be ASCII")
        return Secret(f"ApiKey {key.reveal()}")
    return None


def _plain(delivery: Delivery) -> dict[str, Any]:
    """The record as the jsonl sink writes it, with the time where dashboards look for it."""
    record = sink.record(delivery)
    return {"@timestamp": record.get("time") or record["at"], **record}


def _ecs(delivery: Delivery) -> dict[str, Any]:
    """The record in the Elastic Common Schema; what that has no place for is under `tidewaiter`. Unknown fields are left out.

    `source` is where the bytes came from and `host` where they went, whichever of them opened the connection.
    """
    record = sink.record(delivery)
    moment = record.get("time") or record["at"]
    event = {
        "kind": "alert",
        "module": "tidewaiter",
        "dataset": "tidewaiter.transfer",
        "id": delivery.id,
        "created": record["at"],
    }
    own = ("change", "revision", "superseded_by", "sequence", "id")
    document: dict[str, Any] = {"@timestamp": moment, "ecs": {"version": "8.11.0"}, "event": event}
    transfer = delivery.transfer
    if transfer is None:
        return document | {"tidewaiter": {name: record[name] for name in own}}
    process, src, file = transfer.process, transfer.src, transfer.file
    event |= {"category": ["file", "network"], "type": ["info"], "action": transfer.utility, "severity": transfer.score}
    event["outcome"] = _OUTCOMES.get(transfer.outcome, "unknown")
    document |= {
        "message": "; ".join(reason.text for reason in transfer.reasons),
        "host": {"name": transfer.device.hostname, "ip": _address(transfer.device.ip)},
        "user": {"name": transfer.user},
        "process": {
            "name": process.name,
            "executable": process.path,
            "pid": process.pid,
            "command_line": process.command_line,
            "parent": {"name": process.parent},
        },
        "source": {"address": src.hostname or src.ip, "domain": src.hostname, "ip": _address(src.ip), "port": src.port},
        "url": {"original": src.url},
        "network": {"protocol": transfer.protocol, "direction": "inbound" if transfer.direction == "ingress" else "internal"},
        "file": {
            "name": file.name,
            "path": transfer.dst.path,
            "size": file.size,
            "mime_type": file.type,
            "hash": {"sha256": file.sha256, "sha1": file.sha1, "md5": file.md5},
        },
        "threat": {"framework": "MITRE ATT&CK", "technique": {"id": transfer.techniques}},
        "tidewaiter": {name: record.get(name) for name in (*own, *_OWN)},
    }
    return _known(document)


_OUTCOMES = {"completed": "success", "partial": "success", "blocked": "failure", "failed": "failure"}
_OWN = ("direction", "outcome", "severity", "score", "confidence", "src", "dst", "stages", "reasons", "evidence", "verdict")


def _address(text: str | None) -> str | None:
    """The text where it is an address: an index that holds addresses refuses a document with anything else."""
    try:
        return str(ip_address(text or ""))
    except ValueError:
        return None


def _known(value: dict[str, Any]) -> dict[str, Any]:
    """Nested tables without what is unknown or empty."""
    kept = {name: _known(item) if isinstance(item, dict) else item for name, item in value.items()}
    return {name: item for name, item in kept.items() if item is not None and item not in ("", [], {})}
