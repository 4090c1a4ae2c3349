"""Every folder beside this file is a story: logs, and in story.toml what a person would say was brought in.

`count` is the number of transfers in all. A [[transfer]] table must match one transfer of its own; an [[absent]] table must
match none. A value matches where it is equal, an empty text where there is none; tables are matched by the keys they hold.
To add a story: a folder with logs (names of documentation only) and a story.toml.
"""

from __future__ import annotations

import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidewaiter.schema.account import Account
from tidewaiter.schema.transfer import SEVERITIES, STAGES, Transfer

Scan = Callable[..., tuple[list[Transfer], list[Account]]]
HERE = Path(__file__).parent
STORIES = sorted(path.parent for path in HERE.glob("*/story.toml"))


def story_of(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "story.toml").read_text(encoding="utf-8"))


def logs_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != "story.toml")


def differences(want: dict[str, Any], transfer: Transfer) -> Iterator[str]:
    """Where a transfer is not what a table says, in words."""
    have = msgspec.to_builtins(transfer)
    for key, value in want.items():
        known = COMPARED.get(key)
        if known is not None:
            yield from known(value, transfer)
        else:
            yield from _plain(key, value, have.get(key))


def _plain(key: str, want: Any, have: Any) -> Iterator[str]:
    if isinstance(want, dict):
        for inner, value in want.items():
            yield from _plain(f"{key}.{inner}", value, (have or {}).get(inner))
    elif want != ("" if have is None and want == "" else have):
        yield f"{key}: expected {want!r}, found {have!r}"


def _stages(want: dict[str, str], transfer: Transfer) -> Iterator[str]:
    for stage, state in want.items():
        if transfer.stages[stage].state != state:
            yield f"stage {stage}: expected {state}, found {transfer.stages[stage].state}"


def _stage_times(want: dict[str, str], transfer: Transfer) -> Iterator[str]:
    for stage, time in want.items():
        yield from _plain(f"time of {stage}", time, transfer.stages[stage].time)


def _at_least(want: str, transfer: Transfer) -> Iterator[str]:
    if SEVERITIES.index(transfer.severity) < SEVERITIES.index(want):
        yield f"severity: expected {want} or more, found {transfer.severity} ({transfer.score})"


def _at_most(want: str, transfer: Transfer) -> Iterator[str]:
    if SEVERITIES.index(transfer.severity) > SEVERITIES.index(want):
        yield f"severity: expected {want} or less, found {transfer.severity} ({transfer.score})"


def _all_of(name: str, have: Callable[[Transfer], set[str]]) -> Callable[[list[str], Transfer], Iterator[str]]:
    def compare(want: list[str], transfer: Transfer) -> Iterator[str]:
        for one in want:
            if one not in have(transfer):
                yield f"{name}: expected {one} among {sorted(have(transfer))}"

    return compare


def _reasons(transfer: Transfer) -> set[str]:
    return {reason.id for reason in transfer.reasons}


def _not_reasons(want: list[str], transfer: Transfer) -> Iterator[str]:
    for one in sorted(set(want) & _reasons(transfer)):
        yield f"reasons: {one} does not hold"


COMPARED: dict[str, Callable[[Any, Transfer], Iterator[str]]] = {
    "stages": _stages,
    "stage_times": _stage_times,
    "min_severity": _at_least,
    "max_severity": _at_most,
    "reasons": _all_of("reasons", _reasons),
    "not_reasons": _not_reasons,
    "techniques": _all_of("techniques", lambda one: set(one.techniques)),
    "evidence_files": _all_of("evidence", lambda one: {Path(row.log_file).name for row in one.evidence}),
    "evidence_sources": _all_of("log sources", lambda one: {row.log_source for row in one.evidence}),
}


def shown(transfers: list[Transfer]) -> str:
    """The transfers, for the message of a failed test."""
    lines = []
    for one in transfers:
        seen = [name for name in STAGES if one.stages[name].state == "seen"]
        way = f"{one.utility} {one.direction} {one.src.url or one.src.ip} -> {one.dst.path}"
        lines.append(f"  {one.time} {way} {one.outcome} {one.severity} {one.score} {seen} {sorted(_reasons(one))}")
    return "\n".join(["transfers:", *lines])


