"""Content on its way: from the program that fetched it to the file, interpreter or host that it reaches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tidewaiter.catalog import roles
from tidewaiter.catalog.roles import program_name
from tidewaiter.catalog.utilities import Sink
from tidewaiter.reading import forms, locations, sessions
from tidewaiter.reading.invocation import Invocation
from tidewaiter.schema.action import Action, ActionKind

RUN_LATER = "the same text runs the file afterwards"
_NULL = re.compile(r"^(?:/dev/null|nul:?|\$null|/dev/(?:stderr|tty|stdout)|&\d)$", re.I)


@dataclass(eq=False)
class Fetch:
    """Content that one invocation brings, while it is followed. `kind` LATERAL marks local content sent to a remote shell."""

    utility: str
    form: str = ""
    sources: list[str] = field(default_factory=list)
    dest: str | None = None
    runs: bool = False
    open: bool = False  # on standard output: what takes it decides
    bare: str = "benign"
    discarded: bool = False
    taken: bool = False  # went into a file, an interpreter or memory
    techniques: tuple[str, ...] = ()
    confidence: int = 90
    notes: list[str] = field(default_factory=list)
    decoded: bool = True  # False: ingress only once a decoder has taken it
    kind: ActionKind = ActionKind.INGRESS
    later: bool = False  # the same text runs the file afterwards

    def land(self, path: str) -> None:
        """The content is written to a path."""
        if _NULL.match(path):
            self.discarded = not self.taken
            self.open = False
            return
        if self.dest is None:
            self.dest = path
        self.taken, self.open = True, False

    def run(self) -> None:
        """The content is handed to an interpreter, loader or installer."""
        self.runs = self.taken = True
        self.open = False


def is_null(path: str) -> bool:
    """Whether a redirection target keeps nothing."""
    return bool(_NULL.match(path))


def apply_sink(sink: Sink, view: forms.View, fetches: Iterable[Fetch]) -> list[Fetch]:
    """What a program does with content: the fetches that go on to its standard output."""
    onward: list[Fetch] = []
    for fetch in fetches:
        if sink.kind in ("run", "install"):
            fetch.run()
        elif sink.kind in ("write", "extract"):
            source = fetch.sources[0] if fetch.sources else None
            dest, to_stdout = forms.destination(sink.to, view, source)
            if dest:
                fetch.land(dest)
            elif sink.kind == "extract" and not to_stdout:
                fetch.taken, fetch.open = True, False
            if to_stdout or not dest or sink.passes:
                onward.append(fetch)
        elif sink.kind == "transform":  # "view" passes on something else than the content: a count, a hash
            fetch.decoded = True
            onward.append(fetch)
    return onward


def session_fetch(item: sessions.Item, utility: str) -> Fetch:
    """A file that a session gets."""
    return Fetch(utility, "session", [item.source], dest=item.dest, open=item.printed)


def session_action(item: sessions.Item, utility: str) -> Action:
    r"""A file that a session puts: an upload, or lateral where the peer is an administrative share (\\host\C$)."""
    admin = item.peer is not None and re.match(r"^[\\/]{2}[^\\/]+[\\/](?:admin|[a-z])\$", item.peer, re.I)
    return Action(
        kind=ActionKind.LATERAL if admin else ActionKind.UPLOAD,
        utility=utility,
        form="session",
        dest=item.dest if admin else None,
        file=item.source,
        remote=item.peer,
        techniques=("T1021.002",) if admin else (),
    )


def conclude(fetch: Fetch) -> Action:
    """The action that a followed fetch amounts to."""
    kind = fetch.kind
    idle = fetch.open and not fetch.taken and fetch.bare == "benign"
    local = bool(fetch.sources) and all(locations.is_loopback(source) for source in fetch.sources)
    if fetch.discarded or idle or not fetch.decoded or (local and kind is ActionKind.INGRESS):
        kind = ActionKind.BENIGN
    return Action(
        kind=kind,
        utility=fetch.utility,
        form=fetch.form,
        urls=tuple(fetch.sources),
        dest=fetch.dest,
        runs=fetch.runs and kind is not ActionKind.BENIGN,
        in_memory=fetch.dest is None and not fetch.discarded and not local and (fetch.runs or fetch.open),
        confidence=fetch.confidence,
        techniques=fetch.techniques,
        notes=(*fetch.notes, RUN_LATER) if fetch.later else tuple(fetch.notes),
    )


def mark_run_later(fetches: Sequence[Fetch], invocation: Invocation) -> None:
    """A file that this text fetched before is started now, or given to a program that runs it."""
    landed = {fetch.dest.lower(): fetch for fetch in fetches if fetch.dest and fetch.taken}
    if not landed:
        return
    words = [invocation.program]
    if program_name(invocation.program) in ("invoke-expression", "eval", "source", "."):
        words += _read_through(invocation, 4)
    if program_name(invocation.program) in roles.load().runners:
        words += [part for text in invocation.args[:12] for part in (text, *text.split(","))]
    for word in words:
        fetch = landed.get(re.sub(r"^\.[\\/]", "", word.lower()))
        if fetch is not None:
            fetch.later = True


def _read_through(invocation: Invocation, depth: int) -> list[str]:
    """The arguments of an invocation and of those whose output it takes: `iex (gc FILE)`."""
    found = [word.text for word in (*invocation.argv[1:], *invocation.named.values())]
    if depth:
        words = (*invocation.argv, *invocation.named.values())
        for one in (*invocation.stdin, *(item for word in words for item in word.content)):
            found += _read_through(one, depth - 1)[:24]
    return found[:48]
