"""Ways to start a line of a Unix shell from a one-liner in Python or Perl that does not show it."""

from __future__ import annotations

import base64
import codecs
import shlex
import zlib
from collections.abc import Callable

from obfuscation.text import Family, Transform, pieces, shuffled


def python(code: Callable[[str], str]) -> Transform:
    return lambda line: f"python3 -c {shlex.quote(code(line))}"


def perl(code: Callable[[str], str]) -> Transform:
    return lambda line: f"perl -e {shlex.quote(code(line))}"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def numbers(text: str) -> str:
    return ",".join(str(ord(letter)) for letter in text)


def system(line: str) -> str:
    return f"import os;os.system({line!r})"


def formatted(line: str) -> str:
    places, parts = shuffled(pieces(line, 9))
    return f"import os;os.system({''.join(f'{{{place}}}' for place in places)!r}.format({','.join(map(repr, parts))}))"


def percent(line: str) -> str:
    parts = pieces(line, 9)
    return f"import os;os.system({'%s' * len(parts)!r}%({','.join(map(repr, parts))},))"


PYTHON: Family = {
    "system": python(system),
    "sum of text": python(lambda line: f"import os;os.system({'+'.join(map(repr, pieces(line)))})"),
    "base64": python(lambda line: f"import base64,os;os.system(base64.b64decode('{b64(line)}').decode())"),
    "code in base64": python(lambda line: f"import base64;exec(base64.b64decode('{b64(system(line))}'))"),
    "imported in place": python(lambda line: f"exec(__import__('base64').b64decode('{b64(system(line))}'))"),
    "characters": python(lambda line: f"import os;os.system({'+'.join(f'chr({ord(letter)})' for letter in line)})"),
    "characters joined": python(lambda line: f"import os;os.system(''.join(map(chr,[{numbers(line)}])))"),
    "characters in a loop": python(lambda line: f"import os;os.system(''.join(chr(c) for c in [{numbers(line)}]))"),
    "subprocess": python(lambda line: f"import subprocess;subprocess.call({line!r},shell=True)"),
    "subprocess of a shell": python(lambda line: f"from subprocess import Popen as p;p(['sh','-c',{line!r}]).wait()"),
    "hexadecimal": python(lambda line: f"import os;os.system(bytes.fromhex('{line.encode().hex()}').decode())"),
    "reversed": python(lambda line: f"import os;os.system({line[::-1]!r}[::-1])"),
    "format": python(formatted),
    "percent": python(percent),
    "exec": python(lambda line: f"exec({system(line)!r})"),
    "compiled": python(lambda line: f"exec(compile({system(line)!r},'','exec'))"),
    "named by text": python(lambda line: f"import os;getattr(os,'sys'+'tem')({line!r})"),
    "module named by text": python(lambda line: f"__import__('o'+'s').system({line!r})"),
    "compressed": python(
        lambda line: (
            "import zlib,base64,os;os.system(zlib.decompress(base64.b64decode("
            f"'{base64.b64encode(zlib.compress(line.encode())).decode()}')).decode())"
        )
    ),
    "rotated": python(lambda line: f"import codecs,os;os.system(codecs.decode({codecs.encode(line, 'rot13')!r},'rot13'))"),
    "replaced": python(lambda line: f"import os;os.system({'QX'.join(pieces(line))!r}.replace('QX',''))"),
    "variables": python(lambda line: f"import os;a={line[:7]!r};b={line[7:]!r};os.system(a+b)"),
    "popen": python(lambda line: f"import os;os.popen({line!r}).read()"),
}


def q(text: str) -> str:
    """A string of Perl in which nothing is replaced."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


PERL: Family = {
    "system": perl(lambda line: f"system({q(line)})"),
    "exec": perl(lambda line: f"exec {q(line)}"),
    "sum of text": perl(lambda line: f"system({'.'.join(q(part) for part in pieces(line))})"),
    "backquotes": perl(lambda line: f"my $c={q(line)};`$c`"),
    "packed": perl(lambda line: f"system(pack('H*','{line.encode().hex()}'))"),
    "base64": perl(lambda line: f"use MIME::Base64;system(decode_base64('{b64(line)}'))"),
    "code in base64": perl(lambda line: f"use MIME::Base64;eval(decode_base64('{b64(f'system({q(line)})')}'))"),
    "characters": perl(lambda line: f"system({'.'.join(f'chr({ord(letter)})' for letter in line)})"),
    "characters joined": perl(lambda line: f"system(join('',map{{chr($_)}}({numbers(line)})))"),
    "characters packed": perl(lambda line: f"system(pack('C*',{numbers(line)}))"),
    "reversed": perl(lambda line: f"system(scalar reverse {q(line[::-1])})"),
    "evaluated": perl(lambda line: f"eval({q(f'system({q(line)})')})"),
    "rotated": perl(lambda line: f"($x={q(codecs.encode(line, 'rot13'))})=~tr/A-Za-z/N-ZA-Mn-za-m/;system($x)"),
    "printed": perl(lambda line: f"system(sprintf('%s%s',{q(line[:9])},{q(line[9:])}))"),
    "joined": perl(lambda line: f"system(join('',{','.join(q(part) for part in pieces(line))}))"),
    "replaced": perl(lambda line: f"($x={q('QX'.join(pieces(line)))})=~s/QX//g;system($x)"),
    "variables": perl(lambda line: f"$a={q(line[:7])};$b={q(line[7:])};system($a.$b)"),
    "growing variable": perl(lambda line: f"$a={q(line[:7])};$a.={q(line[7:])};system($a)"),
}
