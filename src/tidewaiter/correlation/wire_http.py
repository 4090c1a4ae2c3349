"""Requests joined with the files that their flow carried: by the sensor's own transaction or file ids."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from tidewaiter.baseline.flows import host_name
from tidewaiter.catalog import wire
from tidewaiter.correlation.wire_flow import Flow, new_carried
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event

_BODILESS = frozenset({204, 205, 304})
_WEB = frozenset({"http", "http2"})
PLACEHOLDERS = frozenset({"request_uri_not_seen", "unknown", "<unknown>", ""})
"""Names that sensors give to files without one."""


def is_web(event: Event) -> bool:
    """Whether a file came over HTTP."""
    return event.protocol in _WEB or (event.url is not None and event.url[:4].lower() == "http")


def pair(flow: Flow) -> Iterator[tuple[Event | None, Event | None]]:
    """Request and file that belong together; a request may have several files, and either may stand alone."""
    used: set[int] = set()
    by_file: dict[tuple[str, str], Event] = {}
    by_turn: dict[tuple[str, str, int], Event] = {}
    for request in flow.requests:
        extra = request.extra or {}
        for name in ("resp_fuids", "orig_fuids"):
            for fuid in extra.get(name) or ():
                by_file.setdefault((request.log_source, str(fuid)), request)
        turn = extra.get("tx_id")
        if isinstance(turn, int):
            by_turn.setdefault((request.log_source, request.log_file, turn), request)
    for file in flow.files:
        found = by_file.get((file.log_source, file.file_id)) if file.file_id else None
        if found is None and is_web(file):
            turn = (file.extra or {}).get("tx_id")
            if isinstance(turn, int):
                found = by_turn.get((file.log_source, file.log_file, turn))
            if found is None or (file.url and found.url != file.url):
                found = _nearest(flow.requests, file) if is_web(file) else None
        if found is not None:
            used.add(id(found))
        yield found, file
    for request in flow.requests:
        if id(request) not in used:
            yield request, None


def _nearest(requests: list[Event], file: Event) -> Event | None:
    """For sensors without common ids: the request for the same URL, or with a body of that size, nearest in time."""
    fits = [
        one
        for one in requests
        if one.log_source == file.log_source
        and not (one.extra or {}).get("resp_fuids")
        and (one.url == file.url if file.url else file.file_size is not None and one.bytes_in == file.file_size)
    ]
    return min(fits, key=lambda one: abs(one.time - file.time), default=None)


def carried_of(request: Event | None, file: Event | None, flow: Flow) -> Iterator[Carried]:
    """The files that a request and what was seen of its body amount to."""
    if file is not None:
        yield _of_file(request, file, flow)
    elif request is not None:
        yield from _of_request(request, flow)


def _of_file(request: Event | None, file: Event, flow: Flow) -> Carried:
    extra = file.extra or {}
    base = request or file
    push = bool(extra.get("is_orig")) if extra.get("is_orig") is not None else base.method in wire.load().push_methods
    carried = new_carried(file, flow, push=push)
    carried.time = min(file.time, request.time) if request is not None else file.time
    if request is not None:
        carried.server_port = carried.server_port if carried.server_port is not None else request.dst_port
        carried.server_name = host_name(request.dst_host) or carried.server_name
        carried.user = request.user or carried.user
        carried.protocol = carried.protocol or request.protocol
    carried.url = (request.url if request else None) or file.url
    take_request(carried, request or file, file)
    take_content(carried, file)
    name = file.file_path
    carried.name = None if name in PLACEHOLDERS else name
    carried.cite(file, content_summary(carried, file), "carried")
    if request is not None:
        carried.cite(request, request_summary(request), "connected")
    if not flow.flows and request is None:
        carried.cite(file, "", "connected")
    return carried


def take_request(carried: Carried, request: Event, file: Event | None) -> None:
    """What the request and its answer say."""
    extra = request.extra or {}
    http = (file.extra or {}).get("http") if file is not None else None
    http = http if isinstance(http, dict) else {}
    carried.method, carried.status = request.method, request.status
    carried.user_agent = request.user_agent or (file.user_agent if file is not None else None)
    carried.asked = carried.url is not None and carried.method is not None
    declared = http.get("content_type") or (request.file_type if request is not file else None)
    carried.declared_type = str(declared) if declared and not carried.push else None
    announced = extra.get("content_length")
    if isinstance(announced, int) and not carried.push and carried.status == 200 and carried.method != "HEAD":
        carried.expected = announced or None
    carried.redirects_to = str(extra["redirect"]) if extra.get("redirect") else None


def take_content(carried: Carried, file: Event) -> None:
    """Size, hashes, type, and whether it is whole."""
    extra = file.extra or {}
    carried.size, carried.content_type = file.file_size, file.file_type
    carried.sha256, carried.sha1, carried.md5 = file.sha256, file.sha1, file.md5
    total = extra.get("total_bytes")
    carried.expected = total if isinstance(total, int) and total > 0 else carried.expected
    missing = extra.get("missing_bytes")
    if carried.expected is not None and carried.size is not None and carried.size < carried.expected:
        carried.short = f"{carried.size} of {carried.expected} bytes were seen"
    elif isinstance(missing, int) and missing > 0:
        carried.short = f"{missing} bytes are missing"
    elif extra.get("gaps"):
        carried.short = "the sensor missed packets"
    elif extra.get("state") in ("TRUNCATED", "ERROR"):
        carried.short = f"the sensor saw {carried.size if carried.size is not None else 'some'} bytes and not the end"
    elif extra.get("timed_out"):
        carried.short = "the end was not seen"
    if carried.short:
        carried.outcome = "partial"


def _of_request(request: Event, flow: Flow) -> Iterator[Carried]:
    """A request whose body no sensor listed as a file: the sizes speak."""
    if request.method == "CONNECT":
        return
    extra = request.extra or {}
    listed_in, listed_out = extra.get("resp_fuids"), extra.get("orig_fuids")
    answered = request.status is not None and not (100 <= request.status < 200 or request.status in _BODILESS)
    if request.method != "HEAD" and (request.bytes_in or (request.bytes_in is None and answered)):
        yield _of_body(request, flow, push=False, fuids=listed_in)
    if request.bytes_out and request.method in wire.load().push_methods:
        yield _of_body(request, flow, push=True, fuids=listed_out)


def _of_body(request: Event, flow: Flow, *, push: bool, fuids: object) -> Carried:
    carried = new_carried(request, flow, push=push)
    carried.url = request.url
    take_request(carried, request, None)
    extra = request.extra or {}
    carried.size = request.bytes_out if push else request.bytes_in
    types = extra.get("orig_mime_types" if push else "resp_mime_types")
    carried.content_type = str(types[0]) if isinstance(types, list | tuple) and types else None
    names = extra.get("orig_filenames" if push else "resp_filenames")
    carried.name = str(names[0]) if isinstance(names, list | tuple) and names else None
    carried.md5 = str(extra["resp_md5"]) if extra.get("resp_md5") and not push else None
    del fuids
    if request.status is None:
        carried.outcome = "attempted" if not carried.size else "partial"
    carried.cite(request, request_summary(request), "connected", "carried")
    return carried


def request_summary(request: Event) -> str:
    """A request in words."""
    parts = [f"{request.method or 'request'} {request.url or ''}".strip()]
    if request.status is not None:
        parts.append(f"status {request.status}")
    if request.bytes_in:
        parts.append(f"{request.bytes_in} bytes answered")
    if request.bytes_out:
        parts.append(f"{request.bytes_out} bytes sent")
    parts.append(f"User-Agent {request.user_agent}" if request.user_agent else "no User-Agent")
    return ", ".join(parts)


def content_summary(carried: Carried, file: Event) -> str:
    """What was seen of a file, in words."""
    parts = [f"file {carried.name or file.file_path or '(no name)'} over {carried.protocol or 'the wire'}"]
    extra = file.extra or {}
    if isinstance(extra.get("start"), int) and isinstance(extra.get("end"), int):
        parts.append(f"bytes {extra['start']}-{extra['end']}")
    if carried.size is not None:
        parts.append(f"{carried.size} bytes")
    if file.file_type:
        parts.append(file.file_type)
    if file.sha256 or file.md5 or file.sha1:
        parts.append(f"sha256 {file.sha256}" if file.sha256 else f"sha1 {file.sha1}" if file.sha1 else f"md5 {file.md5}")
    if carried.short:
        parts.append(carried.short)
    return ", ".join(parts)


def failed(carried: Carried) -> bool:
    """Whether the answer refused the request: its body is an error page, and what was pushed was not taken."""
    return carried.status is not None and carried.status >= 400


_TRAIL = re.compile(r"[?#].*", re.DOTALL)
_AUTHORITY = re.compile(r"^[a-z][\w+.-]*:/+[^/?#]*", re.IGNORECASE)


@functools.lru_cache(maxsize=1_024)
def path_of(url: str | None) -> str:
    """The path of a URL without query."""
    return _TRAIL.sub("", _AUTHORITY.sub("", url or ""))
