"""Values of audit records."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.formats.audit_values import (
    absolute,
    arguments,
    command_line,
    fields,
    keystrokes,
    octal,
    socket_address,
    unhex,
    value,
)


def spelled(argument: str) -> bytes:
    """As audit_log_untrustedstring spells it."""
    raw = argument.encode()
    if any(byte in b'"' or byte < 0x21 or byte > 0x7E for byte in raw):
        return raw.hex().upper().encode()
    return b'"' + raw + b'"'


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_arguments_come_back_as_they_were(argv: list[str]) -> None:
    body = b" argc=%d " % len(argv) + b" ".join(b"a%d=%s" % (index, spelled(each)) for index, each in enumerate(argv))
    assert arguments([body], len(argv)) == argv


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_the_command_line_is_what_a_shell_would_read(argv: list[str]) -> None:
    assert command_line(argv) == shlex.join(argv)


@given(TEXTS.filter(lambda each: len(each) > 3), st.integers(2, 9))
def test_a_split_argument_is_joined(argument: str, piece: int) -> None:
    digits = argument.encode().hex().upper().encode()
    pieces = [digits[at : at + piece * 2] for at in range(0, len(digits), piece * 2)]
    bodies = [b' argc=3 a0="x" a1_len=%d a1[0]=%s' % (len(digits), pieces[0])]
    bodies += [b" a1[%d]=%s" % (number, each) for number, each in enumerate(pieces) if number]
    bodies.append(b' a2="end"')
    assert arguments(bodies, 3) == ["x", argument, "end"]


def test_arguments_over_two_records_without_pieces() -> None:
    assert arguments([b' argc=3 a0="x" a1=', b' a2="y z'], 3)[0::2] == ["x", "y"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'"/usr/bin/x"', "/usr/bin/x"),
        (b"2F746D702F6120C3A9", "/tmp/a é"),
        (b"2F746D70FF", "/tmp\\xff"),
        (b"(null)", None),
        (b"ABC", "ABC"),
        (b'"cut', "cut"),
        (b"XYZ!", "XYZ!"),
    ],
)
def test_values(raw: bytes, text: str | None) -> None:
    assert value(raw) == text


@pytest.mark.parametrize(
    ("digits", "address"),
    [
        (b"02000050CB007109", ("203.0.113.9", 80)),
        (b"00020050CB007109", ("203.0.113.9", 80)),
        (b"0A0001BB0000000020010DB8000000000000000000000010", ("2001:db8::10", 443)),
        (b"0A0001BB0000000000000000000000000000FFFFC6336407", ("198.51.100.7", 443)),
        (b"0100", "local socket"),
        (b"1000", "netlink socket"),
        (b"0000", "disconnect of a socket"),
        (b"0200", "socket address cut short"),
        (b"0200GGGG", "socket address cut short"),
        (b"0A0001BB00", "socket address cut short"),
        (b"", "socket of another family"),
        (b"1100AA", "socket of another family"),
    ],
)
def test_addresses(digits: bytes, address: tuple[str, int] | str) -> None:
    assert socket_address(digits) == address


@given(st.binary(max_size=80))
def test_nothing_raises(raw: bytes) -> None:
    socket_address(raw)
    value(raw)
    arguments([raw], 1)
    arguments([raw, b" a1[0]=4"], 1)
    fields(raw)
    unhex(raw)
    assert all(keystrokes(raw))


@pytest.mark.parametrize(
    ("path", "cwd", "result"),
    [
        ("a", "/b", "/b/a"),
        ("./a/../c", "/b/", "/b/c"),
        ("/a//b/./c", None, "/a/b/c"),
        ("../../../x", "/b", "/x"),
        ("//x", None, "/x"),
        ("a", None, "a"),
        ("/.hidden", "/b", "/.hidden"),
    ],
)
def test_paths(path: str, cwd: str | None, result: str) -> None:
    assert absolute(path, cwd) == result


def test_keystrokes_are_edited_as_typed() -> None:
    assert keystrokes(b"cuur\x7f\x7frl x\r\x1b[Als\x03id\n\r") == ["curl x", "id"]


def test_modes() -> None:
    assert [octal("0100755"), octal(0o4755), octal(b"x")] == ["0755", "4755", None]


def test_first_of_equal_fields_counts() -> None:
    found = fields(b' pid=5 msg=\'op=x acct="a b" addr=192.0.2.1, res=success\'\x1dUID="root" pid=6')
    assert found["pid"] == "5"
    assert (found["acct"], found["addr"], found["res"], found["UID"]) == ("a b", "192.0.2.1", "success", "root")
