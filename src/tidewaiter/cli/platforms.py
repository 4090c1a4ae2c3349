"""The platforms whose commands we read."""

from __future__ import annotations

PLATFORMS = ("windows", "linux", "macos", "esxi", "network")
