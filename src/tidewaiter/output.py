"""What an output is, the register of all of them, and the escaping that they share.

An output turns transfers into one format. What the logs contain is hostile: every text that came from a log passes through
`printable` before a person's terminal or spreadsheet sees it.

To add one: a module in outputs/ with a class `Output`, and one line below (docs/adding/output.md).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TextIO

if TYPE_CHECKING:
    from tidewaiter.schema.transfer import Transfer


class Output(Protocol):
    """One format. A fresh instance serves each run."""

    def write(self, transfers: Iterable[Transfer], stream: TextIO) -> None:
        """Write the transfers as they come, in their order; never hold all of them. Raises OSError of the stream."""
        ...


class Entry(NamedTuple):
    """One line of the register. Modules are named, not imported: only the format in use is loaded."""

    name: str  # what --format takes
    module: str  # in outputs/
    says: str  # one line for people

    def load(self) -> Any:
        """A fresh instance of the module's `Output`."""
        return importlib.import_module(f"tidewaiter.outputs.{self.module}").Output()


REGISTER: tuple[Entry, ...] = (
    Entry("table", "table", "one row per transfer, for a terminal"),
    Entry("jsonl", "jsonl", "one JSON object per line, every field"),
    Entry("csv", "csv", "one row per transfer, for a spreadsheet"),
    Entry("detail", "detail", "one page per transfer: stages, reasons, evidence"),
    Entry("html", "html_report", "one self-contained page; `tidewaiter report` adds the account of the inputs"),
)


def named(name: str) -> Entry:
    """The entry of that name; raises KeyError where there is none."""
    for entry in REGISTER:
        if entry.name == name:
            return entry
    raise KeyError(name)


HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 with ESC, DEL, C1 with the one-byte CSI
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, bidi, line separators
    "\ud800-\udfff"  # halves of surrogate pairs, which no stream can encode
    "\U000e0000-\U000e007f"  # tags: whole sentences that nobody sees
    "]"
)
"""Characters that move the cursor, reorder the text, or hide."""


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable(text: str) -> str:
    """The text on one line with every control, reordering and invisible character spelled out, as in `\\x1b`."""
    return HIDDEN.sub(_spelled, text)
