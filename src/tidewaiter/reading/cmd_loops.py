"""The values that a `for` of cmd.exe runs over, what `if` decides where both sides are known, and what echo prints."""

from __future__ import annotations

import re

from tidewaiter.reading.cmd_grammar import Loop
from tidewaiter.reading.invocation import Invocation

_TOO_MANY = 4_096


def plain_values(text: str) -> list[str]:
    """The items of `for %i in (a "b c" d)`: separated by blanks, comma, semicolon or equals sign; quotes stay."""
    return re.findall(r'(?:"[^"]*(?:"|$)|[^\s,;="])+', text)[:_TOO_MANY]


def counted_values(text: str) -> list[str]:
    """The numbers of `for /l %i in (start,step,end)`."""
    numbers = re.findall(r"-?\d{1,9}", text)
    if len(numbers) != 3:
        return []
    start, step, end = map(int, numbers)
    if step == 0:
        return []
    return [str(number) for number in range(start, end + (1 if step > 0 else -1), step)[:_TOO_MANY]]


def source_kind(loop: Loop) -> tuple[str, str]:
    """What `for /f` reads: ("command", text), ("string", text) or ("file", names)."""
    text = loop.values.strip()
    backquoted = "usebackq" in loop.options.lower()
    quotes = {"`": "command", "'": "string"} if backquoted else {"'": "command", '"': "string"}
    kind = quotes.get(text[:1])
    if kind is None:
        return "file", text.strip('"')
    return kind, text[1:-1] if len(text) > 1 and text[-1] == text[0] else text[1:]


def line_fields(loop: Loop, line: str) -> dict[str, str] | None:
    """The letters that one line sets by the options tokens=, delims= and eol=; None where the line sets none."""
    options = loop.options
    tokens = re.search(r"tokens=([\d,*\- ]+?)(?=\s+[a-z]|$)", options, re.I)
    delimiters = re.search(r"delims=(.*?)(?=\s+(?:tokens|eol|skip|usebackq)\b|$)", options, re.I)
    marks = delimiters[1] if delimiters else " \t"
    end_of_line = re.search(r"eol=(.)", options, re.I)
    if line.startswith(end_of_line[1] if end_of_line else ";"):
        return None
    wanted = _token_numbers(tokens[1]) if tokens else [1]
    fields: dict[str, str] = {}
    letter = ord(loop.letter)
    for number in wanted:
        if number == 0:  # the rest of the line
            taken = [other for other in wanted if other]
            fields[chr(letter)] = _behind(line, marks, max(taken, default=0))
        else:
            parts = [part for part in re.split(f"[{re.escape(marks)}]", line) if part] if marks else [line]
            fields[chr(letter)] = parts[number - 1] if number <= len(parts) else ""
        letter += 1
    return fields if any(fields.values()) else None


def skipped_lines(loop: Loop) -> int:
    """The number of `skip=`."""
    match = re.search(r"skip=(\d{1,4})", loop.options, re.I)
    return int(match[1]) if match else 0


def _token_numbers(text: str) -> list[int]:
    """`1,3-5*` as [1, 3, 4, 5, 0]; 0 stands for the rest of the line."""
    numbers: list[int] = []
    for match in re.finditer(r"(\d{1,2})(?:-(\d{1,2}))?|\*", text):
        if match[0] == "*":
            numbers.append(0)
        else:
            first = int(match[1])
            numbers += range(first, min(int(match[2] or first), 31) + 1)
    return numbers[:26]


def _behind(line: str, marks: str, count: int) -> str:
    position = 0
    for _ in range(count):
        while position < len(line) and line[position] in marks:
            position += 1
        while position < len(line) and line[position] not in marks:
            position += 1
    while count and position < len(line) and line[position] in marks:
        position += 1
    return line[position:] if count else line


def decide(condition: tuple[str, str, str], *, negated: bool, ignore_case: bool) -> bool | None:
    """Whether a condition of expanded texts holds; None where it depends on something unknown."""
    left, operator, right = condition
    if not operator or re.search(r"[%!]", left + right) or left.lower() in ("exist", "defined", "errorlevel"):
        return None
    if ignore_case:
        left, right = left.lower(), right.lower()
    if re.fullmatch(r"-?\d{1,9}", left) and re.fullmatch(r"-?\d{1,9}", right) and operator != "==":
        order = int(left) - int(right)
    else:
        order = (left > right) - (left < right)
    holds = {"==": order == 0, "equ": order == 0, "neq": order != 0, "lss": order < 0, "leq": order <= 0,
             "gtr": order > 0, "geq": order >= 0}.get(operator)  # fmt: skip
    return None if holds is None else holds != negated


def reads_differently(before: str, after: str) -> bool:
    """Whether putting values in has brought operators or a keyword that only a second reading sees."""
    new = re.sub(r'"[^"]*"', "", after)
    if any(operator in new and new.count(operator) > before.count(operator) for operator in "&|<>"):
        return True
    head = re.match(r"^\s*(?:(for|if)\b|\()", after, re.I)
    return bool(head) and not re.match(r"^\s*(?:(for|if)\b|\()", before, re.I)


def constant_output(started: list[Invocation]) -> str | None:
    """What these invocations print, where all only echo."""
    if not started or any(item.program.lower() != "echo" or item.stdout is not None for item in started):
        return None
    if any(word.content for item in started for word in item.argv):
        return None
    return "\n".join(item.argv[1].text if len(item.argv) > 1 else "" for item in started)
