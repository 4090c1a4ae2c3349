"""The timeline: a lane per host, a mark per cell of time and severity, long silences cut out of the axis and said so."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidewaiter.outputs.html_report.survey import Host, Survey
from tidewaiter.schema.transfer import SEVERITIES

LANES = 24
"""Hosts with a lane of their own; the others share the last one."""

LEFT, WIDTH, RIGHT, BREAK = 170.0, 1080.0, 20.0, 26.0
TOP, LANE = 46.0, 30.0
PIECES = 8
"""Stretches of time at most: the longest silences between them are cut out."""

HOUR, DAY = 3600, 86400
STEPS = (1, 5, 10, 30, 60, 300, 600, 1800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY)
"""Seconds between two ticks."""

MONTHS = (1, 3, 6, 12, 24, 60, 120, 600)
"""Months between two ticks of a long stretch."""


@dataclass(slots=True)
class Stretch:
    """One unbroken part of the axis: cells of time, and where it is drawn."""

    begin: int
    end: int
    x: float = 0.0
    width: float = 0.0
    label: str = ""


@dataclass(slots=True)
class Tick:
    """A time on the axis."""

    x: float
    label: str


@dataclass(slots=True)
class Mark:
    """Transfers of one lane and severity that are close in time."""

    x: float
    y: float
    radius: float
    severity: str
    count: int
    label: str
    target: int | None  # number of the transfer it leads to


@dataclass(slots=True)
class Lane:
    """One host."""

    y: float
    name: str
    count: int


@dataclass(slots=True)
class Timeline:
    """Everything to draw, in units of the view box."""

    width: float
    height: float
    lanes: list[Lane]
    stretches: list[Stretch]
    breaks: list[float]
    ticks: list[Tick]
    marks: list[Mark]


def draw(survey: Survey) -> Timeline | None:
    """The timeline of a survey; None where no transfer has a time."""
    if not survey.cells:
        return None
    stretches = _stretches(sorted({place for _, _, place in survey.cells}))
    _place(stretches)
    ticks = [tick for stretch in stretches for tick in _ticks(stretch, survey.width)]
    lanes, lane_of = _lanes(survey)
    height = TOP + LANE * len(lanes) + 16
    return Timeline(
        width=WIDTH,
        height=height,
        lanes=lanes,
        stretches=stretches,
        breaks=[stretch.x - BREAK / 2 for stretch in stretches[1:]],
        ticks=ticks,
        marks=_marks(survey, stretches, lane_of),
    )


def _stretches(places: list[int]) -> list[Stretch]:
    """Cut the axis at silences that are long beside what is left when they are gone, and beside the usual ones."""
    gaps = sorted(((after - before, before, after) for before, after in itertools.pairwise(places)), reverse=True)
    rest = places[-1] - places[0] + 1
    cuts = []
    for position, (gap, before, after) in enumerate(gaps[: PIECES - 1]):
        shorter = gaps[position + 1 :]
        if not shorter or gap * 6 < rest or gap < 6 * shorter[len(shorter) // 2][0]:
            break
        cuts.append((before, after))
        rest -= gap
    begin, stretches = places[0], []
    for before, after in sorted(cuts):
        stretches.append(Stretch(begin, before))
        begin = after
    stretches.append(Stretch(begin, places[-1]))
    return stretches


def _place(stretches: list[Stretch]) -> None:
    """Give each stretch a width: by the root of its length, so that a short one can still be read."""
    room = WIDTH - LEFT - RIGHT - BREAK * (len(stretches) - 1)
    weights = [math.sqrt(stretch.end - stretch.begin + 1) for stretch in stretches]
    least = room / len(stretches) * 0.45
    spare = room - least * len(stretches)
    x = LEFT
    for stretch, weight in zip(stretches, weights, strict=True):
        stretch.x, stretch.width = x, least + spare * weight / sum(weights)
        x += stretch.width + BREAK


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _ticks(stretch: Stretch, cell: int) -> list[Tick]:
    """The times written above a stretch, at round moments; its first day is written over them."""
    unit = cell / 1_000_000
    begin, end = stretch.begin * unit, (stretch.end + 1) * unit
    day = _moment(begin)
    if day is None:
        return []
    stretch.label = f"{day:%Y-%m-%d}"
    most = max(1, int(stretch.width // 78))
    step = next((step for step in STEPS if (end - begin) / step <= most), None)
    moments = _months(day, _moment(end), most) if step is None else _rounds(begin, end, step)
    shape = "%Y-%m" if step is None else "%m-%d" if step >= DAY else "%H:%M" if step >= 60 else "%H:%M:%S"
    ticks = [
        Tick(round(stretch.x + _inset(stretch, (when.timestamp() - begin) / (end - begin)), 1), f"{when:{shape}}")
        for when in moments
    ]
    ticks = [tick for tick in ticks if tick.x <= WIDTH - RIGHT - 4]
    return ticks or [Tick(round(stretch.x + stretch.width / 2, 1), f"{day:%H:%M:%S}")]


def _rounds(begin: float, end: float, step: int) -> list[datetime]:
    """The multiples of a step within a stretch."""
    first = math.ceil(begin / step)
    found = (_moment(mark * step) for mark in range(first, min(first + 40, int(end // step) + 1)))
    return [when for when in found if when is not None]


def _months(begin: datetime, end: datetime | None, most: int) -> list[datetime]:
    """The first days of months, so far apart that there is room for their labels."""
    end = end or begin
    first, last = begin.year * 12 + begin.month, end.year * 12 + end.month - 1
    step = next((step for step in MONTHS if (last - first) / step <= most), MONTHS[-1])
    marks = range(math.ceil(first / step) * step, last + 1, step)
    return [datetime(mark // 12, mark % 12 + 1, 1, tzinfo=UTC) for mark in marks][:40]


def _inset(stretch: Stretch, share: float) -> float:
    """Where in a stretch a share of its time lies; marks keep off its edges."""
    return 12 + share * (stretch.width - 24)


def _lanes(survey: Survey) -> tuple[list[Lane], dict[int, int]]:
    """The lanes, and the lane of each host by number. The worst hosts come first."""
    hosts = sorted(survey.hosts.values(), key=lambda host: (-host.worst, -host.transfers, host.number))
    own = hosts if len(hosts) <= LANES else hosts[: LANES - 1]
    lane_of = {host.number: position for position, host in enumerate(own)}
    lanes = [_lane(position, host.name, [host]) for position, host in enumerate(own)]
    others = hosts[len(own) :]
    if others:
        lane_of.update({host.number: len(own) for host in others})
        lanes.append(_lane(len(own), f"{len(others):,} other hosts", others))
    return lanes, lane_of


def _lane(position: int, name: str, hosts: list[Host]) -> Lane:
    return Lane(TOP + LANE * position + LANE / 2, name, sum(host.transfers for host in hosts))


def _marks(survey: Survey, stretches: list[Stretch], lane_of: dict[int, int]) -> list[Mark]:
    """Marks of 9 units' distance at least within a lane and severity; the worst are drawn last, on top."""
    cells: dict[tuple[int, int, int], tuple[int, int, int]] = {}  # severity, lane, column -> count, transfer, place
    for (host, rank, place), cell in survey.cells.items():
        stretch = next(stretch for stretch in stretches if stretch.begin <= place <= stretch.end)
        share = (place - stretch.begin + 0.5) / (stretch.end - stretch.begin + 1)
        column = int((stretch.x + _inset(stretch, share)) / 9)
        count, number, early = cells.get((rank, lane_of[host], column), (0, cell.first, place))
        cells[rank, lane_of[host], column] = (count + cell.count, min(number, cell.first), min(early, place))
    marks = []
    for (rank, lane, column), (count, number, place) in sorted(cells.items()):
        when = _moment(place * survey.width / 1_000_000)
        says = f"{count:,} {SEVERITIES[rank]}" + (f", from {when:%Y-%m-%d %H:%M:%S} UTC" if when else "")
        y = TOP + LANE * lane + LANE / 2
        radius = min(11.0, 4.0 + 1.6 * math.log2(count))
        marks.append(Mark(column * 9 + 4.5, y, round(radius, 1), SEVERITIES[rank], count, says, number if rank >= 2 else None))
    return marks
