"""Who fell silent. Moments are passed in, so months take no time."""

from __future__ import annotations

import json
import random

import pytest

from tidewaiter.engines import silence
from tidewaiter.engines.silence import Silence, SilenceWatch

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
SPEAKER = ("linux_auditd", "/var/log/audit/audit.log")


class Time:
    """A clock with a watch that is checked every few seconds, as an engine does."""

    def __init__(self, watch: SilenceWatch, start: float = 1_000_000.0) -> None:
        self.watch, self.now = watch, start
        self.told: list[tuple[float, Silence]] = []

    def go(self, seconds: float, step: float = 30.0) -> None:
        """Let time pass, checking."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            self.told += [(self.now, report) for report in self.watch.check(self.now)]

    def speak(self, speaker: tuple[str, str] = SPEAKER) -> None:
        report = self.watch.heard(*speaker, self.now)
        if report is not None:
            self.told.append((self.now, report))

    def chatter(self, seconds: float, every: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.go(every)
            self.speak()

    def kinds(self) -> list[str]:
        return [report.kind for _, report in self.told]


@pytest.fixture
def time() -> Time:
    return Time(SilenceWatch())


def test_a_log_source_that_falls_silent_is_told_once_and_when_it_speaks_again(time: Time) -> None:
    time.chatter(HOUR, every=10)
    last = time.now
    time.go(9 * MINUTE)
    assert time.told == []
    time.go(5 * HOUR)
    time.speak()
    time.chatter(HOUR, every=10)
    (at, silent), (_, again) = time.told

    assert (silent.kind, silent.log_source, silent.input, silent.since) == ("silent", *SPEAKER, last)
    assert 10 * MINUTE < at - last <= 11 * MINUTE
    assert round(silent.usual_gap) == 10
    assert again.kind == "speaks_again"
    assert again.lasted == 5 * HOUR + 9 * MINUTE
    assert time.watch.silent() == []


def test_how_long_is_too_long_follows_what_is_usual(time: Time) -> None:
    time.chatter(2 * DAY, every=HOUR)
    time.go(19 * HOUR)
    assert time.told == []
    time.go(2 * HOUR)

    assert time.kinds() == ["silent"]


def test_a_log_source_that_speaks_in_bursts_is_not_called_silent_between_them(time: Time) -> None:
    for _ in range(24):
        for _ in range(500):
            time.go(0.01)
            time.speak()
        time.go(HOUR)
    assert time.told == []

    time.go(2 * DAY)
    assert time.kinds() == ["silent"]


def test_chance_alone_is_no_silence(time: Time) -> None:
    chance = random.Random(7)
    for _ in range(3_000):
        time.go(chance.expovariate(1 / 120))
        time.speak()

    assert time.told == []


@pytest.mark.parametrize(("times", "every"), [(3, 300.0), (500, 0.1)], ids=["too few", "too short"])
def test_who_hardly_spoke_is_not_missed(time: Time, times: int, every: float) -> None:
    time.speak()
    for _ in range(times):
        time.go(every)
        time.speak()
    time.go(DAY)

    assert time.told == []


def test_a_pause_every_night_is_told_a_few_times_and_no_more(time: Time) -> None:
    nights = []
    for _ in range(14):
        time.chatter(9 * HOUR, every=60)
        before = len(time.told)
        time.go(15 * HOUR)
        nights.append(len(time.told) > before)

    assert nights[0]
    assert sum(nights) <= 4
    assert not any(nights[7:])
    time.chatter(9 * HOUR, every=60)
    time.told.clear()
    time.go(10 * DAY)
    assert time.kinds() == ["silent"]  # not deaf


def test_one_outage_does_not_make_the_watch_deaf(time: Time) -> None:
    time.chatter(DAY, every=10)
    time.go(DAY)
    time.chatter(HOUR, every=10)
    time.told.clear()
    time.go(3 * HOUR)

    assert time.kinds() == ["silent"]


def test_speakers_are_told_apart(time: Time) -> None:
    other = ("suricata_eve", "/var/log/suricata/eve.json")
    for _ in range(200):
        time.go(10)
        time.speak()
        time.speak(other)
    time.chatter(HOUR, every=10)

    assert [(report.kind, report.log_source) for _, report in time.told] == [("silent", "suricata_eve")]
    assert time.watch.silent() == [other]


@pytest.mark.parametrize("jump", [8 * HOUR, -8 * HOUR, 40 * DAY], ids=["suspended", "clock set back", "clock set far forth"])
@pytest.mark.parametrize("speaks_first", [True, False])
def test_nobody_is_blamed_when_the_clock_jumps(time: Time, jump: float, speaks_first: bool) -> None:
    time.chatter(2 * HOUR, every=10)
    time.now += jump
    if speaks_first:
        time.speak()
    time.go(5 * MINUTE)
    time.chatter(HOUR, every=10)
    assert time.told == []

    time.go(HOUR)
    assert time.kinds() == ["silent"]  # and what is usual did not change


def test_state_is_json_and_goes_on_where_it_was(time: Time) -> None:
    time.chatter(2 * HOUR, every=10)
    time.go(8 * MINUTE)
    state = json.loads(json.dumps(time.watch.to_state(time.now)))
    again = Time(SilenceWatch(), start=time.now + 3 * DAY)  # we were away for three days: nobody is blamed for them
    assert again.watch.from_state(state, again.now)
    again.go(MINUTE)
    assert again.told == []
    again.go(2 * MINUTE)

    assert again.kinds() == ["silent"]
    assert again.watch.from_state(again.watch.to_state(again.now), again.now)
    again.go(DAY)
    assert again.kinds() == ["silent"]  # told once, also over a restart
    again.speak()
    assert again.kinds() == ["silent", "speaks_again"]


@pytest.mark.parametrize("state", [None, {}, [], {"version": 2, "saved": 0, "voices": []}, {"version": 1, "voices": "x"}])
def test_a_state_that_cannot_be_read_changes_nothing(time: Time, state: object) -> None:
    time.chatter(2 * HOUR, every=10)

    assert not time.watch.from_state(state, time.now)
    time.go(HOUR)
    assert time.kinds() == ["silent"]


def test_the_number_of_speakers_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "MOST", 100)
    watch = SilenceWatch()
    for number in range(1_000):
        watch.heard("zeek", f"{number}.log", float(number))

    assert len(watch.to_state(1_000.0)["voices"]) <= 100
    assert watch.forgotten >= 900
    assert watch.to_state(1_000.0)["voices"][-1][1] == "999.log"
