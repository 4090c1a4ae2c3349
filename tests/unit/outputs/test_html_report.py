"""The HTML report: what it shows, and that nothing from a log becomes part of the page's structure."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import re
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.formats.archives import Unreadable
from tidewaiter.outputs import html_report
from tidewaiter.outputs.html_report import Contents, Output, spread, survey, timeline, write_report
from tidewaiter.outputs.html_report.survey import Survey
from tidewaiter.outputs.html_report.text import clean, lookalikes, time_of_day
from tidewaiter.schema.account import Account
from tidewaiter.schema.moments import render_time
from tidewaiter.schema.transfer import Device, Origin, Severity, Transfer
from unit.outputs.hostile_report import PAYLOADS, contents, transfer_of

NOON = 1_772_366_400_000_000
SPOKEN = ("aria-label",)
"""Attributes whose value may hold a text of a log."""


class Skeleton(HTMLParser):
    """The structure of a page: every element with its attributes, the values of all but the spoken ones, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text: list[str] = []
        self.strange: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple((name, None if name in SPOKEN else value) for name, value in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.strange.append(data)

    def unknown_decl(self, data: str) -> None:
        self.strange.append(data)

    def handle_pi(self, data: str) -> None:
        self.strange.append(data)


def page_of(report: Contents) -> str:
    stream = io.StringIO()
    write_report(report, stream)
    return stream.getvalue()


def parsed(page: str) -> Skeleton:
    skeleton = Skeleton()
    skeleton.feed(page)
    skeleton.close()
    return skeleton


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", " ".join(parsed(page).text))


def simple(number: int, severity: Severity = "medium", score: int = 50, **changes: Any) -> Transfer:
    made = transfer_of("word", severity, f"host{number % 3}", id=f"{number:016x}", score=score, **changes)
    made.time = changes.get("time", render_time(NOON + number * 60_000_000))
    return made


def report_of(*transfers: Transfer, **more: Any) -> Contents:
    return Contents(transfers=lambda: iter(transfers), **more)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_no_text_of_a_log_becomes_structure(payload: str) -> None:
    hostile, harmless = parsed(page_of(contents(payload))), parsed(page_of(contents("word")))

    assert hostile.elements == harmless.elements
    assert hostile.strange == harmless.strange == []
    assert len(harmless.elements) > 300


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_every_character_of_the_page_is_visible(payload: str) -> None:
    page = page_of(contents(payload))

    assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]", page) == []
    assert page.encode("utf-8")


def test_the_check_of_structure_sees_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking() -> Any:
        made = html_report.text.environment()
        made.autoescape = False
        return made

    monkeypatch.setattr(html_report, "environment", leaking)

    assert parsed(page_of(contents(PAYLOADS[0]))).elements != parsed(page_of(contents("word"))).elements


def test_the_templates_pass_nothing_but_style_sheets_unescaped() -> None:
    folder = Path(html_report.__file__).parent / "templates"
    unescaped = [
        line.strip()
        for path in folder.glob("*.html")
        for line in path.read_text().splitlines()
        if re.search(r"\bsafe\b|autoescape|Markup", line)
    ]

    assert unescaped == ["<style>{{ sheet|safe }}</style>", "<style>{{ rules|safe }}</style>"]


def test_the_policy_allows_exactly_the_style_sheets_of_the_page() -> None:
    page = page_of(contents("word"))
    sheets = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode() for sheet in sheets]
    policy = dict(parsed(page).elements[3][1])["content"]

    assert len(sheets) == 2
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    assert policy == f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'none'"


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    skeleton = parsed(page_of(contents("http://files.example.com/tool.exe")))
    names = {name for _, attributes in skeleton.elements for name, _ in attributes}
    links = {value for _, attributes in skeleton.elements for name, value in attributes if name == "href"}

    assert {tag for tag, _ in skeleton.elements} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
    } == set()
    assert {name for name in names if name.startswith("on") or name in ("style", "src", "srcset", "action")} == set()
    assert all(link and re.fullmatch(r"#[\w-]+", link) for link in links)
    assert not re.search(r"url\((?!#a-[a-z]+\))|@import|//[a-z]", "".join(skeleton.text[:6]))


def test_every_link_leads_to_a_place_on_the_page() -> None:
    skeleton = parsed(page_of(contents("word")))
    values = [(name, value or "") for _, attributes in skeleton.elements for name, value in attributes]
    places = [value for name, value in values if name == "id"]

    assert len(places) == len(set(places))
    assert {value[1:] for name, value in values if name == "href"} - set(places) == set()


