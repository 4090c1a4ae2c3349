"""Report contents in which one text stands in every place where a log's text can stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidewaiter.formats.archives import Unreadable
from tidewaiter.outputs.html_report import Contents
from tidewaiter.schema.account import Account, Damage
from tidewaiter.schema.transfer import (
    STAGES,
    Device,
    EvidenceRow,
    File,
    Landing,
    Origin,
    Process,
    Reason,
    Severity,
    StageRecord,
    Transfer,
    Verdict,
)

NOON = "2026-03-01T12:00:00Z"

PAYLOADS = (
    "<script>window.taken=1;document.title='taken';alert(1)</script>",
    '"><img src=x onerror="window.taken=1;document.title=\'taken\'">',
    "' onmouseover='window.taken=1' autofocus onfocus='window.taken=1' x='",
    "</title></style></svg></code></textarea><svg onload=window.taken=1><script>window.taken=1</script>",
    "</style><style>body{display:none;background:url(http://198.51.100.9/x)}</style>",
    "<a href=\"javascript:window.taken=1\">x</a><iframe srcdoc='<script>parent.taken=1</script>'></iframe>",
    "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'><script>window.taken=1</script></body></foreignObject>",
    "<meta http-equiv=refresh content='0;url=http://198.51.100.9/'><base href=http://198.51.100.9/>",
    "--><!-- <![CDATA[ ]]> &lt;script&gt; &#60;script&#62; <!DOCTYPE x>",
    "<form action=http://198.51.100.9/><input type=submit autofocus><button formaction=x>",
    "{{ 7*7 }}{% for x in range(9) %}x{% endfor %}{# #}${7*7}",
    "\u202egpj.exe\u2066\u200b\x1b[2J\x9b31m\x00\r\n\ud800\U000e0041",
    "Z" + "\u0301" * 60 + "<b>",
    "\uff1cscript\uff1e\u02c2img\u2028<plaintext><listing><xmp>",
    "<x " + "a" * 9000,
)


def transfer_of(text: str, severity: Severity, host: str, **changes: Any) -> Transfer:
    """A transfer whose every text is the given one. Words of the schema are replaced too where `changes` says so."""
    stages = {name: StageRecord(state="not_seen", time=text) for name in STAGES}
    stages["commanded"] = StageRecord(state="seen", time=text, evidence=[0, 1, 99, -1])
    stages["connected"] = StageRecord(state="seen", time=NOON, evidence=[0])
    stages["carried"] = StageRecord(state="not_visible")
    made = Transfer(
        id=text,
        time=NOON,
        device=Device(hostname=host + text, ip=text),
        user=text,
        utility=text,
        process=Process(name=text, path=text, pid=7, command_line=text, parent=text),
        protocol=text,
        src=Origin(url=text, hostname=text + "x", ip=text + "y", port=80, path=text),
        dst=Landing(path=text, in_memory=False),
        file=File(name=text, size=12_345, type=text, sha256=text, sha1=text, md5=text),
        stages=stages,
        severity=severity,
        score=70,
        confidence=80,
        techniques=[text, "T1105"],
        reasons=[Reason(id=text, weight=90, text=text), Reason(id=text, weight=-20, text=text)],
        evidence=[EvidenceRow(log_file=text, record=text, time=text, log_source=text, summary=text)] * 2,
        verdict=Verdict(verdict=text, note=text, by=text, at=text),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def transfers(text: str) -> list[Transfer]:
    """Cards, rows, ways between hosts, shared files, and words that no schema allows."""
    foreign: Any = text
    return [
        transfer_of(text, "critical", "a"),
        transfer_of(text, "medium", "b", direction="lateral", src=Origin(hostname="a" + text)),
        transfer_of(text, "low", "c", direction="lateral", src=Origin(ip="b" + text)),
        transfer_of(text, "informational", "a", process=Process(), utility=None, src=Origin(), dst=Landing(in_memory=True)),
        transfer_of(text, foreign, "a", outcome=foreign, direction=foreign),
        transfer_of(text, "high", "d", time=text),
    ]


def contents(text: str) -> Contents:
    """A whole report of it."""

    def again() -> Iterator[Transfer]:
        yield from transfers(text)

    account = Account(log_file=text, recognised_as=text, why=text, read=9, parsed=5, skipped={text: 3}, damaged=1, notes=[text])
    account.damage.append(Damage(text, text))
    return Contents(
        transfers=again,
        accounts=[account, Account(log_file=text)],
        unreadable=[Unreadable(log_file=text, place=text, problem=text, kind="damaged")],
        paths=(text, "x"),
        narrowed=text,
    )
