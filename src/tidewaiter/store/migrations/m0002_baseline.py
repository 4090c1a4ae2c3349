"""Version 2: the baseline."""

from __future__ import annotations

import sqlalchemy as sa


def apply(connection: sa.Connection) -> None:
    """Make the tables."""
    metadata = sa.MetaData()
    sa.Table(
        "baseline_setting",
        metadata,
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
    )
    sa.Table(
        "baseline_counter",
        metadata,
        sa.Column("facet", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("host", sa.String(200), primary_key=True),
        sa.Column("level", sa.Float, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Index("baseline_counter_by_level", "facet", "level"),
    )
    sa.Table(
        "baseline_evicted",
        metadata,
        sa.Column("facet", sa.String(32), primary_key=True),
        sa.Column("evicted", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "baseline_input",
        metadata,
        sa.Column("digest", sa.String(80), primary_key=True),
        sa.Column("log_file", sa.Text, nullable=False),
        sa.Column("learned_at", sa.BigInteger, nullable=False),
    )
    metadata.create_all(connection, checkfirst=False)
