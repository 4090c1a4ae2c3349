"""What entries say of transfers, and what they do to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from policy_writer import entry, make
from tidewaiter.policy.policy import Policy, load
from tidewaiter.policy.trial import tried
from tidewaiter.schema.transfer import Transfer

TODAY = date(2026, 1, 2)
Write = Callable[[str], str]


def held(policy: Policy, transfer: Transfer) -> dict[str, int]:
    """Reason ids of the policy with their weights."""
    return {
        reason.id: reason.weight for reason in policy.applied(transfer).reasons if reason.id.startswith(("policy_", "bound"))
    }


TRUSTED = entry("trusted_domain", domains=["example.org"])
SERVER = entry("distribution_server", servers=["sccm.example.com", "192.0.2.0/28", "2001:db8::5"])
UPDATER = entry("updater", programs=["Acme-Updater.exe"], domains=["updates.example.net"])
ALLOWED = '[groups]\nadmins = ["adm-*", "198.51.100.0/24"]\n' + entry(
    "allowed_utility", utilities=["psexec"], hosts=["@admins", "ws09"], users=["svc-*"]
)
INSIDE = entry("internal_network", networks=["203.0.113.0/24"])
HASHES = entry("known_bad", values=["AB" * 32, "cd" * 20, "ef" * 16])
PLACES = entry("known_bad", values=["bad.example.net", "198.51.100.66", "203.0.113.64/26", "hxxp://files[.]example[.]org/x/"])


@pytest.mark.parametrize(
    ("text", "fields", "reason"),
    [
        (TRUSTED, {"src": {"hostname": "files.example.org"}}, "policy_trusted"),
        (TRUSTED, {"src": {"url": "https://EXAMPLE.ORG./a"}}, "policy_trusted"),
        (SERVER, {"src": {"hostname": "dp1.sccm.example.com"}}, "policy_distribution"),
        (SERVER, {"src": {"ip": "192.0.2.3"}}, "policy_distribution"),
        (SERVER, {"src": {"ip": "2001:db8:0::5"}}, "policy_distribution"),
        (UPDATER, {"process": {"name": "acme-updater.exe"}, "src": {"hostname": "updates.example.net"}}, "policy_updater"),
        (ALLOWED, {"utility": "psexec", "device": {"hostname": "ADM-3.example.com"}, "user": "EX\\svc-a"}, "policy_allowed"),
        (ALLOWED, {"utility": "psexec", "device": {"hostname": "ws09.example.com"}, "user": "svc-a@ex"}, "policy_allowed"),
        (ALLOWED, {"utility": "psexec", "device": {"hostname": None, "ip": "198.51.100.4"}, "user": "svc-a"}, "policy_allowed"),
        (INSIDE, {"src": {"ip": "203.0.113.7"}}, "policy_internal"),
        (HASHES, {"file": {"sha256": "ab" * 32}}, "policy_bad"),
        (HASHES, {"file": {"sha1": "CD" * 20}}, "policy_bad"),
        (HASHES, {"file": {"md5": "ef" * 16}}, "policy_bad"),
        (PLACES, {"src": {"hostname": "cdn.bad.example.net"}}, "policy_bad"),
        (PLACES, {"src": {"ip": "198.51.100.66"}}, "policy_bad"),
        (PLACES, {"src": {"ip": "203.0.113.70"}}, "policy_bad"),
        (PLACES, {"src": {"url": "http://203.0.113.71:8080/a"}}, "policy_bad"),
        (PLACES, {"src": {"url": "http://files.example.org:80/x"}}, "policy_bad"),
    ],
)
def test_an_entry_speaks_of_a_transfer(write: Write, text: str, fields: dict[str, Any], reason: str) -> None:
    assert reason in held(load([write(text)], TODAY), make(**fields))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (TRUSTED, {"src": {"hostname": "example.org.example.net"}}),
        (TRUSTED, {"src": {"hostname": "notexample.org"}}),
        (TRUSTED, {"src": {"url": "https://example.org@evil.example.net/a"}}),
        (TRUSTED, {"src": {"hostname": "example.org", "url": "https://evil.example.net/a"}}),  # one name is trusted, one is not
        (TRUSTED, {}),
        (SERVER, {"src": {"ip": "192.0.2.99"}}),
        (SERVER, {"src": {"ip": "not an address"}}),
        (UPDATER, {"process": {"name": "acme-updater.exe"}, "src": {"hostname": "example.net"}}),
        (UPDATER, {"process": {"name": "curl.exe"}, "src": {"hostname": "updates.example.net"}}),
        (ALLOWED, {"utility": "psexec", "device": {"hostname": "ws01"}, "user": "svc-a"}),
        (ALLOWED, {"utility": "psexec", "device": {"hostname": "adm-1"}, "user": "bob"}),
        (ALLOWED, {"utility": "curl", "device": {"hostname": "adm-1"}, "user": "svc-a"}),
        (INSIDE, {"src": {"ip": "198.51.100.1"}}),
        (HASHES, {"file": {"sha256": "aa" * 32}}),
        (PLACES, {"src": {"hostname": "example.net", "ip": "198.51.100.67", "url": "http://files.example.org/x/y"}}),
    ],
)
def test_an_entry_keeps_still(write: Write, text: str, fields: dict[str, Any]) -> None:
    one = make(**fields)

    assert load([write(text)], TODAY).applied(one) is one


def test_the_reason_names_policy_entry_match_and_why(write: Write) -> None:
    policy = load([write('name = "head office"\n' + TRUSTED)], TODAY)
    told = policy.applied(make(src={"hostname": "files.example.org"}))

    assert (told.score, told.severity) == (10, "informational")
    assert sum(reason.weight for reason in told.reasons) == 10
    trusted = next(reason for reason in told.reasons if reason.id == "policy_trusted")
    assert trusted.text == "the source is trusted by policy head office, entry one (example.org): because"


def test_the_sum_is_kept_within_bounds_and_adds_up(write: Write) -> None:
    low = load([write(TRUSTED)], TODAY).applied(make(score=5, src={"hostname": "example.org"}))
    high = load([write(HASHES)], TODAY).applied(make(score=80, file={"sha256": "ab" * 32}))

    assert [(one.score, one.severity) for one in (low, high)] == [(0, "informational"), (100, "critical")]
    assert all(sum(reason.weight for reason in one.reasons) == one.score for one in (low, high))


def test_trust_does_not_count_for_what_is_known_to_be_bad(write: Write) -> None:
    text = TRUSTED + HASHES.replace('"one"', '"two"')
    one = make(score=20, src={"hostname": "example.org"}, file={"sha256": "ab" * 32})

    assert held(load([write(text)], TODAY), one) == {"policy_bad": 60, "policy_trusted": 0}


def test_two_entries_of_a_kind_make_one_reason(write: Write) -> None:
    text = TRUSTED + TRUSTED.replace('"one"', '"two"')
    told = load([write(text)], TODAY).applied(make(src={"hostname": "example.org"}))

    reasons = [reason for reason in told.reasons if reason.id == "policy_trusted"]
    assert [reason.weight for reason in reasons] == [-40]
    assert "entry one" in reasons[0].text
    assert "entry two" in reasons[0].text


def test_applying_is_repeatable_and_undone_by_the_empty_policy(write: Write) -> None:
    policy = load([write(HASHES)], TODAY)
    one = make(score=70, file={"sha256": "ab" * 32})
    once = policy.applied(one)

    assert policy.applied(once) == once != one
    assert Policy().applied(once) == one


def test_an_expired_entry_is_ignored_and_named(write: Write) -> None:
    policy = load([write(TRUSTED)], date(2030, 1, 2))

    assert [(one.entry.id, one.why) for one in policy.passed] == [("one", "expired on 2030-01-01")]
    assert held(policy, make(src={"hostname": "example.org"})) == {}
    assert len(load([write(TRUSTED)], date(2030, 1, 1)).rules) == 1, "the last day counts"


def test_a_later_file_replaces_an_entry_by_its_id(write: Write, tmp_path: Any) -> None:
    other = tmp_path / "local.toml"
    other.write_text(entry("trusted_domain", domains=["example.com"]), encoding="utf-8")
    policy = load([write(TRUSTED), str(other)], TODAY)

    assert held(policy, make(src={"hostname": "example.org"})) == {}
    assert "policy_trusted" in held(policy, make(src={"hostname": "example.com"}))
    assert [one.why for one in policy.passed] == [f"replaced by {other}"]


def test_a_trial_says_what_each_entry_does_by_itself(write: Write) -> None:
    text = (
        TRUSTED
        + HASHES.replace('"one"', '"bad"')
        + entry("trusted_domain", "unused", domains=["example.com"])
        + entry("updater", "old", programs=["a"], domains=["example.com"]).replace("2030", "2020")
    )
    transfers = [
        make(id="a1", src={"hostname": "example.org"}),
        make(id="a2", src={"hostname": "example.org"}, file={"sha256": "ab" * 32}),
        make(id="a3", score=85, src={"hostname": "example.org"}),
        make(id="a4"),
    ]
    trial = tried(load([write(text)], TODAY), transfers)

    assert trial.transfers == 4
    numbers = {one.id: (one.matched, one.silenced, one.lowered, one.raised) for one in trial.entries}
    assert numbers == {"one": (3, 2, 3, 0), "bad": (1, 0, 0, 1), "unused": (0, 0, 0, 0)}
    assert [(one.id, one.before, one.after) for one in trial.entries[0].examples] == [
        ("a1", "medium 50", "informational 10"),
        ("a2", "medium 50", "informational 10"),
        ("a3", "critical 85", "medium 45"),
    ]
    assert [(one.id, one.why) for one in trial.ignored] == [("old", "expired on 2020-01-01")]
