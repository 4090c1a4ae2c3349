"""What may join what: comparison keys for hosts, paths, URLs and times."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tidewaiter.schema.event import Event, EventKind

_CONTEXT = frozenset(
    {
        EventKind.PROCESS_START, EventKind.PROCESS_END, EventKind.CONNECTION, EventKind.FILE_CREATE, EventKind.FILE_RENAME,
        EventKind.FILE_DELETE, EventKind.FILE_BLOCKED, EventKind.FILE_STREAM, EventKind.IMAGE_LOAD, EventKind.SERVICE_INSTALL,
        EventKind.MALWARE_DETECTED, EventKind.LOGIN, EventKind.DNS_QUERY,
    }
)  # fmt: skip
_ADDRESS = re.compile(r"^(?:\d{1,3}\.){3}\d{1,3}$|:.*:")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def host_key(event: Event) -> str:
    """The host a record is about: short name in lower case, else an address, else the log file itself."""
    if event.host:
        name = event.host.strip().lower().rstrip(".")
        return name if _ADDRESS.search(name) else name.split(".", 1)[0]
    return event.host_ip or f"file:{event.log_file}"


def visible_kind(event: Event) -> str:
    """The kind of event for the list of what a host's logs can show; process starts say whether they hold command lines."""
    if event.kind is EventKind.PROCESS_START and (event.command_line or event.argv):
        return "process_start:command_line"
    return event.kind.value


def is_context(event: Event) -> bool:
    """Whether correlation needs the event even where no analytic found anything in it."""
    return event.kind in _CONTEXT


def path_key(path: str | None) -> str:
    """A path for comparing: lower case, forward slashes, no quotes, device prefixes or doubled separators."""
    if not path:
        return ""
    text = path.strip().strip("\"'").replace("\\", "/").lower()
    text = re.sub(r"^//[?.]/", "", text)
    text = re.sub(r"^/\?\?/", "", text)
    text = re.sub(r"(?<!^)/{2,}", "/", text)
    return re.sub(r"/\./", "/", text).rstrip("/")


def base_key(path: str | None) -> str:
    """The last part of a path for comparing."""
    return path_key(path).rsplit("/", 1)[-1]


def resolve(path: str, cwd: str | None) -> str:
    """A relative path joined with the working directory, as spelled otherwise."""
    text = path.strip().strip("\"'")
    if not cwd or re.match(r"^(?:[A-Za-z]:|[\\/~%$])", text):
        return text
    separator = "\\" if "\\" in cwd or re.match(r"^[A-Za-z]:", cwd) else "/"
    text = re.sub(r"^\.[\\/]", "", text)
    return f"{cwd.rstrip(chr(92) + '/')}{separator}{text}"


_VARIABLE = re.compile(r"^(?:%[^%]+%|\$env:\w+|\$\{?\w+\}?|~)(?=[\\/]|$)", re.I)


def same_path(spelled: str | None, seen: str | None, cwd: str | None = None) -> bool:
    """Whether a path as a command spells it can be the path that a sensor saw: equal, or equal behind a variable or folder."""
    if not spelled or not seen:
        return False
    left, right = path_key(spelled), path_key(seen)
    if left == right or (cwd and path_key(resolve(spelled, cwd)) == right):
        return True
    if left.rsplit("/", 1)[-1] != right.rsplit("/", 1)[-1]:
        return False
    stripped = _VARIABLE.sub("", left).lstrip("/")
    if stripped != left:
        return right.endswith("/" + stripped)
    if "/" not in left:
        return True  # a bare name: the folder was the working directory, which few logs tell
    return not re.match(r"^(?:[a-z]:|/)", left) and right.endswith("/" + left.lstrip("./"))


def url_keys(urls: tuple[str, ...] | list[str]) -> frozenset[str]:
    """URLs for comparing: lower case, without scheme's default port, trailing slash and quotes."""
    found = set()
    for url in urls:
        text = url.strip().strip("\"'").rstrip("/").lower()
        text = re.sub(r"^(http://[^/:]+):80(?=/|$)", r"\1", text)
        text = re.sub(r"^(https://[^/:]+):443(?=/|$)", r"\1", text)
        if text:
            found.add(text)
    return frozenset(found)


def endpoint(source: str) -> tuple[str | None, int | None]:
    """Host and port that a source names: URL, UNC, user@host:path or host:port."""
    from tidewaiter.reading import locations

    host = locations.host_of(source)
    port = None
    if "://" in source:
        try:
            port = urlsplit(source).port
        except ValueError:
            port = None
        if port is None:
            port = {"http": 80, "https": 443, "ftp": 21, "tftp": 69}.get(source.split(":", 1)[0].lower())
    else:
        match = re.match(r"^(?:[^@\s]*@)?(?:\[[^\]]+\]|[^:\s]+):(\d{1,5})$", source)
        port = int(match[1]) if match and int(match[1]) < 65_536 else None
    return host, port


def is_address(text: str | None) -> bool:
    """Whether a host is spelled as an IP address."""
    return bool(text) and bool(_ADDRESS.search(text or ""))


def render_time(moment: int | None) -> str | None:
    """Microseconds since 1970 as RFC 3339 in UTC; None for unknown (0 or None)."""
    if not moment:
        return None
    try:
        seconds, micro = divmod(moment, 1_000_000)
        stamp = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro)
    except (ValueError, OverflowError, OSError):
        return None
    return stamp.isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> int | None:
    """RFC 3339 as microseconds since 1970, or None."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
