"""Messages out of what the network brought, and lines out of messages.

TCP: RFC 6587, octet counting (`LENGTH SP MESSAGE`) and LF (or NUL) at the end, told apart message by message. UDP: RFC 5426,
one message a datagram. A line is what rsyslog would have written into a file, which every reader of syslog lines knows: the
priority `<13>` is removed, a message of RFC 5424 becomes `TIME HOST PROGRAM[PID]: MESSAGE` without its structured data, one
that names no time gets the time of arrival and the sender's address (RFC 3164, 4.3), and line ends inside a message become
`#012`, so that no sender can make one message look like two.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_COUNT = re.compile(rb"([1-9]\d{0,7}) ")
_MAYBE_COUNT = re.compile(rb"[1-9]\d{0,7}\Z")
_PRIORITY = re.compile(rb"<(\d{1,3})>")
_VERSIONED = re.compile(rb"<\d{1,3}>1 (\S+) (\S+) (\S+) (\S+) \S+(?: (.*)|$)", re.DOTALL)
"""RFC 5424: time, host, program, pid, and the rest; `-` is none."""
_DATA = re.compile(rb"(?:-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: (?:\xef\xbb\xbf)?|$)", re.DOTALL)
_TIMED = re.compile(rb"[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_ENDS = b"\n\r\0"


def line_of(message: bytes, sender: str, received: int) -> bytes:
    """The line of one message, without its end; empty where there is none. `received`: microseconds since 1970."""
    text = message.strip(_ENDS)
    if b"\n" in text or b"\r" in text:
        text = text.replace(b"\r\n", b"#012").replace(b"\n", b"#012").replace(b"\r", b"#015")
    found = _VERSIONED.fullmatch(text)
    if found is not None:
        return _as_rsyslog(found, sender, received)
    found = _PRIORITY.match(text)
    if found is None:
        return text
    bare = text[found.end() :].lstrip(b" ")
    if not bare or bare[:1] == b"{" or _TIMED.match(bare):  # JSON says itself when and where
        return bare
    return _stamp(received) + b" " + sender.encode("ascii", "replace") + b" " + bare


def _as_rsyslog(found: re.Match[bytes], sender: str, received: int) -> bytes:
    """`TIME HOST PROGRAM[PID]: MESSAGE`, the form that every reader of syslog lines knows."""
    time, host, program, pid, rest = found.groups(b"")
    data = _DATA.match(rest)
    message = rest[data.end() :] if data is not None else rest
    tag = b"" if program == b"-" else program + (b"" if pid == b"-" else b"[" + pid + b"]") + b": "
    place = sender.encode("ascii", "replace") if host == b"-" else host
    return (_stamp(received) if time == b"-" else time) + b" " + place + b" " + tag + (message or rest)


def _stamp(received: int) -> bytes:
    return datetime.fromtimestamp(received / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z").encode()


class Frames:
    """Messages of one connection. Never holds more than one longest message and what came last."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._held = b""
        self._skip = 0  # bytes of a counted message that are still to be left out
        self._skipping = False  # up to the end of a message that ends with LF
        self.left_out = 0  # bytes of messages that were too long

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now; of one that is too long the first `longest` bytes."""
        raw, self._held = self._held + data, b""
        found: list[bytes] = []
        place = 0
        while place < len(raw):
            after = self._past_the_rest(raw, place)
            if after is None:
                return found
            place = after
            if place >= len(raw):
                break
            count = _COUNT.match(raw, place)
            if count is not None:
                after = self._counted(raw, count.end(), int(count[1]), found)
            elif _MAYBE_COUNT.match(raw, place):
                after = None  # the number may go on
            else:
                after = self._ended(raw, place, found)
            if after is None:
                self._held = raw[place:]
                break
            place = after
        return found

    def finish(self) -> list[bytes]:
        """What is left when the connection ends."""
        rest, self._held = self._held, b""
        return [rest] if rest.strip(_ENDS) and not _MAYBE_COUNT.match(rest) else []

    def _past_the_rest(self, raw: bytes, place: int) -> int | None:
        """Where the rest of a message that was too long ends; None where it goes on."""
        if self._skip:
            gone = min(self._skip, len(raw) - place)
            self._skip -= gone
            self.left_out += gone
            place += gone
        if self._skipping:
            end = _end(raw, place)
            self.left_out += (len(raw) if end < 0 else end) - place
            if end < 0:
                return None
            self._skipping, place = False, end + 1
        return place

    def _counted(self, raw: bytes, start: int, length: int, found: list[bytes]) -> int | None:
        if len(raw) - start >= min(length, self._longest):
            found.append(raw[start : start + min(length, self._longest)])
            self._skip = max(length - self._longest, 0)
            return start + min(length, self._longest)
        return None

    def _ended(self, raw: bytes, place: int, found: list[bytes]) -> int | None:
        end = _end(raw, place)
        if end < 0 and len(raw) - place <= self._longest:
            return None
        stop = len(raw) if end < 0 else end
        if stop - place > self._longest:
            self.left_out += stop - place - self._longest
        if stop > place:
            found.append(raw[place : min(stop, place + self._longest)])
        self._skipping = end < 0
        return stop if end < 0 else end + 1


def _end(raw: bytes, place: int) -> int:
    """Where a message that is not counted ends: at the next LF or NUL; -1 where there is none."""
    ends = [end for end in (raw.find(b"\n", place), raw.find(b"\0", place)) if end >= 0]
    return min(ends, default=-1)
