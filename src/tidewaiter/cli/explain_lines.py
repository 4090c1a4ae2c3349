"""`explain --jsonl`: one line in, one line out, in the same order; a bad line costs one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

import msgspec

from tidewaiter.cli.platforms import PLATFORMS
from tidewaiter.reading.reader import read
from tidewaiter.schema.action import Action, Reading

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of one input line; what is longer is reported and passed over."""


class Question(msgspec.Struct):
    """One input line."""

    command: str
    platform: str
    id: Any = None


class Answer(msgspec.Struct, kw_only=True):
    """One output line of the contract."""

    id: Any
    label: str
    utility: str | None
    urls: list[str]
    dest: str | None
    runs: bool
    actions: list[Action]
    limits: list[str]


class Refusal(msgspec.Struct, kw_only=True):
    """What is printed for a line that is no question."""

    id: Any
    error: str


def answer(number: Any, reading: Reading) -> Answer:
    """The answer of the contract: the strongest action names it, all actions of its kind give their locations."""
    best = reading.strongest
    alike = [action for action in reading.actions if best is not None and action.kind == best.kind]
    urls = dict.fromkeys(url for action in alike for url in action.urls)
    return Answer(
        id=number,
        label=reading.label,
        utility=best.utility if best else None,
        urls=list(urls),
        dest=next((action.dest for action in alike if action.dest), None),
        runs=any(action.runs for action in alike),
        actions=list(reading.actions),
        limits=list(reading.limits),
    )


def lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a stream; None for one that is too long, of which no more than the limit is ever held."""
    while line := stream.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
            pass
        yield None


def explain_line(line: bytes | None) -> Answer | Refusal:
    """The answer to one line, or why there is none. Never raises."""
    if line is None:
        return Refusal(id=None, error=f"the line is longer than {LONGEST_LINE} bytes")
    try:
        loose = _decoded(line)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON
        return Refusal(id=None, error=str(error))
    number = loose.get("id") if isinstance(loose, dict) else None
    try:
        question = msgspec.convert(loose, Question)
        if question.platform not in PLATFORMS:
            return Refusal(id=number, error=f"platform must be one of {', '.join(PLATFORMS)}")
        return answer(number, read(question.command, question.platform))
    except Exception as error:  # noqa: BLE001 - the command is hostile text: whatever it breaks costs this line only
        return Refusal(id=number, error=f"{type(error).__name__}: {error}")


def _decoded(line: bytes) -> Any:
    """The JSON value of a line; broken UTF-8 and halves of surrogate pairs become replacement characters."""
    text = line.decode("utf-8", "replace")
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        whole = json.loads(text)  # knows half pairs, which exporters make when they cut a text
        return json.loads(json.dumps(whole, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def explain_lines(source: BinaryIO, target: TextIO) -> None:
    """Answer every line that is not empty, and flush each answer: the caller may be waiting for it."""
    encoder = msgspec.json.Encoder()
    for line in lines(source):
        if line is not None and not line.strip():
            continue
        target.write(_encoded(encoder, explain_line(line)) + "\n")
        target.flush()


def _encoded(encoder: msgspec.json.Encoder, row: Answer | Refusal) -> str:
    try:
        return encoder.encode(row).decode()
    except (UnicodeEncodeError, msgspec.MsgspecError) as error:  # half a surrogate pair that unfolding brought forth
        return encoder.encode(Refusal(id=row.id, error=str(error))).decode()
