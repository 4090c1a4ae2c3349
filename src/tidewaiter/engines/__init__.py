"""Drive the one pipeline; add no logic to it."""
