"""Captures through the whole program: in archives, and where Suricata is missing."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from captures.writer import elf, http, pcap, save
from tidewaiter.engines.local import scan
from tidewaiter.formats import capture_suricata

ACCESS = '198.51.100.7 - - [14/Nov/2023:22:13:20 +0000] "GET /index.html HTTP/1.1" 200 512 "-" "test/1"\n'


def test_captures_in_archives_are_read(suricata: capture_suricata.Program, tmp_path: Path) -> None:
    data = pcap(http(elf(), path="/agent.bin"))
    save(tmp_path, gzip.compress(data), "one.pcap.gz")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("inner/two.pcap", data)
    with scan([str(tmp_path)]) as result:
        accounts = {account.log_file.rpartition("/")[2]: account for account in result.accounts}
        transfers = list(result.transfers())

    assert len(accounts) == 2
    assert {account.recognised_as for account in accounts.values()} == {f"packet capture, Suricata {suricata.version}"}
    assert all(account.balanced and not account.damaged for account in accounts.values())
    cited = {item.log_file for transfer in transfers for item in transfer.evidence}
    assert any(name.endswith("two.zip!inner/two.pcap") for name in cited)


def run(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """The program with an empty search path."""
    (folder / "empty").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tidewaiter", "scan", *(str(folder / name) for name in names)]
    environment = {**os.environ, "PATH": str(folder / "empty")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_without_suricata_the_rest_is_read_and_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    save(tmp_path, pcap(http(elf())), "capture.pcap")
    (tmp_path / "access.log").write_text(ACCESS * 5)
    both, alone = run(tmp_path, "capture.pcap", "access.log"), run(tmp_path, "capture.pcap")

    assert both.returncode == 0
    assert both.stderr.count("apt-get install suricata") == 1
    assert "web server access log: 1 input" in both.stderr
    assert "packet capture:" not in both.stderr
    assert alone.returncode == 3
    assert "apt-get install suricata" in alone.stderr
    assert "Traceback" not in both.stderr + alone.stderr
