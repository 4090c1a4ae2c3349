"""Linux auditd: programs started, connections, files written, renamed, made executable or deleted, logins, sudo commands.

Reads audit.log as auditd writes it (RAW or ENRICHED), the same records inside syslog, what `ausearch` prints of them, and
Laurel's JSON. The accounting unit is the line, that is the record (with Laurel the event): several records make one event.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator

from tidewaiter.formats.audit_event import LOCAL, AuditGroup, AuditHead, AuditPath
from tidewaiter.formats.audit_laurel import MARK, laurel_events
from tidewaiter.formats.audit_numbers import socket_calls
from tidewaiter.formats.audit_records import AuditJoiner, Joined
from tidewaiter.formats.audit_runs import NONE, Told, group_of
from tidewaiter.formats.audit_values import absolute, octal
from tidewaiter.formats.audit_whole import whole
from tidewaiter.formats.text_lines import text_blocks
from tidewaiter.log_source import Opened
from tidewaiter.log_sources.linux_auditd.quick import MOST_INODES, Quick
from tidewaiter.log_sources.linux_auditd.results import Result, Results
from tidewaiter.log_sources.linux_auditd.sessions import of_one_record
from tidewaiter.log_sources.linux_auditd.sparing import Spared
from tidewaiter.log_sources.linux_auditd.starts import started
from tidewaiter.schema.account import Account
from tidewaiter.schema.batch import Needs
from tidewaiter.schema.event import Event, EventKind
from tidewaiter.schema.tally import tally

_RECORD = re.compile(
    rb"(?:^|\n)(?:node=\S+ +)?type=[A-Z_0-9\[\]]{2,40} msg=audit\(\d"
    rb"|(?:^|\n)[^\n{]{6,200}[ :](?:\xef\xbb\xbf)?(?:type=\w{2,40} )(?:msg=)?audit\(\d{6,11}\.\d{3}:\d+\)"
)

_O_WRITE, _O_WRONLY, _O_CREAT, _O_TRUNC, _O_TMPFILE = 0o3, 0o1, 0o100, 0o1000, 0o20000000  # linux/fcntl.h
_CURRENT_DIRECTORY = (b"ffffff9c", b"ffffffffffffff9c")  # AT_FDCWD as 32 and 64 bits
_AT_CALLS = frozenset(
    {"openat", "openat2", "unlinkat", "renameat", "renameat2", "linkat", "symlinkat", "fchmodat", "fchmodat2"}
)
_EINPROGRESS, _ECONNREFUSED = 115, 111
_REGULAR = 0o100000
BLOCK = 1 << 19
"""Bytes read at a time: with less the end of a block, which is looked at twice, weighs more, with more the caches are left."""
_DEVICES = frozenset(
    {"/dev/null", "/dev/zero", "/dev/tty", "/dev/ptmx", "/dev/full", "/dev/random", "/dev/urandom", "/dev/console"}
)
_KERNEL_FILES = ("/proc/", "/sys/", "/dev/pts/", "/dev/fd/")


class Source:
    """Linux auditd. See `log_source.StreamSource`."""

    title = "Linux auditd"

    def __init__(self) -> None:
        self._log_file = ""
        self._paths: dict[tuple[str | None, bytes], str] = {}  # (node, inode) -> path last seen of it
        self._spared = Spared()

    def recognise(self, head: bytes) -> str | None:
        """Lines with an audit record's type and stamp, at the start or behind a syslog prefix."""
        if MARK.search(head) is not None:
            return "JSON lines of Laurel with an audit ID"
        if _RECORD.search(head) is None or head.count(b"Linux-Sysmon") > head.count(b"audit("):
            return None
        return "lines of type=... msg=audit(seconds:serial)"

    @staticmethod
    def whole(data: bytes) -> int:
        """How many bytes of a growing log hold whole events."""
        return whole(data)

    def spare(self, needs: Needs) -> None:
        """Give one event a node of the kinds that nobody needs one by one; the others are counted."""
        self._spared = Spared(needs.kinds)

    def read(self, opened: Opened, account: Account) -> Iterator[list[Event]]:
        """Yield the events in batches; counts every line. Raises OSError when the file cannot be read."""
        self._log_file = opened.log_file
        account.recognised_as = account.recognised_as or self.title
        joiner = AuditJoiner(account)
        laurel = MARK.search(opened.head) is not None
        quick = Quick(self._log_file, self._paths, self._spared, _HANDLERS)
        blocks = text_blocks(opened.path, block=BLOCK)
        block = next(blocks, None)
        while block is not None:
            following = next(blocks, None)
            last = following is None
            joined = Joined(NONE, laurel_events(block, account)) if laurel else joiner.feed(block, last=last)
            batch = self._events(joined, quick, account)
            if batch:
                yield batch
            block = following
        batch = self._events(joiner.finish(), quick, account)
        if batch:
            yield batch

    def _events(self, joined: Joined, quick: Quick, account: Account) -> list[Event]:
        """The events of a block, in order of their first records; what they remember of each other goes by that order."""
        results = Results()

        def left_over(told: Told, line: int, count: int) -> None:
            results.add(self._event(group_of(told, line, count)), line, count)

        start = 0
        for group in joined.groups:
            end = bisect_left(joined.runs.lines, group.line, start)
            if start < end:
                quick.take(joined.runs.part(start, end), results, left_over)
                start = end
            results.add(self._event(group), group.line, group.count)
        quick.take(joined.runs.part(start) if start else joined.runs, results, left_over)
        results.count(account)
        return tally(self._spared.kept(results.events, account), account)

    def _event(self, group: AuditGroup) -> Result:
        """The event of one group; an empty text where it is damaged."""
        call = group.call()
        if call is None:
            return self._without_syscall(group)
        if group.local:
            return LOCAL
        handler = _HANDLERS.get(call)
        if handler is None:
            return f"system call {call}"
        if group.failed and call not in ("connect", "socketcall"):
            return f"failed {call}"
        head = group.head()
        if head is None or not group.stamp():
            return ""
        group.fill()
        return handler(self, group, head)

    def _without_syscall(self, group: AuditGroup) -> Result:
        if not group.stamp():
            return ""
        if group.single is not None:
            return of_one_record(self._blank(group, EventKind.SHELL_COMMAND), group.single, group.fields())
        result = started(self._blank(group, EventKind.PROCESS_START), group)
        return "event without its SYSCALL record" if result.command_line is None else result

    def _blank(self, group: AuditGroup, kind: EventKind) -> Event:
        return Event(
            kind=kind,
            time=group.time,
            log_source="linux_auditd",
            log_file=self._log_file,
            record=str(group.line),
            host=group.node,
            extra={"serial": group.serial},
        )

    def _new(self, group: AuditGroup, head: AuditHead, kind: EventKind) -> Event:
        task = head.task
        extra: dict[str, object] = {"serial": group.serial}
        if task.uid is not None:
            extra["uid"] = task.uid
        if task.login_user is not None and task.login_user != task.user:
            extra["login_user"] = task.login_user
        return Event(
            kind=kind,
            time=group.time,
            log_source="linux_auditd",
            log_file=self._log_file,
            record=str(group.line),
            host=group.node,
            user=task.user,
            session=task.session,
            pid=head.pid,
            parent_pid=head.ppid,
            process_path=task.exe,
            process_name=task.comm,
            extra=extra,
        )

    # One method for each kind of call

    def _exec(self, group: AuditGroup, head: AuditHead) -> Result:
        return started(self._new(group, head, EventKind.PROCESS_START), group)

    def _exit(self, group: AuditGroup, head: AuditHead) -> Result:
        event = self._new(group, head, EventKind.PROCESS_END)
        event.exit_code = head.arg(0) & 0xFF
        return event

    def _connect(self, group: AuditGroup, head: AuditHead) -> Result:
        address = group.address()
        if address is None or isinstance(address, str):
            return address or "connect without an address"
        ip, port = address
        if not port:
            return "name look-up probe"
        if ip in ("0.0.0.0", "::"):  # noqa: S104 - an address in a log, not one to bind to
            return "connect to no address"
        event = self._new(group, head, EventKind.CONNECTION)
        event.dst_ip, event.dst_port, event.initiated = ip, port, True
        if head.success:
            event.outcome = "completed"
        else:
            code = -(head.exit or 0)
            event.outcome = {_EINPROGRESS: "started", _ECONNREFUSED: "refused"}.get(code, "failed")
            event.outcome_code = code
        return event

    def _accept(self, group: AuditGroup, head: AuditHead) -> Result:
        address = group.address()
        if address is None or isinstance(address, str):
            return address or "accept without an address"
        event = self._new(group, head, EventKind.CONNECTION)
        event.src_ip, event.src_port, event.initiated, event.outcome = *address, False, "completed"
        return event

    def _socketcall(self, group: AuditGroup, head: AuditHead) -> Result:
        call = socket_calls().get(head.arg(0))
        if call == "connect":
            return self._connect(group, head)
        if call is None or not head.success:
            return "system call socketcall"
        return self._accept(group, head)

    def _open(self, group: AuditGroup, head: AuditHead) -> Result:
        created = group.path(b"CREATE")
        if created is not None:
            return self._file(group, head, created, at=0)
        if head.call == "creat":
            flags: int | None = _O_WRONLY | _O_CREAT | _O_TRUNC
        elif head.call == "openat2":
            flags = group.open_flags()
        else:
            flags = head.arg(1 if head.call == "open" else 2)
        if flags is None or not flags & _O_WRITE:
            return "file opened for reading"
        if flags & _O_TMPFILE:
            return "temporary file without a name"
        if not (flags & (_O_CREAT | _O_TRUNC) or flags & _O_WRITE == _O_WRONLY):
            return "file opened for updating"
        written = group.path(b"NORMAL") or group.first_path()
        if written is None:
            return "file without a name"
        if written.mode is not None and written.mode & 0o170000 != _REGULAR:
            return "device, pipe or kernel file"
        return self._file(group, head, written, at=0, existing=True)

    def _file(self, group: AuditGroup, head: AuditHead, path: AuditPath, *, at: int, existing: bool = False) -> Result:
        if path.name is None:
            return "file without a name"
        event = self._new(group, head, EventKind.FILE_CREATE)
        event.file_path = self._place(event, group, head, path, at)
        if event.file_path in _DEVICES or event.file_path.startswith(_KERNEL_FILES):
            return "device, pipe or kernel file"
        if path.mode is not None:
            event.file_mode = octal(path.mode)
        if existing and event.extra is not None:
            event.extra["existing"] = True
        if path.inode is not None:
            self._remember((group.node, path.inode), event.file_path)
        return event

    def _place(self, event: Event, group: AuditGroup, head: AuditHead, path: AuditPath, at: int) -> str:
        """The absolute path of a PATH record; `at` is the argument that may hold the descriptor of an open directory.

        A name relative to an open directory stays relative and is marked, unless the inode of that directory was seen under
        a full name before. The kernel names the working directory as its PARENT, which need not be so.
        """
        name = path.name or ""
        parent = group.parent(last=at > 0)
        inode = None if parent is None or parent.inode is None else (group.node, parent.inode)
        extra = event.extra if event.extra is not None else {}
        if not name.startswith("/") and head.call in _AT_CALLS and head.args[at] not in _CURRENT_DIRECTORY:
            directory = self._paths.get(inode) if inode is not None else None
            if directory is not None:
                extra["directory_by_inode"] = True
                return absolute(posixpath.basename(name), directory)
            extra["dirfd"] = True
            event.cwd = group.cwd()
            return name
        place = absolute(name, group.cwd())
        if inode is not None and place[:1] == "/":
            self._remember(inode, place[: place.rfind("/")] or "/")
        return place

    def _remember(self, inode: tuple[str | None, bytes], place: str) -> None:
        if len(self._paths) >= MOST_INODES and inode not in self._paths:
            self._paths.clear()
        self._paths[inode] = place

    def _rename(self, group: AuditGroup, head: AuditHead) -> Result:
        new = group.path(b"CREATE")
        old = group.first_path(b" nametype=DELETE")
        if new is None or new.name is None:
            return "file without a name"
        event = self._new(group, head, EventKind.FILE_RENAME)
        event.file_path = self._place(event, group, head, new, 2)
        if old is not None and old.name is not None:
            event.file_old_path = self._place(event, group, head, old, 0)
        event.file_mode = None if new.mode is None else octal(new.mode)
        if new.inode is not None:
            self._remember((group.node, new.inode), event.file_path)
        return event

    def _link(self, group: AuditGroup, head: AuditHead) -> Result:
        new = group.path(b"CREATE")
        if new is None:
            return "file without a name"
        soft = head.call.startswith("symlink")
        at = (1 if soft else 2) if head.call.endswith("at") else 0
        result = self._file(group, head, new, at=at)
        if isinstance(result, Event) and result.extra is not None:
            target = group.path(b"UNKNOWN" if soft else b"NORMAL")
            if target is not None and target.name is not None:
                result.extra["link"] = target.name if soft else absolute(target.name, group.cwd())
        return result

    def _chmod(self, group: AuditGroup, head: AuditHead) -> Result:
        path = group.path(b"NORMAL") or group.first_path()
        if path is None:
            return "file without a name"
        event = self._new(group, head, EventKind.FILE_MODE)
        if path.name is not None:
            event.file_path = self._place(event, group, head, path, 0)
        else:  # fchmod: the record has the inode only
            event.file_path = self._paths.get((group.node, path.inode or b""))
        if event.file_path is None:
            return "file without a name"
        event.file_mode = octal(head.arg(2 if head.call.startswith("fchmodat") else 1))
        return event

    def _unlink(self, group: AuditGroup, head: AuditHead) -> Result:
        gone = group.path(b"DELETE")
        if gone is None or gone.name is None:
            return "file without a name"
        event = self._new(group, head, EventKind.FILE_DELETE)
        event.file_path = self._place(event, group, head, gone, 0)
        return event

    def _memory_file(self, group: AuditGroup, head: AuditHead) -> Result:
        event = self._new(group, head, EventKind.FILE_CREATE)
        event.file_path = "/memfd:"  # the records do not hold its name
        return event

    def _module(self, group: AuditGroup, head: AuditHead) -> Result:
        event = self._new(group, head, EventKind.IMAGE_LOAD)
        path = group.path(b"NORMAL")
        if path is not None and path.name is not None:
            event.file_path = absolute(path.name, group.cwd())
        name = group.module()
        if name and event.extra is not None:
            event.extra["module"] = name
        return event


Handler = Callable[[Source, AuditGroup, AuditHead], Result]
_HANDLERS: dict[str, Handler] = {
    name: handler
    for handler, names in (
        (Source._exec, ("execve", "execveat")),
        (Source._exit, ("exit_group",)),
        (Source._connect, ("connect",)),
        (Source._accept, ("accept", "accept4")),
        (Source._socketcall, ("socketcall",)),
        (Source._open, ("open", "openat", "openat2", "creat")),
        (Source._rename, ("rename", "renameat", "renameat2")),
        (Source._link, ("link", "linkat", "symlink", "symlinkat")),
        (Source._chmod, ("chmod", "fchmod", "fchmodat", "fchmodat2")),
        (Source._unlink, ("unlink", "unlinkat")),
        (Source._memory_file, ("memfd_create",)),
        (Source._module, ("init_module", "finit_module")),
    )
    for name in names
}
