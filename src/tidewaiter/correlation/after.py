"""What happened to the content: it landed, was renamed, unpacked, checked, run, loaded, installed, or sent on."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from tidewaiter.catalog import roles
from tidewaiter.correlation import claims, words
from tidewaiter.correlation.draft import Draft
from tidewaiter.correlation.outline import COMPILED
from tidewaiter.correlation.passed import recall
from tidewaiter.correlation.processes import Process
from tidewaiter.reading import locations, paths
from tidewaiter.schema.action import Action, ActionKind
from tidewaiter.schema.event import Event

if TYPE_CHECKING:
    from tidewaiter.correlation.host import HostFold

SECOND = 1_000_000
CARRY_WINDOW = 1_800 * SECOND
"""A file written by the asking process belongs to its transfer for so long."""
AGENT_WINDOW = 120 * SECOND
"""A service writes for the program that asked within this time, when only the name's type speaks for it."""
FILES_PER_TRANSFER = 12
"""A program that was asked for a list brings at most so many files as records of their own."""


# ------------------------------------------------------------------------ landed
def file_appeared(fold: HostFold, event: Event, process: Process | None, claimed: list[Draft], blocked: bool = False) -> None:
    """Find the transfer that a new file belongs to: by its path, by who writes it, by the service that acts for it."""
    path = paths.path_key(event.file_path)
    if not path or roles.any_part(path, fold.roles.own_files):
        return
    draft = fold.by_path.get(path)
    if draft is not None and draft not in claimed and not _same_program_again(draft, event, process):
        _landed(fold, draft, event, blocked)
        return
    if claimed:
        for one in claimed:
            _landed(fold, one, event, blocked)
        return
    if process is not None and process.program in fold.roles.web_workers and _compiled(fold, event, path):
        return
    if process is not None and process.unpacks is not None and not process.unpacks.released:
        fold.know(process.unpacks, event.file_path)
        process.unpacks.see(None, event, f"unpacked or copied to {event.file_path}")
        return
    for owner in process.lineage(4) if process is not None else ():
        for draft in reversed((owner.drafts or ())[-6:]):
            if draft.time - 3 * SECOND <= event.time <= draft.time + CARRY_WINDOW and adopt(
                fold, draft, event, process, blocked
            ):
                return
    if process is not None and process.program in fold.roles.agents:
        _agent_wrote(fold, event, path, blocked)


def _compiled(fold: HostFold, event: Event, path: str) -> bool:
    """ASP.NET writes PAGE.HASH.compiled when a page is first requested: the page ran."""
    base = path.rsplit("/", 1)[-1]
    if not base.endswith(COMPILED):
        return False
    for known, drafts in fold.by_base.items():
        if known and base.startswith(known + ".") and drafts[-1].landed is not None:
            _ran(drafts[-1], event, f"compiled by the web server: {event.file_path}")
            return True
    return False


def _same_program_again(draft: Draft, event: Event, process: Process | None) -> bool:
    """A path written again long after, by a process that has nothing to do with the transfer, is another file."""
    if draft.landed is None or process is None or draft.process is None:
        return False
    related = draft.process in process.lineage() or process in draft.process.lineage()
    return not related and event.time - draft.time > CARRY_WINDOW


def adopt(fold: HostFold, draft: Draft, event: Event, process: Process | None, blocked: bool = False) -> bool:
    """Whether a file written by the asking process (or its child) is what it asked for; takes it if so."""
    path = paths.path_key(event.file_path)
    if not path or roles.any_part(path, fold.roles.own_files):
        return False
    spelled = draft.action.dest
    cwd = draft.process.told.cwd if draft.process is not None else None
    if spelled and paths.same_path(spelled, event.file_path, cwd):
        draft.in_place = True
        _landed(fold, draft, event, blocked)
        return True
    names = {paths.base_key(url.split("?", 1)[0]) for url in draft.urls}
    child = process is not None and draft.process is not None and process is not draft.process
    runner = process is not None and process.program in fold.roles.runners
    if child and runner and draft.action.runs and paths.base_key(path) not in names:
        return False  # what a fetched script writes is its doing, not the fetched file
    if spelled and not draft.in_place:
        folder = paths.folder_seen(spelled, event.file_path, cwd)
        if folder is not None or _temporary_name(path, paths.base_key(spelled)):
            _landed(fold, draft, event, blocked, final=False)
            draft.landed = folder or draft.landed
            return True
        return False
    if spelled or draft.action.kind is ActionKind.LATERAL:
        return False
    if draft.action.runs and not _cached_copy(path, names):
        return False  # what the fetched code writes is its own doing
    if draft.landed is None:
        _landed(fold, draft, event, blocked)
        return True
    if paths.path_key(draft.landed) == path:
        _landed(fold, draft, event, blocked)
        return True
    if not draft.urls and not draft.action.runs:
        return _another_file(fold, draft, event)
    if paths.base_key(path) in names and paths.base_key(draft.landed) not in names:
        draft.landed = None
        _landed(fold, draft, event, blocked)
        return True
    return False


