"""PowerShell logs: script blocks (4104), calls with bound parameters (4103), and the classic log (400, 403, 600, 800).

Format: about_Logging_Windows of PowerShell. 4104 cuts long scripts into numbered parts, which are joined here. The classic
provider puts everything into one text of `Name=value` lines; exports that keep only the rendered message hold the same lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tidewaiter.errors import DamagedError
from tidewaiter.formats import windows_values as values
from tidewaiter.log_source import WindowsRecord
from tidewaiter.schema.event import Event, EventKind

_MODERN = frozenset({4103, 4104})
_CLASSIC = frozenset({400, 403, 600, 800})
_HOSTS_KEPT = 10_000
_LONGEST = 8 << 20
_SCRIPTS_OPEN = 256
_CHARACTERS_OPEN = 16 << 20
_PARTS_OF_ONE = 10_000

_CALL = re.compile(r"([^\s(\"]{3,40})\(([^()\r\n]{0,200})\): ?(?=\S)")
_BOUND = re.compile(r'(?s)[^="]{1,40}="([^"\r\n]{0,200})"; ?[^="]{1,40}="(.*)"')
_CONTEXT_NAME = re.compile(r"[^\W\d_][\w ]{1,58}")
_CLASSIC_NAME = re.compile(r"[A-Z][A-Za-z]{2,30}")
_BARE = re.compile(r"-?\d{1,18}(?:\.\d+)?|True|False")


class Source:
    """Maps PowerShell's records. `held` counts the parts of scripts that wait for the others."""

    title = "Windows PowerShell"
    providers: Mapping[str, frozenset[int]] = {
        "microsoft-windows-powershell": _MODERN,
        "powershellcore": _MODERN,
        "powershell": _CLASSIC,
    }
    channels: Mapping[str, str] = {"windows powershell": "powershell"}

    def __init__(self) -> None:
        self._scripts = _ScriptParts()
        self._hosts_seen: set[str] = set()

    @property
    def held(self) -> int:
        """Records kept for joining so far."""
        return self._scripts.held

    def events(self, record: WindowsRecord) -> Iterable[Event]:
        """The events of one record; a script comes with the last of its parts."""
        if record.event_id == 4104:
            return self._scripts.add(record)
        if record.event_id == 4103:
            return (_call(record),)
        return self._classic(record)

    def finish(self) -> Iterable[Event]:
        """Scripts of which parts are missing, with the numbers of these in `extra`."""
        return self._scripts.finish()

    def _classic(self, record: WindowsRecord) -> Iterable[Event]:
        """800 is a call; the others tell of the same host application many times and make one event a host."""
        context, details = _classic_texts(record.data)
        named = _named(_CLASSIC_NAME, context)
        application = named.get("HostApplication")
        if record.event_id == 800:
            return (_pipeline(record, context, named, details),)
        host = named.get("HostId") or context
        if application is None or host in self._hosts_seen:
            return ()
        if len(self._hosts_seen) < _HOSTS_KEPT:
            self._hosts_seen.add(host)
        return (_event(record, user=named.get("UserId"), command_line=application, extra=_host(named.get("HostName"))),)


def _event(record: WindowsRecord, **fields: Any) -> Event:
    return Event(
        kind=EventKind.SCRIPT_CALL,
        time=record.time,
        log_source="windows_powershell",
        log_file=record.log_file,
        record=record.record,
        host=record.computer,
        process_name="powershell",
        pid=record.process_id or None,
        **fields,
    )


def _host(name: str | None, **more: Any) -> dict[str, Any] | None:
    found = {"host_name": name, **more}
    return {key: value for key, value in found.items() if value} or None


def _call(record: WindowsRecord) -> Event:
    """One 4103: `content` is the cmdlet with its bound parameters, written as a command again."""
    context = _named(_CONTEXT_NAME, values.text(record.data, "ContextInfo") or "")
    content, errors = rebuilt(values.text(record.data, "Payload") or "")
    return _event(
        record,
        user=context.get("User") or record.user_id,
        command_line=context.get("Host Application"),
        file_path=context.get("Script Name"),
        content=content,
        outcome="failed" if errors else None,
        extra=_host(context.get("Host Name"), cmdlet=context.get("Command Name"), errors=errors),
    )


def _pipeline(record: WindowsRecord, context: str, named: dict[str, str], details: str) -> Event:
    content, errors = rebuilt(details)
    line = named.get("CommandLine") or _command_text(record.data, context)
    if line and (rendered := line.find("\n\nDetails:")) > 0:  # a rendered message goes on with the details
        line = line[:rendered].rstrip()
    if content is None or (line and len(line) > len(content)):
        content = line
    return _event(
        record,
        user=named.get("UserId"),
        command_line=named.get("HostApplication"),
        file_path=named.get("ScriptName"),
        content=content,
        outcome="failed" if errors else None,
        extra=_host(named.get("HostName"), errors=errors),
    )


def _command_text(data: Mapping[str, Any], context: str) -> str | None:
    first = values.first_text(data, "0", "param1")
    return None if first is None or first == context else first


