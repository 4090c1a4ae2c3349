"""Settings, secrets, what a sink wants, dead letters: what all sinks share."""

from __future__ import annotations

import json
import pkgutil
import re
import stat
from pathlib import Path
from typing import Any

import pytest

import tidewaiter.sinks
from sink_servers import delivery
from tidewaiter import sink
from tidewaiter.errors import SinkError, UsageError
from tidewaiter.schema.transfer import Severity
from tidewaiter.transport.secrets import Secret

EXAMPLES: dict[str, dict[str, Any]] = {
    "terminal": {},
    "jsonl": {"path": "out.jsonl"},
    "webhook": {"url": "https://hooks.example.com/in"},
    "syslog": {"host": "127.0.0.1"},
    "kafka": {"brokers": ["127.0.0.1:1"], "topic": "transfers"},
    "elasticsearch": {"url": "https://search.example.com:9200"},
}


def opened(tmp_path: Path, kind: str, **more: Any) -> sink.Outlet:
    if kind == "kafka":
        pytest.importorskip("confluent_kafka", reason="an extra")
    table = {"type": kind, **EXAMPLES[kind], **more}
    return sink.opened(table, "watch.toml: sink 1", base=tmp_path, state=tmp_path)


@pytest.mark.parametrize("entry", sink.REGISTER, ids=lambda entry: str(entry.name))
def test_every_sink_opens_without_touching_the_world(tmp_path: Path, entry: sink.Entry) -> None:
    outlet = opened(tmp_path, entry.name)
    outlet.sink.close()

    assert outlet.name == outlet.sink.name == entry.name
    assert outlet.sink.batch >= 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("name", ["password", "secret", "api_key", "token", "client_secret"])
def test_a_secret_in_the_settings_is_refused_and_not_repeated(tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened(tmp_path, kind, **{name: "hunter2hunter2"})

    said = str(caught.value)
    assert said.startswith(f"watch.toml: sink 1: {name}: secrets do not belong into this file")
    assert f"{name}_file" in said
    assert f"{name}_env" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("webhook", {"headers": {"Authorization": "Bearer hunter2"}}),
        ("webhook", {"headers": {"X-Api-Key": "hunter2"}}),
        ("webhook", {"url": "https://me:hunter2@hooks.example.com/"}),
        ("kafka", {"options": {"sasl.password": "hunter2"}}),
        ("kafka", {"options": {"ssl.key.pem": "hunter2"}}),
        ("elasticsearch", {"url": "http://me:hunter2@127.0.0.1:9200"}),
    ],
)
def test_a_secret_in_a_nested_place_is_refused_too(tmp_path: Path, kind: str, more: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        opened(tmp_path, kind, **more)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "type: must be one of terminal, jsonl"),
        ({"type": "pigeon"}, "type: must be one of"),
        ({"type": "jsonl", "path": "x", "colour": "red"}, "unknown field `colour`"),
        ({"type": "jsonl"}, "missing required field `path`"),
        ({"type": "jsonl", "path": "x", "keep": "many"}, "keep: Expected `int`"),
        ({"type": "terminal", "min_severity": "loud"}, "min_severity: Invalid enum value"),
        ({"type": "terminal", "name": "../up"}, "name: letters, digits"),
        ({"type": "webhook"}, "exactly one of url, url_file and url_env"),
        ({"type": "webhook", "url": "ftp://files.example.com/"}, "must be http:// or https://"),
        ({"type": "webhook", "url": "https://files.example.com/\r\nX: y"}, "must be http:// or https://"),
        ({"type": "webhook", "url": "https://e.example.com", "headers": {"Host": "x"}}, "no name of a header that can be set"),
        ({"type": "webhook", "url": "https://e.example.com", "headers": {"X": "a\r\nb"}}, "headers.X: must be printable ASCII"),
        ({"type": "syslog", "host": "x", "facility": "kern"}, "facility: must be one of"),
        ({"type": "syslog", "host": "a" * 70}, "host must be a name or an address"),
        ({"type": "syslog", "host": "x", "transport": "tls", "ca_file": "nowhere.pem"}, "ca_file"),
        ({"type": "elasticsearch", "url": "https://e.example.com", "index": "../x"}, "index: must be"),
        ({"type": "elasticsearch", "url": "https://e.example.com", "username": "me"}, "go together"),
    ],
)
def test_wrong_settings_are_named_with_their_place(tmp_path: Path, table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=r"watch\.toml: sink 2: ") as caught:
        sink.opened(table, "watch.toml: sink 2", base=tmp_path, state=tmp_path)

    assert said in str(caught.value)


def test_a_secret_comes_from_a_file_or_the_environment_and_never_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    monkeypatch.setenv("HOOK_SECRET", "hunter3")
    here = sink.Surroundings("x", tmp_path)
    from tidewaiter.sinks.webhook import Settings

    settings = Settings(type="webhook", token_file="token", secret_env="HOOK_SECRET")
    token, secret = here.secret(settings, "token"), here.secret(settings, "secret")

    assert isinstance(token, Secret)
    assert isinstance(secret, Secret)
    assert (token.reveal(), secret.reveal()) == ("hunter2", "hunter3")
    assert "hunter" not in f"{token} {token!r} {[secret]} {settings}"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff", b"x" * 70_000, None])
