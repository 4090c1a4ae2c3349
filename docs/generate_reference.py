"""Write docs/reference/ from the program itself. `--check` writes nothing and fails where a page is out of date."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from tidewaiter.catalog import fields, utilities
from tidewaiter.cli.main import COMMANDS
from tidewaiter.log_source import REGISTER as LOG_SOURCES
from tidewaiter.output import REGISTER as OUTPUTS
from tidewaiter.schema import transfer

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `./dev docs`; do not edit. -->\n\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def parameter_row(parameter: click.Parameter) -> list[str]:
    """One argument or option of a command, said without what differs between versions of click."""
    if isinstance(parameter, click.Option):
        kind = parameter.type
        values = " ".join(kind.choices) if isinstance(kind, click.Choice) else parameter.metavar or kind.name
        default = parameter.default if isinstance(parameter.default, str) and parameter.default else ""
        return [f"`{' '.join(parameter.opts)}`", "" if parameter.is_flag else values, default, parameter.help or ""]
    return [f"`{parameter.metavar or parameter.name}`", "", "", ""]


def command_section(name: str, command: click.Command) -> str:
    """One command: what it does, its arguments and options."""
    says = "\n".join(line.strip() for line in (command.help or "").strip().splitlines())
    rows = [parameter_row(parameter) for parameter in command.params]
    return f"## tidewaiter {name}\n\n{says}\n\n" + (table(("parameter", "value", "default", ""), rows) if rows else "")


def cli_page() -> str:
    """Every command with its arguments and options."""
    page = "# Command line\n\n"
    for name in COMMANDS:
        command: click.Command = importlib.import_module(f"tidewaiter.cli.commands.{name}").command
        page += command_section(name, command)
        if isinstance(command, click.Group):
            page += "".join(command_section(f"{name} {part}", below) for part, below in command.commands.items())
    page += "## Formats\n\n" + table(("--format", ""), ([f"`{entry.name}`", entry.says] for entry in OUTPUTS))
    page += "## Exit codes\n\n0 it ran, whatever it found; 1 it failed; 2 usage; 3 nothing readable; 130 interrupted.\n"
    return page


def fields_page() -> str:
    """Every field of an event."""
    rows = ([f"`{item.name}`", item.type, item.ocsf or "", item.ecs or "", item.says] for item in fields.load())
    return (
        "# Fields of an event\n\n"
        "In OCSF's Process Activity the started process is `process` and its parent `actor.process`; in all other classes, and"
        " below, the acting process is `actor.process`.\n\n" + table(("field", "type", "OCSF", "ECS", "meaning"), rows)
    )


def log_sources_page() -> str:
    """Every log source."""
    rows = []
    for entry in LOG_SOURCES:
        source = entry.load()
        providers = getattr(source, "providers", {})
        ids = "; ".join(f"{name}: {', '.join(map(str, sorted(numbers)))}" for name, numbers in sorted(providers.items()))
        rows.append([f"`{entry.name}`", source.title, entry.family, ids])
    return "# Log sources\n\nRecognised by content, never by file name.\n\n" + table(
        ("module", "what", "family", "providers and event ids"), rows
    )


def utilities_page() -> str:
    """Every utility whose arguments are understood."""
    rows = []
    for utility in sorted(utilities.load().utilities, key=lambda item: item.name):
        names = ", ".join(f"`{name}`" for name in utility.names)
        rows.append(
            [utility.name, utility.summary, names, ", ".join(utility.platforms), uses(utility), str(len(utility.example))]
        )
    header = ("file", "what it is", "programs", "platforms", "uses", "examples")
    return "# Utilities\n\nWhat each file of `knowledge/utilities` describes.\n\n" + table(header, rows)


def uses(utility: utilities.Utility) -> str:
    """The forms of a utility by action, and what else it can be."""
    forms: dict[str, list[str]] = {}
    for form in utility.form:
        forms.setdefault(form.action, []).append(form.id)
    found = [f"{action}: {', '.join(dict.fromkeys(names))}" for action, names in sorted(forms.items())]
    found += ["takes content: " + ", ".join(dict.fromkeys(sink.kind for sink in utility.sink))] if utility.sink else []
    found += ["reads " + ", ".join(dict.fromkeys(code.language for code in utility.code))] if utility.code else []
    return "; ".join(found + (["runs another program"] if utility.wrap else []))


def coverage_page() -> str:
    """How much is understood on each platform, and what is not, with the reason (docs/not_covered.toml)."""
    actions = ("ingress", "lateral", "upload", "verify_hash", "portproxy", "package")
    rows = []
    for platform in ("windows", "linux", "macos", "esxi", "network"):
        known = [item for item in utilities.load().utilities if platform in item.platforms or "any" in item.platforms]
        forms = [form for item in known for form in item.form]
        counts = [str(sum(form.action == action for form in forms)) for action in actions]
        examples = str(sum(len(item.example) for item in known))
        rows.append([platform, str(len(known)), str(sum(len(item.names) for item in known)), *counts, examples])
    header = ("platform", "files", "programs", *(f"{action} forms" for action in actions), "proven examples")
    missing = tomllib.loads((Path(__file__).parent / "not_covered.toml").read_text(encoding="utf-8"))["method"]
    page = "# What is covered, and what is not\n\nThe utilities themselves are in [utilities.md](utilities.md).\n\n"
    page += table(header, rows) + "## Not covered, and why\n\n"
    return page + table(
        ("method", "platforms", "why"), ([item["what"], ", ".join(item["platforms"]), item["why"]] for item in missing)
    )


def transfer_page() -> str:
    """The fields of a transfer as `--format jsonl` prints them."""
    structs = ("Transfer", "Device", "Process", "Origin", "Landing", "File", "StageRecord", "Reason", "EvidenceRow")
    page = "# Fields of a transfer\n\nOne JSON object per line of `--format jsonl`; unknown things are null.\n\n"
    for name in structs:
        struct = getattr(transfer, name)
        page += f"## {name}\n\n{(struct.__doc__ or '').strip()}\n\n"
        page += table(("field", "type"), ([f"`{field}`", f"`{kind}`"] for field, kind in struct.__annotations__.items()))
    return page


PAGES = {
    "cli.md": cli_page,
    "coverage.md": coverage_page,
    "fields.md": fields_page,
    "log-sources.md": log_sources_page,
    "transfer.md": transfer_page,
    "utilities.md": utilities_page,
}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or say which are out of date."""
    stale = []
    for name, render in PAGES.items():
        text = NOTE + render().rstrip("\n") + "\n"
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                FOLDER.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
    if "--check" in arguments and stale:
        print(f"out of date: {', '.join(stale)}; run ./dev docs", file=sys.stderr)
        return 1
    print(f"docs/reference: {len(stale)} of {len(PAGES)} pages {'differ' if '--check' in arguments else 'written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
