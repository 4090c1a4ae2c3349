"""CSV: one row per transfer, and no cell is a formula."""

from __future__ import annotations

import csv
import io

import pytest

from tidewaiter.outputs.csv import FORMULA, Output, cell, columns
from tidewaiter.schema.transfer import STAGES, Transfer


def written(transfers: list[Transfer]) -> str:
    stream = io.StringIO()
    Output().write(iter(transfers), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\\x09=1"),
        ("\r=1", "'\\x0d=1"),
        ("  =1", "'  =1"),
        ("\uff1d1", "'\uff1d1"),
        ("a=1", "a=1"),
        ("https://example.com/?a=-1", "https://example.com/?a=-1"),
        ("a\nb", "a\\x0ab"),
        (-5, "-5"),
        (True, "true"),
        (None, ""),
    ],
)
def test_a_cell_can_not_become_a_formula(value: str | int | bool | None, text: str) -> None:
    assert cell(value) == text


def test_rows_have_the_columns_of_the_header(plain: Transfer) -> None:
    header, row = csv.reader(io.StringIO(written([plain])))
    by_name = dict(zip(header, row, strict=True))

    assert by_name["id"] == "0123456789abcdef"
    assert by_name["severity"] == "high"
    assert [by_name[f"stage_{name}"] for name in STAGES][:3] == ["seen", "not_seen", "not_visible"]
    assert by_name["reasons"] == "from_address:40 run:30"
    assert by_name["evidence"] == "http-ish text#12"
    assert by_name["in_memory"] == "false"


def test_hostile_texts_stay_in_their_cells(hostile: Transfer) -> None:
    text = written([hostile, hostile])
    rows = list(csv.reader(io.StringIO(text)))

    assert len(rows) == 3 == text.count("\n")
    assert {len(row) for row in rows} == {len(columns(hostile))}
    assert [value for row in rows for value in row if value.startswith(FORMULA)] == []
    assert {"\x1b", "\x9b", "\r", "\x00", "\u202e"} & set(text) == set()
    assert text.encode("utf-8")


def test_nothing_found_still_has_a_header() -> None:
    assert written([]).startswith('"id","time","severity"')
