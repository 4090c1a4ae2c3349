"""The page of one transfer."""

from __future__ import annotations

import io

from tidewaiter.outputs.detail import Output
from tidewaiter.schema.transfer import STAGES, Transfer


def written(transfers: list[Transfer]) -> str:
    stream = io.StringIO()
    Output().write(iter(transfers), stream)
    return stream.getvalue()


def test_the_page_draws_all_seven_stages_and_says_why_one_is_empty(plain: Transfer) -> None:
    lines = written([plain]).splitlines()
    stages = [line.split()[:3] for line in lines[lines.index("Stages") + 1 :][:7]]

    assert [next(word for word in words if word in STAGES) for words in stages] == list(STAGES)
    assert "  [x] commanded  2026-03-01T12:00:00Z  #0" in lines
    assert "  [ ] connected  not seen; the logs that would show it were there" in lines
    assert "  [?] carried    not visible; no log given would have shown it" in lines


def test_reasons_add_up_to_the_score(plain: Transfer) -> None:
    lines = written([plain]).splitlines()

    assert "    +40  http-ish text (from_address)" in lines
    assert "    +70  in all" in lines


def test_a_sum_beyond_the_score_is_said(plain: Transfer) -> None:
    plain.score = 50

    assert "    +70  in all, held to a score of 50" in written([plain]).splitlines()


def test_evidence_names_its_log_and_record(plain: Transfer) -> None:
    text = written([plain])

    assert "#0   2026-03-01T12:00:00Z         linux_auditd: http-ish text" in text
    assert "http-ish text  record 12" in text


def test_hostile_texts_move_nothing(hostile: Transfer) -> None:
    text = written([hostile, hostile])

    assert {"\x1b", "\x9b", "\r", "\x00", "\u202e"} & set(text) == set()
    assert "[red]x[/red]" in text
    assert text.encode("utf-8")
