"""What a scan of captures costs against Suricata alone, with the same configuration and rules, on the same files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import generate_capture
from measure import Cost, measure

RUNS = 2
# Suricata waits a minute, for nothing, on files that it refuses
_ALONE = 'for folder in "$0"/*/; do cd "$folder" && timeout 10 "$@" > /dev/null 2>&1; done; true'


def inputs(folder: Path, size: int, corpus: Path | None) -> Iterator[tuple[str, list[Path]]]:
    """A capture of about `size` bytes as a site's, and, where they are there, the captures of the corpus."""
    path = folder / "site.pcap"
    generate_capture.site(path, size)
    yield f"a site, {path.stat().st_size / 1e6:.0f} MB", [path]
    if corpus is not None:
        found = [path for path in sorted((corpus / "network" / "files").glob("*")) if _is_read_as_it_is(path)]
        if found:
            yield f"{len(found)} of the corpus", found


def _is_read_as_it_is(path: Path) -> bool:
    """Whether Suricata takes the file: on captures of other link types it hangs a minute."""
    from tidewaiter.formats import capture, capture_suricata

    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        if capture.recognise(file.read(1 << 16)) is None:
            return False
    held = capture.survey(path)
    links = held.links.keys()
    return len(links) == 1 and not held.damaged and links <= capture_suricata.links().read


def costs(captures: list[Path], folder: Path, scan: Callable[[Path], Cost]) -> tuple[float, float]:
    """The processor seconds of a scan of the captures and of Suricata alone, the least of RUNS each, in turns."""
    from tidewaiter.formats import capture_suricata

    given, ours, alone = folder / "given", [], []
    given.mkdir()
    for path in captures:
        shutil.copy(path, given / path.name)
    for run in range(RUNS):
        place = folder / f"alone-{run}"
        command: list[str] = []
        for number, path in enumerate(sorted(given.iterdir())):
            (place / f"{number:04}").mkdir(parents=True)
            command = capture_suricata.prepare_run(capture_suricata.find(), path, place / f"{number:04}")
        alone.append(measure(["sh", "-c", _ALONE, str(place), *command]).cpu)
        shutil.rmtree(place)
        ours.append(scan(given).cpu)
    shutil.rmtree(given)
    return min(ours), min(alone)
