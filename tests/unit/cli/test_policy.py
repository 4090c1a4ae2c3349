"""`tidewaiter policy test`, `--policy`, and that a store stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from log_writer import Audit
from policy_writer import entry
from tidewaiter.cli.main import run
from tidewaiter.engines.local import scan
from tidewaiter.pipeline.config import ScanOptions
from tidewaiter.store.store import open_store


@pytest.fixture
def evidence(tmp_path: Path) -> str:
    """One download from a name, one from an address."""
    audit = Audit()
    audit.run(0, 610, "curl", "-o", "/tmp/a.sh", "http://files.example.org/a.sh")
    audit.run(60, 611, "wget", "-O", "/tmp/b", "http://198.51.100.7/b")
    path = tmp_path / "audit.log"
    path.write_text(audit.text(), encoding="utf-8")
    return str(path)


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "site.toml"
    text = (
        entry("trusted_domain", "files", domains=["example.org"])
        + entry("known_bad", "case", values=["198.51.100.0/28", "???"])
        + entry("trusted_domain", "nobody", domains=["example.net"])
        + entry("updater", "old", programs=["a"], domains=["example.com"]).replace("2030", "2020")
    )
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_trial_is_shown_entry_by_entry(evidence: str, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "test", "--policy", policy, evidence]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0] == "Tried 3 entries on 2 transfers"
    assert f"files (trusted_domain, {policy}): speaks of 1 transfer: silences 0, lowers 1, raises 0" in lines
    assert f"case (known_bad of 1 value, {policy}): speaks of 1 transfer: silences 0, lowers 0, raises 1" in lines
    assert f"nobody (trusted_domain, {policy}): matches nothing" in lines
    assert "  1 value cannot be used: no hash, domain, address or URL" in lines
    assert lines[-1] == f"old (updater, {policy}): ignored, expired on 2020-01-01"
    assert [line for line in lines if "web1 curl: example.org" in line]


def test_a_store_is_asked_and_not_changed(
    evidence: str, policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "kept.db")
    with open_store(place) as store, scan([evidence], options=ScanOptions(policies=(policy,)), store=store) as found:
        shown = {transfer.utility: {reason.id for reason in transfer.reasons} for transfer in found.transfers()}
        kept = {transfer.utility: {reason.id for reason in transfer.reasons} for transfer in store.transfers()}

    assert "policy_trusted" in shown["curl"]
    assert "policy_bad" in shown["wget"]
    assert [reason for reasons in kept.values() for reason in reasons if reason.startswith("policy_")] == []

    assert run(["policy", "test", "--policy", policy, "--store", place, "--format", "json"]) == 0
    trial = json.loads(capsys.readouterr().out)
    assert {one["id"]: one["matched"] for one in trial["entries"]} == {"files": 1, "case": 1, "nobody": 0}
    with open_store(place, create=False) as store:
        assert {transfer.utility: {reason.id for reason in transfer.reasons} for transfer in store.transfers()} == kept


def test_a_scan_takes_a_policy_and_reports_what_it_ignores(
    evidence: str, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["scan", evidence, "--format", "jsonl", "--policy", policy]) == 0
    told = capsys.readouterr()
    transfers = [json.loads(line) for line in told.out.splitlines()]

    assert all(sum(reason["weight"] for reason in one["reasons"]) == one["score"] for one in transfers)
    assert [one["severity"] for one in transfers if one["utility"] == "wget"] == ["critical"]
    assert f"Policy {policy}: entry old is ignored: expired on 2020-01-01 (owner ann)" in told.err
    assert f"Policy {policy}: entry case: 1 value cannot be used" in told.err

    assert run(["show", transfers[0]["id"], evidence, "--policy", policy]) == 0
    assert "policy_trusted" in capsys.readouterr().out


def test_networks_of_a_policy_are_inside_for_a_scan(tmp_path: Path) -> None:
    flow = {
        "flow_id": 7,
        "src_ip": "198.51.100.7",
        "src_port": 80,
        "dest_ip": "192.168.0.9",
        "dest_port": 50_000,
        "proto": "TCP",
    }
    http = {"hostname": "files.example.org", "url": "/a.exe", "http_method": "GET", "status": 200}
    file = {"filename": "/a.exe", "magic": "PE32 executable", "state": "CLOSED", "size": 9_000, "sha256": "ab" * 32}
    told = {"event_type": "fileinfo", "app_proto": "http", **flow, "http": http, "fileinfo": file}
    files = tmp_path / "eve.json"
    files.write_text(json.dumps({"timestamp": "2026-01-02T10:00:00.000000+0000", **told}) + "\n", encoding="utf-8")
    path = tmp_path / "site.toml"
    path.write_text(entry("internal_network", networks=["198.51.100.0/24"]), encoding="utf-8")

    directions = []
    for policies in ((), (str(path),)):
        with scan([str(files)], options=ScanOptions(policies=policies)) as found:
            directions += [transfer.direction for transfer in found.transfers()]
    assert directions == ["ingress", "lateral"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            entry("trusted_domain", domain=["example.org"]),
            "trusted_domain 1 (id 'one'): Object contains unknown field `domain`",
        ),
        (entry("known_bad", file="absent.csv"), "absent.csv: file: No such file"),
    ],
)
@pytest.mark.parametrize("verb", ["scan", "policy"])
def test_a_wrong_policy_is_a_usage_error(
    evidence: str, tmp_path: Path, text: str, says: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    arguments = ["scan"] if verb == "scan" else ["policy", "test"]

    assert run([*arguments, "--policy", str(path), evidence]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--store", "a", "b"]])
def test_a_trial_needs_either_logs_or_a_store(policy: str, arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    arguments = [str(tmp_path / one) if one == "b" else one for one in arguments]

    assert run(["policy", "test", "--policy", policy, *arguments]) == 2
