"""Commands and reply codes of FTP control connections, out of tshark's lines."""

from __future__ import annotations

from pathlib import Path

from tidewaiter.formats.capture_ftp import FtpCommand, ftp_commands

CLIENT, SERVER = ("192.0.2.5", 40_000), ("198.51.100.21", 21)


def line(time: str, command: str = "", argument: str = "", code: str = "", port: int = 40_000) -> str:
    ends = ["192.0.2.5", "", "198.51.100.21", "", str(port), "21"]
    if code:
        ends = ["198.51.100.21", "", "192.0.2.5", "", "21", str(port)]
    return "\t".join([time, *ends, command, argument, code, *[""] * 7])


def read(tmp_path: Path, *lines: str) -> list[FtpCommand]:
    (tmp_path / "out").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return list(ftp_commands(tmp_path))


def test_replies_belong_to_the_command_before_them(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        line("1.0", "USER", "anonymous"),
        line("1.1", code="331"),
        line("2.0", "RETR", "fw.img"),
        line("2.1", code="150"),
        line("2.5", code="226"),
        line("3.0", "STOR", "x.bin"),
        line("3.1", code="550"),
        line("4.0", "QUIT"),
    )

    assert [(one.time, one.command, one.argument, one.codes) for one in found] == [
        (2_000_000, "RETR", "fw.img", ("150", "226")),
        (3_000_000, "STOR", "x.bin", ("550",)),
    ]
    assert {(one.client, one.server) for one in found} == {(CLIENT, SERVER)}


def test_connections_do_not_mix_and_the_end_gives_up_the_rest(tmp_path: Path) -> None:
    found = read(tmp_path, line("1", "RETR", "a"), line("2", "RETR", "b", port=40_001), line("3", code="226", port=40_001))

    assert {(one.argument, one.codes) for one in found} == {("a", ()), ("b", ("226",))}


def test_lines_that_are_none_cost_nothing(tmp_path: Path) -> None:
    assert (
        read(tmp_path, "", "no tabs", "x\t" * 9, line("never", "RETR", "a"), line("1", "RETR", "b", port=40_002))[0].argument
        == "b"
    )
