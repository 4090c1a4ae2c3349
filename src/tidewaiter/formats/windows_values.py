"""How Windows events write their values: absent texts, hexadecimal numbers, hashes, accounts, device paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ABSENT = frozenset({"", "-", "N/A", "Unknown", "<unknown process>"})
LONGEST_ABSENT = max(map(len, ABSENT))
_ESCAPED_OCTET = re.compile(r"%%([0-9A-Fa-f]{2})")
_HASH = re.compile(r"(?i)\b(SHA1|SHA256|MD5)=([0-9A-F]{32,64})\b")
_HASH_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64}
_LENGTHS_SPELLED = {"MD5": 32, "SHA1": 40, "SHA256": 64, "IMPHASH": 32}
_LONGEST_NUMBER = 20
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def text(data: Mapping[str, Any], name: str) -> str | None:
    """This value as text; None where it is absent or stands for that, as "-" does."""
    return as_text(data.get(name))


def as_text(value: Any) -> str | None:
    """A value as text; None where it is absent or stands for that."""
    if value.__class__ is str:
        return None if len(value) <= LONGEST_ABSENT and value in ABSENT else value
    if value is None or isinstance(value, (dict, list)):
        return None
    return str(value)


def first_text(data: Mapping[str, Any], *names: str) -> str | None:
    """The first of these values that is there, as text."""
    for name in names:
        found = text(data, name)
        if found is not None:
            return found
    return None


def number(data: Mapping[str, Any], *names: str) -> int | None:
    """The first of these values that is there, as a number; texts may be decimal or hexadecimal (0x...)."""
    for name in names:
        found = as_number(data.get(name))
        if found is not None:
            return found
    return None


def as_number(value: Any) -> int | None:
    """A value as a number; texts may be decimal or hexadecimal (0x...)."""
    if value.__class__ is int:
        return value
    if value.__class__ is str and 0 < len(value) <= _LONGEST_NUMBER:
        return _of_text(value.strip())
    return None


def _of_text(value: str) -> int | None:
    try:
        return int(value, 16) if value[:2] in ("0x", "0X") else int(value)
    except ValueError:
        return None


def truth(data: Mapping[str, Any], name: str) -> bool | None:
    """A boolean value, however spelled."""
    return as_truth(data.get(name))


def as_truth(value: Any) -> bool | None:
    """A value as a boolean one, however spelled."""
    return value if isinstance(value, bool) else _TRUTHS.get(str(value).lower())


def hashes(value: str | None) -> dict[str, Any]:
    """`SHA1=...,MD5=...,SHA256=...` as lower-case values by lower-case name; only those with the right length."""
    if not value:
        return {}
    found: dict[str, str] = {}
    for part in value.split(","):  # as Sysmon writes them; anything else is searched through
        name, _, digest = part.partition("=")
        length = _LENGTHS_SPELLED.get(name)
        if length is None or len(digest) != length or not digest.isascii() or not digest.isalnum():
            return _hashes_in(value)
        try:
            given = int(digest, 16)
        except ValueError:
            return _hashes_in(value)
        if given and name != "IMPHASH":
            found[name.lower()] = digest.lower()
    return found


def _hashes_in(value: str) -> dict[str, str]:
    found = {}
    for name, digest in _HASH.findall(value):
        name = name.lower()
        if len(digest) == _HASH_LENGTHS[name] and digest.strip("0"):
            found[name] = digest.lower()
    return found


def key(value: str | None) -> str | None:
    """A GUID without braces in lower case, so that all containers spell it alike."""
    return value.strip("{}").lower() if value else None


def guid(data: Mapping[str, Any], name: str) -> str | None:
    """This value as a GUID, spelled as `key` does."""
    return as_guid(data.get(name))


def as_guid(value: Any) -> str | None:
    """A value as a GUID, spelled as `key` does."""
    if value.__class__ is str and len(value) == 38 and value[0] == "{" and value[-1] == "}":
        return str(value[1:-1].lower()) if value[1] not in "{}" and value[-2] not in "{}" else key(value)
    return key(as_text(value))


def account(data: Mapping[str, Any], role: str) -> str | None:
    """`DOMAIN\\name` of the `Subject...` or `Target...` values."""
    name, domain = text(data, role + "UserName"), text(data, role + "DomainName")
    return f"{domain}\\{name}" if name and domain else name


def address(value: str | None) -> str | None:
    """An IP address; IPv4 written as IPv6 in its short form."""
    if value is None or value[:1] != ":":
        return value
    return value[7:] if value.lower().startswith("::ffff:") and "." in value else value


def url(value: str | None) -> str | None:
    """An address with the doubled percent signs of event messages undone: `%%20` is `%20`."""
    return _ESCAPED_OCTET.sub(r"%\1", value) if value and "%%" in value else value


def local_path(value: str | None) -> str | None:
    """A path without the object manager's prefix (`\\??\\`, `\\\\?\\`)."""
    if value and value[:4] in ("\\??\\", "\\\\?\\"):
        return value[4:]
    return value