def test_headings_step_down_one_level_at_a_time() -> None:
    levels = [int(tag[1]) for tag, _ in parsed(page_of(contents("word"))).elements if re.fullmatch("h[1-6]", tag)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert [after for before, after in itertools.pairwise(levels) if after > before + 1] == []


def test_drawings_are_named_or_hidden_from_readers() -> None:
    drawings = [dict(attributes) for tag, attributes in parsed(page_of(contents("word"))).elements if tag == "svg"]
    bare = [each for each in drawings if "aria-label" not in each and "aria-hidden" not in each]

    assert drawings
    assert [each for each in bare if each.get("width") != "12"] == []  # those stand in a legend that is hidden as a whole


def test_a_card_tells_everything() -> None:
    text = text_of(page_of(report_of(simple(1, reasons=transfer_of("because", "low", "").reasons, score=70))))

    for part in (
        "medium 70",
        "by word on host1word",
        "12.3 kB (12,345 bytes)",
        "SHA-256 word",
        "pid 7",
        "+90",
        "-20",
        "+70 in all",
    ):
        assert part in text
    assert "commanded word #0 #1 connected" in text
    assert "carried not visible" in text
    assert "landed not seen" in text


def test_a_score_that_was_held_says_so() -> None:
    assert "+70 in all, held to 100" in text_of(page_of(report_of(simple(1, score=100))))


def test_counts_rows_and_cards() -> None:
    many = [simple(number, "high" if number < 3 else "low", 80 if number < 3 else 25) for number in range(10)]
    elements = parsed(page_of(report_of(*many))).elements
    classes = [dict(attributes).get("class") or "" for _, attributes in elements]

    assert sum(name.startswith("card x high") for name in classes) == 3
    assert sum(name.startswith("x low") for name in classes) == 7
    assert "All 7 transfers below medium" in text_of(page_of(report_of(*many)))


def test_what_there_is_no_room_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "CARDS", 4)
    monkeypatch.setattr(survey, "ROWS", 2)
    cards = [simple(number, "medium", 40 + number // 3) for number in range(9)]
    rows = [simple(number, "low", 20) for number in range(9, 14)]
    page = page_of(report_of(*cards, *rows))

    assert "the 4 highest scores of 9 transfers" in text_of(page)
    assert "The 2 highest scores of 5 transfers" in text_of(page)
    assert re.findall(r'class="body" id="t(\d+)"', page) == ["3", "6", "7", "8"]
    assert re.findall(r'<tr class="x [\w ]+" id="t(\d+)"', page) == ["9", "10"]


def test_the_account_is_complete() -> None:
    account = Account(log_file="a.evtx", recognised_as="EVTX", why="it begins with ElfFile")
    account.parse(1000)
    account.skip("of no use", 230)
    account.damage_at("byte 4096", "chunk checksum")
    account.damaged, account.read = 25, 1255
    missing = Unreadable(log_file="b.zip", place="member 3", problem="encrypted", kind="limit")
    text = text_of(
        page_of(Contents(transfers=lambda: (), accounts=[account], unreadable=[missing], made=datetime(2026, 3, 1, tzinfo=UTC)))
    )

    assert "1,255 read = 1,000 parsed + 230 skipped + 25 damaged" in text
    for part in ("EVTX", "recognised by: it begins with ElfFile", "230 of no use", "damaged at byte 4096: chunk checksum"):
        assert part in text
    assert "and 24 more damaged" in text
    assert "b.zip member 3 encrypted" in text
    assert "does not balance" not in text
    assert "No transfer was found" in text
    assert "Made 2026-03-01 00:00 UTC" in text


def test_an_account_that_does_not_balance_is_an_alarm() -> None:
    page = page_of(Contents(transfers=lambda: (), accounts=[Account(log_file="a", recognised_as="EVTX", read=3, parsed=2)]))

    assert "does not balance" in text_of(page)


def test_what_could_not_be_seen_is_told_by_host() -> None:
    text = text_of(page_of(report_of(simple(0), simple(3), simple(1))))

    assert "host0word 2 visible visible not visible visible" in text
    assert "carried The logs of the hosts above hold none of: content on the wire" in text


def test_the_format_writes_the_same_page_without_an_account(plain: Transfer) -> None:
    stream = io.StringIO()
    Output().write(iter([plain, plain]), stream)

    assert stream.getvalue() == page_of(report_of(plain, plain))
    assert 'id="account"' not in stream.getvalue()


def test_memory_does_not_grow_with_the_number_of_transfers() -> None:
    class Counting(io.TextIOBase):
        size = 0

        def write(self, text: str) -> int:
            self.size += len(text)
            return len(text)

    def peak(count: int) -> tuple[int, int]:
        def some() -> Iterator[Transfer]:
            return (simple(number, "low" if number % 2 else "high", number % 40 + 20) for number in range(count))

        stream: Any = Counting()
        tracemalloc.start()
        write_report(Contents(transfers=some), stream)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most, stream.size

    page_of(report_of(simple(1), simple(2, "low")))  # what is loaded once does not count
    (less, small), (more, large) = peak(150), peak(900)

    assert large > 4.5 * small
    assert more < 1.6 * less


def test_a_long_silence_is_cut_out_of_the_axis() -> None:
    counted = Survey.of([simple(0), simple(1), simple(2), simple(3, time="2031-01-01T00:00:00Z"), simple(4, time=None)])
    line = timeline.draw(counted)

    assert line is not None
    assert len(line.stretches) == 2
    assert [stretch.label for stretch in line.stretches] == ["2026-03-01", "2031-01-01"]
    assert counted.undated == 1
    assert all(timeline.LEFT <= mark.x <= timeline.WIDTH - timeline.RIGHT for mark in line.marks)
    assert sum(mark.count for mark in line.marks) == 4


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1601-01-01T00:00:00Z"])
def test_clocks_that_jump_do_not_hurt_the_timeline(moment: str) -> None:
    page = page_of(report_of(simple(0, time=moment), simple(1), simple(2, time="2026-03-01T12:00:00+14:00")))

    assert "of 3 transfers" not in text_of(page)
    assert page.count('class="mark medium"><title>') == 3


def test_times_without_end_are_counted_in_bounded_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "CELLS", 10)
    counted = Survey.of(simple(number) for number in range(200))
    line = timeline.draw(counted)

    assert len(counted.cells) <= 10
    assert line is not None
    assert sum(mark.count for mark in line.marks) == 200


def lateral(number: int, origin: str, target: str, **changes: Any) -> Transfer:
    return simple(number, direction="lateral", src=Origin(hostname=origin), device=Device(hostname=target, ip=None), **changes)


def test_the_graph_stands_in_the_order_of_the_spread() -> None:
    ways = [lateral(1, "alpha", "beta"), lateral(2, "beta", "gamma"), lateral(3, "gamma", "alpha"), lateral(4, "beta", "BETA")]
    graph = spread.draw(Survey.of(ways))

    assert graph is not None
    assert {node.name: node.column for node in graph.nodes} == {"alpha": 0, "beta": 1, "gamma": 2}
    assert [(edge.origin, edge.target) for edge in graph.edges] == [("alpha", "beta"), ("beta", "gamma"), ("gamma", "alpha")]


def test_an_address_and_a_name_are_one_host_where_a_log_says_so() -> None:
    known = simple(0, device=Device(hostname="alpha.example", ip="192.0.2.7"))
    reached = simple(1, direction="lateral", src=Origin(ip="192.0.2.7"), device=Device(hostname="beta"))
    graph = spread.draw(Survey.of([known, reached]))

    assert graph is not None
    assert [(edge.origin, edge.target) for edge in graph.edges] == [("alpha.example", "beta")]


def test_the_same_content_on_two_hosts_is_joined_by_its_hash() -> None:
    graph = spread.draw(Survey.of([simple(0), simple(1), simple(3)]))

    assert graph is not None
    assert [(arrow.kind, arrow.short) for arrow in graph.arrows] == [("same", "same file")]
    assert list(graph.files[0][1].hosts) == ["host0word", "host1word"]


def test_a_spread_without_end_is_cut_and_said() -> None:
    graph = spread.draw(Survey.of(lateral(number, f"from{number}", f"to{number}") for number in range(700)))

    assert graph is not None
    assert len(graph.nodes) == spread.NODES
    assert graph.hidden_hosts == 1400 - spread.NODES
    assert graph.hidden_edges == 200


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a" * 3005, "a" * 3000 + " … (5 more characters)"),
        ("x\n\x1b[1m\u202e", "x\\x0a\\x1b[1m\\u202e"),
        ("e\u0301\u0301", "e\u0301\u0301"),
        ("e" + "\u0301" * 5, "e" + "\\u0301" * 5),
        (None, ""),
        (7, 7),
    ],
)
def test_texts_are_cut_and_made_visible(text: object, shown: object) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p\u0430ypal.example", "U+0430 cyrillic small letter a"),
        ("\u0434\u043e\u043c.example", ""),
        ("na\u00efve.example", ""),
        ("\uff41pple.example", "U+FF41 fullwidth latin small letter a"),
        (None, ""),
    ],
)
def test_letters_that_pose_as_others_are_named(text: str | None, says: str) -> None:
    assert lookalikes(text) == says


def test_a_time_of_another_day_shows_its_date() -> None:
    assert time_of_day("2026-03-01T12:00:01Z", "2026-03-01T11:00:00Z") == "12:00:01"
    assert time_of_day("2026-03-02T12:00:01Z", "2026-03-01T11:00:00Z") == "2026-03-02 12:00:01"
