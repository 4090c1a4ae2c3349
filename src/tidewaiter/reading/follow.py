"""Walk the invocations of a text in order, match each against its utility and follow what it fetches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from tidewaiter.catalog.utilities import Code, Utility, Wrap
from tidewaiter.reading import argv as grammar
from tidewaiter.reading import forms, languages, locations, sessions
from tidewaiter.reading.budget import Budget, BudgetExceeded
from tidewaiter.reading.effects import action_of, fetches_of
from tidewaiter.reading.flow import Fetch, apply_sink, conclude, is_null, mark_run_later, session_action, session_fetch
from tidewaiter.reading.invocation import Invocation, Script, Word
from tidewaiter.reading.recall import WORDS_A_STEP, WORDS_AT_MOST, Recall, program_name, shown_name
from tidewaiter.reading.wrapping import inner_commands, known_output
from tidewaiter.schema.action import Action, ActionKind

_DEV_SOCKET = re.compile(r"^/dev/(?:tcp|udp)/([^/\s]+)/(\d+|\S+)$")
_SENDS = frozenset({"cat", "tar", "gzip", "bzip2", "xz", "zip", "dd", "base64", "openssl", "cpio", "pg_dump", "mysqldump"})
_CRON_TABLE = re.compile(r"^/etc/(?:crontab$|cron\.d/)|^/var/spool/cron/")
_SHELL_ON_INPUT = re.compile(r"^\s*(?:sudo\s+)?(?:/bin/)?(?:ba|da|z|k)?sh(?:\s+-\w+)*(?:\s+--.*)?\s*$")
_ECHO = frozenset({"echo", "printf", "write-output", "cat"})


class Follower:
    """What is known while one text is read: files it wrote, drives it mapped, copies it renamed, and what it fetched."""

    def __init__(self, platform: str, budget: Budget, original_name: str | None = None) -> None:
        self.platform = platform
        self.budget = budget
        self.recall = Recall(platform, budget, original_name)
        self.actions: list[Action] = []
        self.fetches: list[Fetch] = []
        self.shell = "bash"  # the Unix shell that reads the text, as started
        self.carriers: list[str] = []  # names of the programs inside which this one runs: busybox, kubectl

    # ------------------------------------------------------------------ texts
    def read_process(self, command_line: str) -> None:
        """One process as CreateProcess starts it."""
        self._script(languages.windows_process(command_line), [])

    def read_argv(self, words: Sequence[str]) -> None:
        """One process with its exact arguments."""
        self._script(languages.argument_vector(words), [])

    def read_text(self, text: str, language: str, incoming: Sequence[Fetch] = (), name: str | None = None) -> list[Fetch]:
        """A script of any language, read by the program `name`; returns what it leaves on its standard output.

        Raises BudgetExceeded.
        """
        if not text.strip():
            return []
        self.budget.depth_left -= 1
        if self.budget.depth_left < 0:
            self.budget.exceed("nested too deeply")
        try:
            if language in languages.SHELLS:
                return self._script(languages.parse(text, language, self.budget), list(incoming))
            if language == "crontab":
                return self._crontab(text)
            return self._one_liner(text, language, incoming, name)
        finally:
            self.budget.depth_left += 1

    def _one_liner(self, text: str, language: str, incoming: Sequence[Fetch], name: str | None) -> list[Fetch]:
        """Code of a programming language: what it prints is on standard output, as is what it was given there."""
        result = languages.one_liner(text, language, self.budget).named(name)
        left: list[Fetch] = []
        for action in result.actions:
            if action in result.printed and action.kind is ActionKind.BENIGN and action.urls:
                left.append(
                    Fetch(self._shown(action.utility), action.form, list(action.urls), open=True, confidence=action.confidence)
                )
            else:
                self.actions.append(action)
        self.fetches += left
        for shell, shell_text in result.shell_texts:
            left += self.read_text(shell_text, languages.shell_for(shell, self.platform), incoming)
        return left if result.shell_texts else [*left, *incoming]

    def conclude(self) -> list[Action]:
        """All actions, direct ones and those that followed content amounts to, duplicates merged."""
        return list(dict.fromkeys([*self.actions, *(conclude(fetch) for fetch in self.fetches)]))

    def _crontab(self, text: str, *, user: bool = False) -> list[Fetch]:
        """Lines of a table of timed commands; those of the system name a user before the command."""
        for line in text.splitlines()[:500]:
            entry = re.match(r"^\s*(?:@\w+\s+|(?:[\d*/,\-A-Za-z]+\s+){5})" + (r"[\w-]+\s+" if user else "") + r"(.+)$", line)
            if entry:
                self.read_text(entry[1], "bash")
        return []

    def _script(self, script: Script, incoming: list[Fetch]) -> list[Fetch]:
        outputs: dict[int, list[Fetch]] = {}
        used: set[int] = set()
        for invocation in script:
            used.update(id(item) for item in invocation.stdin)
            for word in (*invocation.argv, *invocation.named.values()):
                used.update(id(item) for item in word.content)
        left: list[Fetch] = []
        for invocation in script:
            self.budget.spend()
            try:
                produced = self._step(invocation, outputs, incoming)
            except BudgetExceeded:
                raise
            except RecursionError:
                self.budget.exceed("nested too deeply")
            except Exception as problem:  # noqa: BLE001 - one command that cannot be read costs one command
                self.budget.limits.append(f"one command could not be read: {type(problem).__name__}")
                produced = []
            outputs[id(invocation)] = produced
            if id(invocation) not in used:
                left += [fetch for fetch in produced if fetch.open]
        return left

    # ------------------------------------------------------------- one program
    def _step(self, invocation: Invocation, outputs: dict[int, list[Fetch]], outer: list[Fetch]) -> list[Fetch]:
        incoming = [fetch for item in invocation.stdin for fetch in outputs.get(id(item), ())]
        if not invocation.stdin and invocation.stdin_text is None and invocation.stdin_file is None:
            incoming = list(outer)
        contents = {
            id(word): [fetch for item in word.content for fetch in outputs.get(id(item), ())]
            for word in (*invocation.argv, *invocation.named.values())
            if word.content
        }
        produced = self._socket(invocation)
        incoming += produced
        out = self._program(invocation, incoming, contents)
        return self._redirect(invocation, out)

    def _socket(self, invocation: Invocation) -> list[Fetch]:
        """`< /dev/tcp/HOST/PORT`: the shell itself connects."""
        match = _DEV_SOCKET.match(invocation.stdin_file.text) if invocation.stdin_file is not None else None
        if match is None:
            return []
        if invocation.stdout is not None and _DEV_SOCKET.match(invocation.stdout.text):
            return []  # both ways: a shell for the other side, not a transfer
        fetch = Fetch(self._shown(self.shell), "dev_tcp", [f"{match[1]}:{match[2]}"], open=True)
        self.fetches.append(fetch)
        return [fetch]

    def _program(self, invocation: Invocation, incoming: list[Fetch], contents: dict[int, list[Fetch]]) -> list[Fetch]:
        if not invocation.argv:
            return incoming
        if len(invocation.argv) > WORDS_AT_MOST:
            self.budget.limit(f"only the first {WORDS_AT_MOST} arguments of a command were read, and its last one")
            invocation.argv = (*invocation.argv[: WORDS_AT_MOST - 1], invocation.argv[-1])
        self.budget.spend(1 + len(invocation.argv) // WORDS_A_STEP)
        every = [fetch for fetches in contents.values() for fetch in fetches]
        first = contents.get(id(invocation.argv[0]))
        if first:  # the fetched text itself is the command
            for fetch in first:
                fetch.run()
        mark_run_later(self.fetches, invocation)
        utility = self.recall.find(invocation)
        if utility is None:
            return self._unknown(invocation, incoming + every)
        mounted = self.recall.rewrite_mounted(invocation)
        parsed = grammar.parse(utility, self.recall.catalog.options(utility), invocation)
        parsed.mounted = mounted
        view = forms.View(utility, parsed, invocation)
        out: list[Fetch] = []
        coded = session = False
        with self._carried(utility, program_name(invocation.program)):
            for wrap in utility.wrap:
                if view.all_hold(wrap.when):
                    inner = self._wrap(wrap, view, utility, incoming, contents)
                    if inner is not None:
                        return inner + self._form(utility, parsed, invocation)
            for code in utility.code:
                if view.all_hold(code.when):
                    ran, left = self._code(code, view, utility, incoming, contents)
                    coded = coded or ran
                    session = session or (ran and code.language in languages.SESSIONS)
                    out += left
        handled = self._sinks(utility, view, incoming, contents)
        if handled is not None:
            out += handled
        elif not coded:
            out += incoming + every
        if not session and (not coded or not out):
            out += self._form(utility, parsed, invocation)
        return out

    @contextmanager
    def _carried(self, utility: Utility, name: str) -> Iterator[None]:
        """What a carrier starts is shown behind the carrier's name."""
        if utility.carrier:
            self.carriers.append(shown_name(utility))
        before, shell = len(self.actions), self.shell
        if utility.name == "bash" and name in ("zsh", "ksh"):
            self.shell = name
        try:
            yield
        finally:
            self.shell = shell
            if utility.carrier:
                carrier = self.carriers.pop()
                for number, action in enumerate(self.actions[before:], before):
                    if carrier not in action.utility.split():
                        self.actions[number] = msgspec.structs.replace(action, utility=f"{carrier} {action.utility}")

    def _shown(self, name: str) -> str:
        return " ".join(dict.fromkeys([*self.carriers, name]))

    def _unknown(self, invocation: Invocation, content: list[Fetch]) -> list[Fetch]:
        program = invocation.program
        if locations.is_unc(program) and not locations.is_loopback(program):
            self.fetches.append(Fetch(self._shown("unc"), "run_from_share", [program], runs=True, confidence=70))
        return content

    def _wrap(
        self, wrap: Wrap, view: forms.View, utility: Utility, incoming: list[Fetch], contents: dict[int, list[Fetch]]
    ) -> list[Fetch] | None:
        commands = inner_commands(wrap, view)
        if not commands:
            return None
        left: list[Fetch] = []
        before = len(self.fetches)
        for words in commands:
            if wrap.stdin and {word.text for word in words[-2:]} & {"-c", "-e"}:  # xargs sh -c: the content itself is the text
                for fetch in incoming:
                    fetch.run()
            hosts = view.texts([wrap.remote]) if wrap.remote is not None else []
            text = " ".join(word.text for word in words)
            run = self._started(wrap, view, words, contents)
            left += self._remote(run, text, hosts[0], utility, view, incoming) if hosts else run(incoming)
        if wrap.bare == "ingress":
            for fetch in self.fetches[before:]:
                fetch.bare = wrap.bare
        return left

    def _started(
        self, wrap: Wrap, view: forms.View, words: list[Word], contents: dict[int, list[Fetch]]
    ) -> Callable[[list[Fetch]], list[Fetch]]:
        """Start one inner command when it is called with the content on its standard input."""
        outer = view.invocation
        if wrap.shell is not None:
            text = " ".join(word.text for word in words)
            language = languages.shell_for(wrap.shell, self.platform)
            return lambda incoming: self.read_text(text, language, incoming)
        inner = Invocation(
            argv=tuple(words), stdin=outer.stdin, stdin_text=None if wrap.stdin else outer.stdin_text,
            stdin_file=outer.stdin_file, spelled=outer.spelled,
        )  # fmt: skip
        self.budget.spend()
        return lambda incoming: self._program(inner, incoming, contents)

    # -------------------------------------------------------------------- code
    def _code(
        self, code: Code, view: forms.View, utility: Utility, incoming: list[Fetch], contents: dict[int, list[Fetch]]
    ) -> tuple[bool, list[Fetch]]:
        """Run a script that the program takes: (whether there was one, what it leaves on standard output)."""
        words = [word for selector in code.text for word in view.words(selector)]
        separator = "\n" if code.language in languages.SESSIONS or code.language == "parameters" else " "
        text = languages.script_text(code.language, view.invocation, separator.join(word.text for word in words), self.budget)
        for word in words:
            for fetch in contents.get(id(word), ()):
                fetch.run()
        if not text and code.stdin:
            if incoming:
                for fetch in incoming:
                    fetch.run()
                return True, []
            text = view.invocation.stdin_text or known_output(view.invocation.stdin)
        if not text:
            for path in view.texts(code.file):
                text = self.recall.files.get(path.lower(), "")
                if text:
                    break
        if not text:
            return False, []
        language = "bash" if code.language == "parameters" else code.language
        if code.session is not None or code.language in languages.SESSIONS:
            peers = view.texts([code.session]) if code.session else []
            ports = view.texts(code.session_port)
            peer = sessions.with_port(peers[0], ports[0]) if peers and ports else peers[0] if peers else None
            return self._session(text, peer, utility), []
        if code.remote is not None:
            if view.invocation.stdin_text and _SHELL_ON_INPUT.match(text):
                text = view.invocation.stdin_text
            hosts = view.texts([code.remote])

            def run(local: list[Fetch]) -> list[Fetch]:
                return self.read_text(text, language, local)

            return True, self._remote(run, text, hosts[0] if hosts else "", utility, view, incoming)
        name = shown_name(utility, view.invocation.program)
        return True, self.read_text(text, language, incoming, name)

    def _session(self, text: str, peer: str | None, utility: Utility) -> bool:
        items = languages.session(text, peer, self.budget)
        name = self._shown(shown_name(utility))
        self.fetches += [session_fetch(item, name) for item in items if item.get]
        self.actions += [session_action(item, name) for item in items if not item.get]
        return bool(items)

    def _remote(
        self,
        run: Callable[[list[Fetch]], object],
        text: str,
        host: str,
        utility: Utility,
        view: forms.View,
        incoming: list[Fetch],
    ) -> list[Fetch]:
        """What runs on another host: local input that it stores is lateral, its output that is kept here is ingress."""
        local = Fetch(self._shown(utility.name), "remote_write", kind=ActionKind.LATERAL, open=True)
        has_input = bool(view.invocation.stdin or view.invocation.stdin_text or view.invocation.stdin_file)
        before = len(self.fetches)
        run([local] if has_input else [])
        for fetch in self.fetches[before:]:
            fetch.notes.append(f"on {host}")
        if local.taken:
            for fetch in incoming:
                fetch.taken, fetch.open = True, False
            self.fetches.append(local)
            return []
        if len(self.fetches) > before:
            return []
        read_file = re.match(r"^\s*(?:sudo\s+)?(?:cat|type|zcat|gzip -c|base64)\s+['\"]?([^\s|;&'\"]+)['\"]?\s*$", text)
        source = f"{host}:{read_file[1]}" if read_file else host
        fetch = Fetch(self._shown(utility.name), "remote_read", [source], open=True, confidence=85 if read_file else 55)
        self.fetches.append(fetch)
        return [fetch]

    # ---------------------------------------------------------- sinks and forms
    def _sinks(
        self, utility: Utility, view: forms.View, incoming: list[Fetch], contents: dict[int, list[Fetch]]
    ) -> list[Fetch] | None:
        for sink in utility.sink:
            if not view.all_hold(sink.when):
                continue
            if sink.content:
                chosen = {id(word) for selector in sink.content for word in view.words(selector)}
                content = [fetch for key, fetches in contents.items() if key in chosen for fetch in fetches]
                content += incoming if "stdin" in sink.content or not chosen else []
            else:
                content = incoming + [fetch for fetches in contents.values() for fetch in fetches]
            if content:
                return apply_sink(sink, view, content)
        return None

    def _form(self, utility: Utility, parsed: grammar.Parsed, invocation: Invocation) -> list[Fetch]:
        match = forms.match(utility, parsed, invocation)
        if match is None or match.view is None:
            return []
        form, view = match.form, match.view
        name = self._shown(shown_name(utility, invocation.program))
        if form.id == "local_copy":
            self.recall.remember_copy(match)
        if form.mount is not None and match.sources:
            self.recall.remember_mount(view.texts([form.mount]), match.sources[0])
        if form.action != "ingress":
            self.actions.append(action_of(match, view, name))
            return []
        found = fetches_of(match, view, name)
        self.fetches += found
        return [fetch for fetch in found if fetch.open]

    def _redirect(self, invocation: Invocation, out: list[Fetch]) -> list[Fetch]:
        if invocation.stdout is None:
            return out
        path = invocation.stdout.text
        if path in self.recall.pipes:
            return []  # a named pipe: what reads it is on this host, and keeps nothing by that name
        if _DEV_SOCKET.match(path) and program_name(invocation.program) in _SENDS and (invocation.stdin or invocation.args):
            peer = _DEV_SOCKET.sub(r"\1:\2", path)
            self.actions.append(Action(kind=ActionKind.UPLOAD, utility=self._shown(self.shell), form="dev_tcp", remote=peer))
            return []
        for fetch in out:
            fetch.land(path)
        if _CRON_TABLE.match(path) and program_name(invocation.program) in _ECHO:
            self._crontab(known_output([invocation]) or invocation.stdin_text or "", user=path.startswith("/etc/"))
        name = program_name(invocation.program)
        if name in _ECHO and not is_null(path):
            printed = known_output([invocation]).rstrip("\n") or " ".join(invocation.args)
            text = printed if name != "cat" else (invocation.stdin_text or "")
            key = path.lower()
            before = self.recall.files.get(key, "") if invocation.append else ""
            self.recall.files[key] = (before + text + "\n")[-65_536:]
        return []
