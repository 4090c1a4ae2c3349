"""The registers name modules as text; here each name is proved to be a module that keeps the contract."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import click
import pytest

import tidewaiter.analytics
import tidewaiter.cli.commands
import tidewaiter.feeds
import tidewaiter.log_sources
import tidewaiter.outputs
from tidewaiter import feed, log_source, output
from tidewaiter.cli.main import COMMANDS


def modules_in(package: ModuleType) -> set[str]:
    """The modules of a room; a folder with an __init__.py is one module in several files."""
    return {module.name for module in pkgutil.iter_modules(package.__path__)}


def test_every_log_source_is_registered_and_every_registered_one_exists() -> None:
    assert {entry.name for entry in log_source.REGISTER} == modules_in(tidewaiter.log_sources)


@pytest.mark.parametrize("entry", log_source.REGISTER, ids=lambda entry: str(entry.name))
def test_a_log_source_keeps_its_contract(entry: log_source.Entry) -> None:
    source = entry.load()

    assert source.title
    if entry.family == "windows":
        assert source.providers
        assert all(name == name.lower() and numbers for name, numbers in source.providers.items())
        assert list(source.finish()) == []
    else:
        assert source.recognise(b"") is None
        assert source.recognise(b"\x00\xff\x80 neither text nor a known file" * 20) is None


@pytest.mark.parametrize("entry", log_source.REGISTER, ids=lambda entry: str(entry.name))
def test_a_log_source_has_a_sample(root: Path, entry: log_source.Entry) -> None:
    cases = [path for path in (root / "tests" / "samples" / entry.name).glob("*") if path.is_dir()]

    assert cases
    assert [case for case in cases if not (case / "events.jsonl").is_file() or not list(case.glob("input.*"))] == []


@pytest.mark.parametrize("entry", output.REGISTER, ids=lambda entry: entry.name)
def test_an_output_keeps_its_contract(entry: output.Entry) -> None:
    assert callable(entry.load().write)
    assert output.named(entry.name) is entry


def test_every_output_is_registered() -> None:
    assert {entry.module for entry in output.REGISTER} == modules_in(tidewaiter.outputs)


def test_every_feed_is_registered() -> None:
    assert {entry.module for entry in feed.REGISTER} == modules_in(tidewaiter.feeds)


@pytest.mark.parametrize("entry", feed.REGISTER, ids=lambda entry: entry.name)
def test_a_feed_keeps_its_contract(entry: feed.Entry) -> None:
    module = entry.load()

    assert feed.named(entry.name) is entry
    assert module.Settings.__struct_config__.forbid_unknown_fields
    assert module.Settings.__struct_config__.frozen
    for method in ("resume", "poll", "committed", "problems", "lag", "close"):
        assert getattr(module.Feed, method).__doc__


def test_every_command_is_listed() -> None:
    assert set(COMMANDS) == modules_in(tidewaiter.cli.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_in_its_help_what_the_list_says(name: str) -> None:
    command = importlib.import_module(f"tidewaiter.cli.commands.{name}").command

    assert command.name == name
    assert command.short_help == COMMANDS[name]
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []
