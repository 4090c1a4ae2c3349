"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import io
import ipaddress
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

LONGEST = 400
VAGUE = {"util", "utils", "helper", "helpers", "common", "misc", "base", "core", "tools", "stuff"}
MACHINE = tuple(start + rest for start, rest in (("/wo", "rk/"), ("/fa", "rm/"), ("/tmp/ba", "sh_jobs"), ("/opt/whe", "els")))
RESERVED = (".test", ".example", ".invalid", ".localhost", "example.com", "example.org", "example.net")
NAMESPACES = {"schemas.microsoft.com", "www.w3.org"}  # names of XML vocabularies, which nobody contacts
URL = re.compile(rb"(?:https?|ftp)://[^\s\"'<>\\)\]}|,;]+", re.IGNORECASE)


def python_files(tracked: list[Path]) -> list[Path]:
    return [path for path in tracked if path.suffix == ".py"]


def test_every_python_file_is_short_enough_to_be_read(tracked: list[Path]) -> None:
    lengths = {str(path): path.read_bytes().count(b"\n") for path in python_files(tracked)}

    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_no_room_has_a_vague_name(sources: list[Path]) -> None:
    names = [part for path in sources for part in (*path.parent.parts[path.parent.parts.index("src") :], path.stem)]

    assert VAGUE & {name.strip("_") for name in names} == set()


def test_knowledge_holds_data_only(root: Path, tracked: list[Path]) -> None:
    knowledge = [path for path in tracked if path.is_relative_to(root / "src" / "tidewaiter" / "knowledge")]

    assert knowledge
    assert [path for path in knowledge if path.suffix in (".py", ".pyi")] == []


def is_bare_raise(statement: ast.stmt) -> bool:
    """Whether a handler ends by passing on what it caught: then it swallows nothing."""
    return isinstance(statement, ast.Raise) and statement.exc is None


def broad_handlers(text: str) -> Iterator[int]:
    """Line numbers of handlers that catch everything."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler) and not is_bare_raise(node.body[-1]):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(
                kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in caught
            ):
                yield node.lineno


def says_why(line: str) -> bool:
    """Whether the comment of the line holds more than a code for the linter."""
    comment = line.partition("#")[2]
    return len(re.sub(r"noqa(: *[A-Z]+\d+)?(, *[A-Z]+\d+)*|pragma: no cover", "", comment).split()) >= 3


def test_a_broad_except_says_why_on_its_line(tracked: list[Path]) -> None:
    silent = []
    for path in python_files(tracked):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        silent += [f"{path}:{number}" for number in broad_handlers(text) if not says_why(lines[number - 1])]

    assert silent == []


def test_the_check_for_broad_excepts_sees_them() -> None:
    text = "try:\n    x\nexcept (ValueError, Exception):  # noqa: BLE001\n    pass\n"

    assert list(broad_handlers(text)) == [3]
    assert list(broad_handlers("try:\n    x\nexcept BaseException:\n    close()\n    raise\n")) == []
    assert not says_why("except Exception:  # noqa: BLE001")
    assert says_why("except Exception:  # noqa: BLE001 - costs this record only")


def exemptions(text: str) -> Iterator[str]:
    """The comments that silence a linter or the type checker."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and re.match(r"#\s*(noqa|type:\s*ignore)", token.string):
            yield token.string


def test_an_exemption_says_why_on_its_line(sources: list[Path]) -> None:
    silent = [
        f"{path}: {comment}"
        for path in sources
        for comment in exemptions(path.read_text(encoding="utf-8"))
        if not re.search(r"\w+ \w+", re.sub(r"noqa: *\w+(, *\w+)*|type: *ignore(\[[\w, -]+\])?", "", comment))
    ]

    assert silent == []


def test_no_path_of_a_machine_is_in_the_repository(root: Path, tracked: list[Path]) -> None:
    forbidden = [place.encode() for place in (*MACHINE, str(root))]
    found = [f"{path}: {place.decode()}" for path in tracked for place in forbidden if place in path.read_bytes()]

    assert found == []


def is_reserved(host: str) -> bool:
    """Whether a name or address can never be somebody else's machine."""
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return "." not in host or host.endswith(RESERVED) or host in NAMESPACES or not host.isprintable()
    return not address.is_global


def hosts_of_knowledge(root: Path) -> tuple[str, ...]:
    """Domains that our own knowledge names, such as updaters and paste services: samples must be able to show those."""
    folder = root / "src" / "tidewaiter" / "knowledge"
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.toml") if path.parent.name != "utilities"]
    return tuple({"." + name.lower() for text in texts for name in re.findall(r"\"\.?((?:[\w-]+\.)+[a-z]{2,})\"", text)})


def test_samples_name_reserved_hosts_only(root: Path, tracked: list[Path]) -> None:
    known = hosts_of_knowledge(root)
    folders = [root / "tests" / name for name in ("samples", "stories")] + [root / "examples"]
    strangers = set()
    for path in tracked:
        if any(path.is_relative_to(folder) for folder in folders):
            content = path.read_bytes()
            for match in URL.finditer(b"" if b"\0" in content else content):  # bytes of a binary are no names
                try:
                    host = urlsplit(match[0].decode("utf-8", "replace")).hostname or ""
                except ValueError:  # a broken URL names nobody
                    continue
                if not is_reserved(host) and not f".{host}".endswith(known):
                    strangers.add(f"{path}: {host}")

    assert strangers == set()


def test_the_check_for_hosts_knows_strangers() -> None:
    assert is_reserved("files.example.com")
    assert is_reserved("192.0.2.7")
    assert is_reserved("2001:db8::1")
    assert not is_reserved("8.8.8.8")
    assert not is_reserved("notexample.io")
