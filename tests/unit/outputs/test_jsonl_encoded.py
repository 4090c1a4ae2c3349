"""Lines that are encoded already are written as `write` writes the transfers."""

from __future__ import annotations

import io

import msgspec
import pytest

from tidewaiter.outputs.jsonl import Output
from tidewaiter.schema.transfer import Device, File, Landing, Origin, Process, Transfer


@pytest.mark.parametrize(
    "name", ["kit.exe", "caf\u00e9", "a\x7fb", "a\x1b[2Jb", "a\u202eexe.txt", 'quote " and \\', "line\nline"]
)
def test_hidden_characters_are_escapes_either_way(name: str) -> None:
    transfer = Transfer(
        id="aaaa", time=None, device=Device(), process=Process(), src=Origin(), dst=Landing(), file=File(name=name), stages={}
    )
    one, other = io.StringIO(), io.StringIO()

    Output().write([transfer], one)
    Output().write_encoded([msgspec.json.encode(transfer) + b"\n"], other)

    assert other.getvalue() == one.getvalue()
    assert not set("\x7f\x1b\u202e") & set(other.getvalue())
    assert msgspec.json.decode(other.getvalue(), type=Transfer).file.name == name
