"""The circumstances of a transfer that the network's side shows. Each names a reason of knowledge/weights.toml."""

from __future__ import annotations

from collections.abc import Iterator

from tidewaiter.catalog import places, roles
from tidewaiter.reading import paths
from tidewaiter.schema.action import ActionKind
from tidewaiter.schema.case import Case

ANALYTIC = "wire"
"""What `Case.analytic` says of cases of the network's side."""

Circumstance = tuple[str, str]
"""Reason id and detail."""


def circumstances(case: Case) -> Iterator[Circumstance]:
    """Every circumstance that holds, each once; what the analytics marked comes first."""
    found: dict[str, str] = dict(case.marks)
    for group in (_way(case), _source(case), _file(case), _outcome(case)):
        for reason, detail in group:
            found.setdefault(reason, detail)
    yield from found.items()


def _way(case: Case) -> Iterator[Circumstance]:
    transfer = case.transfer
    if transfer.stages["carried"].state == "seen":
        yield "on_the_wire", transfer.protocol or "the wire"
    if case.action.kind is ActionKind.LATERAL:
        yield "inside_to_inside", transfer.src.ip or ""
    if (transfer.protocol or "") in ("http", "ftp", "tftp", "smtp", "finger", "rsync"):
        yield "cleartext", ""


def _source(case: Case) -> Iterator[Circumstance]:
    src = case.transfer.src
    place = places.load()
    host = src.hostname
    if paths.is_address(src.ip) and (src.ip or "").startswith(("127.", "::1")):
        yield "loopback", ""
    elif case.action.kind is not ActionKind.LATERAL and case.urls and host is None and src.ip:
        yield "bare_address", src.ip
    for program in (case.program, case.action.utility):
        updater = place.updater_of(host, program)
        if updater is not None:
            yield "known_updater", updater
    if not places.below(host, place.hosting) and places.below(host, place.distributors):
        yield "known_source", host or ""


def _file(case: Case) -> Iterator[Circumstance]:
    kinds = roles.load()
    name = case.transfer.file.name
    kind = roles.file_type(name)
    marks = case.marks
    if kind in kinds.executable_types and "executable_content" not in marks:
        yield "executable_type", name or ""
    elif kind in kinds.script_types and "script_content" not in marks and kind in _FETCHED_SCRIPTS:
        yield "script_type", name or ""
    parts = (name or "").lower().split(".")
    if len(parts) > 2 and parts[-1] in kinds.executable_types | kinds.script_types and parts[-2] in kinds.document_types:
        yield "double_extension", name or ""


_FETCHED_SCRIPTS = frozenset(
    {"ps1", "psm1", "bat", "cmd", "vbs", "vbe", "jse", "wsf", "hta", "sct", "sh", "py", "pl", "lnk", "chm"}
)
"""Scripts that no web page is made of: every page brings .js, and servers name their pages .php."""


def _outcome(case: Case) -> Iterator[Circumstance]:
    if case.failed:
        yield "not_carried", ""
