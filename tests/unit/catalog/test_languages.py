"""The language files: what they hold is checked when they are read."""

from __future__ import annotations

import pytest

from tidewaiter.catalog import languages
from tidewaiter.errors import KnowledgeError
from tidewaiter.reading.one_liners_values import COMPUTES

GOOD = """
name = "x"
utility = "x"
[syntax]
[[call]]
names = ["get"]
does = "fetch"
[[example]]
code = "get('a')"
label = "ingress"
[[example]]
code = "1"
label = "benign"
"""


def test_every_shipped_language_is_found_by_its_programs() -> None:
    for program, name in [
        ("python3.11", "python"),
        ("/usr/bin/perl", "perl"),
        ("C:\\node.exe", "node"),
        ("gawk", "awk"),
        ("lua5.4", "lua"),
        ("jshell", "java"),
    ]:
        found = languages.find(program)
        assert found is not None
        assert found.name == name
    assert languages.find("nothing") is None


def test_every_computation_exists() -> None:
    for language in languages.load().values():
        for call in language.call:
            assert (call.does == "value") == bool(call.computes), call.names
            assert not call.computes or call.computes in COMPUTES, call.names


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('does = "fetch"', 'does = "fetches"', "call"),
        ('utility = "x"', 'utility = "x"\nversion = 1', "version"),
        ('names = ["get"]', 'names = ["get", "get"]', "get"),
        ('names = ["get"]', 'names = ["Get"]', "Get"),
        ('label = "benign"', 'label = "ingress"', "example"),
        ('name = "x"', "name = ", "file"),
    ],
)
def test_a_wrong_file_is_an_error_with_file_and_place(old: str, new: str, place: str) -> None:
    assert languages.parse_language(GOOD, "x.toml").name == "x"
    with pytest.raises(KnowledgeError, match=r"x\.toml") as problem:
        languages.parse_language(GOOD.replace(old, new, 1), "x.toml")
    assert place in str(problem.value)
