"""The Suricata overlay, included into Debian's own configuration: accepted, and whole files with hashes come out."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from captures.writer import elf, http, pcap, save
from sensors import overlay
from sensors.conftest import in_integration, need
from tidewaiter.engines.local import scan
from tidewaiter.prevention.configurations import named, render

BODY = elf(2_500_000)  # more than any default limit of Suricata
OWN = "eve-tidewaiter.json"


@pytest.fixture(scope="module")
def text() -> str:
    need("suricata")
    if not overlay.DEFAULT.is_file():
        (pytest.fail if in_integration() else pytest.skip)(f"no {overlay.DEFAULT} here")
    return render(named("suricata"))


def records(log: Path, kind: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [record for record in found if record["event_type"] == kind]


def test_suricata_accepts_it(text: str, tmp_path: Path) -> None:
    said = overlay.check(tmp_path, text)

    assert "successfully loaded" in said
    assert "redefined" not in said  # a section that is written anew would lose what the default says in it
    assert "Error" not in said
    assert "Warning" not in said


def test_a_whole_file_has_its_hash_and_the_default_has_none(text: str, tmp_path: Path) -> None:
    capture = save(tmp_path, pcap(http(BODY, path="/agent.bin")))
    plain = records(overlay.read(capture, tmp_path / "plain", "") / "eve.json", "fileinfo")
    ours = overlay.read(capture, tmp_path / "ours", text)
    found = records(ours / OWN, "fileinfo")

    assert [(record["fileinfo"]["state"], "sha256" in record["fileinfo"]) for record in plain] == [("TRUNCATED", False)]
    assert [record["fileinfo"]["sha256"] for record in found] == [hashlib.sha256(BODY).hexdigest()]
    assert [record["fileinfo"]["size"] for record in found] == [len(BODY)]
    assert records(ours / OWN, "flow")[0]["community_id"].startswith("1:")
    assert records(ours / OWN, "http")
    assert records(ours / "eve.json", "fileinfo")  # the log that was there goes on


def test_a_scan_of_the_log_shows_what_was_carried(text: str, tmp_path: Path) -> None:
    capture = save(tmp_path, pcap(http(BODY, path="/agent.bin", agent="curl/8.5.0")))
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    shutil.copy(overlay.read(capture, tmp_path / "ours", text) / OWN, evidence)
    with scan([str(evidence)]) as result:
        transfers = list(result.transfers())

    assert [transfer.src.url for transfer in transfers] == ["http://files.example.com/agent.bin"]
    assert str(transfers[0].stages["carried"].state) == "seen"
    assert transfers[0].file.sha256 == hashlib.sha256(BODY).hexdigest()
    assert transfers[0].file.size == len(BODY)