def test_a_file_that_holds_no_secret_is_named_and_not_quoted(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(UsageError, match="token") as caught:
        opened(tmp_path, "webhook", token_file="token")

    assert "two" not in str(caught.value)


def test_a_secret_in_two_places_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a")
    with pytest.raises(UsageError, match="both given"):
        opened(tmp_path, "webhook", token_file="token", token_env="HOME")


@pytest.mark.parametrize("kind", ["webhook", "elasticsearch"])
def test_a_secret_is_not_sent_readable_to_another_machine(tmp_path: Path, kind: str) -> None:
    (tmp_path / "key").write_text("a")
    name = "token_file" if kind == "webhook" else "api_key_file"
    with pytest.raises(UsageError, match="readable"):
        opened(tmp_path, kind, url="http://hooks.example.com/", **{name: "key"})
    opened(tmp_path, kind, url="http://127.0.0.1:9/", **{name: "key"}).sink.close()


@pytest.mark.parametrize(
    ("minimum", "severity", "highest", "wanted"),
    [
        ("informational", "informational", None, True),
        ("high", "medium", None, False),
        ("high", "high", None, True),
        ("high", "critical", None, True),
        ("high", "low", "high", True),  # the receiver was told that it is high: now it must hear that it is not
        ("high", "low", "medium", False),
    ],
)
def test_a_sink_hears_what_is_or_was_severe_enough(
    tmp_path: Path, minimum: Severity, severity: Severity, highest: Severity | None, wanted: bool
) -> None:
    outlet = opened(tmp_path, "terminal", min_severity=minimum)

    assert outlet.wants(delivery(severity=severity, highest=highest)) is wanted


@pytest.mark.parametrize(("highest", "wanted"), [(None, True), ("high", True), ("low", False)])
def test_a_sink_hears_of_withdrawals_of_what_it_may_know(tmp_path: Path, highest: Severity | None, wanted: bool) -> None:
    outlet = opened(tmp_path, "terminal", min_severity="medium")

    assert outlet.wants(delivery(change="withdrawn", highest=highest)) is wanted


def test_the_record_is_one_line_of_ascii_whatever_the_logs_held() -> None:
    hostile = "\x1b[2J\x9b31m\u202egpj.exe\r\n\ud800\x00\x7f\U000e0041\u2028 \u00fc \U0001f600"
    line = sink.encoded(sink.record(delivery(summary=hostile)))
    told = json.loads(line)

    assert all(0x20 <= byte < 0x7F for byte in line)
    assert told["process"]["command_line"] == hostile.replace("\ud800", "?")
    assert (told["change"], told["revision"], told["superseded_by"], told["at"]) == ("new", 1, None, "2026-01-02T10:00:00Z")


def test_a_withdrawn_record_says_what_it_went_into() -> None:
    told = sink.record(delivery(change="withdrawn", identity="aa", revision=3, superseded_by="bb"))

    assert (told["id"], told["change"], told["revision"], told["superseded_by"]) == ("aa", "withdrawn", 3, "bb")
    assert "process" not in told


def test_dead_letters_are_lines_for_their_owner_alone(tmp_path: Path) -> None:
    outlet = opened(tmp_path, "webhook", name="soc", url="https://hooks.example.com/in")
    outlet.dead_letters.add(delivery(1), "refused it with 422")
    with outlet.dead_letters.path.open("ab") as file:
        file.write(b'{"reason":"broken by a cra')
    outlet.dead_letters.add(delivery(2, change="withdrawn"), "x")
    lines = (tmp_path / "soc.dead-letters.jsonl").read_bytes().splitlines()

    assert stat.S_IMODE(outlet.dead_letters.path.stat().st_mode) == 0o600
    assert [json.loads(line)["delivery"]["sequence"] for line in (lines[0], lines[2])] == [1, 2]
    assert json.loads(lines[0])["reason"] == "refused it with 422"


def test_dead_letters_that_cannot_be_written_stay_in_the_outbox(tmp_path: Path) -> None:
    outlet = opened(tmp_path, "webhook", dead_letter_file="nowhere/x.jsonl")
    with pytest.raises(SinkError, match=r"dead letters: .*No such file") as caught:
        outlet.dead_letters.add(delivery(), "x")

    assert caught.value.retry


@pytest.mark.parametrize("entry", sink.REGISTER, ids=lambda entry: str(entry.name))
def test_every_setting_is_on_the_page(entry: sink.Entry) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "sinks.md").read_text(encoding="utf-8")
    sections = {text.partition("\n")[0].strip("`"): text for text in page.split("\n## ")}
    own = set(entry.load().Settings.__struct_fields__) - set(sink.Settings.__struct_fields__)
    told = set(re.findall(r"`(\w+)`", "".join(line for line in sections[entry.name].splitlines() if line.startswith("|"))))

    assert own - told == set()
    assert set(sink.Settings.__struct_fields__) <= set(re.findall(r"`(\w+)`", sections["Settings of every sink"]))


def test_every_sink_is_registered() -> None:
    assert {entry.module for entry in sink.REGISTER} == {
        module.name for module in pkgutil.iter_modules(tidewaiter.sinks.__path__)
    }
    assert all(sink.named(entry.name) is entry and entry.says for entry in sink.REGISTER)
