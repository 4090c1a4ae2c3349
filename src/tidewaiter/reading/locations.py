"""What a word names: URL, UNC path, scp target, loopback ...; and names derived from it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import unquote

from tidewaiter.catalog import roles

_SCHEME = re.compile(r"^(?:[a-z][a-z0-9+.-]{1,30}://|(?:https?|ftps?):/)[^\s]", re.I)
_UNC = re.compile(r"^(\\\\|//)(?![?.][\\/])[^\\/\s]+[\\/]", re.I)
_SCP = re.compile(r"^(?:[^\s@/\\:]+@)?(?:\[[0-9a-f:.]+\]|[^\s@/\\:\[\]=,;|<>()'\"]{2,}):(?!//)", re.I)
_SCP_ANY_HOST = re.compile(r"^[^\s@/\\:]+@[^\s@/\\:]+:", re.I)
_RSYNC_MODULE = re.compile(r"^(?:[^\s@/\\:]+@)?[^\s@/\\:]+::", re.I)
_BARE_WEB = re.compile(
    r"^(?:[^\s/@:]+(?::[^\s/@]*)?@)?"
    r"(?:(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z]{2,}|(?:\d{1,3}\.){3}\d{1,3}|localhost)(?::\d+)?(?:[/?#].*)?$",
    re.I,
)
_HOST = re.compile(r"^(?:[^\s/@:]+@)?(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9])?|\[?[0-9a-f:]+\]?|(?:\d{1,3}\.){3}\d{1,3})$", re.I)
_HOST_PORT = re.compile(r"^(?:[a-z0-9_.-]+|\[[0-9a-f:]+\]):\d{1,5}$", re.I)
_CLOUD = re.compile(r"^(?:s3|gs|az|wasbs?|abfss?|oss|cos|b2|ipfs|ipns|magnet):", re.I)


_IMAGE = re.compile(
    r"^(?:docker://|oci://)?(?!(?:[a-z0-9-]+\.)?docker\.(?:io|com)/)"
    r"(?:(?:[a-z0-9-]+\.)+[a-z0-9-]+(?::\d+)?|[a-z0-9-]+:\d+)/[\w./:@+-]+$",
    re.I,
)  # a container image with a registry of its own
_POD = re.compile(r"^(?![A-Za-z]:[\\/])[\w.-]+(?:/[\w.-]+)?:.", re.I)  # [namespace/]pod:path of kubectl cp
_ALIAS = re.compile(r"^(?![./~\\$])(?!.*:)[\w-]+/[\w./-]*$")  # alias/bucket/name of the MinIO client
_BACKUP_STORE = re.compile(r"^(?:rest|sftp|s3|b2|azure|gs|swift|rclone)(?::|\+)", re.I)  # repositories of restic


def is_url(text: str) -> bool:
    """A scheme and something behind it, file: and drive-like schemes excepted."""
    if text[:5].lower() == "file:":
        return is_remote_file_url(text)
    return bool(_SCHEME.match(text) or _CLOUD.match(text))


def is_remote_file_url(text: str) -> bool:
    """file://host/path names another host; file:///path does not."""
    return bool(re.match(r"^file:/{2,5}(?![/.]|localhost/)[^/:]+/", text, re.I)) and not text.lower().startswith("file:///")


def is_unc(text: str) -> bool:
    r"""\\host\share, also with forward slashes; device paths (\\?\, \\.\) are local."""
    return bool(_UNC.match(text))


def is_scp(text: str) -> bool:
    r"""[user@]host:path and rsync's host::module; a drive letter (C:\) and a URL are not."""
    if "://" in text:
        return False
    return bool(_SCP.match(text) or _SCP_ANY_HOST.match(text) or _RSYNC_MODULE.match(text))


def is_bare_web(text: str) -> bool:
    """A host with or without a path but without a scheme, as curl and wget accept it."""
    if not _BARE_WEB.match(text):
        return False
    if "/" in text or re.match(r"^[\d.]+(:\d+)?$", text):
        return True
    return text.split(":")[0].rsplit(".", 1)[-1].lower() not in roles.load().file_suffixes


def is_loopback(text: str) -> bool:
    """The source is this very machine."""
    host = host_of(text)
    if host is None:
        return False
    name = host.lower().strip("[]").rstrip(".")
    if name in ("localhost", "0.0.0.0", "::1", "::"):  # noqa: S104 - compared with, nothing is bound
        return True
    if name.endswith(".localhost") or name.startswith("localhost."):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_of(text: str) -> str | None:
    """The host that a source names, lower case, or None."""
    text = text.strip().strip("'\"")
    match = re.match(r"^[a-z][a-z0-9+.-]*:/{2,}(?:[^/@\s]*@)?(\[[^\]]+\]|[^/:?#\s]+)", text, re.I)
    if match is None and is_unc(text):
        match = re.match(r"^(?:\\\\|//)([^\\/@]+)", text)
    if match is None and is_scp(text):
        match = re.match(r"^(?:[^\s@]*@)?(\[[^\]]+\]|[^\s:]+):", text)
    if match is None and (is_bare_web(text) or _HOST_PORT.match(text)):
        match = re.match(r"^(?:[^/@\s]*@)?(\[[^\]]+\]|[^/:?#\s]+)", text)
    if match is None:
        match = re.match(r"^[^\s@/\\:]+@([^\s@/\\:]+)$", text)
    return match[1].lower().strip("[]") if match else None


