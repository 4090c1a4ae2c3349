"""A file that crossed the wire as a transfer record, and what judgement needs to weigh it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal
from urllib.parse import unquote

from tidewaiter.catalog import wire
from tidewaiter.correlation.wire_http import path_of
from tidewaiter.reading import paths
from tidewaiter.schema import moments
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.case import Case
from tidewaiter.schema.transfer import (
    STAGES,
    Device,
    EvidenceRow,
    File,
    Landing,
    Origin,
    Process,
    StageRecord,
    Transfer,
)

ANALYTIC = "wire"
"""What `Case.analytic` says of cases of the network's side."""

_CONFIDENCE = {"content": 85, "control": 65, "flow": 40}
_LONGEST_NAME = 255


def case_of(carried: Carried, direction: Literal["ingress", "lateral"], marks: Iterable[tuple[str, str]]) -> Case:
    """The transfer that a carried file is, without score and reasons, with the marks that the analytics gave it."""
    client = wire.client_of(carried.user_agent) if carried.user_agent else None
    utility = client.utility if client is not None and not carried.push else None
    protocol = carried.protocol or carried.transport
    kind = ActionKind.LATERAL if direction == "lateral" else ActionKind.INGRESS
    url = None if carried.push else carried.url
    action = Action(
        kind=kind,
        utility=utility or protocol or "unknown",
        form="wire",
        urls=(url,) if url else (),
        confidence=_CONFIDENCE[carried.shown],
        techniques=_techniques(carried),
    )
    name = _name(carried)
    transfer = Transfer(
        id=_identity(carried),
        time=moments.render_time(carried.time),
        device=Device(hostname=carried.host_name, ip=carried.receiver_ip),
        user=carried.user,
        utility=action.utility,
        process=Process(),
        direction=direction,
        protocol=protocol,
        src=_origin(carried, url),
        dst=Landing(path=_landing(carried)),
        file=File(
            name=name,
            size=carried.size,
            sha256=carried.sha256,
            sha1=carried.sha1,
            md5=carried.md5,
            type=carried.content_type or None,
        ),
        stages=_stages(carried),
        outcome=carried.outcome,
        evidence=[
            EvidenceRow(
                log_file=row.log_file,
                record=row.record,
                time=moments.render_time(row.time),
                log_source=row.log_source,
                summary=row.summary,
            )
            for row in carried.evidence
        ],
    )
    facts = dict(marks)
    for note in _notes(carried):
        facts.setdefault(*note)
    return Case(
        transfer=transfer,
        action=action,
        analytic=ANALYTIC,
        urls=(url,) if url else (),
        program=(client.program or client.utility) if client is not None else "",
        marks=facts,
        failed=carried.outcome == "failed",
    )


def _notes(carried: Carried) -> Iterable[tuple[str, str]]:
    """What a person should know beside the score: each is a reason of weight zero or little."""
    if carried.short:
        yield "incomplete", carried.short
    if carried.notes:
        yield "wire_note", "; ".join(carried.notes)[:300]
    if carried.redirected_from:
        yield "redirected", f"from {carried.redirected_from}"[:300]
    elif carried.redirects_to:
        yield "redirected", f"to {carried.redirects_to}"[:300]


def _techniques(carried: Carried) -> tuple[str, ...]:
    if carried.protocol == "smb":
        return ("T1021.002",) if carried.push else ()
    if carried.protocol in ("dns-tunnel", "icmp-tunnel"):
        return ("T1071.004",) if carried.protocol == "dns-tunnel" else ("T1095",)
    return ()


def _identity(carried: Carried) -> str:
    """Stable over runs and engines: what, between whom, when; never a path of the evidence."""
    parts = [
        str(carried.time), carried.protocol or "", carried.client_ip or "", str(carried.client_port), carried.server_ip or "",
        str(carried.server_port), str(carried.push), carried.url or "", carried.name or "", carried.sha256 or carried.md5 or "",
        str(carried.size), *[f"{row.record}" for row in carried.evidence[:1]],
    ]  # fmt: skip
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _name(carried: Carried) -> str | None:
    name = carried.name
    if not name and carried.url:
        name = unquote(path_of(carried.url))
    base = (name or "").replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    base = base.split("?", 1)[0] if carried.protocol in ("http", "http2") else base
    return base[:_LONGEST_NAME] or None


def _landing(carried: Carried) -> str | None:
    """Where a push lands on the server, as the client named it. Nobody on the wire sees where a client puts what it gets."""
    if not carried.push:
        return None
    if carried.protocol in ("http", "http2") and carried.url:
        return path_of(carried.url) or None
    if carried.protocol == "smb" and carried.name:
        share = (carried.share or "").replace("/", "\\").rstrip("\\").rsplit("\\", 1)[-1]
        return f"{share}\\{carried.name.lstrip(chr(92))}" if share and share not in carried.name else carried.name
    return carried.name


def _origin(carried: Carried, url: str | None) -> Origin:
    ip = carried.sender_ip
    port = carried.client_port if carried.push else carried.server_port
    if carried.push:
        return Origin(ip=ip, port=port, path=carried.name if carried.protocol not in ("http", "http2") else None)
    host = carried.server_name or (paths.endpoint(url)[0] if url else None)
    if paths.is_address(host):
        host = None
    path = path_of(url) or None
    if path is None or (url or "").startswith("\\"):
        path = url if url else carried.name
    return Origin(url=url, hostname=host, ip=ip, port=port, path=path)


def _stages(carried: Carried) -> dict[str, StageRecord]:
    seen = {"connected": carried.connected or carried.carried, "carried": carried.carried, "commanded": carried.commanded}
    stages: dict[str, StageRecord] = {}
    for stage in STAGES:
        rows = seen.get(stage)
        if rows:
            time = min(carried.evidence[index].time for index in rows)
            stages[stage] = StageRecord(state="seen", time=moments.render_time(time), evidence=sorted(rows))
        else:
            stages[stage] = StageRecord(state="not_visible")
    return stages
