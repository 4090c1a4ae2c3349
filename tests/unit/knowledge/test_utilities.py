"""Every example of every utility is read as it says."""

from __future__ import annotations

import pytest

from tidewaiter.catalog import utilities
from tidewaiter.catalog.utilities import Example, Utility
from tidewaiter.reading.reader import read

EXAMPLES = [
    pytest.param(utility, example, id=f"{utility.name}-{number}")
    for utility in utilities.load().utilities
    for number, example in enumerate(utility.example)
]


@pytest.mark.parametrize(("utility", "example"), EXAMPLES)
def test_example(utility: Utility, example: Example) -> None:
    platform = "linux" if example.platform == "any" else example.platform
    reading = read(example.command, platform, cpu_seconds=5)
    assert reading.label == example.label, reading.actions
    assert not reading.limits
    strongest = reading.strongest
    if example.urls or strongest is None:
        urls = sorted({url for action in reading.actions if strongest and action.kind is strongest.kind for url in action.urls})
        assert urls == sorted(example.urls)
    if example.dest is not None:
        dests = [action.dest for action in reading.actions]
        assert example.dest in dests
    if example.label in ("ingress", "lateral"):
        assert strongest is not None
        assert any(action.runs for action in reading.actions) == example.runs
        if example.dest is None:
            assert strongest.dest is None


@pytest.mark.parametrize("utility", utilities.load().utilities, ids=lambda utility: utility.name)
def test_has_positive_and_negative_examples(utility: Utility) -> None:
    labels = {example.label for example in utility.example}
    assert "benign" in labels, f"{utility.name}.toml needs an example that is benign"
    moves = utility.form or utility.sink or utility.code
    assert not moves or labels - {"benign"} or all(form.action in ("benign", "package") for form in utility.form)


def test_option_spellings_have_one_meaning() -> None:
    catalog = utilities.load()
    for utility in catalog.utilities:
        assert catalog.options(utility) is not None
        assert all(name == name.lower() for name in utility.names), utility.name