@pytest.mark.parametrize("folder", STORIES, ids=lambda folder: folder.name)
def test_the_story_is_told_as_it_happened(folder: Path, scan_here: Scan) -> None:
    story = story_of(folder)
    transfers, accounts = scan_here(*logs_of(folder))
    left = list(transfers)
    wrong: list[str] = []
    for want in story.get("transfer", []):
        fits = [one for one in left if not list(differences(want, one))]
        if fits:
            left.remove(fits[0])
        else:
            nearest = min((list(differences(want, one)) for one in left), key=len, default=["no transfer is left"])
            wrong.append(f"{want}: {'; '.join(nearest)}")
    for unwanted in story.get("absent", []):
        wrong += [f"{one.id} should not be: {unwanted}" for one in transfers if not list(differences(unwanted, one))]

    assert not wrong, "\n".join([*wrong, shown(transfers)])
    assert len(transfers) == story["count"], shown(transfers)
    assert len(accounts) == len(logs_of(folder))
    assert [account.log_file for account in accounts if not account.balanced or account.damaged] == []


@pytest.mark.parametrize("folder", STORIES, ids=lambda folder: folder.name)
def test_every_transfer_can_be_checked(folder: Path, scan_here: Scan) -> None:
    transfers, _ = scan_here(*logs_of(folder))

    assert len({one.id for one in transfers}) == len(transfers), shown(transfers)
    for one in transfers:
        assert one.evidence
        assert sum(reason.weight for reason in one.reasons) == one.score
        for stage in one.stages.values():
            assert (stage.state == "seen") == bool(stage.evidence)
            assert all(0 <= index < len(one.evidence) for index in stage.evidence)
        for row in one.evidence:
            lines = Path(row.log_file).read_text(encoding="utf-8").splitlines()
            assert 1 <= int(row.record) <= len(lines)


def without_files(transfer: Transfer) -> dict[str, Any]:
    """A transfer as data, without the names of the files that show it."""
    plain: dict[str, Any] = msgspec.to_builtins(transfer)
    for row in plain["evidence"]:
        row["log_file"] = row["log_file"].replace("\\", "/").rpartition("/")[2].rpartition("!")[2]
    return plain


@pytest.mark.parametrize("name", ["bitsadmin_with_service", "one_start_two_sensors", "shell_history_alone", "two_hosts"])
def test_a_zip_of_the_folder_tells_the_same(name: str, tmp_path: Path, scan_here: Scan) -> None:
    logs = logs_of(HERE / name)
    archive = tmp_path / "evidence.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for log in logs:
            file.write(log, log.name)
    plain, _ = scan_here(*logs)
    zipped, accounts = scan_here(archive)

    assert zipped
    assert [without_files(one) for one in zipped] == [without_files(one) for one in plain]
    assert {row.log_file for one in zipped for row in one.evidence} <= {f"{archive}!{log.name}" for log in logs}
    assert {account.log_file for account in accounts} == {f"{archive}!{log.name}" for log in logs}


def test_a_story_that_is_not_so_is_noticed(scan_here: Scan) -> None:
    (transfer,), _ = scan_here(*logs_of(HERE / "curl_checked_and_run"))
    want = {"utility": "wget", "dst": {"path": "/tmp/agent"}, "stages": {"run": "not_seen"}, "reasons": ["web_root"]}

    assert [text.split(":")[0] for text in differences(want, transfer)] == ["utility", "stage run", "reasons"]
    assert list(differences({"src": {"hostname": ""}, "max_severity": "critical", "not_reasons": ["web_root"]}, transfer)) == []
    assert list(differences({"min_severity": "critical", "not_reasons": ["asked"], "stage_times": {"run": "x"}}, transfer))


def test_a_folder_for_each_kind_of_story() -> None:
    assert len(STORIES) >= 20
    assert all(story_of(folder)["title"] for folder in STORIES)
