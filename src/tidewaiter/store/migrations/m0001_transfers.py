"""Version 1: transfers, their evidence, inputs and verdicts."""

from __future__ import annotations

import sqlalchemy as sa


def apply(connection: sa.Connection) -> None:
    """Make the tables."""
    metadata = sa.MetaData()
    sa.Table(
        "store_version",
        metadata,
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("applied_at", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "transfer",
        metadata,
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("host", sa.Text),
        sa.Column("host_short", sa.Text),
        sa.Column("ip", sa.Text),
        sa.Column("time", sa.BigInteger),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("score", sa.Integer, nullable=False),
        sa.Column("utility", sa.Text),
        sa.Column("stages", sa.Integer, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Index("transfer_by_time", "time", "id"),
    )
    sa.Table(
        "evidence",
        metadata,
        sa.Column("transfer_id", sa.String(64), sa.ForeignKey("transfer.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("log_file", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger),
        sa.Column("log_source", sa.Text, nullable=False),
    )
    sa.Table(
        "input",
        metadata,
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("log_file", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("accounts", sa.Text, nullable=False),
        sa.Column("scanned_at", sa.BigInteger, nullable=False),
    )
    sa.Table(
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
    metadata.create_all(connection, checkfirst=False)
