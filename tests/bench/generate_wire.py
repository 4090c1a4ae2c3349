"""Logs of network sensors for the bench: what a site's sensor writes all day, and now and then a program that is fetched.

The same bytes every time. One session makes the records that Suricata and Zeek would write of it: names are looked up, TLS is
most of the rest, a tenth is plain HTTP whose bodies are files, and many flows carry nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

START = 1_767_348_000.0  # 2026-01-02 10:00:00 UTC
CLIENTS, SERVERS = 200, 500
SHARES = (("dns", 34), ("tls", 33), ("http", 10), ("silent", 18), ("smb", 3), ("alert", 1), ("program", 1))
"""Sessions by kind, in parts of 100."""
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Microsoft-CryptoAPI/10.0",
)
_PAGES = (("/index.html", "text/html", "HTML document"), ("/logo.png", "image/png", "PNG image data"), ("/q", "text/plain", ""))
_ICMP = "icmp"


class Session:
    """Endpoints, times and sizes of one session."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number, self.chance = number, chance
        self.kind = chance.choices([name for name, _ in SHARES], [share for _, share in SHARES])[0]
        self.seconds = START + number * 0.02
        client, self.server_number = chance.randrange(CLIENTS), chance.randrange(SERVERS)
        self.client = f"10.0.{client // 100}.{client % 100 + 10}"
        self.client_port = 32_768 + number % 28_000
        self.server = (
            f"198.51.100.{self.server_number % 250}" if self.server_number < 250 else f"203.0.113.{self.server_number % 250}"
        )
        self.name = f"www{self.server_number}.example.org"
        self.port, self.transport, self.protocol = {
            "dns": (53, "udp", "dns"), "tls": (443, "tcp", "tls"), "http": (80, "tcp", "http"), "silent": (123, "udp", None),
            "smb": (445, "tcp", "smb"), "alert": (8_443, "tcp", None), "program": (80, "tcp", "http"),
        }[self.kind]  # fmt: skip
        self.out = chance.randrange(300, 3_000)
        self.got = {"dns": 180, "silent": chance.choice((0, 76)), "alert": 60}.get(self.kind, int(2 ** chance.uniform(9, 17)))
        if self.kind in ("dns", "smb"):
            self.server = f"10.0.9.{self.server_number % 4 + 1}"
            self.out = 80 if self.kind == "dns" else self.out
        self.flow = 1_000_000_000_000 + number * 7_919
        self.uid = f"C{number:016x}"
        self.file = f"F{number:016x}"
        self.agent = _AGENTS[number % 3]
        self.path, self.mime, self.magic = _PAGES[number % 3]
        self.body = max(self.got - 300, 40)
        if self.kind == "program":
            self.path, self.mime, self.magic = f"/kit{number}.exe", "application/x-dosexec", "PE32 executable (GUI) Intel 80386"
        self.path += f"?v={number}" if self.kind == "http" else ""
        self.sha256 = f"{number:064x}"


def sessions() -> Iterator[Session]:
    """Sessions without end."""
    chance = random.Random("wire")
    number = 0
    while True:
        number += 1
        yield Session(number, chance)


def eve(path: Path, size: int) -> None:
    """Suricata's EVE log of about `size` bytes."""
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for session in sessions():
            for record in _eve_records(session):
                written += file.write(json.dumps(record, separators=(",", ":")) + "\n")
            if written >= size:
                return


