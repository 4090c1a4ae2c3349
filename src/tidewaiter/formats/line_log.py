"""Logs with one record a line: the loop that numbers the lines, counts each once, and hands them on as text.

A log source gives a function that turns one line into its event; memory is bounded by one block of lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

from tidewaiter.formats.text_lines import TextBlock, text, text_blocks
from tidewaiter.log_source import Opened
from tidewaiter.schema.account import Account
from tidewaiter.schema.event import Event
from tidewaiter.schema.tally import tally

LINES_LOOKED_AT = 200
"""How many whole lines of the head a recogniser looks at."""


class Joined(Enum):
    """A line that another line's event says too, or will say."""

    JOINED = "joined"


JOINED = Joined.JOINED

LineParser = Callable[[str, str], Event | str | Joined | None]
"""(line, its 1-based number) -> its event, why it is of no use, JOINED, or None where it is damaged."""


def events_of_lines(
    opened: Opened, account: Account, parse: LineParser, what: str, finish: Callable[[], list[Event]] | None = None
) -> Iterator[list[Event]]:
    """Yield the events of each block of lines and count every line. `what` names the log for reports of damage; `finish`
    gives the events of joined lines that are still held at the end.

    A line that is not UTF-8 has its bytes escaped. A ValueError or OverflowError of `parse` damages its line only. Raises
    OSError when the file cannot be read.
    """
    for block in text_blocks(opened.path):
        events: list[Event] = []
        skipped: dict[str, int] = {}
        joined = 0
        number = block.number
        for line in lines_of(block):
            try:
                found = parse(line, str(number))
            except (ValueError, OverflowError) as error:
                found = None
                account.damage_at(f"line {number}", f"{what}: {error}")
            else:
                if found is None:
                    _not_parsed(line, number, block, account, what)
            if isinstance(found, Event):
                events.append(found)
            elif found is JOINED:
                joined += 1
            elif found is not None:
                skipped[found] = skipped.get(found, 0) + 1
            number += 1
        for reason, count in skipped.items():
            account.skip(reason, count)
        account.parse(len(events) + joined)
        if events:
            yield tally(events, account)
    held = finish() if finish is not None else []
    if held:
        yield tally(held, account)


def lines_of(block: TextBlock) -> list[str]:
    """The lines of a block as text."""
    try:
        return block.data.decode().split("\n")
    except UnicodeDecodeError:
        return [text(line) for line in block.data.split(b"\n")]


def _not_parsed(line: str, number: int, block: TextBlock, account: Account, what: str) -> None:
    if not line or line.isspace():
        account.skip("blank line")
    elif number - block.number in block.cut:
        account.damage_at(f"line {number}", "a line of more than a megabyte")
    else:
        account.damage_at(f"line {number}", f"not a line of {what}")


def head_lines(head: bytes, most: int = LINES_LOOKED_AT) -> list[str]:
    """The first lines of a file as text, without blank ones; none where the head is binary. Never raises.

    The last line is left out where it may be cut off, but a file of one line counts.
    """
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = head.decode("utf-16", "replace").encode("utf-8", "replace")
    if b"\0" in head.strip(b"\0"):
        return []
    raw = head.removeprefix(b"\xef\xbb\xbf").strip(b"\0").split(b"\n", most)[: most + 1]
    if len(raw) > 1:
        raw = raw[:-1] if raw[-1] else raw
    return [text(line.rstrip(b"\r")) for line in raw if line.strip()]
