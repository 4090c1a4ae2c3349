"""Which Zeek log a record belongs to, and who makes its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidewaiter.log_sources.zeek.columns import Built, Columns
from tidewaiter.log_sources.zeek.connections import conn, dns, ssl
from tidewaiter.log_sources.zeek.contents import files, ftp, http
from tidewaiter.log_sources.zeek.shares import smb_files, smb_mapping


def log_of(values: Mapping[str, Any]) -> str | None:
    """Which log a record belongs to: its `_path`, or the fields that only this log has; None = cannot say."""
    path = values.get("_path")
    if isinstance(path, str) and path:
        return path
    for name, needed, any_of in _FIELDS_OF_LOGS:
        if all(field in values for field in needed) and (not any_of or any(field in values for field in any_of)):
            return name
    return None


_FIELDS_OF_LOGS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("conn", ("uid", "proto"), ("conn_state", "history", "orig_pkts")),
    ("http", ("uid", "trans_depth"), ("method", "host", "uri", "status_code", "version", "request_body_len")),
    ("dns", ("uid", "trans_id"), ()),
    ("dns", ("uid", "query"), ("qtype", "qtype_name", "rcode", "rejected")),
    ("smb_files", ("uid", "action"), ("name", "path", "size", "prev_name")),
    ("smb_mapping", ("uid", "share_type"), ()),
    ("files", ("fuid",), ("seen_bytes", "analyzers", "tx_hosts", "timedout")),
    ("ssl", ("uid",), ("cipher", "server_name", "cert_chain_fuids", "cert_chain_fps", "ssl_history")),
    ("ftp", ("uid", "user"), ("command", "reply_code")),
    ("pe", ("id", "compile_ts"), ()),
)


BUILDERS: dict[str, Callable[[Columns, str], Built]] = {
    "conn": conn,
    "http": http,
    "files": files,
    "ftp": ftp,
    "smb_files": smb_files,
    "smb_mapping": smb_mapping,
    "ssl": ssl,
    "dns": dns,
}
"""The logs that are used, by `#path`."""
