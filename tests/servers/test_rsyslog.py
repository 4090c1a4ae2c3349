"""The syslog sink against rsyslog: it understands frames, header, structured data and text."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from java_servers import free_port, wait_for
from sink_servers import delivery
from tidewaiter import sink

SETTINGS = """
module(load="imtcp")
module(load="imudp")
template(name="parts" type="list" option.jsonf="on") {
  property(outname="priority" name="pri-text" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="program" name="app-name" format="jsonf")
  property(outname="kind" name="msgid" format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="text" name="msg" format="jsonf")
}
input(type="imtcp" address="127.0.0.1" port="%(tcp)s")
input(type="imudp" address="127.0.0.1" port="%(udp)s")
action(type="omfile" file="%(out)s" template="parts" flushOnTXEnd="on")
"""


class Rsyslog(NamedTuple):
    tcp: int
    udp: int
    out: Path

    def received(self, count: int) -> list[dict[str, str]]:
        """The first messages as it understood them."""
        end = time.monotonic() + 20
        while not self.out.exists() or self.out.read_bytes().count(b"\n") < count:
            assert time.monotonic() < end, "the messages did not arrive"
            time.sleep(0.05)
        return [json.loads(line) for line in self.out.read_text().splitlines()]


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[Rsyslog]:
    program = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin")
    if program is None:
        pytest.skip("no rsyslogd here: sh tests/servers/install.sh")
    made = Rsyslog(free_port(), free_port(), tmp_path / "out.json")
    (tmp_path / "conf").write_text(SETTINGS % {"tcp": made.tcp, "udp": made.udp, "out": made.out})
    log = tmp_path / "log"
    command = [program, "-n", "-f", str(tmp_path / "conf"), "-i", str(tmp_path / "pid")]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            wait_for(process, lambda: socket.create_connection(("127.0.0.1", made.tcp), 1).close(), log)
            yield made
        finally:
            process.terminate()


def opened(folder: Path, port: int, **more: Any) -> sink.Sink:
    table = {"type": "syslog", "host": "127.0.0.1", "port": port, "hostname": "sensor.example.com", **more}
    return sink.opened(table, "sink 1", base=folder, state=folder).sink


def test_rsyslog_understands_every_way_that_we_speak(tmp_path: Path, rsyslog: Rsyslog) -> None:
    hostile = 'a\nb\x1b\x00 \ud800 \u00e9 ]"\\=|'
    for number, more in enumerate(({}, {"framing": "lines"}, {"transport": "udp"}, {"format": "cef"}), 1):
        made = opened(tmp_path, rsyslog.udp if "transport" in more else rsyslog.tcp, **more)
        made.deliver([delivery(number, severity="high", summary=hostile)])
        made.close()
    made = opened(tmp_path, rsyslog.tcp)
    made.deliver([delivery(number, summary="x" * 20_000) for number in range(5, 25)])
    made.close()
    told = rsyslog.received(24)
    texts = {one["data"].partition('id="')[2][:16]: one["text"].strip() for one in told}
    records = {name: json.loads(text) for name, text in texts.items() if not text.startswith("CEF:")}

    assert {(one["host"], one["program"], one["kind"]) for one in told} == {("sensor.example.com", "tidewaiter", "transfer")}
    assert {one["priority"] for one in told} == {"local0.err", "local0.warning"}
    assert f'[transfer@32473 id="{1:016x}" revision="1" change="new"]' in {one["data"] for one in told}
    assert {record["sequence"] for record in records.values()} == {*range(1, 25)} - {4}
    assert records[f"{1:016x}"]["process"]["command_line"] == hostile.replace("\ud800", "?")
    assert records[f"{5:016x}"]["shortened"]
    assert 'cs5=a\\nb   ? \u00e9 ]"\\\\\\=| ' in texts[f"{4:016x}"]
