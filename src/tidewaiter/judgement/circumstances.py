"""The circumstances of a transfer that speak for or against an attack. Each names a reason of knowledge/weights.toml."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from tidewaiter.catalog import places, roles
from tidewaiter.correlation import keys
from tidewaiter.correlation.assemble import is_local
from tidewaiter.correlation.draft import Draft
from tidewaiter.schema.action import ActionKind
from tidewaiter.schema.transfer import Transfer

_USUAL_PORTS = frozenset({80, 443, 21, 22, 445, 139, 20, 69, 79, 873, 8080, 8443, 53, 3128})
_HIDDEN = re.compile(r"(?i)-w(?:indowstyle)?\s+(?:h|1\b)|-ep?\s+bypass|-exec\w*\s+(?:bypass|unrestricted)|-ex\w*\s+bypass|-noni\b")
_ENCODED = re.compile(r"(?i)\s[-/–—]e(?:nc?|ncod\w*|c)?\s+[A-Za-z0-9+/=]{24,}")

Circumstance = tuple[str, str]
"""Reason id and detail."""


def circumstances(draft: Draft, transfer: Transfer) -> Iterator[Circumstance]:
    """Every circumstance that holds, each once."""
    found: dict[str, str] = {}
    for group in (_command(draft, transfer), _source(draft, transfer), _landing(draft, transfer), _around(draft, transfer), _later(draft)):
        for reason, detail in group:
            found.setdefault(reason, detail)
    yield from found.items()


def _program(draft: Draft) -> str:
    process = draft.process
    return process.program if process is not None else ""


def _command(draft: Draft, transfer: Transfer) -> Iterator[Circumstance]:
    action = draft.action
    if draft.analytic == "command_execution":
        yield ("lateral_command", transfer.device.hostname or "") if action.kind is ActionKind.LATERAL else ("asked", "")
        if action.form in ("dev_tcp", "run_from_share") or action.utility in roles.load().unusual:
            yield "utility_unusual", action.utility
    if action.runs:
        yield "runs_at_once", ""
    if action.in_memory:
        yield "in_memory", ""
    line = transfer.process.command_line or ""
    if _ENCODED.search(line):
        yield "encoded_command", ""
    if _HIDDEN.search(line):
        yield "hidden_window", ""
    process = draft.process
    if process is not None and process.original_name and draft.analytic == "command_execution":
        original = process.original_name.lower().removesuffix(".exe").removesuffix(".mui")
        if original not in ("", "?", "-") and process.program and original != process.program and action.utility not in process.program:
            yield "renamed_program", f"{process.original_name} runs as {process.program}"
    if action.utility in roles.load().package_tools:
        yield "package_manager", ""


def _source(draft: Draft, transfer: Transfer) -> Iterator[Circumstance]:
    place = places.load()
    src = transfer.src
    hosts = {host for host, _ in map(keys.endpoint, draft.urls) if host} or ({src.hostname} if src.hostname else set())
    addresses = [host for host in hosts if keys.is_address(host)] or ([src.ip] if src.ip and not hosts else [])
    if src.ip and is_local(src.ip) or any(is_local(host) for host in hosts):
        yield "loopback", ""
    for address in addresses[:1]:
        if address and draft.action.kind is not ActionKind.LATERAL and not is_local(address):
            yield "bare_address", address
            if _inside(address):
                yield "inside_source", ""
    port = src.port
    if port and port not in _USUAL_PORTS and draft.urls:
        yield "odd_port", str(port)
    if any(url.lower().startswith(("http://", "ftp://", "tftp://")) for url in draft.urls):
        yield "cleartext", ""
    for host in hosts:
        updater = place.updater_of(host, _program(draft)) or place.updater_of(host, draft.action.utility)
        if updater is not None:
            yield "known_updater", updater
        hosting = places.below(host, place.hosting)
        if hosting is not None:
            yield "hosting_service", hosting
        elif places.below(host, place.distributors):
            yield "known_source", host
    if draft.action.utility in ("nc", "ncat", "socat", "bash") and draft.action.kind is not ActionKind.LATERAL:
        yield "raw_socket", ""


def _inside(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


def _landing(draft: Draft, transfer: Transfer) -> Iterator[Circumstance]:
    kinds = roles.load()
    path = keys.path_key(draft.dest)
    base = path.rsplit("/", 1)[-1]
    names = [name for name in (base, keys.base_key(draft.urls[0].split("?", 1)[0]) if draft.urls else "") if name]
    types = [roles.file_type(name) for name in names]
    if any(kind in kinds.executable_types for kind in types):
        yield "executable_type", next(name for name in names if roles.file_type(name) in kinds.executable_types)
    elif any(kind in kinds.script_types for kind in types):
        yield "script_type", next(name for name in names if roles.file_type(name) in kinds.script_types)
    elif types and types[0] in kinds.document_types:
        yield "document_type", names[0]
    for name in names:
        parts = name.split(".")
        if len(parts) > 2 and parts[-1] in kinds.executable_types | kinds.script_types and parts[-2] in kinds.document_types:
            yield "double_extension", name
    if len(types) == 2 and types[0] and types[1] and types[0] != types[1]:
        loud = kinds.executable_types | kinds.script_types
        if (types[0] in loud) != (types[1] in loud):
            yield "disguised_type", f"{names[1]} becomes {names[0]}"
    if not path:
        return
    if roles.any_part(f"/{path}", kinds.open_folders):
        yield "open_folder", draft.dest or ""
    if base.startswith(".") and len(base) > 1:
        yield "hidden_name", base
    if roles.any_part(path, kinds.startup_folders):
        yield "startup_folder", draft.dest or ""
    if roles.any_part(path, kinds.web_roots) and types and types[0] in kinds.script_types:
        yield "web_root", draft.dest or ""
    if re.match(r"^(?:c:|%windir%|%systemroot%)(?:/windows)?/(?:system32|syswow64)/|^c:/windows/[^/]+$", path):
        yield "system_folder", draft.dest or ""
    if re.match(r"^(?:[a-z]:|%)?[^:]*:[^:/]+$", re.sub(r"^[a-z]:", "", path)) and "\\" in (draft.dest or ""):
        yield "alternate_stream", draft.dest or ""


def _around(draft: Draft, transfer: Transfer) -> Iterator[Circumstance]:
    kinds = roles.load()
    process = draft.process
    if process is None:
        return
    ancestors = process.lineage(4)[1:]
    names = [ancestor.program for ancestor in ancestors] or [roles.program_name(process.parent_path)]
    for name in names:
        if name in kinds.office:
            yield "office_parent", name
        elif name in kinds.web_workers - {"node", "java"}:
            yield "web_parent", name
        elif name in ("wscript", "cscript", "mshta", "hh"):
            yield "script_parent", name
    if draft.analytic in ("file_from_network", "download_history") and (process.program in kinds.browsers):
        yield "browser_download", ""


def _later(draft: Draft) -> Iterator[Circumstance]:
    if draft.outcome == "failed":
        yield "failed", ""
    if draft.outcome == "blocked":
        yield "blocked", ""
    if "checked" in draft.stages:
        yield "checked_after", ""
    if draft.steps:
        yield "unfolded", draft.marks.get("unfolded", "")
    yield from draft.marks.items()
