"""How things are named in the baseline: domains, folders and types of new files, hosts; keys are of bounded length."""

from __future__ import annotations

import functools
import hashlib
import re

from tidewaiter.catalog import places

LONGEST = 200
"""Characters of a key or host."""

_ADDRESS = re.compile(r"^(?:\d{1,3}\.){3}\d{1,3}$|:")
_REFUSED = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
_PERSON = re.compile(r"^((?:[a-z]:)?/(?:users|home|documents and settings)/)[^/]+")
_CHANGING = re.compile(r"^(?=.*\d).*[0-9a-f-]{6,}.*$|^\d[\d.]*$|^\{.*\}$")
_DEPTH = 5


def bounded(text: str) -> str:
    """The text without control characters, cut to LONGEST with a digest of all of it."""
    if len(text) <= LONGEST and text.isprintable():
        return text
    text = _REFUSED.sub("\ufffd", text)
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 20]}#{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@functools.lru_cache(maxsize=16_384)
def domain_of(name: str | None) -> str | None:
    """The registered domain of a host name, as near as its labels tell; None for addresses and names without a dot.

    Two labels, three where a country's second level (`co.uk`) is short. A name below a hosting service of the catalogue is kept
    whole, because its customers have nothing to do with each other.
    """
    text = (name or "").strip().lower().rstrip(".")
    if "." not in text or len(text) > 253 or _ADDRESS.search(text) or text.endswith(".arpa"):
        return None
    if places.below(text, places.load().hosting):
        return bounded(text)
    labels = text.split(".")
    keep = 3 if len(labels[-1]) == 2 and len(labels[-2]) <= 3 and len(labels) > 2 else 2
    return bounded(".".join(labels[-keep:]))


@functools.lru_cache(maxsize=8_192)
def _folder(path: str) -> str:
    """A folder without what differs from person to person and from time to time, no deeper than _DEPTH."""
    path = _PERSON.sub(r"\1*", path)
    parts = path.split("/")[:_DEPTH]
    return "/".join("#" if _CHANGING.match(part[:80]) else part for part in parts)


def landing_of(folder: str, kind: str) -> str:
    """Type (`-` for none) and folder of a new file, such as `exe c:/users/*/downloads`."""
    kind = "#" if kind.isdigit() else kind[:12].lower()
    return bounded(f"{kind} {_folder(folder.replace(chr(92), '/').lower())}")


@functools.lru_cache(maxsize=16_384)
def host_of(host: str | None) -> str:
    """A host as the baseline names it: short name in lower case or address; empty where the logs name none."""
    text = (host or "").strip().lower().rstrip(".")
    if text.startswith("file:"):
        return ""
    return bounded(text if _ADDRESS.search(text) else text.split(".", 1)[0])
