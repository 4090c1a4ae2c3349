"""Tidewaiter: one record per file that was brought in, from the logs an organisation already has."""

from __future__ import annotations

__version__ = "0.1.0"
