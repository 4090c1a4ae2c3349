"""The circumstances of a transfer that speak for or against an attack. Each names a reason of knowledge/weights.toml."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from tidewaiter.catalog import places, roles
from tidewaiter.reading import paths
from tidewaiter.schema.action import ActionKind
from tidewaiter.schema.case import Case

_USUAL_PORTS = frozenset({80, 443, 21, 22, 445, 139, 20, 69, 79, 873, 8080, 8443, 53, 3128})
_LOCAL = re.compile(r"^(?:127\.|::1$|localhost$|0\.0\.0\.0$)", re.I)
_HIDDEN = re.compile(
    r"(?i)-w(?:indowstyle)?\s+(?:h|1\b)|-ep?\s+bypass|-exec\w*\s+(?:bypass|unrestricted)|-ex\w*\s+bypass|-noni\b"
)
_ENCODED = re.compile(r"(?i)\s[-/–—]e(?:nc?|ncod\w*|c)?\s+[A-Za-z0-9+/=]{24,}")

_INSIDE = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
    )
)
"""What networks use inside (RFC 1918, 6598, 3927, 4193, 4291); `is_private` counts documentation addresses too."""

Circumstance = tuple[str, str]
"""Reason id and detail."""


def circumstances(case: Case) -> Iterator[Circumstance]:
    """Every circumstance that holds, each once."""
    found: dict[str, str] = {}
    for group in (_command(case), _source(case), _landing(case), _around(case), _later(case)):
        for reason, detail in group:
            found.setdefault(reason, detail)
    yield from found.items()


def _command(case: Case) -> Iterator[Circumstance]:
    action = case.action
    if case.analytic == "command_execution":
        yield ("lateral_command", case.transfer.device.hostname or "") if action.kind is ActionKind.LATERAL else ("asked", "")
        if action.form in ("dev_tcp", "run_from_share") or action.utility in roles.load().unusual:
            yield "utility_unusual", action.utility
    if action.runs:
        yield "runs_at_once", ""
    if action.in_memory:
        yield "in_memory", ""
    line = case.transfer.process.command_line or ""
    if _ENCODED.search(line):
        yield "encoded_command", ""
    if _HIDDEN.search(line):
        yield "hidden_window", ""
    if case.original_name and case.analytic == "command_execution":
        original = case.original_name.lower().removesuffix(".mui").removesuffix(".exe")
        if original not in ("", "?", "-") and case.program and original != case.program and action.utility not in case.program:
            yield "renamed_program", f"{case.original_name} runs as {case.program}"
    if action.utility in roles.load().package_tools:
        yield "package_manager", ""


def _source(case: Case) -> Iterator[Circumstance]:
    place = places.load()
    src = case.transfer.src
    hosts = {host for host, _ in map(paths.endpoint, case.urls) if host} or ({src.hostname} if src.hostname else set())
    addresses = [host for host in hosts if paths.is_address(host)] or ([src.ip] if src.ip and not hosts else [])
    if (src.ip and _is_local(src.ip)) or any(_is_local(host) for host in hosts):
        yield "loopback", ""
    for address in addresses[:1]:
        if address and case.action.kind is not ActionKind.LATERAL and not _is_local(address):
            yield "bare_address", address
            if _inside(address):
                yield "inside_source", ""
    port = src.port
    if port and port not in _USUAL_PORTS and case.urls:
        yield "odd_port", str(port)
    if any(url.lower().startswith(("http://", "ftp://", "tftp://")) for url in case.urls):
        yield "cleartext", ""
    for host in hosts:
        updater = place.updater_of(host, case.program) or place.updater_of(host, case.action.utility)
        if updater is not None:
            yield "known_updater", updater
        hosting = places.below(host, place.hosting)
        if hosting is not None:
            yield "hosting_service", hosting
        elif places.below(host, place.distributors):
            yield "known_source", host
    carries_raw = case.action.utility in roles.load().raw_carriers and case.action.kind is not ActionKind.LATERAL
    if carries_raw and (case.dest or case.action.runs):
        yield "raw_socket", ""


def _is_local(text: str | None) -> bool:
    """Whether an address or name is this very machine."""
    return bool(text) and bool(_LOCAL.match(text or ""))


def _inside(address: str) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(known.version == network.version and known in network for network in _INSIDE)


def _landing(case: Case) -> Iterator[Circumstance]:
    kinds = roles.load()
    path = paths.path_key(case.dest)
    base = path.rsplit("/", 1)[-1]
    names = [name for name in (base, paths.base_key(case.urls[0].split("?", 1)[0]) if case.urls else "") if name]
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
    if path:
        yield from _folder(case, path, types[0] if types else "")


def _folder(case: Case, path: str, kind: str) -> Iterator[Circumstance]:
    kinds = roles.load()
    base = path.rsplit("/", 1)[-1]
    if roles.any_part(f"/{path}", kinds.open_folders):
        yield "open_folder", case.dest or ""
    if base.startswith(".") and len(base) > 1:
        yield "hidden_name", base
    if roles.any_part(path, kinds.startup_folders):
        yield "startup_folder", case.dest or ""
    if roles.any_part(path, kinds.web_roots) and kind in kinds.script_types:
        yield "web_root", case.dest or ""
    if re.match(r"^(?:c:|%windir%|%systemroot%)(?:/windows)?/(?:system32|syswow64)/|^c:/windows/[^/]+$", path):
        yield "system_folder", case.dest or ""
    stream = re.match(r"^(?:[a-z]:|%)?[^:]*:(?!zone\.identifier$)[^:/]+$", re.sub(r"^[a-z]:", "", path))
    if stream and "\\" in (case.dest or ""):
        yield "alternate_stream", case.dest or ""


def _around(case: Case) -> Iterator[Circumstance]:
    kinds = roles.load()
    for name in case.ancestors:
        if name in kinds.office:
            yield "office_parent", name
        elif name in kinds.web_workers - {"node", "java"}:
            yield "web_parent", name
        elif name in ("wscript", "cscript", "mshta", "hh"):
            yield "script_parent", name
    if case.analytic in ("file_from_network", "download_history") and case.program in kinds.browsers:
        yield "browser_download", ""


def _later(case: Case) -> Iterator[Circumstance]:
    if case.failed:
        yield "failed", ""
    if case.transfer.outcome == "blocked":
        yield "blocked", ""
    if case.transfer.stages["checked"].state == "seen":
        yield "checked_after", ""
    yield from case.marks.items()
