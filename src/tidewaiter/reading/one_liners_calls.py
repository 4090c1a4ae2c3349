"""What a call does to content: one function per effect that a language file can name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tidewaiter.catalog.languages import Call
from tidewaiter.reading.one_liners_use import Use, address, is_remote
from tidewaiter.reading.one_liners_values import COMPUTES, Source, Value, merge, readable, split

if TYPE_CHECKING:
    from tidewaiter.reading.one_liners_engine import Engine

_SENDS = frozenset({"post", "put", "patch"})
_RUNNERS = (
    r"(?:sh|bash|zsh|dash|python[\d.]*|perl|ruby|php|node|nohup|sudo|start|cmd(?:\.exe)?\s+/[ck]|powershell\S*\s.*?|"
    r"rundll32\S*|regsvr32\S*|wscript\S*|cscript\S*|\.|source|exec)"
)


def apply(use: Use) -> Value:
    """Carry out the effect of one call. Raises BudgetExceeded."""
    return _EFFECTS[use.spec.does](use)


def _fetch(use: Use) -> Value:
    url, wanted = address(use)
    if not wanted:
        value = use.pick(use.spec.url)
        return use.result(reads=value.text if value is not None else None, sources=merge(use.everything))
    source = use.engine.add_source(Source([url] if url else []))
    _dispose(use, source)
    return use.result(sources=(source,))


def _dispose(use: Use, source: Source) -> None:
    """Where a fetch that says so itself leaves its content."""
    dest = use.pick(use.spec.dest) if use.spec.dest else None
    if dest is not None and (dest.place is not None or dest.writes):
        source.land(dest.place)
    elif use.spec.lands:
        name = source.urls[0].rstrip("/").rpartition("/")[2].partition("?")[0] if use.spec.basename and source.urls else ""
        source.land(name or None)
    source.runs = source.runs or use.spec.runs


def _request(use: Use) -> Value:
    if use.spec.verbs and (not use.args or not re.fullmatch(r"(?i)GET|POST|PUT|HEAD|PATCH|DELETE", use.args[0].text or "")):
        return _other(use)
    url, _ = address(use)
    source = use.engine.add_source(Source([url] if url else []))
    source.uploads = bool(use.args) and (use.args[0].text or "").lower() in _SENDS
    if source.uploads:
        source.sends = _local_file(use.everything)
    _dispose(use, source)
    use.engine.taint(use.receiver, (source,))
    return use.result(sources=(source,))


def _connect(use: Use) -> Value:
    host, port = use.pick(use.spec.host), use.pick(use.spec.port)
    pair = host.items if host is not None else None
    named = host.keys if host is not None else {}
    if pair is not None and len(pair) > 1:
        host, port = pair[0], pair[1]
    elif named:
        host, port = named.get("host"), named.get("port")
    text = host.text if host is not None else None
    if text is not None and text.isdigit() and port is not None and port.text is not None:  # node: connect(port, host)
        text, port = port.text, host
    if text is not None and port is not None and port.text is not None and port.text.isdigit():
        text = f"{text.split('://')[-1]}:{port.text}"
    source = use.engine.add_source(Source([text.split("://")[-1]] if text else [], socket=True))
    use.engine.taint(use.receiver, (source,))
    return use.result(sources=(source,))


def _client(use: Use) -> Value:
    host = use.pick(use.spec.host)
    port = use.pick(use.spec.port)
    text = host.text if host is not None else None
    if text is not None and not is_remote(text):
        text = f"{use.spec.scheme}://{text}"
        if port is not None and port.text is not None and port.text.isdigit() and port.text not in ("80", "443", "21"):
            text += f":{port.text}"
    return use.result(host=text)


def _upload(use: Use) -> Value:
    url, _ = address(use)
    source = use.engine.add_source(Source([url] if url else [], uploads=True, sends=_local_file(use.everything)))
    return use.result(sources=(source,))


def _local_file(values: Sequence[Value], depth: int = 4) -> str | None:
    """The path of a local file whose content is among the values."""
    for value in values:
        if value.reads is not None:
            return value.reads
        inner = [*(value.items or ()), *value.keys.values()]
        found = _local_file(inner, depth - 1) if inner and depth else None
        if found is not None:
            return found
    return None


def _open(use: Use) -> Value:
    path, mode = use.pick(use.spec.path), use.pick(use.spec.mode)
    spelled = mode.text if mode is not None and mode.text is not None else ""
    where = path.text if path is not None else None
    if path is None and use.spec.into and spelled:  # perl with two arguments: open(F, ">file")
        match = re.match(r"\s*(\+?[<>]{1,2}|\|)?\s*(.*?)\s*(\|?)\s*\Z", spelled, re.DOTALL)
        if match:
            spelled, where = (match.group(1) or "") + match.group(3), match.group(2)
    if where is not None and is_remote(where):
        source = use.engine.add_source(Source([where]))
        return _bind(use, use.result(sources=(source,)))
    if "|" in spelled and where is not None:
        return _bind(use, use.result(sources=use.engine.shell_output("shell", where)))
    writes = not use.spec.modes or any(char in spelled for char in "wax+>") or bool(re.search(r"(?i)write|create", spelled))
    if writes:
        return _bind(use, use.result(path=where, writes=True))
    return _bind(use, use.result(reads=where, sources=path.sources if path is not None else ()))


def _bind(use: Use, value: Value) -> Value:
    target = use.pick(use.spec.into) if use.spec.into else None
    if target is not None and target.variable:
        use.engine.variables[target.variable] = value
    return value


def _write(use: Use) -> Value:
    target = use.pick(use.spec.path)
    if use.spec.content:
        picked = use.pick(use.spec.content)
        content = [picked] if picked is not None else []
    else:
        content = [value for value in use.everything if value is not target]
    sources = merge(content)
    receiver_target = target is not None and target is use.receiver
    if target is None or (receiver_target and not target.writes and target.path is None and target.text is None):
        use.engine.taint(use.receiver, sources)
        return use.result(sources=merge([use.receiver]) if use.receiver is not None else sources)
    if "stdout" in target.name:
        _mark_printed(sources)
    elif target.place is not None or target.writes or not (use.spec.only_files or target.sources or receiver_target):
        for source in sources:
            source.land(target.place)
    return replace(target, receiver=None, variable="")


def _mark_printed(sources: Sequence[Source]) -> None:
    for source in sources:
        source.printed = True


def _print(use: Use) -> Value:
    sources = merge([value for name, value in use.keys.items() if name not in ("handle", "file")] + use.args)
    handle = use.keys.get("handle") or use.keys.get("file")
    if handle is not None and (handle.writes or handle.path is not None):
        for source in sources:
            source.land(handle.path)
    elif handle is None or handle.name in ("stdout", "sys.stdout"):
        _mark_printed(sources)
    return Value()


def _run(use: Use) -> Value:
    program = use.pick(use.spec.program)
    words = _words(program)
    if use.spec.arguments:
        rest = use.args[1:] if use.spec.arguments == ("rest",) else [use.pick(use.spec.arguments) or Value()]
        words += [word for value in rest if value.function is None for word in _words(value)]
    if use.spec.own_name and len(words) > 1:
        words.pop(1)
    for source in merge(use.everything):
        if not source.socket:  # what comes over a socket and goes to a shell is a command, not a tool
            source.runs = True
    if program is None or not words or any(word is None for word in words):
        known = [word for word in words if word]
        use.engine.mark_run(" ".join(known))
        return use.result()
    texts = [readable(word) for word in words if word is not None]
    plain = len(texts) == 1 and program.items is None
    text = texts[0] if plain else " ".join(_quote(word) for word in texts) if use.spec.shell == "shell" else " ".join(texts)
    use.engine.mark_run(text)
    return use.result(sources=use.engine.shell_output(use.spec.shell, text))


def _quote(word: str) -> str:
    return word if re.fullmatch(r"[\w@%+=:,./\\-]+", word) and "\\" not in word else shlex.quote(word)


def _words(value: Value | None) -> list[str | None]:
    if value is None:
        return []
    if value.items is not None:
        return [item.text for item in value.items]
    return [value.text] if not value.keys else []


def _eval(use: Use) -> Value:
    for source in merge(use.everything):
        source.runs = True
    for value in use.args[:1]:
        if value.text is not None and not value.sources:
            use.engine.nested(readable(value.text))
    return use.result(sources=merge(use.args))


def _load(use: Use) -> Value:
    value = use.pick(use.spec.url)
    for source in merge(use.everything):
        source.runs = True
    if value is None or value.text is None:
        return use.result(sources=merge(use.everything))
    text = re.sub(r"^(?:script|scriptlet):", "", value.text, flags=re.IGNORECASE)
    use.engine.mark_run(text)
    if is_remote(text):
        source = use.engine.add_source(Source([text], runs=True))
        return use.result(sources=(source,))
    return use.result(name=_module(text))


def _module(text: str) -> str:
    return text.lower().removeprefix("node:").replace("/", ".")


def _named_module(use: Use) -> Value:
    value = use.pick(("0",))
    name = _module(value.text) if value is not None and value.text is not None else use.callee.name + "()"
    return Value(name=name)


def _list(use: Use) -> Value:
    return Value(items=list(use.args), keys=dict(use.keys))


def _apply_named(use: Use) -> Value:
    function = use.pick(("0",))
    if function is None:
        return use.result(sources=merge(use.everything))
    rest = use.args[1:]
    if len(rest) == 1 and rest[0].items is not None:
        rest = rest[0].items
    return use.engine.call(function, rest, {})


def _member(use: Use) -> Value:
    owner, name = use.pick(("0",)), use.pick(("1",))
    if owner is None or name is None or name.text is None:
        return use.result(sources=merge(use.everything))
    return replace(owner, name=f"{owner.name}.{name.text.lower()}", receiver=owner, text=None, variable="")


def _value(use: Use) -> Value:
    values = [use.receiver, *use.args] if use.receiver is not None and not _is_module(use.receiver) else list(use.args)
    sources = merge(values)
    if sources:
        return use.result(sources=sources, name="")
    text = COMPUTES[use.spec.computes](values)
    if text is not None and use.spec.computes in (
        "base64",
        "hex",
        "decompress",
        "characters",
        "decode",
        "rot13",
        "pack",
        "base85",
    ):
        use.engine.budget.grow(len(text))
        use.engine.budget.note(use.spec.computes, readable(text))
    if use.spec.computes == "split":
        return Value(items=split(values))
    items = values[0].items if values and use.spec.computes == "reverse" else None
    return Value(text=text, items=list(reversed(items)) if items is not None else None)


def _is_module(value: Value) -> bool:
    return value.text is None and value.items is None and not value.sources


def _same(use: Use) -> Value:
    value = use.pick(("0",)) or use.receiver
    if use.receiver is not None and (use.receiver.text is not None or use.receiver.sources or use.receiver.reads):
        value = use.receiver
    if value is None:
        return use.result()
    return replace(value, name=use.callee.name + "()", variable="", receiver=None)


def _option(use: Use) -> Value:
    target = use.pick(("0",))
    pairs = [(use.args[1].name, use.args[2])] if len(use.args) > 2 else []
    if len(use.args) == 2:
        pairs = list(use.args[1].keys.items())
    if target is None:
        return Value()
    for name, value in pairs:
        kind = use.spec.options.get(name.lower())
        for source in target.sources:
            if kind == "url" and value.text is not None:
                source.urls = [value.text]
            elif kind == "file":
                source.land(value.place)
            elif kind == "content":
                source.uploads = True
    return Value()


def _machine(use: Use) -> Value:
    value = use.pick(("0",))
    if value is not None and value.text is not None:
        use.engine.machine = re.sub(r"^\w+://(?:[^@/]*@)?", "", value.text).split("/")[0]
    return Value()


def _nothing(use: Use) -> Value:
    return Value(name=use.callee.name + "()")


def _other(use: Use) -> Value:
    receiver = use.receiver
    sources = merge([*([receiver] if receiver is not None else []), *use.everything])
    host = receiver.host if receiver is not None else None
    return use.result(sources=sources, host=host)


def unspecified(engine: Engine, callee: Value, args: list[Value], keys: dict[str, Value]) -> Value:
    """A call that the language file does not know: its result holds whatever its arguments hold."""
    return _other(Use(engine, NO_SPEC, callee, args, keys))


def is_run_by(text: str, path: str) -> bool:
    """Whether a shell text starts the file at `path`."""
    if text.strip() == path:
        return True
    name = re.escape(path)
    return re.search(rf"(?:^|[;&|(]\s*|\b{_RUNNERS}\s+)['\"]?(?:\./)?{name}(?=$|[\s;&|)'\"])", text) is not None


NO_SPEC = Call(names=(), does="nothing")

_EFFECTS: dict[str, Callable[[Use], Value]] = {
    "fetch": _fetch, "request": _request, "connect": _connect, "client": _client, "upload": _upload, "open": _open,
    "write": _write, "print": _print, "run": _run, "eval": _eval, "load": _load, "value": _value, "same": _same,
    "option": _option, "machine": _machine, "nothing": _nothing, "module": _named_module,
    "list": _list, "apply": _apply_named, "member": _member,
}  # fmt: skip
