"""Names asked for that are too long to be names: bulk carried inside DNS."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidewaiter.correlation.wire_flow import new_carried
from tidewaiter.schema.carried import Carried
from tidewaiter.schema.event import Event

FEWEST_QUERIES = 25
FEWEST_BYTES = 2_000
DOMAINS_KEPT = 2_000
EXAMPLES = 5


@dataclass(eq=False)
class Queries:
    """Long names asked for below one domain."""

    first: Event
    last: int
    count: int = 0
    size: int = 0
    answered: int = 0
    names: set[str] = field(default_factory=set)
    examples: list[Event] = field(default_factory=list)


def parent(name: str) -> str:
    """The last two labels, or three where the second is short as in `co.uk`."""
    labels = name.lower().rstrip(".").split(".")
    keep = 3 if len(labels) > 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-keep:])


def note(known: dict[str, Queries], event: Event) -> None:
    """Count a long query."""
    name = event.query or ""
    domain = parent(name)
    queries = known.get(domain)
    if queries is None:
        if len(known) >= DOMAINS_KEPT:
            return
        queries = known[domain] = Queries(event, event.time)
    queries.last = max(queries.last, event.time)
    if len(queries.names) < 5_000:
        if name in queries.names:
            queries.answered += sum(map(len, event.answers or ()))
            return
        queries.names.add(name)
    queries.count += 1
    queries.size += len(name) - len(domain)
    queries.answered += sum(map(len, event.answers or ()))
    if len(queries.examples) < EXAMPLES:
        queries.examples.append(event)


def release(known: dict[str, Queries], before: int | None) -> list[Carried]:
    """What domains without a query since `before` amount to."""
    done = []
    for domain in [domain for domain, queries in known.items() if before is None or queries.last < before]:
        queries = known.pop(domain)
        if queries.count < FEWEST_QUERIES or queries.size < FEWEST_BYTES:
            continue
        carried = new_carried(queries.first, None, push=queries.size > queries.answered)
        carried.protocol, carried.shown, carried.server_name = "dns-tunnel", "flow", domain
        carried.size = max(queries.size, queries.answered)
        carried.notes += (f"{queries.count} different long names below {domain}, about {queries.size} bytes in them",)
        for event in queries.examples:
            carried.cite(event, f"asked for {event.query}", "connected")
        carried.outcome = "attempted"
        done.append(carried)
    return done
