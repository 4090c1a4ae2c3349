"""The documents say what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FRAGMENT = re.compile(r"[a-z0-9-]+\.(added|changed|fixed|removed|security)\.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_the_reference_is_what_the_program_says(root: Path) -> None:
    command = [sys.executable, str(root / "docs" / "generate_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_link_between_documents_leads_somewhere(root: Path, tracked: list[Path]) -> None:
    pages = [path for path in tracked if path.suffix == ".md" and not path.is_relative_to(root / "tests")]
    links = [(page, target) for page in pages for target in LINK.findall(page.read_text(encoding="utf-8"))]
    local = [(page, target.split("#")[0]) for page, target in links if "://" not in target and not target.startswith("#")]
    lost = [f"{page}: {target}" for page, target in local if not (page.parent / target).exists()]

    assert local
    assert lost == []


def test_the_readme_gives_the_commands_that_continuous_integration_runs(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    commands = [line for line in (root / ".ci" / "run").read_text(encoding="utf-8").splitlines() if line.startswith("exec ")]

    assert commands == ["exec ./dev test"]
    assert "./dev demo" in readme
    assert "./dev test" in readme


def test_every_room_is_on_the_architecture_page(root: Path, sources: list[Path]) -> None:
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in sources if path.parent.parent == root / "src" / "tidewaiter"}

    assert {room for room in rooms if f"{room}/" not in page} == set()


def test_changelog_fragments_are_well_formed(root: Path) -> None:
    fragments = [path for path in (root / "changelog.d").iterdir() if path.name != "README.md"]

    assert fragments
    assert [path.name for path in fragments if not FRAGMENT.fullmatch(path.name)] == []
    for path in fragments:
        text = path.read_text(encoding="utf-8")
        assert text == text.strip() + "\n", path.name
        assert text.rstrip().endswith("."), f"{path.name}: whole sentences, please"


def test_decisions_are_numbered_and_say_what_was_decided(root: Path) -> None:
    records = sorted(path for path in (root / "docs" / "decisions").glob("*.md"))

    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert headings == ["Question", "Decision", "Why", "What it costs"], path.name


def test_the_licence_is_the_apache_licence_unchanged(root: Path) -> None:
    text = (root / "LICENSE").read_text(encoding="utf-8")

    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text
