"""The report in headless Chromium: nothing from a log runs or loads, and it can be read, filtered, reached and printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from browser.chromium import Browser
from tidewaiter.cli.main import run
from tidewaiter.outputs.html_report import Contents, write_report
from unit.outputs.hostile_report import PAYLOADS, contents

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "evidence"
COMPLAINTS = ("Log.entryAdded", "Audits.issueAdded", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")
STATE = """({
  title: document.title,
  taken: typeof window.taken,
  scripts: document.scripts.length,
  handlers: [...document.querySelectorAll('*')].filter(e => e.getAttributeNames().some(n => n.startsWith('on'))).length,
  foreign: [...new Set([...document.querySelectorAll('*')].map(e => e.localName))].sort(),
  address: location.protocol,
})"""


def written(report: Contents, folder: Path) -> Path:
    target = folder / "report.html"
    with target.open("w", encoding="utf-8") as stream:
        write_report(report, stream)
    return target


def complaints(browser: Browser) -> list[dict[str, Any]]:
    return [event for event in browser.events if event["method"] in COMPLAINTS]


def requests(browser: Browser) -> list[str]:
    sent = [event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith("file:")]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the examples, written by the command."""
    target = tmp_path_factory.mktemp("example") / "report.html"
    assert run(["report", str(EXAMPLES), "-o", str(target)]) == 0
    return target


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_nothing_from_a_log_runs_or_loads(browser: Browser, tmp_path: Path, payload: str) -> None:
    browser.open(written(contents("word"), tmp_path))
    harmless = browser.evaluate(STATE)
    browser.open(written(contents(payload), tmp_path))
    browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    browser.evaluate("document.querySelectorAll('a, input, summary').forEach(e => e.focus())")

    assert browser.evaluate(STATE) == harmless
    assert (harmless["title"], harmless["taken"], harmless["scripts"], harmless["handlers"]) == (
        "Tidewaiter report",
        "undefined",
        0,
        0,
    )
    assert complaints(browser) == []
    assert requests(browser) == []


def test_the_check_sees_a_script_that_runs_and_the_policy_stops_it(browser: Browser, tmp_path: Path) -> None:
    page = written(contents("word"), tmp_path)
    planted = page.read_text(encoding="utf-8").replace("</main>", "<script>window.taken=1</script></main>")
    page.write_text(re.sub(r"<meta http-equiv[^>]*>", "", planted), encoding="utf-8")
    browser.open(page)
    assert browser.evaluate("typeof window.taken") == "number"

    page.write_text(planted, encoding="utf-8")
    browser.open(page)
    assert browser.evaluate("typeof window.taken") == "undefined"
    assert complaints(browser) != []


def test_the_report_of_the_examples_is_at_peace_with_its_policy(browser: Browser, example: Path) -> None:
    browser.open(example)

    assert complaints(browser) == []
    assert requests(browser) == []
    assert browser.evaluate("getComputedStyle(document.querySelector('.sections')).position") == "sticky"
    assert browser.evaluate("document.querySelectorAll('.card').length") > 3


@pytest.mark.parametrize("width", [390, 760, 1280])
def test_no_page_is_wider_than_its_window(browser: Browser, example: Path, tmp_path: Path, width: int) -> None:
    browser.look(width=width)
    for page in (example, written(contents("a" * 5000), tmp_path), written(contents("<b>\u0301\u0301"), tmp_path)):
        browser.open(page)
        browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_light_dark_phone_and_paper_each_have_their_look(browser: Browser, example: Path, tmp_path: Path) -> None:
    pictures = []
    for name, width, dark in (("light", 1280, False), ("dark", 1280, True), ("phone", 390, False)):
        browser.look(width=width, dark=dark)
        browser.open(example)
        pictures.append(browser.screenshot(tmp_path / f"{name}.png"))
    day, night = brightness(browser, example, dark=False), brightness(browser, example, dark=True)

    assert all(picture.startswith(b"\x89PNG") and len(picture) > 10_000 for picture in pictures)
    assert day["paper"] > 200 > 60 > night["paper"]
    assert day["ink"] < 60 < 200 < night["ink"]
    assert browser.pdf(tmp_path / "paper.pdf").startswith(b"%PDF")


def brightness(browser: Browser, page: Path, *, dark: bool) -> dict[str, int]:
    """How bright the paper and the ink are, 0 to 255, by their red part."""
    browser.look(width=1280, dark=dark)
    browser.open(page)
    read = "(name => +getComputedStyle(document.body)[name].match(/\\d+/)[0])"
    return {"paper": browser.evaluate(f"{read}('backgroundColor')"), "ink": browser.evaluate(f"{read}('color')")}


def test_paper_shows_what_is_folded_on_the_screen(browser: Browser, example: Path) -> None:
    height = "document.querySelector('.card:not([open]) .evidence').getBoundingClientRect().height"
    browser.look(width=1280)
    browser.open(example)
    browser.evaluate("document.querySelectorAll('.card').forEach(e => e.open = false)")
    assert browser.evaluate(f"document.querySelector('.card .evidence').checkVisibility() ? {height} : 0") == 0

    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.evaluate("document.querySelector('.card .evidence').checkVisibility()") is True
        assert browser.evaluate(height) > 20
        assert browser.evaluate("getComputedStyle(document.querySelector('.filter')).display") == "none"
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


def test_the_filter_works_without_a_script(browser: Browser, tmp_path: Path) -> None:
    browser.look(width=1280)
    browser.open(written(contents("word"), tmp_path))
    everything = browser.evaluate("[...document.querySelectorAll('.card')].map(e => e.className)")
    assert len(everything) == 3

    browser.evaluate("document.querySelector('#f-medium').click()")
    assert browser.evaluate("[...document.querySelectorAll('.card')].filter(e => e.checkVisibility()).length") == 2
    browser.evaluate("document.querySelector('#f-medium').click()")
    browser.evaluate("document.querySelector('#host').value = '1'")
    assert (
        browser.evaluate("[...document.querySelectorAll('.x')].filter(e => e.checkVisibility() && !e.matches('.h1')).length")
        == 0
    )
    assert browser.evaluate("[...document.querySelectorAll('.h1')].filter(e => e.checkVisibility()).length") == 1


def test_a_link_opens_the_card_it_leads_to(browser: Browser, example: Path) -> None:
    browser.look(width=1280)
    browser.open(example)
    browser.evaluate("document.querySelectorAll('.card').forEach(e => e.open = false)")
    browser.evaluate("document.querySelector('.leads a').click()")
    opened = "document.querySelector('.card[open] .body:target')"

    assert browser.evaluate(f"{opened} !== null && {opened}.checkVisibility()") is True


def test_the_keyboard_comes_to_the_skip_link_first_and_sees_where_it_is(browser: Browser, example: Path) -> None:
    browser.look(width=1280)
    browser.open(example)
    look = "(e => [e.textContent, e.getBoundingClientRect().top >= 0, getComputedStyle(e).outlineStyle])"
    seen = []
    for _ in range(4):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        seen.append(browser.evaluate(f"{look}(document.activeElement)"))

    assert seen[0] == ["Skip to the content", True, "solid"]
    assert [text for text, _, _ in seen[1:]] == ["Summary", "Timeline", "Spread"]
    assert all(visible and outline == "solid" for _, visible, outline in seen)
