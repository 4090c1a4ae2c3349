"""What is wrong in a policy is said with file and place."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_writer import HEAD, entry
from tidewaiter.errors import PolicyError, UsageError
from tidewaiter.policy.document import parse_document, read_document

GOOD = entry("trusted_domain", domains=["example.org"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + 'ownr = "x"\n', "site.toml: trusted_domain 1 (id 'one'): Object contains unknown field `ownr`"),
        ("[[trusted]]\n", "site.toml: file: Object contains unknown field `trusted`"),
        (GOOD.replace('owner = "ann"\n', ""), "trusted_domain 1 (id 'one'): Object missing required field `owner`"),
        (GOOD.replace('id = "one"\n', ""), "trusted_domain 1: Object missing required field `id`"),
        (GOOD.replace("2030-01-01", '"soon"'), "trusted_domain 1 (id 'one') expires: Invalid RFC3339 encoded date"),
        (GOOD.replace('"because"', '" "'), "trusted_domain (id 'one'): reason is empty"),
        (GOOD + GOOD, "trusted_domain (id 'one'): another entry of this file has the same id"),
        (entry("trusted_domain", domains=["com"]), "'com' is no domain such as example.com"),
        (entry("trusted_domain", domains=["*.example.org"]), "is no domain"),
        (entry("trusted_domain", domains=[]), "domains is empty"),
        (entry("distribution_server", servers=["no name"]), "is no name, address or network"),
        (entry("internal_network", networks=["10.0.0.0/99"]), "'10.0.0.0/99' is no network such as 10.0.0.0/8"),
        (entry("allowed_utility", utilities=["a"], hosts=["@nobody"]), "'@nobody' is no group of this file"),
        (entry("allowed_utility", utilities=[" "], hosts=["a"]), "in utilities is an empty text"),
        (entry("known_bad"), "needs either values or file"),
        (entry("known_bad", values=["example.net"], file="a"), "needs either values or file"),
        (entry("known_bad", file="a", format="xml"), "known_bad 1 (id 'one') format: Invalid enum value 'xml'"),
        ("[[trusted_domain", "site.toml: file: is no TOML"),
        ("trusted_domain = 1", "site.toml: trusted_domain: Expected `array`, got `int`"),
        ("x = " + "[" * 5_000, "is no TOML"),
    ],
)
def test_a_wrong_policy_is_an_error_that_says_where(text: str, says: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_document(text, "site.toml")

    assert says in str(caught.value)
    assert isinstance(caught.value, UsageError)


def test_every_table_is_read() -> None:
    text = "".join(
        f'[[{table}]]\nid = "{table}"\n{HEAD}{rest}\n'
        for table, rest in {
            "known_bad": 'file = "a.csv"\nformat = "csv"',
            "trusted_domain": 'domains = ["example.org"]',
            "distribution_server": 'servers = ["192.0.2.1"]',
            "updater": 'programs = ["a"]\ndomains = ["example.org"]',
            "allowed_utility": 'utilities = ["a"]\nhosts = ["b"]',
            "internal_network": 'networks = ["192.0.2.0/24"]',
        }.items()
    )

    assert [table for table, _ in parse_document(text, "site.toml").entries()] == [
        "trusted_domain",
        "distribution_server",
        "updater",
        "allowed_utility",
        "internal_network",
        "known_bad",
    ]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"name = '\xff'")

    for path in (tmp_path / "absent.toml", tmp_path, broken):
        with pytest.raises(PolicyError, match=path.name):
            read_document(path)
