"""Lists of indicators in the four formats; what cannot be used is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.errors import PolicyError
from tidewaiter.policy.indicators import Indicators, parse_list, read_list
from tidewaiter.policy.stix import comparisons

SHA256, SHA1, MD5 = "ab" * 32, "cd" * 20, "ef" * 16
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def everything(found: Indicators) -> dict[str, set[str]]:
    parts = {
        "hash": found.hashes,
        "domain": found.domains,
        "address": found.addresses | {str(network) for network in found.networks},
        "url": found.urls,
    }
    return {name: values for name, values in parts.items() if values}


def test_plain_lines_with_comments_marks_and_a_hosts_file() -> None:
    text = (
        f"# a list\n{SHA256.upper()}\n\nbad.example.net   # seen often\n203.0.113.0/28\n198.51.100.7\n"
        "hxxps://cdn[.]example[.]org/a\n0.0.0.0 sink.example.com\n2001:db8::1\n! note\n"
        "bad(.)example(.)com\ncom\n0.0.0.0/0\n???\n"
    )
    found = parse_list(text, "a")

    assert everything(found) == {
        "hash": {SHA256},
        "domain": {"bad.example.net", "sink.example.com", "bad.example.com"},
        "address": {"203.0.113.0/28", "198.51.100.7", "2001:db8::1"},
        "url": {"https://cdn.example.org/a"},
    }
    assert found.unused == {"no hash, domain, address or URL": 2, "every address there is": 1}
    assert len(found) == 8


@pytest.mark.parametrize(
    "text",
    [
        f"indicator,type,first seen\n{SHA256},sha256,2026\nbad.example.net,domain,2026\n",
        f"Date;SHA256 hash;Host Name\n2026;{SHA256};bad.example.net\n",
        f"# no header\n2026,{SHA256},x\n2026,bad.example.net,y\n",
        f'"ioc"\t"comment"\n"{SHA256}"\t"a, b"\n"bad[.]example[.]net"\t""\n',
    ],
)
def test_csv_by_header_and_by_form(text: str) -> None:
    assert everything(parse_list(text, "a")) == {"hash": {SHA256}, "domain": {"bad.example.net"}}


def test_what_a_column_promises_and_does_not_hold_is_counted() -> None:
    found = parse_list(f"sha256,ip\n{SHA256},not an address\n", "a")

    assert everything(found) == {"hash": {SHA256}}
    assert found.unused == {"no address": 1}


def bundle(*patterns: str, **fields: Any) -> str:
    objects = [{"type": "indicator", "pattern": pattern, "pattern_type": "stix", **fields} for pattern in patterns]
    return json.dumps({"type": "bundle", "objects": [{"type": "malware", "name": "x"}, *objects]})


def test_stix_patterns_become_values() -> None:
    text = bundle(
        f"[file:hashes.'SHA-256' = '{SHA256}']",
        f"[file:hashes.MD5 = '{MD5}' OR file:hashes.'SHA-1' = '{SHA1}']",
        "[domain-name:value = 'bad.example.net'] OR [ipv4-addr:value = '203.0.113.0/28']",
        "[url:value IN ('http://files.example.org/a', 'http://files.example.org/b')]",
        "[ipv6-addr:value ISSUBSET '2001:db8::/64']",
        "[file:name = 'a.exe' AND domain-name:value = 'c.example.net']",
        "[file:name = 'a.exe']",
    )
    found = parse_list(text, "a", now=NOW)

    assert everything(found) == {
        "hash": {SHA256, SHA1, MD5},
        "domain": {"bad.example.net"},
        "address": {"203.0.113.0/28", "2001:db8::/64"},
        "url": {"http://files.example.org/a", "http://files.example.org/b"},
    }
    assert found.unused == {"pattern that is not simple, or of nothing that a transfer has": 2}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"revoked": True}, "revoked"),
        ({"valid_until": "2026-01-01T00:00:00Z"}, "no longer valid"),
        ({"valid_until": "soon"}, "valid_until is no time"),
        ({"pattern_type": "yara"}, "pattern in another language than STIX"),
    ],
)
def test_indicators_that_no_longer_hold_are_counted(fields: dict[str, Any], why: str) -> None:
    found = parse_list(bundle("[domain-name:value = 'bad.example.net']", **fields), "a", now=NOW)

    assert (len(found), dict(found.unused)) == (0, {why: 1})
    still = bundle("[domain-name:value = 'bad.example.net']", valid_until="2026-01-03T00:00:00Z")
    assert len(parse_list(still, "a", now=NOW)) == 1


@pytest.mark.parametrize(
    ("pattern", "pairs"),
    [
        ("[a:b = 'x']", [("a:b", "x")]),
        (r"[a:b = 'it\'s \\ x']", [("a:b", "it's \\ x")]),
        ("[a:b='x']OR[c:d='y']", [("a:b", "x"), ("c:d", "y")]),
        ("[file:hashes.MD5 = 'x' AND file:name = 'y']", [("file:hashes.md5", "x")]),
        ("[a:b = 'x' AND c:d = 'y']", None),
        ("[a:b = 'x'] AND [c:d = 'y']", None),
        ("[a:b = 'x'] FOLLOWEDBY [c:d = 'y']", None),
        ("[a:b = 'x'] WITHIN 5 SECONDS", None),
        ("[a:b LIKE 'x%']", None),
        ("[a:b != 'x']", None),
        ("[NOT a:b = 'x']", None),
        ("[a:b = 'x'", None),
        ("[a:b IN ('x' 'y')]", None),
        ("[a:b IN ('x',]", None),
        ("[]", None),
        ("", None),
        ("[a:b = 'x' OR]", None),
        ("(" * 10_000, None),
        ("[" + "a:b = 'x' OR " * 10_000, None),
    ],
)
def test_patterns_that_are_simple(pattern: str, pairs: list[tuple[str, str]] | None) -> None:
    assert comparisons(pattern) == pairs


def test_misp_attributes_wherever_they_are() -> None:
    attributes = [
        {"type": "sha256", "value": SHA256, "to_ids": True},
        {"type": "filename|md5", "value": f"a.exe|{MD5}"},
        {"type": "domain|ip", "value": "bad.example.net|198.51.100.7"},
        {"type": "ip-dst|port", "value": "203.0.113.9|443"},
        {"type": "url", "value": "http://files.example.org/a"},
        {"type": "sha1", "value": SHA1, "to_ids": False},
        {"type": "comment", "value": "bad.example.com"},
        {"type": "domain", "value": 7},
    ]
    event = {"Event": {"Attribute": attributes[:3], "Object": [{"name": "file", "Attribute": attributes[3:]}]}}
    found = parse_list(json.dumps({"response": [event]}), "a")

    assert everything(found) == {
        "hash": {SHA256, MD5},
        "domain": {"bad.example.net"},
        "address": {"198.51.100.7", "203.0.113.9"},
        "url": {"http://files.example.org/a"},
    }
    assert found.unused == {
        "attribute that is not meant for detection": 1,
        "attribute of nothing that a transfer has": 2,
    }
    assert everything(parse_list(json.dumps(event), "a")) == everything(found)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"a": 1', "[1, 2"])
def test_broken_json_is_an_error_that_names_the_file(text: str) -> None:
    with pytest.raises(PolicyError, match=r"list\.json"):
        parse_list(text, "list.json", "misp")


@pytest.mark.parametrize(
    "text", ["[]", "{}", "1", "[[[[[[[[[[[[1]]]]]]]]]]]]", '{"objects": 5}', '{"Event": [null, {"Attribute": 3}]}']
)
@pytest.mark.parametrize("given", ["stix", "misp"])
def test_json_of_another_shape_holds_nothing(text: str, given: Any) -> None:
    assert len(parse_list(text, "a", given)) == 0


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="absent"):
        read_list(tmp_path / "absent.txt", None)
