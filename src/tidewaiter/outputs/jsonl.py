"""One JSON object per line, with every field of the contract (docs/reference/transfer.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TextIO

import msgspec

from tidewaiter.output import HIDDEN
from tidewaiter.schema.transfer import Transfer


def _escaped(match: re.Match[str]) -> str:
    """The JSON escape of one character. Outside strings JSON is ASCII, so a match is always inside one."""
    return json.dumps(match[0])[1:-1]


def _shown(text: str) -> str:
    """JSON with every hidden character as an escape. In ASCII the encoder leaves none of them as it is but DEL."""
    if text.isascii() and "\x7f" not in text:
        return text
    return HIDDEN.sub(_escaped, text)


class Output:
    """`--format jsonl`."""

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()

    def line(self, transfer: Transfer) -> str:
        """One transfer as JSON. Terminal controls are JSON escapes, half surrogate pairs a question mark."""
        try:
            text = self._encoder.encode(transfer).decode()
        except UnicodeEncodeError:  # a half surrogate pair
            plain = json.dumps(msgspec.to_builtins(transfer), ensure_ascii=False, separators=(",", ":"))
            text = plain.encode("utf-8", "replace").decode()
        return _shown(text)

    def write(self, transfers: Iterable[Transfer], stream: TextIO) -> None:
        """Write one line per transfer."""
        for transfer in transfers:
            stream.write(self.line(transfer) + "\n")

    def write_encoded(self, lines: Iterable[bytes], stream: TextIO) -> None:
        """As `write`, of transfers that are JSON lines of our encoder already."""
        for line in lines:
            stream.write(_shown(line.decode().removesuffix("\n")) + "\n")