def _classic_texts(data: Mapping[str, Any]) -> tuple[str, str]:
    """The text with the context, and the one with the details of a pipeline (the same where there is one text only)."""
    texts = [text for name in ("0", "1", "2", "param1", "param2", "param3") if (text := values.text(data, name))]
    if not texts and (message := values.first_text(data, "Message", "message", "Data")):
        texts = [message]
    context = next((text for text in texts if "HostApplication=" in text or "HostId=" in text), "")
    details = texts[-1] if texts else ""
    return context, details


def _named(name: re.Pattern[str], text: str) -> dict[str, str]:
    """The values of `Name = value` lines; a value may go on over lines that do not look like one."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text[:_LONGEST].splitlines():
        before, equals, value = line.partition("=")
        before = before.strip()
        if equals and name.fullmatch(before):
            current = [value.strip()]
            found.setdefault(before, current)
        else:
            current.append(line)
    joined = {key: "\n".join(lines).strip() for key, lines in found.items()}
    return {key: value for key, value in joined.items() if value}


def rebuilt(payload: str) -> tuple[str | None, list[str]]:
    """The calls of a payload as command text, one a line, and its error messages.

    A payload has lines `CommandInvocation(Name): "Name"`, `ParameterBinding(Name): name="Uri"; value="..."` and
    `TerminatingError(Name): "..."`. The words are translated on other systems, so the form of a line decides: a call quotes
    the name in its parentheses.
    """
    calls: list[str] = []
    errors: list[str] = []
    for name, rest in _statements(payload[:_LONGEST]):
        bound = _BOUND.fullmatch(rest)
        if bound:
            if not calls:
                calls.append(name)
            calls[-1] += _parameter(bound[1], bound[2])
        elif rest.strip('"') == name:
            calls.append(name)
        else:
            errors.append(rest.strip('"')[:1000])
    return "\n".join(calls) or None, errors


def _statements(payload: str) -> Iterator[tuple[str, str]]:
    """Name and text of each `Word(Name): text`, which may go on over lines."""
    name: str | None = None
    lines: list[str] = []
    for line in payload.splitlines():
        found = _CALL.match(line)
        if found:
            if name is not None:
                yield name, "\n".join(lines).strip()
            name, lines = found[2], [line[found.end() :]]
        else:
            lines.append(line)
    if name is not None:
        yield name, "\n".join(lines).strip()


def _parameter(name: str, value: str) -> str:
    if value in ("True", "False"):
        return f" -{name}:${value}"
    return f" -{name} {value}" if _BARE.fullmatch(value) else f" -{name} '{_quoted(value)}'"


def _quoted(value: str) -> str:
    return value.replace("'", "''")


class _Script:
    def __init__(self, record: WindowsRecord, total: int) -> None:
        self.record = record
        self.total = total
        self.parts: dict[int, str] = {}
        self.characters = 0


class _ScriptParts:
    """Scripts whose parts are being gathered. What is given up to stay within bounds is told with its missing parts."""

    def __init__(self) -> None:
        self.held = 0
        self._open: dict[tuple[str | None, str], _Script] = {}
        self._characters = 0

    def add(self, record: WindowsRecord) -> Iterable[Event]:
        """The events that this part completes, or that had to be given up for it."""
        data = record.data
        number, total = values.number(data, "MessageNumber") or 1, values.number(data, "MessageTotal") or 1
        text = data.get("ScriptBlockText")
        if text is None:  # exports write an empty script as null
            text = ""
        if not isinstance(text, str) or not 1 <= number <= total:
            raise DamagedError(record.log_file, f"record {record.record}", "script block without text or with a wrong number")
        script_id = values.key(values.text(data, "ScriptBlockId")) or record.record
        if total == 1:
            if not text.strip():
                return
            yield _script(record, script_id, text)
            return
        self.held += 1
        name = (record.computer, script_id)
        script = self._open.get(name)
        if script is None:
            script = self._open[name] = _Script(record, min(total, _PARTS_OF_ONE))
        if number not in script.parts and len(script.parts) < _PARTS_OF_ONE:
            script.parts[number] = text
            script.characters += len(text)
            self._characters += len(text)
        if len(script.parts) >= script.total:
            yield self._closed(name)
        while self._open and (len(self._open) > _SCRIPTS_OPEN or self._characters > _CHARACTERS_OPEN):
            yield self._closed(next(iter(self._open)))

    def finish(self) -> Iterator[Event]:
        """What is still incomplete."""
        while self._open:
            yield self._closed(next(iter(self._open)))

    def _closed(self, name: tuple[str | None, str]) -> Event:
        script = self._open.pop(name)
        self._characters -= script.characters
        text = "".join(script.parts[number] for number in sorted(script.parts))
        missing = [number for number in range(1, script.total + 1) if number not in script.parts]
        return _script(script.record, name[1], text, missing)


def _script(record: WindowsRecord, script_id: str, text: str, missing: list[int] | None = None) -> Event:
    extra: dict[str, object] = {"script_block_id": script_id}
    if missing:
        extra["missing_parts"] = missing[:100]
    return Event(
        kind=EventKind.SCRIPT,
        time=record.time,
        log_source="windows_powershell",
        log_file=record.log_file,
        record=record.record,
        host=record.computer,
        user=record.user_id,
        process_name="powershell",
        pid=record.process_id,
        file_path=values.text(record.data, "Path"),
        content=text,
        extra=extra,
    )
