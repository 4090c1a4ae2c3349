"""Static members of .NET types, as far as they compute: conversions, encodings, strings, paths, regular expressions."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import urllib.parse
import zlib
from collections.abc import Callable
from typing import Any

from tidewaiter.reading.budget import Budget
from tidewaiter.reading.powershell_operators import join, lift, number_range, split, to_char, unknown
from tidewaiter.reading.powershell_text import compiled, formatted, substitute, whole
from tidewaiter.reading.powershell_values import (
    Blend,
    Char,
    Instance,
    MethodRef,
    TypeRef,
    Value,
    content_of,
    is_known,
    merge,
    to_list,
    to_number,
    to_text,
)

CODECS = {
    "unicode": "utf-16-le",
    "bigendianunicode": "utf-16-be",
    "utf8": "utf-8",
    "ascii": "ascii",
    "utf7": "utf-7",
    "utf32": "utf-32-le",
    "default": "cp1252",
    "latin1": "latin-1",
    "system.text.unicodeencoding": "utf-16-le",
    "system.text.utf8encoding": "utf-8",
    "system.text.asciiencoding": "ascii",
    "system.text.utf7encoding": "utf-7",
    "system.text.utf32encoding": "utf-32-le",
}
NAMED_CODECS = {
    "utf-16": "utf-16-le",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "us-ascii": "ascii",
    "1200": "utf-16-le",
}
NAMED_CODECS |= {
    "65001": "utf-8",
    "1201": "utf-16-be",
    "20127": "ascii",
    "28591": "latin-1",
    "iso-8859-1": "latin-1",
    "1252": "cp1252",
}
LARGEST_STREAM = 2_000_000


def encoding(name: str) -> Instance:
    """An encoding object by the name of a member of [Text.Encoding]."""
    return Instance("system.text.encoding", f"[Text.Encoding]::{name}", data=CODECS.get(name, "utf-8"))


def codec_of(value: Value) -> str:
    """The codec of an encoding object or of a name such as utf-16; UTF-8 for anything else."""
    if type(value) is Instance and value.type == "system.text.encoding":
        return str(value.data)
    name = to_text(value).lower()
    try:
        return NAMED_CODECS.get(name) or CODECS.get(name) or codecs.lookup(f"cp{name}" if name.isdigit() else name).name
    except (LookupError, ValueError):
        return "utf-8"


def to_bytes(value: Value) -> bytes | None:
    """Known bytes of an array, stream or byte string."""
    if type(value) is bytes:
        return value
    if type(value) is Instance:
        return to_bytes(value.data)
    if type(value) is list:
        numbers = [to_number(item) for item in value]
        if all(type(number) is int and 0 <= number < 256 for number in numbers):
            return bytes(numbers)  # type: ignore[arg-type]  # all are int, as asked above
    return None


def decode_text(codec: str, arguments: list[Value], budget: Budget) -> Value:
    """Encoding.GetString(bytes[, index, count]); unknown bytes are handed on."""
    if not arguments:
        return unknown()
    content = to_bytes(arguments[0])
    if content is None:
        return arguments[0] if type(arguments[0]) is Blend else unknown(arguments[0])
    if len(arguments) == 3:
        start = max(0, whole(arguments[1]))
        content = content[start : start + max(0, whole(arguments[2]))]
    budget.grow(len(content))
    return content.decode(codec, "replace").removeprefix("\ufeff")


def encode_text(codec: str, arguments: list[Value], budget: Budget) -> Value:
    """Encoding.GetBytes(text)."""
    if not arguments or not is_known(arguments[0]):
        return unknown(*arguments)
    text = to_text(arguments[0], "")
    budget.grow(len(text))
    return text.encode(codec, "replace")


def from_base64(value: Value, budget: Budget) -> Value:
    """Convert.FromBase64String: bytes, or unknown where it is not base64."""
    if not is_known(value):
        return unknown(value)
    text = re.sub(r"[^A-Za-z0-9+/]", "", to_text(value, ""))
    budget.grow(len(text))
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        try:
            return base64.b64decode(text[:-1])
        except (binascii.Error, ValueError):
            return unknown(value)


def inflate(content: bytes, kind: str, budget: Budget) -> Value:
    """Bytes out of a gzip, deflate or zlib stream, as far as they go and within bounds."""
    bits = {"gzip": 31, "zlib": 15}.get(kind, -15)
    machine = zlib.decompressobj(bits)
    room = max(1, min(LARGEST_STREAM, budget.size_left))
    try:
        result = machine.decompress(content, room)
    except zlib.error:
        return unknown()
    if machine.unconsumed_tail:
        budget.exceed("unfolds to too much text")
    budget.grow(len(result))
    return result


def convert_number(arguments: list[Value]) -> Value:
    """Convert.ToInt32 and its like: (value[, base])."""
    if not arguments or not is_known(arguments[0]):
        return unknown(*arguments)
    value = arguments[0]
    if len(arguments) > 1:
        try:
            return int(to_text(value)[:64].strip().removeprefix("#"), whole(arguments[1], 10))
        except ValueError:
            return unknown(value)
    number = to_number(value)
    return unknown(value) if number is None or number != number or abs(number) > 1e300 else round(number)


def convert_text(arguments: list[Value]) -> Value:
    """Convert.ToString(value[, base])."""
    if len(arguments) > 1 and (base := whole(arguments[1])) in (2, 8, 16):
        return format(whole(arguments[0]), {2: "b", 8: "o", 16: "x"}[base])
    return lift(arguments[0], str) if arguments else ""


def string_join(arguments: list[Value], budget: Budget) -> Value:
    """String.Join(separator, values...)."""
    if not arguments:
        return ""
    values = to_list(arguments[1]) if len(arguments) == 2 else arguments[1:]
    if len(arguments) == 2 and type(arguments[1]) is Blend:
        return arguments[1]
    return join(list(values), arguments[0], budget)


def string_concat(arguments: list[Value], budget: Budget) -> Value:
    """String.Concat(values...)."""
    values = to_list(arguments[0]) if len(arguments) == 1 else [item for argument in arguments for item in to_list(argument)]
    return join(list(values), "", budget)


def string_format(arguments: list[Value], budget: Budget) -> Value:
    """String.Format(template, values...)."""
    if not arguments:
        return ""
    values = to_list(arguments[1]) if len(arguments) == 2 else arguments[1:]
    text = formatted(to_text(arguments[0]), list(values), budget)
    return text if is_known(arguments) else Blend(text, content_of(arguments))


def new_string(arguments: list[Value], budget: Budget) -> Value:
    """String(chars), String(char, count), String(chars, start, count)."""
    if len(arguments) == 2:
        budget.grow(max(0, whole(arguments[1])))
        return to_text(arguments[0]) * max(0, whole(arguments[1]))
    text = join(list(to_list(arguments[0])), "", budget) if arguments else ""
    if len(arguments) == 3 and type(text) is str:
        return text[max(0, whole(arguments[1])) :][: max(0, whole(arguments[2]))]
    return text


def reverse(arguments: list[Value]) -> Value:
    """Array.Reverse: in place."""
    if arguments and type(arguments[0]) is list:
        arguments[0].reverse()
    return None


def regex_replace(arguments: list[Value], budget: Budget) -> Value:
    """Regex.Replace(text, pattern, replacement[, options])."""
    if len(arguments) < 3:
        return unknown(*arguments)
    case = "ignorecase" not in to_text(arguments[3:]).lower()

    def change(text: str) -> str:
        pattern = compiled(to_text(arguments[1]), len(text), case=case)
        return text if pattern is None else substitute(pattern, text, to_text(arguments[2]), budget)

    return lift(arguments[0], change)


def regex_matches(arguments: list[Value], budget: Budget) -> Value:
    """Regex.Matches(text, pattern[, options]) as the matched texts, from the right where the options say so."""
    if len(arguments) < 2 or not is_known(arguments[:2]):
        return unknown(*arguments)
    text = to_text(arguments[0], "")
    options = " ".join(to_text(option) for option in arguments[2:]).lower()
    pattern = compiled(to_text(arguments[1]), len(text), case="ignorecase" not in options)
    if pattern is None:
        return unknown(arguments[0])
    budget.spend(len(text) // 64)
    if "righttoleft" not in options and to_number(options) not in (64, 80):
        return [found[0] for found in pattern.finditer(text)]
    if pattern.pattern == ".":
        return [item for item in reversed(text) if item != "\n"]
    return [found[0] for found in pattern.finditer(text)][::-1]


def regex_match(arguments: list[Value], budget: Budget) -> Value:
    """Regex.Match: the first matched text."""
    found = regex_matches(arguments, budget)
    return (found[0] if found else "") if type(found) is list else found


def combine(arguments: list[Value]) -> Value:
    """Path.Combine."""
    parts = [item for argument in arguments for item in to_list(argument)]
    text = "\\".join(to_text(part).rstrip("\\/") if part is not parts[-1] else to_text(part).lstrip("\\/") for part in parts)
    return text if is_known(parts) else Blend(text, content_of(parts))


def environment(arguments: list[Value]) -> Value:
    """Environment.GetEnvironmentVariable: as `$env:name`."""
    return Blend("$env:" + to_text(arguments[0])) if arguments and is_known(arguments[0]) else unknown(*arguments)


def unescape(arguments: list[Value]) -> Value:
    """Uri.UnescapeDataString and HttpUtility.UrlDecode."""
    return lift(arguments[0], urllib.parse.unquote) if arguments else ""


def bit_text(arguments: list[Value]) -> Value:
    """BitConverter.ToString."""
    content = to_bytes(arguments[0]) if arguments else None
    return unknown(*arguments) if content is None else content.hex("-").upper()


def repeat(arguments: list[Value], budget: Budget) -> Value:
    """Enumerable.Range(start, count)."""
    if len(arguments) < 2 or not is_known(arguments):
        return unknown(*arguments)
    start = whole(arguments[0])
    return to_list(number_range(start, start + max(1, whole(arguments[1])) - 1, budget))


REGEX = "system.text.regularexpressions.regex."
BUDGETED: dict[str, Callable[[list[Value], Budget], Any]] = {
    "system.convert.frombase64string": lambda arguments, budget: from_base64(arguments[0] if arguments else "", budget),
    "system.string.join": string_join,
    "system.string.concat": string_concat,
    "system.string.format": string_format,
    "system.string.new": new_string,
    REGEX + "replace": regex_replace,
    REGEX + "matches": regex_matches,
    REGEX + "match": regex_match,
    REGEX + "split": lambda arguments, budget: (
        split(arguments[0], arguments[1], budget, case=True) if len(arguments) > 1 else ""
    ),
    "system.linq.enumerable.range": repeat,
}
PLAIN_STATIC: dict[str, Callable[[list[Value]], Any]] = {
    "system.convert.tostring": convert_text,
    "system.convert.tochar": lambda arguments: to_char(arguments[0]) if arguments else None,
    "system.char.convertfromutf32": lambda arguments: lift(to_char(arguments[0]), str) if arguments else None,
    "system.char.parse": lambda arguments: to_char(arguments[0]) if arguments else None,
    "system.array.reverse": reverse,
    "system.io.path.combine": combine,
    "system.io.path.join": combine,
    "system.io.path.gettemppath": lambda _: Blend("$env:TEMP\\"),
    "system.io.path.getfilename": lambda arguments: (
        lift(arguments[0], lambda text: re.split(r"[\\/]", text)[-1]) if arguments else ""
    ),
    "system.environment.getenvironmentvariable": environment,
    "system.environment.expandenvironmentvariables": lambda arguments: arguments[0] if arguments else "",
    "system.uri.unescapedatastring": unescape,
    "system.web.httputility.urldecode": unescape,
    "system.web.httputility.htmldecode": lambda arguments: arguments[0] if arguments else "",
    "system.net.webutility.urldecode": unescape,
    "system.net.webutility.htmldecode": lambda arguments: arguments[0] if arguments else "",
    "system.bitconverter.tostring": bit_text,
    "system.text.encoding.getencoding": lambda arguments: Instance(
        "system.text.encoding", data=codec_of(arguments[0] if arguments else "")
    ),
    REGEX + "unescape": lambda arguments: arguments[0] if arguments else "",
    REGEX + "escape": lambda arguments: lift(arguments[0], re.escape) if arguments else "",
}
NUMBERS = {f"to{name}" for name in ("int16", "int32", "int64", "uint16", "uint32", "uint64", "byte", "sbyte")}


def static_call(type_name: str, name: str, arguments: list[Value], budget: Budget) -> Value:
    """The result of a computing static method; NotImplemented where it is none we know."""
    full = f"{type_name}.{name}"
    budgeted = BUDGETED.get(full)
    if budgeted is not None:
        return budgeted(arguments, budget)
    plain = PLAIN_STATIC.get(full)
    if plain is not None:
        return plain(arguments)
    if (type_name == "system.convert" and name in NUMBERS) or (
        name == "parse" and type_name.startswith(("system.int", "system.byte"))
    ):
        return convert_number(
            arguments[:2] if name != "parse" else [*arguments[:1], *([16] if "hex" in to_text(arguments[1:]).lower() else [])]
        )
    return NotImplemented


def static_property(type_name: str, name: str) -> Value:
    """The value of a static property; names of enumerations and methods stand for themselves."""
    if type_name == "system.text.encoding" and name in CODECS:
        return encoding(name)
    if type_name == "system.string" and name == "empty":
        return ""
    if type_name == "system.environment":
        if name == "newline":
            return "\r\n"
        known = {"username": "$env:USERNAME", "machinename": "$env:COMPUTERNAME", "systemdirectory": "$env:windir\\System32"}
        return Blend(known[name]) if name in known else unknown()
    if type_name.startswith("system.io.path") and name.endswith("separatorchar"):
        return Char("\\" if not name.startswith("alt") else "/")
    return MethodRef(TypeRef(type_name), name)


def stream_data(value: Value) -> Value:
    """What a stream gives when it is read: bytes, text or something unknown with its content."""
    if type(value) is Instance:
        if value.data is None:
            return Blend(value.spelled, tuple(value.content), opaque=True)
        return (
            value.data
            if is_known(value.data) or not value.content
            else Blend(value.spelled, merge(content_of(value.data), tuple(value.content)), opaque=True)
        )
    return value
