"""The spread graph: hosts as nodes, files that went from one to the other as arrows, the first host on the left."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field

from tidewaiter.outputs.html_report.survey import Edge, SharedFile, Survey
from tidewaiter.schema.transfer import SEVERITIES

NODES = 40
"""Hosts that are drawn: those on the most ways. The table below the graph has all."""

LISTED = 500
"""Rows of each table at most."""

BOX, HIGH, GAP_X, GAP_Y, EDGE = 168.0, 46.0, 120.0, 30.0, 20.0


@dataclass(slots=True)
class Node:
    """One host: the upper left corner of its box."""

    name: str
    column: int = 0
    x: float = 0.0
    y: float = 0.0
    sent: int = 0
    received: int = 0
    first: bool = False  # nothing came to it from another host


@dataclass(slots=True)
class Arrow:
    """One way between two hosts, as an SVG path."""

    path: str
    kind: str  # severity, or "same" for a file that is on both
    label: str
    x: float
    y: float
    short: str


@dataclass(slots=True)
class Graph:
    """Everything to draw, and the tables beside it."""

    width: float = 0.0
    height: float = 0.0
    nodes: list[Node] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    files: list[tuple[str, SharedFile]] = field(default_factory=list)
    hidden_hosts: int = 0
    hidden_edges: int = 0
    hidden_files: int = 0


def draw(survey: Survey) -> Graph | None:
    """The graph of a survey; None where nothing went from host to host and no file is on two hosts."""
    edges = _merged(survey)
    files = [(digest, file) for digest, file in survey.files.items() if len(file.hosts) > 1]
    if not edges and not files:
        return None
    files.sort(key=lambda item: (-len(item[1].hosts), item[0]))
    graph = Graph(edges=edges[:LISTED], files=files[:LISTED])
    graph.hidden_edges, graph.hidden_files = max(0, len(edges) - LISTED), max(0, len(files) - LISTED)
    ways = {(edge.origin, edge.target): edge for edge in edges}
    same = _same(files, ways)
    weight: dict[str, int] = defaultdict(int)
    for origin, target in [*ways, *same]:
        weight[origin] += 1
        weight[target] += 1
    chosen = sorted(weight, key=lambda name: -weight[name])[:NODES]
    graph.hidden_hosts = len(weight) - len(chosen)
    nodes = {name: Node(name) for name in weight if name in set(chosen)}
    drawn = [edge for edge in edges if edge.origin in nodes and edge.target in nodes]
    links = [pair for pair in same if pair[0] in nodes and pair[1] in nodes]
    for edge in drawn:
        nodes[edge.origin].sent += edge.transfers
        nodes[edge.target].received += edge.transfers
    _columns(nodes, [(edge.origin, edge.target) for edge in drawn], links)
    _place(graph, nodes)
    for edge in drawn:
        graph.arrows.append(_arrow(nodes[edge.origin], nodes[edge.target], SEVERITIES[edge.worst], _says(edge), _short(edge)))
    for origin, target in links:
        says = f"the same content was on {origin} first, then on {target}: {same[origin, target]} by SHA-256"
        graph.arrows.append(_arrow(nodes[origin], nodes[target], "same", says, "same file"))
    return graph


def _merged(survey: Survey) -> list[Edge]:
    """The ways with addresses replaced by the names of the hosts that have them; a way to itself is none."""
    known = {name.casefold(): name for name in (host.name for host in survey.hosts.values())}
    short = {name.split(".")[0]: full for name, full in known.items() if not name[:1].isdigit()}

    def named(host: str) -> str:
        name = survey.addresses.get(host, host)
        return known.get(name.casefold()) or short.get(name.casefold().split(".")[0]) or name

    merged: dict[tuple[str, str], Edge] = {}
    for edge in survey.edges.values():
        origin, target = named(edge.origin), named(edge.target)
        if origin == target:
            continue
        whole = merged.setdefault((origin, target), Edge(origin, target, first=edge.first, number=edge.number))
        whole.transfers += edge.transfers
        whole.worst = max(whole.worst, edge.worst)
        whole.utilities.update(edge.utilities)
        if edge.number < whole.number:
            whole.number, whole.first = edge.number, edge.first
    return sorted(merged.values(), key=lambda edge: edge.number)


def _same(files: list[tuple[str, SharedFile]], ways: dict[tuple[str, str], Edge]) -> dict[tuple[str, str], str]:
    """Pairs of hosts, one after the other, that held the same content without a known way between them."""
    pairs: dict[tuple[str, str], str] = {}
    for digest, file in files:
        hosts = list(file.hosts)
        for origin, target in itertools.pairwise(hosts):
            if (origin, target) not in ways and (target, origin) not in ways and (target, origin) not in pairs:
                pairs.setdefault((origin, target), file.name or digest[:12])
    return pairs


def _columns(nodes: dict[str, Node], ways: list[tuple[str, str]], links: list[tuple[str, str]]) -> None:
    """Each host stands right of the one that reached it first. Ways are in the order of time, so loops end by themselves."""
    placed: set[str] = set()
    after: dict[str, list[str]] = defaultdict(list)
    reached: set[str] = set()
    for origin, target in [*ways, *links]:
        after[origin].append(target)
        reached.add(target)
    roots = [name for name in nodes if name not in reached]
    for name in roots:
        nodes[name].first = True
    for root in [*roots, *nodes]:  # a loop without a beginning starts at whatever comes first
        if root in placed:
            continue
        placed.add(root)
        waiting = [root]
        while waiting:
            name = waiting.pop(0)
            for target in after[name]:
                if target not in placed:
                    placed.add(target)
                    nodes[target].column = nodes[name].column + 1
                    waiting.append(target)


def _place(graph: Graph, nodes: dict[str, Node]) -> None:
    """Columns from left to right; a full one goes on in further lines. Each column is centred."""
    columns: dict[int, list[Node]] = defaultdict(list)
    for node in nodes.values():
        columns[node.column].append(node)
    tallest = max(len(column) for column in columns.values())
    graph.height = 2 * EDGE + tallest * HIGH + (tallest - 1) * GAP_Y
    graph.width = 2 * EDGE + len(columns) * BOX + (len(columns) - 1) * GAP_X
    for number, column in columns.items():
        used = len(column) * HIGH + (len(column) - 1) * GAP_Y
        y = (graph.height - used) / 2
        for node in column:
            node.x, node.y = EDGE + number * (BOX + GAP_X), y
            y += HIGH + GAP_Y
    graph.width = max(graph.width, 360.0)
    graph.nodes = list(nodes.values())


def _arrow(origin: Node, target: Node, kind: str, says: str, short: str) -> Arrow:
    """A curve from the right side of one box to the left side of the other; back and within a column it goes around."""
    y1, y2 = origin.y + HIGH / 2, target.y + HIGH / 2
    if target.column > origin.column:
        x1, x2 = origin.x + BOX, target.x - 7
        bend = (x2 - x1) / 2
        path = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
        share = 0.5 if y1 == y2 else 0.66  # ways fan out: past the middle their labels have more room
        drop = share**2 * (3 - 2 * share)
        return Arrow(path, kind, says, x1 + share * (x2 - x1), y1 + drop * (y2 - y1) - 6, short)
    x1, x2 = origin.x + BOX, target.x + BOX + 7
    out = max(x1, x2) + 46
    path = f"M{x1:.0f} {y1 + 8:.0f}C{out:.0f} {y1 + 8:.0f} {out:.0f} {y2 + 8:.0f} {x2:.0f} {y2 + 8:.0f}"
    return Arrow(path, kind, says, out - 8, (y1 + y2) / 2 + 14, short)


def _says(edge: Edge) -> str:
    utilities = ", ".join(name for name, _ in edge.utilities.most_common(3))
    return f"{edge.origin} to {edge.target}: {edge.transfers} by {utilities}, first {edge.first or 'at an unknown time'}"


def _short(edge: Edge) -> str:
    name = edge.utilities.most_common(1)[0][0]
    return name if edge.transfers == 1 else f"{edge.transfers:,} × {name}"
