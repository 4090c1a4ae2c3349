"""PowerShell: text to the invocations that it would make. Constants are evaluated within bounds; nothing is executed.

    text ── statements (parser) ── evaluate ── Script
              nodes, scanner,       operators, objects,
              expressions,          calls, cmdlets
              commands

Cmdlets have their full lower-case name, .NET methods are "<type>.<method>", COM methods "com:<class>.<method>".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from tidewaiter.catalog.powershell import load
from tidewaiter.reading.budget import Budget, BudgetExceeded
from tidewaiter.reading.invocation import Script, Word
from tidewaiter.reading.powershell_evaluate import Evaluator
from tidewaiter.reading.powershell_scanner import TooDeepError

LONGEST = 256 * 1024
"""Characters of a text that are read."""
ENCODED = re.compile(r"[^A-Za-z0-9+/=_-]")


def parse(text: str, budget: Budget, variables: Mapping[str, Word] | None = None) -> Script:
    """Read a script. Hitting a bound ends the reading with what was found; the bound is in `budget.limits`."""
    script = Script()
    if len(text) > LONGEST:
        text = text[:LONGEST]
        budget.limits.append("cut to 256 KB")
        script.complete = False
    evaluator = Evaluator(budget, script, variables)
    try:
        evaluator.read_text(text, "")
        evaluator.read_uncalled()
    except BudgetExceeded:
        script.complete = False
    except (RecursionError, TooDeepError):
        script.complete = False
        if "nested too deeply" not in budget.limits:
            budget.limits.append("nested too deeply")
    script.variables = evaluator.final_words()
    return script


# the command line of powershell.exe -----------------------


def _parameter(argument: str) -> tuple[str, str | None]:
    """The full name of a parameter of powershell.exe ("" where the argument is none) and a value attached by a colon."""
    spelled = argument.replace("`", "").replace("^", "").translate(str.maketrans("–—―", "---"))
    if spelled[:1] not in ("-", "/") or len(spelled) < 2 or (spelled[0] == "/" and "/" in spelled[1:]):
        return "", None
    name, colon, value = spelled.lstrip("-/").partition(":")
    name = name.lower()
    host = load().host
    attached = argument.partition(":")[2] if colon and value else None
    for parameter in (host.encoded, host.command, host.file):
        if name in parameter.short or (len(name) >= parameter.least and parameter.name.startswith(name)):
            return parameter.name, attached
    name = host.short.get(name, name)
    for full, least in host.values.items():
        if len(name) >= least and full.startswith(name):
            return full, attached
    return "-" + name, attached


def _main_argument(args: Sequence[str]) -> tuple[str, list[str]]:
    """What powershell.exe would run: the parameter ("" for none) and the arguments after it."""
    rest = list(args)
    while rest:
        name, attached = _parameter(rest[0])
        if not name:
            return "", rest
        rest = rest[1:] if attached is None else [attached, *rest[1:]]
        if name in ("encodedcommand", "command", "file"):
            return name, rest
        if not name.startswith("-") and rest:
            rest = rest[1:]
    return "", []


def decode_command(args: Sequence[str], *, core: bool = False) -> str | None:
    """The script text that powershell.exe (pwsh with `core`) runs with these arguments; None for a file or nothing."""
    name, rest = _main_argument(args)
    if name == "encodedcommand":
        return decode_base64(rest[0]) if rest else None
    if name == "file" or not rest or (name == "" and core) or rest == ["-"]:
        return None
    return " ".join(rest)


def script_file(args: Sequence[str], *, core: bool = False) -> tuple[str, tuple[str, ...]] | None:
    """The script file that is run with -File (for pwsh, `core`, also without it) and its arguments; None for none."""
    name, rest = _main_argument(args)
    if rest and (name == "file" or (name == "" and core)):
        return rest[0], tuple(rest[1:])
    return None


def decode_base64(text: str) -> str | None:
    """The text of -EncodedCommand: base64 of UTF-16LE, or of UTF-8 where it is plainly that; None where it is neither."""
    body = ENCODED.sub("", text).replace("-", "+").replace("_", "/").rstrip("=")
    if len(body) % 4 == 1:
        body = body[:-1]
    try:
        content = base64.b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return None
    if not content:
        return None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    zeros = content[:4_000].count(0)
    if zeros * 4 < min(len(content), 4_000) and looks_like_text(content):
        return content.decode("utf-8", "replace")
    return content.decode("utf-16-le", "ignore")


def looks_like_text(content: bytes) -> bool:
    """Whether the bytes are UTF-8 without control characters."""
    try:
        decoded = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", decoded)