def _cached_copy(path: str, names: set[str]) -> bool:
    """Loaders that run a URL keep it in a cache as NAME[1].EXT."""
    base = path.rsplit("/", 1)[-1]
    return any(name and (name == base or name.rsplit(".", 1)[0] in base) for name in names)


def _temporary_name(path: str, wanted: str) -> bool:
    """rsync, aria2c, wget2, npm ... write `.name.XXXX`, `name.part` first."""
    base = path.rsplit("/", 1)[-1]
    return bool(wanted) and base != wanted and wanted in base


def _another_file(fold: HostFold, draft: Draft, event: Event) -> bool:
    """A program that was told its sources in a list: each file is a transfer of its own."""
    siblings = [one for one in fold.drafts if one.process is draft.process and one.action == draft.action]
    if len(siblings) >= FILES_PER_TRANSFER:
        return False
    twin = Draft(draft.host, draft.time, draft.action, draft.process, draft.analytic, user=draft.user)
    twin.evidence = list(draft.evidence[:1])
    twin.stages = {name: (time, [0]) for name, (time, rows) in draft.stages.items() if name == "commanded" and 0 in rows}
    twin.src_ip, twin.src_port, twin.src_host = draft.src_ip, draft.src_port, draft.src_host
    twin.sources = set(draft.sources)
    fold.begin(twin)
    if draft.process is not None:
        recall(fold, draft.process)
        for connection in draft.process.recent_connections:
            if abs(connection.time - draft.time) < claims.ATTACH_WINDOW:
                claims.attach_connection(twin, connection.read())
        fold.processes.own(draft.process, twin)
    _landed(fold, twin, event, False)
    return True


def _agent_wrote(fold: HostFold, event: Event, path: str, blocked: bool) -> None:
    """svchost writes for BITS and its like: a file of the wanted name or type, soon after somebody asked."""
    kind = roles.file_type(path)
    for draft in reversed(fold.drafts[-20:]):
        if draft.landed is not None or not draft.urls or not 0 <= event.time - draft.time <= AGENT_WINDOW:
            continue
        names = {paths.base_key(url.split("?", 1)[0]) for url in draft.urls} | {paths.base_key(draft.action.dest)}
        if paths.base_key(path) in names or (
            kind and kind in {roles.file_type(name) for name in names} and kind in fold.roles.executable_types
        ):
            _landed(fold, draft, event, blocked)
            return


def _landed(fold: HostFold, draft: Draft, event: Event, blocked: bool, final: bool = True) -> None:
    draft.see(
        "landed",
        event,
        f"{'prevented: ' if blocked else ''}{event.process_path or event.process_name or 'a program'} wrote {event.file_path}",
    )
    draft.take_hashes(event)
    inside = draft.landed is not None and paths.path_key(event.file_path).startswith(paths.path_key(draft.landed) + "/")
    if draft.landed is None or (final and not inside):
        draft.landed = event.file_path
    fold.know(draft, event.file_path)
    if draft.sha256:
        fold.by_hash[draft.sha256] = draft
    if blocked:
        draft.outcome = "blocked"


