"""What `tidewaiter baseline show` prints."""

from __future__ import annotations

from collections.abc import Iterator

from tidewaiter.baseline.counters import ANY, FACETS
from tidewaiter.baseline.decay import DAY, rate
from tidewaiter.output import printable
from tidewaiter.schema.moments import render_time
from tidewaiter.store.history import History

NAME = 60
"""Characters of a key that are shown."""


def baseline_page(history: History, top: int) -> Iterator[str]:
    """The lines: the span, then each facet with its size and its most frequent keys. Free of control characters."""
    facets = list(history.facets())
    fleet = next(facet for facet in facets if facet.name == "host")
    if fleet.first is None or fleet.last is None:
        yield "Nothing was learned yet: tidewaiter baseline learn PATH --store FILE"
        return
    watched = (fleet.last - fleet.first) / DAY + 1
    half_life = history.half_life
    yield f"{_day(fleet.first)} to {_day(fleet.last)}, {watched:.0f} days, {fleet.hosts:,} hosts; half-life {half_life:g} days"
    for facet in facets:
        if facet.name == "host" or not facet.counters:
            continue
        gone = f", {facet.evicted:,} weaker ones given up" if facet.evicted else ""
        yield f"{facet.name}: {FACETS[facet.name]}; {facet.counters:,} counters{gone}"
        shown = [row for row in history.strongest(facet.name, top + 50) if row[0] != ANY][:top]
        for key, host, cell in shown:
            often = rate(cell.level, fleet.last, half_life, watched)
            name = printable(key if len(key) <= NAME else key[: NAME - 3] + "...")
            yield f"  {often:>10.1f} a day  {printable(host) or '(no host named)':<20}  {name}  since {_day(cell.first)}"


def _day(moment: int) -> str:
    return (render_time(moment) or "?")[:10]
