"""The auditd rules that the program prints, loaded into the kernel: what real programs do becomes the stages of transfers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from sensors import recorder
from sensors.conftest import SERVER, need
from tidewaiter.engines.local import scan
from tidewaiter.prevention.configurations import named, render
from tidewaiter.schema.transfer import Transfer


@pytest.fixture(scope="module")
def transfers(audit_log: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Transfer]:
    folder = tmp_path_factory.mktemp("evidence")
    shutil.copy(audit_log, folder)
    with scan([str(folder)]) as result:
        assert [account.log_file.rpartition("/")[2] for account in result.accounts] == ["audit.log"]
        assert all(account.balanced and not account.damaged for account in result.accounts)
        return {str(transfer.utility): transfer for transfer in result.transfers()}


def states(transfer: Transfer) -> dict[str, str]:
    return {name: str(stage.state) for name, stage in transfer.stages.items()}


def test_a_script_that_is_fetched_and_run_is_seen_at_every_stage_that_a_host_shows(transfers: dict[str, Transfer]) -> None:
    found = transfers["curl"]

    assert found.src.url == f"http://{SERVER}/hello.sh"
    assert (found.dst.path or "").endswith("/fetched.sh")
    assert {name: state for name, state in states(found).items() if name not in ("checked", "spread")} == {
        "commanded": "seen",
        "connected": "seen",
        "carried": "not_visible",
        "landed": "seen",
        "run": "seen",
    }


def test_a_file_that_is_fetched_and_checked_is_seen_so(transfers: dict[str, Transfer]) -> None:
    found = states(transfers["wget"])

    assert {name for name, state in found.items() if state == "seen"} == {"commanded", "connected", "landed", "checked"}
    assert found["run"] == "not_seen"


def test_every_key_is_at_work(audit_log: Path) -> None:
    keys = set(re.findall(r'key="(tidewaiter-\w+)"', audit_log.read_text()))

    assert keys >= {f"tidewaiter-{name}" for name in ("exec", "connect", "file", "memory", "mode")}


def test_noise_is_not_recorded(audit_log: Path) -> None:
    text = audit_log.read_text()
    opened = re.findall(r'type=PATH .*? name="([^"]+)"', text)

    assert any(name.endswith("notes.txt") for name in opened)
    assert "/dev/null" not in opened  # wget's 2>/dev/null
    assert of_session("inet", text)
    assert not of_session("local", text)  # the UNIX socket that Python asked for
    assert len(set(re.findall(r"audit\((\S+)\).*?exe=\"/usr/bin/cat\"", text))) == 1  # started; what it read is not logged


def of_session(family: str, text: str) -> list[str]:
    """Socket records of this family in events of the recorded session."""
    events = {match[1] for match in re.finditer(rf"audit\((\S+)\).*auid={recorder.LOGIN_UID}\b", text)}
    return [
        match[1] for match in re.finditer(rf"type=SOCKADDR msg=audit\((\S+)\).*saddr_fam={family}", text) if match[1] in events
    ]


def test_the_machine_is_as_before(audit_log: Path) -> None:
    with recorder.locked():
        rules = recorder.loaded()

        assert audit_log.exists()
        assert "tidewaiter-" not in rules
        assert recorder.FENCE.partition("-F ")[2] not in rules


def test_a_wrong_rule_is_refused_and_nothing_stays(server: int, tmp_path: Path) -> None:
    need("auditctl")
    assert server
    rules = render(named("auditd")) + "-a always,exit -F arch=b64 -S no_such_call -k tidewaiter-wrong\n"
    try:
        with pytest.raises(RuntimeError, match="no_such_call"), recorder.recording(rules, tmp_path):
            pass
    except recorder.NotUsable as reason:
        pytest.skip(f"the kernel's audit cannot be used here: {reason}")
    with recorder.locked():
        assert "tidewaiter-" not in recorder.loaded()