def _eve_records(one: Session) -> Iterator[dict[str, Any]]:
    head = {"src_ip": one.client, "src_port": one.client_port, "dest_ip": one.server, "dest_port": one.port}
    proto = {"proto": one.transport.upper()}

    def record(kind: str, after: float, **data: Any) -> dict[str, Any]:
        base = {"timestamp": _eve_time(one.seconds + after), "flow_id": one.flow, "in_iface": "eth0", "event_type": kind}
        return {**base, **head, **proto, "pkt_src": "wire/pcap", **data}

    http = {
        "hostname": one.name, "url": one.path, "http_user_agent": one.agent, "http_content_type": one.mime,
        "http_method": "GET",
        "protocol": "HTTP/1.1", "status": 200, "length": one.body,
    }  # fmt: skip
    if one.kind == "dns":
        asked = {"type": "query", "id": one.number % 65_536, "rrname": one.name, "rrtype": "A", "tx_id": 0}
        answer = {"version": 2, "type": "answer", "id": one.number % 65_536, "flags": "8180", "qr": True, "rd": True,
                  "ra": True,
                  "rrname": one.name, "rrtype": "A", "rcode": "NOERROR",
                  "answers": [{"rrname": one.name, "rrtype": "A", "ttl": 60, "rdata": "198.51.100.7"}],
                  "grouped": {"A": ["198.51.100.7"]}}  # fmt: skip
        yield record("dns", 0.001, tx_id=0, dns=asked)
        yield record("dns", 0.002, dns=answer)
    elif one.kind == "tls":
        tls = {"subject": f"CN={one.name}", "issuerdn": "C=XX, O=Example CA, CN=Example CA 1", "serial": f"{one.number:020X}",
               "fingerprint": ":".join(["1f"] * 20), "sni": one.name, "version": "TLS 1.2", "notbefore": "2026-01-01T00:00:00",
               "notafter": "2027-01-01T00:00:00",
               "ja3": {"hash": f"{one.number % 9:032x}", "string": "771,4865-4866,0-23,29,0"}}  # fmt: skip
        yield record("tls", 0.05, tls=tls)
    elif one.kind in ("http", "program"):
        yield record("http", 0.1, tx_id=0, http=http)
        info = {"filename": one.path.partition("?")[0], "magic": one.magic, "gaps": False, "state": "CLOSED",
                "sha256": one.sha256, "stored": False, "size": one.body, "tx_id": 0}  # fmt: skip
        if not one.magic:
            del info["magic"]
        sender = {"src_ip": one.server, "src_port": one.port, "dest_ip": one.client, "dest_port": one.client_port}
        yield {**record("fileinfo", 0.11, http=http, app_proto="http", fileinfo=info), **sender}
    elif one.kind == "alert":
        alert = {"action": "allowed", "gid": 1, "signature_id": 2_000_001, "rev": 3, "signature": "Scan of an odd port",
                 "category": "Misc activity", "severity": 3}  # fmt: skip
        yield record("alert", 0.01, alert=alert, app_proto="failed")
    flow = {"pkts_toserver": 9, "pkts_toclient": 11, "bytes_toserver": one.out, "bytes_toclient": one.got,
            "start": _eve_time(one.seconds), "end": _eve_time(one.seconds + 1.5), "age": 1, "state": "closed",
            "reason": "timeout", "alerted": False}  # fmt: skip
    app = {"app_proto": one.protocol or "failed"}
    yield record("flow", 60.0, **app, flow=flow)


