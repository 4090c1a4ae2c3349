"""The tables as the newest migration leaves them; a test compares the two.

Times are int64 microseconds since 1970 UTC, digests are hexadecimal. Texts in columns are for finding and sorting, cleaned of
what a database refuses (`clean_text`); the exact record is the JSON in `record`, where such characters are escaped.
"""

from __future__ import annotations

import re

import sqlalchemy as sa

LONGEST_KEY = 200
"""Characters of a text that is part of an index: PostgreSQL refuses index rows over 2,700 bytes."""

metadata = sa.MetaData()

version = sa.Table(
    "store_version",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("applied_at", sa.BigInteger, nullable=False),
)

transfer = sa.Table(
    "transfer",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("host", sa.Text),  # lower case, as named
    sa.Column("host_short", sa.Text),  # up to the first dot
    sa.Column("ip", sa.Text),
    sa.Column("time", sa.BigInteger),
    sa.Column("severity", sa.Integer, nullable=False),  # position in SEVERITIES
    sa.Column("score", sa.Integer, nullable=False),
    sa.Column("utility", sa.Text),
    sa.Column("stages", sa.Integer, nullable=False),  # how many are seen
    sa.Column("added_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("record", sa.Text, nullable=False),  # the whole transfer as JSON
    sa.Index("transfer_by_time", "time", "id"),
)

evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("transfer_id", sa.String(64), sa.ForeignKey("transfer.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("log_file", sa.Text, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("time", sa.BigInteger),
    sa.Column("log_source", sa.Text, nullable=False),
)

log_input = sa.Table(
    "input",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),  # SHA-256 of the log file's label
    sa.Column("log_file", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(80), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # partial, done
    sa.Column("accounts", sa.Text, nullable=False),  # JSON array, one account per log in the file
    sa.Column("scanned_at", sa.BigInteger, nullable=False),
)

verdict = sa.Table(
    "verdict",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("transfer_id", sa.String(64), sa.ForeignKey("transfer.id", ondelete="CASCADE"), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Index("verdict_of_transfer", "transfer_id", "number"),
)

baseline_setting = sa.Table(
    "baseline_setting",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
)

baseline_counter = sa.Table(
    "baseline_counter",
    metadata,
    sa.Column("facet", sa.String(32), primary_key=True),
    sa.Column("key", sa.String(LONGEST_KEY), primary_key=True),
    sa.Column("host", sa.String(LONGEST_KEY), primary_key=True),
    sa.Column("level", sa.Float, nullable=False),  # log2 of the decayed count, see baseline.decay
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Index("baseline_counter_by_level", "facet", "level"),
)

baseline_evicted = sa.Table(
    "baseline_evicted",
    metadata,
    sa.Column("facet", sa.String(32), primary_key=True),
    sa.Column("evicted", sa.BigInteger, nullable=False),
)

baseline_input = sa.Table(
    "baseline_input",
    metadata,
    sa.Column("digest", sa.String(80), primary_key=True),  # of the content: the same log under another name is not new
    sa.Column("log_file", sa.Text, nullable=False),
    sa.Column("learned_at", sa.BigInteger, nullable=False),
)

live_position = sa.Table(
    "live_position",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),  # SHA-256 of the name, here and below
    sa.Column("name", sa.Text, nullable=False),  # the log file as a JSON text, here and below
    sa.Column("data", sa.LargeBinary, nullable=False),  # JSON, here and below
)

live_tick = sa.Table(
    "live_tick",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

live_state = sa.Table(
    "live_state",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),  # the group of a fold, or what else is kept
    sa.Column("data", sa.LargeBinary, nullable=False),
)

live_case = sa.Table(
    "live_case",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),  # the key of the case
    sa.Column("data", sa.LargeBinary, nullable=False),
)

live_told = sa.Table(
    "live_told",
    metadata,
    sa.Column("transfer_id", sa.String(64), primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("highest", sa.Integer, nullable=False),  # position in SEVERITIES
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary, nullable=False),  # a delivery
)

outbox_cursor = sa.Table(
    "outbox_cursor",
    metadata,
    sa.Column("sink", sa.String(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),  # the last one that the sink has
)

_REFUSED = re.compile("[\0\ud800-\udfff]")


def clean_text(text: str | None) -> str | None:
    """The text without NUL and halves of surrogate pairs, which PostgreSQL and UTF-8 refuse: each becomes U+FFFD."""
    return None if text is None else _REFUSED.sub("\ufffd", text)
