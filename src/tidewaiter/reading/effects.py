"""What a form that holds amounts to: content on its way, or a finished action."""

from __future__ import annotations

from tidewaiter.reading.flow import Fetch
from tidewaiter.reading.forms import Match, View
from tidewaiter.schema.action import Action, ActionKind

_NAMES_ITS_URLS = frozenset({"upload", "package", "benign"})


def action_of(match: Match, view: View, name: str) -> Action:
    """The action of a form that is not ingress."""
    form = match.form
    return Action(
        kind=ActionKind(form.action),
        utility=name,
        form=form.id,
        dest=match.dests[0] if match.dests else None,
        urls=tuple(match.sources) if form.action in _NAMES_ITS_URLS else (),
        file=next(iter(view.texts(form.file)), None),
        remote=next(iter(view.texts(form.remote)), None),
        techniques=form.techniques,
        confidence=form.confidence,
        notes=(form.note,) if form.note else (),
    )


def fetches_of(match: Match, view: View, name: str) -> list[Fetch]:
    """What an ingress form fetches: one fetch, or one per source where each has its own destination."""
    form = match.form
    runs = form.runs or bool(form.runs_when and view.all_hold(form.runs_when))
    pairs = [(match.sources, match.dests[0] if match.dests else None)]
    if len(set(match.dests)) > 1:
        pairs = [([source], dest) for source, dest in zip(match.sources, match.dests, strict=False)]
    found = []
    for sources, dest in pairs:
        fetch = Fetch(
            name,
            form.id,
            list(sources),
            bare=form.bare,
            runs=runs,
            techniques=form.techniques,
            confidence=form.confidence,
            notes=[form.note] if form.note else [],
            open=match.to_stdout and dest is None,
            taken=runs,
            decoded=not form.decoded,
        )
        if dest is not None:
            fetch.land(dest)
        found.append(fetch)
    return found