def _eve_time(seconds: float) -> str:
    return datetime.fromtimestamp(round(seconds, 6), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


_ENDS = ("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
_FIELDS: dict[str, tuple[str, ...]] = {
    "conn": (
        *_ENDS, "proto", "service", "duration", "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp",
        "missed_bytes", "history", "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "tunnel_parents",
    ),
    "dns": (
        *_ENDS, "proto", "trans_id", "rtt", "query", "qclass", "qclass_name", "qtype", "qtype_name", "rcode", "rcode_name",
        "AA",
        "TC", "RD", "RA", "Z", "answers", "TTLs", "rejected",
    ),
    "ssl": (
        *_ENDS, "version", "cipher", "curve", "server_name", "resumed", "last_alert", "next_protocol", "established",
        "ssl_history", "cert_chain_fps", "client_cert_chain_fps", "sni_matches_cert",
    ),
    "http": (
        *_ENDS, "trans_depth", "method", "host", "uri", "referrer", "version", "user_agent", "origin", "request_body_len",
        "response_body_len", "status_code", "status_msg", "info_code", "info_msg", "tags", "username", "password", "proxied",
        "orig_fuids", "orig_filenames", "orig_mime_types", "resp_fuids", "resp_filenames", "resp_mime_types",
    ),
    "files": (
        "ts", "fuid", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "source", "depth", "analyzers", "mime_type",
        "filename", "duration", "local_orig", "is_orig", "seen_bytes", "total_bytes", "missing_bytes", "overflow_bytes",
        "timedout", "parent_fuid", "md5", "sha1", "sha256", "extracted", "extracted_cutoff", "extracted_size",
    ),
}  # fmt: skip


def zeek(folder: Path, size: int, *, as_json: bool = False) -> None:
    """Zeek's conn, dns, ssl, http and files logs, together of about `size` bytes."""
    files = {name: (folder / f"{name}.log").open("w", encoding="utf-8", newline="\n") for name in _FIELDS}
    written = 0
    if not as_json:
        for name, file in files.items():
            file.write("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n")
            file.write(f"#path\t{name}\n#open\t2026-01-02-10-00-00\n#fields\t" + "\t".join(_FIELDS[name]) + "\n")
            file.write("#types\t" + "\t".join(["string"] * len(_FIELDS[name])) + "\n")
    put: Callable[[str, dict[str, Any]], str] = _json_line if as_json else _tsv_line
    for session in sessions():
        for name, record in _zeek_records(session):
            written += files[name].write(put(name, record))
        if written >= size:
            break
    for file in files.values():
        file.close()


def _zeek_records(one: Session) -> Iterator[tuple[str, dict[str, Any]]]:
    ends = {
        "uid": one.uid,
        "id.orig_h": one.client,
        "id.orig_p": one.client_port,
        "id.resp_h": one.server,
        "id.resp_p": one.port,
    }

    def at(after: float) -> dict[str, Any]:
        return {"ts": round(one.seconds + after, 6), **ends}

    if one.kind == "dns":
        yield "dns", {
            **at(0.001), "proto": "udp", "trans_id": one.number % 65_536, "rtt": 0.001, "query": one.name, "qclass": 1,
            "qclass_name": "C_INTERNET", "qtype": 1, "qtype_name": "A", "rcode": 0, "rcode_name": "NOERROR", "AA": False,
            "TC": False, "RD": True, "RA": True, "Z": 0, "answers": ["198.51.100.7"], "TTLs": [60.0], "rejected": False,
        }  # fmt: skip
    elif one.kind == "tls":
        yield "ssl", {
            **at(0.05), "version": "TLSv12", "cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "curve": "x25519",
            "server_name": one.name, "resumed": False, "established": True, "ssl_history": "CsiI",
        }  # fmt: skip
    elif one.kind in ("http", "program"):
        yield "http", {
            **at(0.1), "trans_depth": 1, "method": "GET", "host": one.name, "uri": one.path, "version": "1.1",
            "user_agent": one.agent, "request_body_len": 0, "response_body_len": one.body, "status_code": 200,
            "status_msg": "OK", "tags": [], "resp_fuids": [one.file], "resp_mime_types": [one.mime],
        }  # fmt: skip
        yield "files", {
            **at(0.11), "fuid": one.file, "source": "HTTP", "depth": 0, "analyzers": ["SHA256"], "mime_type": one.mime,
            "duration": 0.01, "is_orig": False, "seen_bytes": one.body, "total_bytes": one.body, "missing_bytes": 0,
            "overflow_bytes": 0, "timedout": False, "sha256": one.sha256,
        }  # fmt: skip
    answered = one.got > 0
    service = {"tls": "ssl"}.get(one.protocol or "", one.protocol)
    yield "conn", {
        **at(0.0), "proto": one.transport, **({"service": service} if service else {}), "duration": 1.5, "orig_bytes": one.out,
        "resp_bytes": one.got, "conn_state": "SF" if answered else "S0", "missed_bytes": 0, "history": "ShADadfF",
        "orig_pkts": 9, "orig_ip_bytes": one.out + 400, "resp_pkts": 11, "resp_ip_bytes": one.got + 500,
    }  # fmt: skip


def _json_line(_name: str, record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"


def _tsv_line(name: str, record: dict[str, Any]) -> str:
    return "\t".join(_tsv_value(field, record.get(field)) for field in _FIELDS[name]) + "\n"


def _tsv_value(field: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "(empty)"
    return f"{value:.6f}" if field in ("ts", "duration", "rtt") else str(value)
