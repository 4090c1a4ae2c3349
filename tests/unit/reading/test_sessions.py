"""Who a session opens: the host behind the options, with the port that an option names."""

from __future__ import annotations

import pytest

from tidewaiter.reading import paths, sessions
from tidewaiter.reading.budget import Budget


def source(opened: str, name: str = "rel/app.tgz", peer: str | None = None) -> str:
    """The source of what is got after this `open`."""
    (item,) = sessions.read(f"{opened}; get {name}", peer, Budget())
    return item.source


@pytest.mark.parametrize(
    ("opened", "found"),
    [
        ("open -p 2121 store.example.net", "store.example.net:2121/rel/app.tgz"),
        ("open store.example.net -p 2121", "store.example.net:2121/rel/app.tgz"),
        ("open -p2121 store.example.net", "store.example.net:2121/rel/app.tgz"),
        ("open --port=2121 store.example.net", "store.example.net:2121/rel/app.tgz"),
        ("open --user ops --port 2121 192.0.2.7", "192.0.2.7:2121/rel/app.tgz"),
        ("open -u ops,secret store.example.net", "store.example.net:rel/app.tgz"),
        ("open -p 2121 2001:db8::7", "[2001:db8::7]:2121/rel/app.tgz"),
        ("open -p 2121 [2001:db8::7]", "[2001:db8::7]:2121/rel/app.tgz"),
        ("open -p 2121 ftp://store.example.net/pub", "ftp://store.example.net:2121/pub"),
        ("open -p 2121 ftp://store.example.net:22/pub", "ftp://store.example.net:22/pub"),
        ("open -p many store.example.net", "store.example.net:rel/app.tgz"),
        ("open store.example.net 21", "store.example.net:rel/app.tgz"),
        ("open -p", "first.example.net:rel/app.tgz"),
    ],
)
def test_open_names_the_host_and_its_port(opened: str, found: str) -> None:
    assert source(opened, peer="first.example.net") == found


def test_an_absolute_name_keeps_one_slash() -> None:
    assert source("open -p 2121 store.example.net", "/rel/app.tgz") == "store.example.net:2121/rel/app.tgz"


@pytest.mark.parametrize(
    ("text", "protocol", "found"),
    [
        ("store.example.net:2121/rel/app.tgz", "ftp", ("store.example.net", 2121)),
        ("192.0.2.7:8080/kit.sh", None, ("192.0.2.7", 8080)),
        ("[2001:db8::7]:2121/app.tgz", None, ("2001:db8::7", 2121)),
        ("store.example.net:2024/backup.tgz", "ssh", ("store.example.net", None)),
        ("store.example.net:2024/backup.tgz", "rsync", ("store.example.net", None)),
        ("ops@store.example.net:2024/backup.tgz", None, ("store.example.net", None)),
        ("store.example.net:99999/app.tgz", None, ("store.example.net", None)),
        ("store.example.net:app.tgz", None, ("store.example.net", None)),
        ("store.example.net:2121", None, ("store.example.net", 2121)),
    ],
)
def test_digits_behind_a_host_are_a_port_unless_ssh_carries_it(
    text: str, protocol: str | None, found: tuple[str, int | None]
) -> None:
    assert paths.endpoint(text, protocol) == found
