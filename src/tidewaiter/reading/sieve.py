"""Which texts could hold a transfer: one pass over many, a superset of what the reader understands."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidewaiter.catalog import utilities

_STRUCTURE = re.compile(
    r"""[\^`]|%\w+:~|![\w]+!|["']["']|\$\{?IFS|\\x[0-9a-f]{2}|://|\\\\[\w$.@-]+\\|/dev/(?:tcp|udp)/|[A-Za-z0-9+/]{40,}|-join|-f\s*['"(]|\[char\]|frombase64|"""
    r"""iex|invoke-|downloads|downloadf|downloadd|\$\w+\s*=|@[\w.-]+\.\w+|\b(?:\d{1,3}\.){3}\d{1,3}\b""",
    re.I,
)


class TextSieve:
    """Candidates by the names of utilities as whole words, and by cheap signs of hiding."""

    def __init__(self) -> None:
        names = sorted(utilities.load().by_name, key=len, reverse=True)
        joined = "|".join(re.escape(name) for name in names)
        self._names = re.compile(rf"(?<![\w-])(?:{joined})(?![\w-])", re.I)

    def candidates(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text could hold something to read."""
        return [bool(text) and (bool(_STRUCTURE.search(text)) or bool(self._names.search(text))) for text in texts]
