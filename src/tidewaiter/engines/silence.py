"""Log sources that used to speak and fell silent: a sensor that died, or that somebody switched off.

Per log source and input the usual gap between signs of life is kept: the length of the gap that a random moment falls into,
older gaps counting less and less. (The mean of all gaps would be ruled by the short ones inside of bursts.) A gap that was
reported is learned only in part, so that one outage does not make the watch deaf, and a log that pauses every night is reported
a few times and no more. Moments are seconds since any fixed time and are passed in.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

AT_LEAST = 600.0
"""Seconds of silence that are never reported; also for how long a log source must have spoken before."""
FACTOR = 20.0
"""How many times longer than usual a silence must be."""
HALF_LIFE = 86_400.0
"""Seconds after which a gap counts half."""
FEWEST = 10
"""Gaps that must have been seen before anything is usual."""
LEARNED = 4.0
"""How many times the limit is learned of a gap that was reported."""
UNWATCHED = 120.0
"""Seconds between two checks after which we were the ones who were away (stopped or suspended): nobody is blamed for them."""
MOST = 10_000
"""Pairs of log source and input; beyond that those that have been silent longest are forgotten."""
VERSION = 1


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """One report."""

    kind: Literal["silent", "speaks_again"]
    log_source: str
    input: str
    since: float  # when it last spoke before the silence
    lasted: float  # seconds until now
    usual_gap: float  # seconds


class _Voice(msgspec.Struct):
    """What is known of one log source at one input."""

    first: float
    last: float
    gaps: int = 0
    sum: float = 0.0  # of gaps, fading
    squares: float = 0.0  # of their squares, fading
    silent: bool = False  # and reported so

    @property
    def usual(self) -> float:
        """Seconds of the gap that a random moment falls into."""
        return self.squares / self.sum if self.sum > 0 else 0.0


class _State(msgspec.Struct):
    version: int
    saved: float
    voices: list[tuple[str, str, _Voice]]


class SilenceWatch:
    """Hears every sign of life and says who has fallen silent. For one thread."""

    def __init__(self, *, at_least: float = AT_LEAST, factor: float = FACTOR, half_life: float = HALF_LIFE) -> None:
        self.at_least, self.factor, self.half_life = at_least, factor, half_life
        self._voices: dict[tuple[str, str], _Voice] = {}
        self._checked: float | None = None
        self.forgotten = 0  # pairs that were given up beyond the bound

    def heard(self, log_source: str, name: str, now: float) -> Silence | None:
        """Records of a log source came from the input `name`. Returns a report where it had been reported silent."""
        self._were_we_away(now)
        key = (log_source, name)
        voice = self._voices.get(key)
        if voice is None:
            if len(self._voices) >= MOST:
                self._forget()
            self._voices[key] = _Voice(first=now, last=now)
            return None
        gap = max(0.0, now - voice.last)
        report = None
        if voice.silent:
            report = self._report("speaks_again", key, voice, now)
        learned = min(gap, LEARNED * self._limit(voice)) if voice.silent else gap
        fade = 0.5 ** (gap / self.half_life)
        voice.sum = voice.sum * fade + learned
        voice.squares = voice.squares * fade + learned * learned
        voice.gaps, voice.last, voice.silent = voice.gaps + 1, now, False
        return report

    def check(self, now: float) -> list[Silence]:
        """Who has fallen silent since the last check; each silence is told once. To be called every few seconds."""
        self._were_we_away(now)
        self._checked = now
        found = []
        for key, voice in self._voices.items():
            told = voice.gaps >= FEWEST and voice.last - voice.first >= self.at_least
            if told and not voice.silent and now - voice.last > self._limit(voice):
                voice.silent = True
                found.append(self._report("silent", key, voice, now))
        return found

    def silent(self) -> list[tuple[str, str]]:
        """Log source and input of those that are reported silent now."""
        return [key for key, voice in self._voices.items() if voice.silent]

    def to_state(self, now: float) -> dict[str, Any]:
        """All that is known, as plain values for JSON."""
        voices = [(log_source, name, voice) for (log_source, name), voice in self._voices.items()]
        state: dict[str, Any] = msgspec.to_builtins(_State(version=VERSION, saved=now, voices=voices))
        return state

    def from_state(self, state: Any, now: float) -> bool:
        """Take up what was kept; nobody is blamed for the time since. False, and no change: another version, or damaged."""
        try:
            kept = msgspec.convert(state, _State, strict=False)
        except msgspec.ValidationError:
            return False
        if kept.version != VERSION:
            return False
        self._voices = {(log_source, name): voice for log_source, name, voice in kept.voices[:MOST]}
        self._checked = None
        self._shift(now - kept.saved)
        return True

    def _limit(self, voice: _Voice) -> float:
        return max(self.at_least, self.factor * voice.usual)

    def _report(self, kind: Literal["silent", "speaks_again"], key: tuple[str, str], voice: _Voice, now: float) -> Silence:
        lasted = max(0.0, now - voice.last)
        return Silence(kind=kind, log_source=key[0], input=key[1], since=voice.last, lasted=lasted, usual_gap=voice.usual)

    def _were_we_away(self, now: float) -> None:
        """Take out of all silences the time in which nobody listened, and what a clock jumped, forth or back."""
        if self._checked is not None and not 0 <= now - self._checked <= UNWATCHED:
            self._shift(now - self._checked)
            self._checked = now

    def _shift(self, seconds: float) -> None:
        for voice in self._voices.values():
            voice.first += seconds
            voice.last += seconds

    def _forget(self) -> None:
        oldest = sorted(self._voices, key=lambda key: self._voices[key].last)[: MOST // 10]
        for key in oldest:
            del self._voices[key]
        self.forgotten += len(oldest)