def passes(text: str, kind: str) -> bool:
    """Whether a word is of the kind that a selector's filter names; raises KeyError on an unknown filter."""
    return FILTERS[kind](text)


def _remote(text: str) -> bool:
    return is_url(text) or is_unc(text) or is_scp(text)


def is_host(text: str) -> bool:
    """A bare host name or address, with or without user@."""
    return bool(_HOST.match(text)) and not text.isdigit()


_PAGE = frozenset(
    ("htm", "html", "php", "asp", "aspx", "jsp", "jspx", "do", "action", "cgi", "shtml", "xhtml", "com", "net", "org")
)
_INNER = re.compile(r"(?:https?|ftps?|file)://[^\s\"'|<>)]+|(?<!\b[a-z]:)(?<!\w)\\\\[a-z0-9][^\s\"'|<>),;&?*]+", re.I)


def is_download(text: str) -> bool:
    """A URL whose last part names a file that is not a web page."""
    match = re.match(r"^[a-z][a-z0-9+.-]*://[^/?#]+/(?:[^?#]*/)?[^/?#]*\.([a-z][a-z0-9]{0,9})(?:[?#]|$)", text, re.I)
    return match is not None and match[1].lower() not in _PAGE


def inner(text: str) -> list[str]:
    """The URLs and UNC paths inside a longer word: `script:URL`, `search-ms:...location:PATH&...`, `ms-word:ofe|u|URL`."""
    if re.match(r"^search(?:-ms)?:", text, re.I):
        text = " ".join(unquote(part.partition("location:")[2]) for part in text.split("&") if "location:" in part)
    found = [match[0].rstrip(".,;") for match in _INNER.finditer(text)]
    return list(dict.fromkeys(found))


FILTERS: dict[str, Callable[[str], bool]] = {
    "any": lambda text: bool(text),
    "url": is_url,
    "web": lambda text: is_url(text) or is_bare_web(text),
    "unc": is_unc,
    "scp": is_scp,
    "net": lambda text: is_url(text) or is_unc(text),
    "remote": _remote,
    "local": lambda text: bool(text) and not _remote(text),
    "host": is_host,
    "hostport": lambda text: bool(_HOST_PORT.match(text)),
    "number": str.isdigit,
    "drive": lambda text: bool(re.match(r"^[a-z]:([\\/]|$)", text, re.I)),
    "git": lambda text: is_url(text) or is_scp(text),
    "at": lambda text: "@" in text,
    "image": lambda text: bool(_IMAGE.match(text)),
    "pod": lambda text: bool(_POD.match(text)),
    "alias": lambda text: bool(_ALIAS.match(text)),
    "restic": lambda text: bool(_BACKUP_STORE.match(text)),
    "download": is_download,
}
"""The filters that a selector may name."""


def basename(text: str, *, query: bool = False) -> str | None:
    """The last path part of a source, without the query unless asked; None where there is none."""
    text = text.strip().strip("'\"")
    if re.match(r"^[a-z][a-z0-9+.-]*:/{2,}", text, re.I):
        path = re.sub(r"^[a-z][a-z0-9+.-]*:/{2,}[^/?#]*", "", text, flags=re.I)
        path, _, fragmentless = path.partition("#")[0].partition("?")
        name = path.rstrip("/").rsplit("/", 1)[-1] if not path.endswith("/") else ""
        if query and fragmentless and name:
            name = f"{name}?{fragmentless}"
        return unquote(name) if name and not query else (name or None)
    on_host = is_scp(text)
    if on_host:
        text = re.sub(r"^(?:[^\s@]*@)?(\[[^\]]+\]|[^\s:]+):+", "", text)
    name = re.split(r"[\\/]", text.rstrip("\\/"))[-1]
    if name and not on_host and is_bare_web(text) and "/" not in text:
        return None
    return name.partition("?")[0] or None


def looks_like_folder(path: str, source_name: str | None) -> bool:
    """A trailing separator, `.`, or a last part without an extension where the source's name has one."""
    if not path:
        return False
    if path[-1] in "\\/" or path in (".", "..", "~") or re.fullmatch(r"[a-zA-Z]:", path):
        return True
    last = re.split(r"[\\/]", path)[-1]
    if source_name and last.lower() == source_name.lower():
        return False
    return (
        "." not in last.lstrip(".")
        and bool(source_name)
        and "." in (source_name or "").lstrip(".")
        and not last.startswith(".")
    )


def into(path: str, source: str) -> str:
    """Where a copy of `source` to `path` ends up: inside it when it is, or looks like, a folder."""
    name = basename(source)
    if not name or source.rstrip().endswith(("/", "\\")) or any(mark in name for mark in "*?"):
        return path
    if not looks_like_folder(path, name):
        return path
    separator = "\\" if "\\" in path or re.match(r"^[a-zA-Z]:|^%", path) else "/"
    if path.endswith(":") and not re.fullmatch(r"[a-zA-Z]:", path):
        return path + name  # flash:
    return path + name if path[-1] in "\\/" else f"{path}{separator}{name}"


def join(folder: str, name: str) -> str:
    """Folder and name with the folder's own separator."""
    if not folder:
        return name
    if re.match(r"^([a-zA-Z]:|[\\/~%$])", name):
        return name
    if folder[-1] in "\\/":
        return folder + name
    return f"{folder}\\{name}" if "\\" in folder or re.match(r"^[a-zA-Z]:", folder) else f"{folder}/{name}"