def renamed(fold: HostFold, event: Event, process: Process | None) -> None:
    """The content is known under the new name too; the asking process's own rename gives the real destination."""
    draft = fold.by_path.get(paths.path_key(event.file_old_path))
    if draft is not None and roles.any_part(paths.path_key(event.file_path), fold.roles.own_files):
        return
    if draft is None:
        if roles.any_part(paths.path_key(event.file_path), fold.roles.own_files):
            return
        if process is not None and process.has_drafts(3):
            file_appeared(fold, event, process, [])
        return
    lineage = process.lineage() if process is not None else []
    own = draft.process is not None and (draft.process in lineage or process in draft.process.lineage())
    if own and draft.time + CARRY_WINDOW >= event.time:
        _landed(fold, draft, event, False)
    else:
        draft.see(None, event, f"renamed to {event.file_path}")
        draft.mark("renamed_after", event.file_path or "")
        fold.know(draft, event.file_path)


# ----------------------------------------------------------------- checked, sent
def checked(fold: HostFold, event: Event, action: Action, process: Process | None) -> None:
    """A hash check of a file that a transfer brought."""
    if not action.file:
        return
    cwd = event.cwd or (process.told.cwd if process is not None else None)
    draft = find_file(fold, action.file, cwd)
    if draft is not None:
        draft.see("checked", event, claims.summary(event))


def sent(fold: HostFold, event: Event, action: Action, process: Process | None) -> None:
    """A file that a transfer brought goes on to another host."""
    if not action.file:
        return
    draft = find_file(fold, action.file, event.cwd or (process.told.cwd if process is not None else None))
    if draft is not None:
        draft.see("spread", event, claims.summary(event))
        remote = locations.host_of(action.remote) if action.remote and "@" in action.remote else action.remote
        name = paths.base_key(action.dest) if action.dest else paths.base_key(action.file)
        draft.sent.append((event.time, name or paths.base_key(action.file), (remote or "").lower().split(".")[0] or None))


def find_file(fold: HostFold, spelled: str, cwd: str | None) -> Draft | None:
    """The transfer whose content is at a path as a command spells it."""
    draft = fold.by_path.get(paths.path_key(paths.resolve(spelled, cwd)))
    if draft is not None:
        return draft
    for draft in reversed(fold.by_base.get(paths.base_key(spelled), [])):
        if any(paths.same_path(spelled, path, cwd) for path in draft.paths):
            return draft
    return None


# --------------------------------------------------------------------------- run
def started(fold: HostFold, event: Event, process: Process, claimed: list[Draft]) -> None:
    """A program started: is it, or does it run, unpack or copy, something that was brought in?"""
    image = paths.path_key(event.process_path)
    draft = fold.by_path.get(image) or _by_tail(fold, image) or _from_opened_archive(fold, image) or _by_hash(fold, event)
    if draft is not None and draft not in claimed:
        _ran(draft, event, f"started {event.process_path}")
    _child_of_loader(process, event)
    if not fold.by_base:
        return
    program = process.program
    arguments = words.arguments(event)
    if program in fold.roles.runners:
        for word in words.run_by(program, arguments):
            draft = find_file(fold, word, process.told.cwd) or _by_stem(fold, word)
            if draft is not None and draft not in claimed and draft.process is not process and draft.outcome != "blocked":
                _ran(draft, event, claims.summary(event))
    if program in fold.roles.extractors or program in fold.roles.copiers:
        for word in arguments[1:]:
            draft = find_file(fold, word, process.told.cwd)
            if draft is not None and draft not in claimed:
                process.unpacks = draft
                fold.processes.note_unusual(process)
                _remember_copy(fold, draft, program, arguments, process.told.cwd)


def typed(fold: HostFold, event: Event, claimed: list[Draft]) -> None:
    """A typed line runs something that was brought in, by its path or as the script of a runner."""
    if not fold.by_base:
        return
    for command in words.commands(event.command_line or ""):
        program = roles.program_name(command[0])
        candidates = words.run_by(program, command) if program in fold.roles.runners else []
        if "/" in command[0]:
            candidates.append(command[0])
        for word in candidates:
            draft = find_file(fold, word, event.cwd)
            if draft is not None and draft not in claimed:
                _ran(draft, event, claims.summary(event))


