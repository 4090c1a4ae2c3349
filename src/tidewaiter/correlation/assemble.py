"""A finished draft as a transfer record: endpoints, landing, stages with their states, outcome. Judgement comes after."""

from __future__ import annotations

import hashlib
import re

from tidewaiter.catalog.roles import load, program_name
from tidewaiter.correlation.draft import Draft
from tidewaiter.reading import locations, paths
from tidewaiter.schema import moments
from tidewaiter.schema.action import ActionKind
from tidewaiter.schema.case import Case
from tidewaiter.schema.transfer import (
    STAGES,
    Device,
    EvidenceRow,
    File,
    Landing,
    Origin,
    Outcome,
    Process,
    StageRecord,
    State,
    Transfer,
)

_SHOWN_BY: dict[str, frozenset[str]] = {
    "commanded": frozenset({"process_start:command_line", "script", "script_call", "shell_command", "job", "malware_detected"}),
    "connected": frozenset({"connection", "flow", "job", "http"}),
    "carried": frozenset({"file_on_wire", "http", "ftp", "smb", "tftp"}),
    "landed": frozenset({"file_create", "file_stream", "share_access", "download", "file_blocked"}),
    "checked": frozenset({"process_start:command_line", "script", "shell_command"}),
    "run": frozenset({"process_start", "process_start:command_line", "image_load", "shell_command", "service_install"}),
    "spread": frozenset({"process_start:command_line", "share_access", "flow", "file_on_wire"}),
}
"""Which kinds of event show a stage: a host whose logs hold none of them cannot show it."""


def assemble(draft: Draft, kinds: set[str], host_name: str | None) -> Case:
    """The transfer that a draft amounts to, without score and reasons, and the facts to judge it by."""
    action = draft.action
    origin = _origin(draft)
    stages: dict[str, StageRecord] = {}
    for stage in STAGES:
        seen = draft.stages.get(stage)
        if seen is not None:
            stages[stage] = StageRecord(state="seen", time=moments.render_time(seen[0]), evidence=sorted(seen[1]))
        else:
            state: State = "not_seen" if kinds & _SHOWN_BY[stage] else "not_visible"
            stages[stage] = StageRecord(state=state)
    process = draft.process
    lateral = action.kind is ActionKind.LATERAL
    name = _name(draft)
    transfer = Transfer(
        id="",
        time=moments.render_time(draft.time),
        device=Device(hostname=_device(draft, host_name), ip=None),
        user=draft.user,
        utility=action.utility,
        process=Process(
            name=(process.path or process.told.name or "").replace("\\", "/").rsplit("/", 1)[-1] or None if process else None,
            path=process.path if process else None,
            pid=process.pid if process else None,
            command_line=process.told.command_line if process else None,
            parent=(process.parent.path if process.parent else process.told.parent_path) if process else None,
        ),
        direction="lateral" if lateral else "ingress",
        protocol=_protocol(draft),
        src=origin,
        dst=Landing(path=draft.dest, in_memory=(draft.dest is None and action.in_memory) or None),
        file=File(name=name, size=draft.size, sha256=draft.sha256, sha1=draft.sha1, md5=draft.md5, type=draft.type),
        stages=stages,
        outcome=_outcome(draft),
        evidence=[
            EvidenceRow(
                log_file=row.log_file,
                record=row.record,
                time=moments.render_time(row.time),
                log_source=row.log_source,
                summary=row.summary,
            )
            for row in draft.evidence
        ],
    )
    transfer.id = _identity(draft)
    ancestors = process.lineage(4)[1:] if process else []
    return Case(
        transfer=transfer,
        action=action,
        analytic=draft.analytic,
        urls=tuple(draft.urls),
        dest=draft.dest,
        program=process.program if process else "",
        original_name=process.told.original_name if process else None,
        ancestors=tuple(one.program for one in ancestors) or ((program_name(process.told.parent_path),) if process else ()),
        marks=dict(draft.marks),
        failed=draft.outcome == "failed",
        sent=tuple(draft.sent[:16]),
    )


def _identity(draft: Draft) -> str:
    """Stable over runs and engines: what, where, when; never a path of the evidence."""
    parts = [
        draft.host if not draft.host.startswith("file:") else "",
        str(draft.time),
        draft.action.utility,
        *sorted(draft.url_keys),
    ]
    parts += [paths.path_key(draft.dest), draft.analytic, str(draft.process.pid if draft.process else "")]
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _device(draft: Draft, host_name: str | None) -> str | None:
    if draft.action.kind is ActionKind.LATERAL and draft.analytic == "command_execution":
        remote = draft.action.remote or (draft.action.dest if locations.is_unc(draft.action.dest or "") else None)
        target = locations.host_of(remote) if remote and not paths.is_address(remote) else remote
        if target and not re.fullmatch(r"[$%].*", target):
            return target
    if host_name is not None:
        return host_name
    return None if draft.host.startswith("file:") else draft.host


def _origin(draft: Draft) -> Origin:
    url = draft.urls[0] if draft.urls else None
    host, port = paths.endpoint(url, _protocol(draft)) if url else (None, None)
    path = None
    if url and "://" in url:
        path = re.sub(r"^[a-z][\w+.-]*:/+[^/?#]*", "", url, flags=re.I).split("#")[0] or None
    elif url and locations.is_unc(url):
        path = url
    elif url and port is not None:
        path = url.partition("/")[1] + url.partition("/")[2] or None
    elif url and ":" in url and host:
        path = url.split(":", 1)[1] if not url.rsplit(":", 1)[1].isdigit() else None
    address = draft.src_ip
    if paths.is_address(host):
        address = address or host
    return Origin(
        url=url,
        hostname=host if host and not paths.is_address(host) else draft.src_host,
        ip=address,
        port=draft.src_port or port,
        path=path,
    )


def _name(draft: Draft) -> str | None:
    if draft.dest:
        base = draft.dest.rstrip("\\/").replace("\\", "/").rsplit("/", 1)[-1]
        if base:
            return base
    return locations.basename(draft.urls[0]) if draft.urls else None


def _protocol(draft: Draft) -> str | None:
    if draft.protocol:
        return draft.protocol
    url = draft.urls[0] if draft.urls else ""
    if "://" in url:
        return url.split(":", 1)[0].lower()
    if locations.is_unc(url):
        return "smb"
    return load().protocols.get(draft.action.utility)


def _outcome(draft: Draft) -> Outcome:
    if draft.outcome in ("blocked", "partial"):
        return "blocked" if draft.outcome == "blocked" else "partial"
    landed, ran = "landed" in draft.stages, "run" in draft.stages
    after = "run_after" in draft.marks or "child_after" in draft.marks or "checked" in draft.stages
    if draft.outcome == "failed" and not after:
        return "failed"
    if draft.outcome == "completed" or landed or after:
        return "completed"
    connected = "connected" in draft.stages and ran
    return "completed" if connected and draft.action.in_memory else "attempted"
