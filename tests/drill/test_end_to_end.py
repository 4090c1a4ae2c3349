"""auditd and Suricata feed a running watch while a drill is held: its transfers come out joined, each with its delay.

`end_to_end.py` does it with every method; here are a few whose files a sensor takes out at once.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drill.end_to_end import held, summary
from sensors import overlay, recorder
from sensors.conftest import need
from tidewaiter.drill import ground

METHODS = ("curl", "wget", "curl-ftp", "python")


def test_a_watch_over_real_sensors_sees_the_drill(tmp_path: Path) -> None:
    need("auditd", "auditctl", "curl", "wget", "suricata")
    if not overlay.DEFAULT.is_file():
        pytest.skip(f"no {overlay.DEFAULT} here")
    if not ground.may(ground.NET_ADMIN):
        pytest.skip("a drill on 127.0.0.1 counts as harmless: it needs CAP_NET_ADMIN for addresses of its own")
    try:
        rows = held(tmp_path, namespaces=False, wait=60.0, methods=METHODS)
    except recorder.NotUsable as reason:
        pytest.skip(f"the kernel's audit cannot be used here: {reason}")
    figures = summary(rows)

    assert figures["run"] == figures["landed"] == figures["with a record"] == len(METHODS), rows
    assert figures["not joined"] == [], rows
    for row in rows:
        assert {stage["state"] for stage in row["stages"].values()} == {"seen"}, row
        assert 0 < row["delay"] <= row["complete"] < 60, row
