"""Values of the one-liner reader: constants, where content came from, and the computations on constants.

Binary data is text with one character per byte (Latin-1). Nothing is executed; every computation is bounded.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidewaiter.reading.fold_programs import decompress, unbase64, unhex
from tidewaiter.reading.one_liners_tokens import Token

TEXT_AT_MOST = 200_000


@dataclass(eq=False, slots=True)
class Source:
    """Content that a call brings from another host, while it is followed."""

    urls: list[str]
    socket: bool = False
    uploads: bool = False
    sends: str | None = None  # the local file that goes out
    dest: str | None = None
    landed: bool = False
    runs: bool = False
    printed: bool = False
    shell: int | None = None  # the output of the shell text of this number, not a fetch of its own

    def land(self, path: str | None) -> None:
        """The content is written to a file; the first path counts."""
        if path is not None and re.fullmatch(r"(?i)/dev/null|nul", path):
            return
        self.landed = True
        self.dest = self.dest or path


@dataclass(eq=False, slots=True)
class Function:
    """Code that is called later: a lambda, a block or a definition. Offsets are into the tokens of the reading."""

    parameters: tuple[str, ...]
    start: int
    end: int
    tokens: Sequence[Token]
    called: bool = False


@dataclass(eq=False, slots=True)
class Value:
    """What an expression gives. `text` is its constant value, if known; `sources` is the content that it may hold."""

    text: str | None = None
    items: list[Value] | None = None
    keys: dict[str, Value] = field(default_factory=dict)
    name: str = ""  # dotted name of a function, class, module or object
    variable: str = ""  # the variable it was read from
    sources: tuple[Source, ...] = ()
    path: str | None = None  # an open file that is written
    writes: bool = False  # an open file that is written, perhaps of unknown path
    reads: str | None = None  # an open local file that is read
    host: str | None = None  # the base URL of a client object
    receiver: Value | None = None
    function: Function | None = None

    @property
    def place(self) -> str | None:
        """The path of a file handle, or the text of a path."""
        return self.path if self.path is not None or self.writes else self.text


def merge(values: Sequence[Value]) -> tuple[Source, ...]:
    """All content of several values, each source once, however deep it is."""
    found: dict[int, Source] = {}
    waiting = list(values)
    rounds = 0
    while waiting and rounds < 2_000:
        rounds += 1
        value = waiting.pop()
        for source in value.sources:
            found.setdefault(id(source), source)
        waiting += value.items or ()
        waiting += value.keys.values()
    return tuple(found.values())


def as_bytes(text: str) -> bytes:
    """Text as the bytes it stands for."""
    try:
        return text.encode("latin-1")
    except ValueError:
        return text.encode("utf-8", "replace")


def as_text(data: bytes | None) -> str | None:
    """Bytes as text with one character per byte; None stays None."""
    return None if data is None or len(data) > TEXT_AT_MOST else data.decode("latin-1")


def readable(text: str) -> str:
    """Bytes that spell UTF-8 or UTF-16 as the text they spell."""
    data = as_bytes(text)
    if len(data) >= 4 and data[1::2].count(0) > len(data) // 3:
        return data.decode("utf-16-le", "replace").lstrip("\ufeff")
    try:
        return data.decode("utf-8")
    except ValueError:
        return text


def _characters(values: Sequence[Value]) -> str | None:
    """Character codes, given one by one or as a list."""
    flat = [item for value in values for item in (value.items if value.items is not None else [value])]
    codes = []
    for item in flat:
        if item.text is None or not re.fullmatch(r"(?:0x|&h)?[0-9a-f]{1,6}|\d{1,7}", item.text, re.I):
            return None
        spelled = item.text.lower().replace("&h", "0x")
        codes.append(int(spelled, 16 if spelled.startswith("0x") else 10))
    return "".join(chr(code) for code in codes if code < 0x110000) if codes else None


def _join(values: Sequence[Value]) -> str | None:
    """`sep.join(list)`, `join(sep, list)` and `list.join(sep)` in any order of arguments."""
    lists = [value for value in values if value.items is not None]
    texts = [value.text for value in values if value.items is None and value.text is not None]
    if lists:
        parts = [item.text for item in lists[0].items or ()]
        separator = texts[0] if texts else ""
    else:
        parts, separator = list(texts[1:]), texts[0] if texts else ""
    return None if any(part is None for part in parts) else separator.join(part for part in parts if part is not None)


def _pack(values: Sequence[Value]) -> str | None:
    """pack("H*", x), [x].pack("H*") and pack("C*", 1, 2)."""
    flat = [item for value in values for item in (value.items if value.items is not None else [value])]
    forms = [item for item in flat if item.text is not None and re.fullmatch(r"[HhCcUmuA]\*?\d*", item.text)]
    rest = [item for item in flat if not forms or item is not forms[0]]
    if not forms or not rest or rest[0].text is None:
        return None
    kind = (forms[0].text or "")[0]
    if kind == "H":
        return as_text(unhex(as_bytes(rest[0].text)))
    if kind in "CUc":
        return _characters(rest)
    if kind == "m":
        return as_text(unbase64(as_bytes(rest[0].text)))
    return None


def _first(values: Sequence[Value]) -> str | None:
    return next((value.text for value in values if value.text is not None), None)


def _of_text(change: Callable[[str], str | None]) -> Callable[[Sequence[Value]], str | None]:
    def compute(values: Sequence[Value]) -> str | None:
        text = _first(values)
        return None if text is None else change(text)

    return compute


def _replace(values: Sequence[Value]) -> str | None:
    texts = [value.text for value in values]
    if len(texts) < 3 or any(text is None for text in texts[:3]):
        return None
    subject, old, new = (text or "" for text in texts[:3])
    if not old or subject.count(old) * len(new) > TEXT_AT_MOST:
        return subject if not old else None
    return subject.replace(old, new)


def _replace_last(values: Sequence[Value]) -> str | None:
    """`str_replace(old, new, subject)`."""
    return _replace([values[2], values[0], values[1]]) if len(values) > 2 else None


def _mapped(values: Sequence[Value]) -> str | None:
    """`map(chr, codes)`."""
    names = ("chr", "unichr", "string.fromcharcode")
    return _characters(values[1:]) if len(values) > 1 and (values[0].name in names or values[0].text in names) else None


def split(values: Sequence[Value]) -> list[Value] | None:
    """`text.split(separator)` and `split(separator, text)`; an empty separator gives the characters."""
    texts = [value.text for value in values if value.text is not None]
    if not texts or len(texts[0]) > 20_000:
        return None
    parts = texts[0].split() if len(texts) == 1 else texts[0].split(texts[1]) if texts[1] else list(texts[0])
    return [Value(text=part) for part in parts[:5_000]]


def _format(values: Sequence[Value]) -> str | None:
    """`"{} {1}".format(a, b)` with constant arguments."""
    texts = [value.text for value in values]
    if not texts or any(text is None for text in texts):
        return None
    rest = [text for text in texts[1:] if text is not None]
    counter = iter(range(len(rest)))

    def put(match: re.Match[str]) -> str:
        number = int(match.group(1)) if match.group(1) else next(counter, len(rest))
        return rest[number] if number < len(rest) else match.group()

    return re.sub(r"\{(\d{0,3})\}", put, texts[0] or "")[:TEXT_AT_MOST]


def _printed(values: Sequence[Value]) -> str | None:
    """`sprintf("%s%c", a, 65)` with constant arguments."""
    texts = [item.text for value in values for item in (value.items if value.items is not None else [value])]
    if not texts or any(text is None for text in texts):
        return None
    waiting = [text for text in texts[1:] if text is not None]

    def put(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        text = waiting.pop(0) if waiting else ""
        return (_characters([Value(text=text)]) or "") if match[1] == "c" else text

    return re.sub(r"%([sdiuc%])", put, texts[0] or "")[:TEXT_AT_MOST]


def _rotated(text: str) -> str:
    return codecs.encode(text, "rot13")


def _decode(values: Sequence[Value]) -> str | None:
    """`codecs.decode(x, "hex")`, `Buffer.from(x, "base64")`, `x.decode("rot13")`: the codec is the second text."""
    texts = [value.text for value in values if value.text is not None]
    codec = texts[1].lower().replace("-", "").replace("_", "") if len(texts) > 1 else ""
    if not texts:
        return None
    if codec in ("base64", "base64url", "base64codec"):
        return as_text(unbase64(as_bytes(texts[0])))
    if codec in ("hex", "hexcodec"):
        return as_text(unhex(as_bytes(texts[0])))
    if codec in ("rot13", "rot_13"):
        return _rotated(texts[0])
    if codec in ("zlib", "zip", "zlibcodec"):
        return as_text(decompress(as_bytes(texts[0])))
    return readable(texts[0])


def _base85(text: str) -> str | None:
    try:
        return as_text(base64.b85decode(text))
    except ValueError:
        return None


def _base32(text: str) -> str | None:
    try:
        return as_text(base64.b32decode(text + "=" * (-len(text) % 8)))
    except (binascii.Error, ValueError):
        return None


COMPUTES: dict[str, Callable[[Sequence[Value]], str | None]] = {
    "base64": _of_text(lambda text: as_text(unbase64(as_bytes(text)))),
    "base32": _of_text(_base32),
    "base85": _of_text(_base85),
    "hex": _of_text(lambda text: as_text(unhex(as_bytes(text)))),
    "rot13": _of_text(_rotated),
    "decompress": _of_text(lambda text: as_text(decompress(as_bytes(text)))),
    "unquote": _of_text(urllib.parse.unquote),
    "reverse": _of_text(lambda text: text[::-1]),
    "lower": _of_text(str.lower),
    "upper": _of_text(str.upper),
    "strip": _of_text(str.strip),
    "characters": _characters,
    "join": _join,
    "mapped": _mapped,
    "split": lambda _: None,  # gives a list, see `split`
    "format": _format,
    "printf": _printed,
    "pack": _pack,
    "replace": _replace,
    "replace_last": _replace_last,
    "decode": _decode,
}
"""The computations that a language file may name in `computes`."""
