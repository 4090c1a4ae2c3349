"""Bytes to raw records; no meaning."""