def _remember_copy(fold: HostFold, draft: Draft, program: str, arguments: list[str], cwd: str | None) -> None:
    """Where no log shows files, a copy is known by its command line."""
    if program not in fold.roles.copiers or "file_create" in fold.view.kinds or len(arguments) < 3:
        return
    target = arguments[-1]
    if not target.startswith("-"):
        fold.know(draft, paths.resolve(target, cwd))


def _by_tail(fold: HostFold, image: str) -> Draft | None:
    """A path that was seen relative to a folder that no log names (`tar -C`) is the end of the image's."""
    for draft in reversed(fold.by_base.get(image.rsplit("/", 1)[-1], [])):
        if any("/" in path and path[0] != "/" and path[1:2] != ":" and image.endswith("/" + path) for path in draft.paths):
            return draft
    return None


def _by_hash(fold: HostFold, event: Event) -> Draft | None:
    """The same content under a path that no log tied to it; not where that path has a transfer of its own."""
    draft = fold.by_hash.get(event.sha256 or "")
    return draft if draft is not None and draft.landed is not None and draft.outcome != "blocked" else None


def _from_opened_archive(fold: HostFold, image: str) -> Draft | None:
    """Explorer runs a member of a zip from `Temp1_NAME.zip`."""
    known = fold.by_base.get(_archive_in(image))
    return known[-1] if known else None


def _archive_in(image: str) -> str:
    """The base name of the archive that a program's path shows it to be a member of; empty where it shows none."""
    match = re.search(r"/(?:temp\d+_|rar\$\w+\.|7z\w+/)?([^/]+\.(?:zip|rar|7z))/", image)
    return re.sub(r"^temp\d+_", "", match[1]) if match is not None else ""


class Image(NamedTuple):
    """By which keys something that was brought in may be found from the path of a program."""

    key: str
    base: str
    archive: str  # whose member it is; empty where it is none
    handling: bool  # its arguments may name it


@functools.lru_cache(maxsize=8_192)
def image_of(path: str | None) -> Image:
    """The keys of a program's path."""
    key = paths.path_key(path)
    known, program = roles.load(), roles.program_name(path)
    handles = program in known.runners or program in known.extractors or program in known.copiers
    return Image(key, key.rsplit("/", 1)[-1], _archive_in(key), handles)


def _by_stem(fold: HostFold, word: str) -> Draft | None:
    r"""`rundll32 C:\x\name,#1` leaves the extension out."""
    if roles.file_type(word):
        return None
    return fold.by_path.get(paths.path_key(word) + ".dll") or fold.by_path.get(paths.path_key(word) + ".exe")


def _ran(draft: Draft, event: Event, text: str) -> None:
    if event.time + 2 * SECOND < draft.time:
        return
    draft.see("run", event, text)
    draft.mark("run_after")


def _child_of_loader(process: Process, event: Event) -> None:
    """A child of a program that fetched and runs in memory shows that the content ran."""
    parent = process.parent
    if parent is None:
        return
    for draft in (parent.drafts or ())[-3:]:
        if draft.action.runs and draft not in (process.drafts or ()) and 0 <= event.time - draft.time <= CARRY_WINDOW:
            draft.see("run", event, f"child {event.process_path}")
            draft.mark("child_after")


def service(fold: HostFold, event: Event) -> None:
    """A service whose program is a transfer was installed."""
    text = event.command_line or event.file_path or ""
    for word in words.split(text):
        draft = find_file(fold, re.sub(r"(?i)^%systemroot%|^\\systemroot|^systemroot", r"C:\\Windows", word), None)
        if draft is not None:
            draft.see("run", event, f"installed as service {event.service}")
            draft.mark("service_installed", event.service or "")
            return


# ---------------------------------------------------------------------- verdicts
def detected(fold: HostFold, event: Event, claimed: list[Draft]) -> None:
    """Another product detected the file, or the command line, of a transfer."""
    draft = find_file(fold, event.file_path, None) if event.file_path else None
    for one in [*claimed, *([draft] if draft is not None else [])]:
        one.see(None, event, f"detected as {event.target}")
        one.mark("detected", event.target or "")
        if event.outcome in ("blocked", "quarantined", "removed"):
            one.outcome = "blocked"
