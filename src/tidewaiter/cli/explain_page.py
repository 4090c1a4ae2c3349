"""`explain COMMAND` for a person: what the command does and how its text was unfolded."""

from __future__ import annotations

from collections.abc import Iterator

from tidewaiter.output import printable
from tidewaiter.reading.reader import read
from tidewaiter.schema.action import STRENGTH, Action, ActionKind, Reading

WORDS = {
    ActionKind.INGRESS: "brings content to this host",
    ActionKind.LATERAL: "places a file on another host",
    ActionKind.UPLOAD: "sends content away",
    ActionKind.VERIFY_HASH: "checks the hash of a file",
    ActionKind.PORTPROXY: "forwards a port",
    ActionKind.PACKAGE: "installs by name from the configured repository",
    ActionKind.REMOTE_EXECUTION: "runs something on another host",
    ActionKind.BENIGN: "brings nothing in",
}


def read_somehow(command: str, platform: str | None) -> tuple[str, Reading]:
    """The reading and the platform it was read for: the given one, or whichever of the two shells finds more."""
    if platform is not None:
        return platform, read(command, platform)
    readings = [(name, read(command, name)) for name in ("windows", "linux")]
    return min(readings, key=lambda pair: STRENGTH.index(pair[1].strongest.kind if pair[1].strongest else ActionKind.BENIGN))


def _action(action: Action) -> Iterator[str]:
    yield f"  {action.utility}: {WORDS[action.kind]}"
    parts = {
        "from": ", ".join(action.urls),
        "to": action.dest or ("memory" if action.in_memory else ""),
        "file": action.file or "",
        "host": action.remote or "",
        "then": "runs it" if action.runs else "",
        "ATT&CK": ", ".join(action.techniques),
        "note": "; ".join(action.notes),
    }
    for name, value in parts.items():
        if value:
            yield f"    {name:<7} {printable(value)}"


def explain_page(command: str, platform: str | None) -> Iterator[str]:
    """The lines of the page, free of control characters."""
    chosen, reading = read_somehow(command, platform)
    best = reading.strongest
    yield f"{reading.label}: {WORDS[best.kind] if best else WORDS[ActionKind.BENIGN]} (read for {chosen})"
    for action in reading.actions:
        yield from _action(action)
    if reading.steps:
        yield "Unfolded:"
    for step in reading.steps:
        yield f"  {step.what}: {printable(step.text)}"
    for limit in reading.limits:
        yield f"Stopped early: {limit}"
