"""Ways to write a line for bash and sh so that its words are not found by looking for them."""

from __future__ import annotations

import base64
import codecs
import gzip
import re
import shlex

from obfuscation.text import Command, Family, command, holds

WORDS_OF_THE_SHELL = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "for",
        "in",
        "do",
        "done",
        "while",
        "until",
        "case",
        "esac",
        "function",
        "select",
        "time",
        "coproc",
        "eval",
        "exec",
        "source",
        "export",
        "declare",
        "local",
        "set",
        "unset",
        "read",
        "alias",
        "cd",
        "echo",
        "printf",
        "test",
        "true",
        "false",
        "command",
        "builtin",
    ]
)


def program(line: str) -> Command | None:
    """A line that starts a program by its bare name: no word of the shell itself."""
    found = command(line)
    return found if found and found.name not in WORDS_OF_THE_SHELL and "<<" not in line else None


def simple(line: str) -> Command | None:
    """The same where the whole line is plain words."""
    found = program(line)
    return found if found and not re.search(r"[^\w\s./:@=+,%-]", line) and "\n" not in line else None


def text(line: str) -> str | None:
    """A line that may be handed to a shell as text: it reads no further lines."""
    return None if "<<" in line or "\0" in line or "!" in line else line


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def single_quotes(line: str) -> str | None:
    found = program(line)
    return f"{found.name[0]}'{found.name[1:]}'{found.rest}" if found else None


def empty_quotes(line: str) -> str | None:
    found = program(line)
    return '""'.join(found.name) + found.rest if found else None


def double_quotes(line: str) -> str | None:
    found = program(line)
    return f'"{found.halves[0]}"{found.halves[1]}{found.rest}' if found else None


def backslashes(line: str) -> str | None:
    found = program(line)
    return "".join(f"\\{letter}" for letter in found.name) + found.rest if found else None


def ansi_quotes(line: str) -> str | None:
    found = program(line)
    return "$'" + "".join(f"\\x{ord(letter):02x}" for letter in found.name) + "'" + found.rest if found else None


def octal_quotes(line: str) -> str | None:
    found = program(line)
    return "$'" + "".join(f"\\{ord(letter):03o}" for letter in found.name) + "'" + found.rest if found else None


def separators(line: str) -> str | None:
    return "${IFS}".join(line.split()) if simple(line) else None


def variables(line: str) -> str | None:
    found = program(line)
    return f"a={found.halves[0]};b={found.halves[1]};$a$b{found.rest}" if found else None


def appended_variable(line: str) -> str | None:
    found = program(line)
    return f"x={found.halves[0]};x+={found.halves[1]};${{x}}{found.rest}" if found else None


def replaced_variable(line: str) -> str | None:
    found = program(line)
    return f"x={'QX'.join(found.name)};${{x//QX/}}{found.rest}" if found else None


def empty_parameters(line: str) -> str | None:
    found = program(line)
    return "$@".join(found.halves) + found.rest if found else None


def substitution(line: str) -> str | None:
    found = program(line)
    return f"$(echo {found.halves[0]}){found.halves[1]}{found.rest}" if found else None


def backquotes(line: str) -> str | None:
    found = program(line)
    return f"`printf {found.halves[0]}`{found.halves[1]}{found.rest}" if found else None


def base64_piped(line: str) -> str | None:
    return f"echo {encoded(line.encode())}|base64 -d|bash" if text(line) else None


def base64_substituted(line: str) -> str | None:
    return f'bash -c "$(base64 --decode <<< {encoded(line.encode())})"' if text(line) else None


def base64_evaluated(line: str) -> str | None:
    return f"eval $(echo {encoded(line.encode())} | base64 -d)" if simple(line) else None


def compressed(line: str) -> str | None:
    return f"echo {encoded(gzip.compress(line.encode(), mtime=0))} | base64 -d | gunzip | bash" if text(line) else None


def evaluated(line: str) -> str | None:
    return f"eval {shlex.quote(line)}" if text(line) else None


def reversed_text(line: str) -> str | None:
    return f"echo {shlex.quote(line[::-1])}|rev|bash" if text(line) and not holds(line, "\\\n") else None


def printed_hex(line: str) -> str | None:
    return "printf '" + "".join(f"\\x{byte:02x}" for byte in line.encode()) + "'|bash" if text(line) else None


def printed_octal(line: str) -> str | None:
    return "bash -c \"$(printf '" + "".join(f"\\{byte:03o}" for byte in line.encode()) + "')\"" if text(line) else None


def echoed_hex(line: str) -> str | None:
    return "echo -e '" + "".join(f"\\x{byte:02x}" for byte in line.encode()) + "' | bash" if text(line) else None


def here_document(line: str) -> str | None:
    return f"bash <<'EOF'\n{line}\nEOF" if text(line) else None


def here_string(line: str) -> str | None:
    return f"bash <<< {shlex.quote(line)}" if text(line) else None


def braces(line: str) -> str | None:
    return "{" + ",".join(line.split()) + "}" if simple(line) and "," not in line else None


def wrapped(line: str) -> str | None:
    return f"sudo -n env LC_ALL=C nohup {line}" if program(line) else None


def wrapped_again(line: str) -> str | None:
    return f"timeout 60 nice -n 5 setsid {line}" if program(line) else None


def nested_shells(line: str) -> str | None:
    return f"sh -c {shlex.quote(f'bash -c {shlex.quote(line)}')}" if text(line) else None


def hex_dump(line: str) -> str | None:
    return f"echo {line.encode().hex()}|xxd -r -p|bash" if text(line) else None


def rotated(line: str) -> str | None:
    turned = shlex.quote(codecs.encode(line, "rot13"))
    return f"echo {turned} | tr 'A-Za-z' 'N-ZA-Mn-za-m' | bash" if text(line) and not holds(line, "\\\n") else None


def with_path(line: str) -> str | None:
    found = program(line)
    return f"/usr/bin/../bin/{line}" if found else None


def continued(line: str) -> str | None:
    found = program(line)
    return "\\\n".join(found.halves) + found.rest if found else None


def function(line: str) -> str | None:
    return f"f() {{ {line}\n}}; f" if text(line) and "&" not in line[-1:] else None


def subshell(line: str) -> str | None:
    return f"true && (cd /tmp; :; ({line}))" if text(line) and program(line) and "/" in line else None


FAMILY: Family = {
    transform.__name__.replace("_", " "): transform
    for transform in (
        single_quotes, empty_quotes, double_quotes, backslashes, ansi_quotes, octal_quotes, separators, variables,
        appended_variable, replaced_variable, empty_parameters, substitution, backquotes, base64_piped,
        base64_substituted, base64_evaluated, compressed, evaluated, reversed_text, printed_hex, printed_octal,
        echoed_hex, here_document, here_string, braces, wrapped, wrapped_again, nested_shells, hex_dump, rotated,
        with_path, continued, function,
    )
}  # fmt: skip
