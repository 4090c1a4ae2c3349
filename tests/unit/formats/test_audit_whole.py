"""How much of a growing audit log holds whole events."""

from __future__ import annotations

import pytest

from tidewaiter.formats.audit_whole import whole


def _record(kind: str, serial: int) -> bytes:
    return f"type={kind} msg=audit(1767348000.123:{serial}): a=1\n".encode()


ONE = _record("SYSCALL", 1) + _record("EXECVE", 1)
END = _record("EOE", 1)
TWO = _record("SYSCALL", 2) + _record("EXECVE", 2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (ONE + END, ONE + END),
        (ONE + END + TWO, ONE + END),
        (ONE + TWO, ONE),
        (ONE, b""),
        (_record("SYSCALL", 2) + ONE + END + _record("EXECVE", 2), b""),
        (ONE + END + _record("SYSCALL", 3) + _record("SYSCALL", 4) + _record("EOE", 4) + _record("PATH", 3), ONE + END),
        (b"no audit record\n", b"no audit record\n"),
    ],
    ids=["nothing", "ended", "next began", "without marks", "one without mark", "interleaved", "interleaved later", "other"],
)
def test_what_may_go_on_is_held_back(data: bytes, expected: bytes) -> None:
    assert data[: whole(data)] == expected
