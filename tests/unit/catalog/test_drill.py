"""knowledge/drill.toml: what is wrong in it is an error with its place, and what it says fits the rest of the program."""

from __future__ import annotations

import pkgutil
import shlex

import pytest

import tidewaiter.drill.servers
from tidewaiter.catalog import drill
from tidewaiter.errors import KnowledgeError
from tidewaiter.reading import reader
from tidewaiter.schema.action import ActionKind

SERVER = '[[server]]\nkind = "http"\nsays = "a server"\n'
METHOD = '[[method]]\nid = "curl"\nutility = "curl"\nprotocol = "http"\nserver = "http"\nprograms = ["curl"]\n'
FETCH = 'fetch = ["curl", "http://{address}:{port}/{name}"]\n'
VALUES = {
    "name": "drill-0-x.sh",
    "address": "192.0.2.7",
    "port": "8080",
    "served": "/srv/drill",
    "user": "keeper",
    "ssh": "/srv/ssh_config",
    "smb": "/srv/smb.conf",
}


def test_a_right_file_is_read() -> None:
    found = drill.parse(SERVER + METHOD + FETCH, "x.toml")

    assert found.method[0].command(VALUES) == ["curl", "http://192.0.2.7:8080/drill-0-x.sh"]
    assert found.server_of(found.method[0]).kind == "http"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SERVER + METHOD + FETCH + "surprise = 1\n", "unknown field"),
        (SERVER + METHOD + FETCH + METHOD + FETCH, "stands there twice"),
        (METHOD + FETCH, "missing required field"),
        (SERVER + METHOD.replace('server = "http"', 'server = "gopher"') + FETCH, "names the server gopher"),
        (SERVER + METHOD.replace('id = "curl"', 'id = "../curl"') + FETCH, "part of file names"),
        (SERVER + METHOD + 'fetch = ["wget", "{name}"]\n', "not among those it needs"),
        (SERVER + METHOD + 'fetch = ["curl", "{host}"]\n', "unknown placeholder host"),
        (SERVER + METHOD + 'fetch = ["curl", "{name"]\n', "wrong placeholder"),
        (SERVER + METHOD + FETCH + '[method.why]\nspread = "no"\n', "names spread, which is no stage of a drill"),
        ("[[server\n", "x.toml"),
    ],
    ids=lambda value: value if len(value) < 60 else "text",
)
def test_a_wrong_file_is_an_error_that_says_where(text: str, problem: str) -> None:
    with pytest.raises(KnowledgeError, match=problem):
        drill.parse(text, "x.toml")


def test_every_server_has_its_module_and_every_module_its_table() -> None:
    modules = {module.name for module in pkgutil.iter_modules(tidewaiter.drill.servers.__path__)}

    assert {server.kind for server in drill.load().server} == modules


@pytest.mark.parametrize("method", drill.load().method, ids=lambda method: str(method.id))
def test_the_command_of_every_method_is_read_as_bringing_something_in(method: drill.Method) -> None:
    """A drill whose commands our own reader does not understand would only prove that."""
    command = method.command(VALUES)
    reading = reader.read(shlex.join(command), argv=command, cpu_seconds=5.0)
    actions = [action for action in reading.actions if action.kind is ActionKind.INGRESS]

    assert [action.utility for action in actions] == [method.utility]
    assert any("192.0.2.7" in url for url in actions[0].urls) or method.lands == "memory"


def test_what_logs_may_not_show_is_said_only_of_what_a_drill_makes() -> None:
    for method in drill.load().method:
        assert set(method.why) <= set(drill.DRILLED)
        assert (method.lands == "memory") == ({"landed", "checked"} <= set(method.why)), method.id
