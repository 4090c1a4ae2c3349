"""Reading logs for what they hold: the inputs, readers and workers of a scan, without looking for transfers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tidewaiter.engines.local import read_all
from tidewaiter.errors import NothingReadableError
from tidewaiter.pipeline import inputs
from tidewaiter.pipeline.config import ProgressUpdate, ScanOptions
from tidewaiter.pipeline.doctor import Diagnosis, diagnose
from tidewaiter.pipeline.inputs import InputLimits, Unreadable
from tidewaiter.pipeline.survey import Survey
from tidewaiter.pipeline.years import folder_of
from tidewaiter.schema.account import Account

_UNPLACED = "file:"


def examine(
    paths: Sequence[str], *, options: ScanOptions | None = None, progress: Callable[[ProgressUpdate], None] | None = None
) -> Diagnosis:
    """Say what the logs under `paths` can and cannot show. Raises NothingReadableError where no input held a log."""
    survey = Survey()
    names: dict[str, str] = {}
    accounts: list[Account] = []
    unreadable: list[Unreadable] = []
    folders: dict[str, set[str]] = {}
    with inputs.work_folder() as folder:
        planned = list(inputs.plan(paths, InputLimits()))
        for _, done in read_all(planned, Path(folder), options or ScanOptions(), progress, survey=True):
            accounts.extend(done.accounts)
            unreadable.extend(done.unreadable)
            if done.survey is not None:
                survey.merge(done.survey)
            for host, name in done.names.items():
                names[host] = min(names.get(host, name), name)
            for place, hosts in done.folders.items():
                folders.setdefault(place, set()).update(hosts)
    if not accounts:
        problem = f" ({unreadable[0].log_file}: {unreadable[0].problem})" if unreadable else ""
        raise NothingReadableError(f"nothing readable in {', '.join(paths)}{problem}")
    _place(survey, names, folders)
    unreadable.sort(key=lambda report: report.log_file)
    return diagnose(survey, names, accounts, unreadable)


def _place(survey: Survey, names: dict[str, str], folders: dict[str, set[str]]) -> None:
    """Give logs without a host to the one host that the other logs of their folder name; others are called by their file."""
    for key in [key for key in survey.hosts if key.startswith(_UNPLACED)]:
        file = key.removeprefix(_UNPLACED)
        hosts = folders.get(folder_of(file), set())
        found = survey.hosts.pop(key)
        target = next(iter(hosts)) if len(hosts) == 1 else key
        survey.merge(Survey(hosts={target: found}))
        if target == key:
            names[key] = file
