"""What a drill would do, and why it leaves something out."""

from __future__ import annotations

import pytest

from tidewaiter.catalog import drill as knowledge
from tidewaiter.drill import plan
from tidewaiter.errors import UsageError


def installed(*programs: str) -> plan.Find:
    return lambda name: f"/usr/bin/{name}" if name in programs else None


def test_what_is_installed_can_be_run_and_what_is_missing_is_named() -> None:
    made = plan.make(knowledge.load(), look=installed("curl", "sh", "ssh", "scp", "ssh-keygen", "rsync"))
    missing = {one.method.id: one.missing for one in made.methods}

    assert {method.id for method in made.possible} == {"curl", "curl-to-shell", "curl-ftp", "curl-tftp", "rsync"}
    assert {server.kind for server in made.servers} == {"http", "ftp", "tftp", "rsync"}
    assert missing["wget"] == "not installed: wget"
    assert missing["scp"] == "its server could not be started: not installed: sshd"
    assert missing["curl-https"] == "its server could not be started: not installed: openssl"
    assert len(made.methods) == len(knowledge.load().method)


def test_only_named_methods_are_planned() -> None:
    made = plan.make(knowledge.load(), ["wget", "curl"], look=installed("curl"))

    assert [(one.method.id, bool(one.missing)) for one in made.methods] == [("curl", False), ("wget", True)]
    assert made.methods[0].shown == "curl -s -o NAME http://ADDRESS:PORT/NAME"


def test_an_unknown_method_is_a_usage_error_that_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no method is called carrier-pigeon: there are aria2c, bash-dev-tcp"):
        plan.make(knowledge.load(), ["curl", "carrier-pigeon"])


def test_other_systems_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")

    with pytest.raises(UsageError, match="needs Linux"):
        plan.make(knowledge.load())


def test_the_systems_programs_come_before_those_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/home/keeper/bin:/usr/bin")

    assert plan.search_path().split(":")[-2:] == ["/home/keeper/bin", "/usr/bin"]
    assert plan.search_path().split(":").index("/usr/bin") < plan.search_path().split(":").index("/home/keeper/bin")
