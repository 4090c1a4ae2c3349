"""Audit events of one record: logins, sudo commands and what was typed on a terminal."""

from __future__ import annotations

from tidewaiter.formats.audit_values import hex_text, keystrokes, unhex
from tidewaiter.schema.event import Event, EventKind


def of_one_record(event: Event, kind: str, fields: dict[str, str]) -> Event | list[Event] | str:
    """sudo (USER_CMD), logins (USER_LOGIN, USER_START) and typed lines (TTY, USER_TTY)."""
    pid = fields.get("pid", "")
    event.pid = int(pid) if pid.isdecimal() and len(pid) < 11 else None
    uid = fields.get("uid")
    event.user = fields.get("UID") or ("root" if uid == "0" else uid)
    session = fields.get("ses")
    event.session = None if session == "4294967295" else session
    event.process_path = hex_text(fields["exe"]) if "exe" in fields else None
    result = fields.get("res", "")
    if kind in ("USER_LOGIN", "USER_START"):
        address = fields.get("addr", "?")
        if address in ("?", ""):
            return f"{kind} record without an address"
        event.kind, event.src_ip = EventKind.LOGIN, address
        hostname = fields.get("hostname", "?")
        event.src_host = None if hostname in ("?", "", address) else hostname
        account = fields.get("acct")
        event.user = (hex_text(account) if account else None) or fields.get("ID") or fields.get("id") or event.user
        event.outcome = "completed" if result.startswith(("success", "1")) else "failed"
        return event
    if kind == "USER_CMD":
        event.command_line = hex_text(fields.get("cmd", "")) or None
        event.cwd = hex_text(fields["cwd"]) if "cwd" in fields else None
        event.outcome = "failed" if result.startswith(("failed", "0")) else "completed"
        return event if event.command_line else f"{kind} record without a command"
    event.process_name = hex_text(fields["comm"]) if "comm" in fields else None
    typed = keystrokes(unhex(fields.get("data", "").encode()))
    if not typed:
        return f"{kind} record without a line"
    return [_typed(event, seq, line) for seq, line in enumerate(typed)]


def _typed(event: Event, seq: int, line: str) -> Event:
    return Event(
        kind=event.kind,
        time=event.time,
        log_source=event.log_source,
        log_file=event.log_file,
        record=event.record,
        seq=seq,
        host=event.host,
        user=event.user,
        session=event.session,
        pid=event.pid,
        process_name=event.process_name,
        command_line=line,
        extra=event.extra,
    )
