"""What a drill has shown, method by method."""

from __future__ import annotations

import shlex
from typing import Literal

import msgspec

from tidewaiter.catalog.drill import DRILLED, Method
from tidewaiter.drill.lookout import Sighting, joined, stages_seen
from tidewaiter.drill.perform import Performed
from tidewaiter.schema.moments import render_time
from tidewaiter.schema.transfer import Transfer

StageState = Literal["seen", "not_seen", "not_visible", "no_record", "not_run"]
_WHY = {
    "not_seen": "logs that would show it are there and do not",
    "not_visible": "no log that is read would show it: `tidewaiter doctor` names the setting that does",
}


class StageReport(msgspec.Struct, kw_only=True):
    """One stage of one method."""

    state: StageState
    why: str = ""  # empty where it was seen


class MethodReport(msgspec.Struct, kw_only=True):
    """One method: what was done, and what the records show of it. Times are RFC 3339, delays seconds."""

    method: str
    utility: str
    protocol: str
    command: str | None = None  # None where it was not run
    problem: str = ""  # why it was not run, or did not come to its end
    started: str | None = None
    landed: bool = False
    path: str | None = None
    sha256: str | None = None
    record: str | None = None  # id of the record that shows most
    records: list[str] = []  # all ids
    utility_seen: str | None = None
    joined: bool = False  # that record rests on evidence of the host and of the network
    log_sources: list[str] = []  # that its evidence is from
    delay: float | None = None  # from the start of the command until the first record was there
    complete: float | None = None  # until it told the most that it came to tell
    stages: dict[str, StageReport] = {}


def not_run(method: Method, problem: str) -> MethodReport:
    """The report of a method that could not be run."""
    stages = {stage: StageReport(state="not_run", why=problem) for stage in DRILLED}
    return MethodReport(method=method.id, utility=method.utility, protocol=method.protocol, problem=problem, stages=stages)


def told(method: Method, done: Performed, sighting: Sighting | None) -> MethodReport:
    """The report of a method that was run."""
    best = sighting.best() if sighting is not None else None
    report = MethodReport(
        method=method.id,
        utility=method.utility,
        protocol=method.protocol,
        command=shlex.join(done.command),
        problem=done.problem,
        started=render_time(int(done.started * 1_000_000)),
        landed=done.landed,
        path=done.path,
        sha256=done.sha256,
    )
    if sighting is None or best is None:
        problem = "no record of this transfer"
        report.stages = {stage: StageReport(state="no_record", why=method.why.get(stage, problem)) for stage in DRILLED}
        return report
    report.record, report.records, report.utility_seen = best.id, sorted(sighting.records), best.utility
    report.log_sources = sorted({row.log_source for row in best.evidence})
    report.joined = joined(best)
    report.delay, report.complete = _since(done, sighting.first), _since(done, sighting.last)
    report.stages = {stage: _stage(stage, method, best, sighting) for stage in DRILLED}
    return report


def _since(done: Performed, moment: float | None) -> float | None:
    return None if moment is None else round(max(0.0, moment - done.started), 2)


def _stage(stage: str, method: Method, best: Transfer, sighting: Sighting) -> StageReport:
    state = best.stages[stage].state
    if state == "seen":
        return StageReport(state="seen")
    for other in sighting.records.values():
        if stage in stages_seen(other):
            return StageReport(state=state, why=f"seen in the record {other.id}, which was not joined with this one")
    return StageReport(state=state, why=method.why.get(stage, _WHY[state]))


def proven(reports: list[MethodReport]) -> bool:
    """Whether something was run, and everything that was landed its marker and gave a record."""
    run = [report for report in reports if report.command is not None]
    return bool(run) and all(report.record is not None and report.landed for report in run)
