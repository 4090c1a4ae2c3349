"""The option grammar of programs: arguments into options by role and positional words, as the utility's TOML describes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidewaiter.catalog.utilities import Option, Utility
from tidewaiter.reading.invocation import Invocation, Word

_WINDOWS_OPTION = re.compile(r"^[/\-–—―][A-Za-z?!][\w?-]*(?:[:=].*)?$", re.S)
_DASHES = "-–—―"


@dataclass
class Parsed:
    """The arguments of one invocation, sorted."""

    options: dict[str, list[Word]] = field(default_factory=dict)  # role -> values in order; flags have the word itself
    args: list[Word] = field(default_factory=list)  # positional words
    next_of: dict[int, Word] = field(default_factory=dict)  # id(word) -> the positional word behind it
    unknown: list[str] = field(default_factory=list)
    mounted: set[int] = field(default_factory=set)  # id(word) of words that lie on a mapped drive or folder

    def add(self, role: str, value: Word) -> None:
        """Record one occurrence of an option."""
        self.options.setdefault(role, []).append(value)


def parse(utility: Utility, table: dict[str, Option], invocation: Invocation) -> Parsed:
    """Sort the words of an invocation by the utility's option style. Never raises: what is unknown is positional or a flag."""
    parsed = Parsed()
    words = list(invocation.argv[1:])
    if utility.style == "socat":
        _socat(table, words, parsed)
    elif utility.style == "gnu":
        _gnu(utility, table, words, parsed)
    elif utility.style == "windows":
        _windows(table, words, parsed, utility.strict_order)
    elif utility.style == "single":
        _single(table, words, parsed, utility.strict_order)
    elif utility.style == "keyvalue":
        _keyvalue(table, words, parsed)
    elif utility.style == "powershell":
        _powershell(table, invocation, words, parsed)
    else:
        parsed.args.extend(words)
    for left, right in zip(parsed.args, parsed.args[1:], strict=False):
        parsed.next_of[id(left)] = right
    return parsed


def _value(word: Word, text: str) -> Word:
    return Word(text, word.content, word.known)


def _gnu(utility: Utility, table: dict[str, Option], words: list[Word], parsed: Parsed) -> None:
    """getopt_long: clusters of short options, --long[=value], unambiguous prefixes, `--` ends."""
    position = 0
    last_with_options = 1 if utility.strict_order else utility.strict_after
    while position < len(words):
        word = words[position]
        text = word.text
        position += 1
        if text == "--":
            parsed.args.extend(words[position:])
            if last_with_options or "dashdash" in utility.options:
                parsed.add("dashdash", word)
            return
        if text.startswith("--") and len(text) > 2:
            name, equals, value = text.partition("=")
            option = table.get(name) or _by_prefix(table, name)
            if option is None:
                parsed.unknown.append(name)
                continue
            if equals:
                parsed.add(option.role, _value(word, value))
            elif option.value == "required" and position < len(words):
                parsed.add(option.role, words[position])
                position += 1
            else:
                parsed.add(option.role, word)
        elif text.startswith("-") and len(text) > 1:
            position = _gnu_short(table, words, position, word, parsed)
        else:
            parsed.args.append(word)
            if last_with_options and len(parsed.args) >= last_with_options:
                parsed.args.extend(words[position:])
                return


def _gnu_short(table: dict[str, Option], words: list[Word], position: int, word: Word, parsed: Parsed) -> int:
    text = word.text
    whole = table.get(text)
    if whole is not None and len(text) > 2:  # a long option with one dash, such as wget's -nv
        if whole.value == "required" and position < len(words):
            parsed.add(whole.role, words[position])
            return position + 1
        parsed.add(whole.role, word)
        return position
    if len(text) > 2 and "=" in text and table.get(text.partition("=")[0]):
        name, _, value = text.partition("=")
        if len(name) > 2:
            parsed.add(table[name].role, _value(word, value))
            return position
    index = 1
    while index < len(text):
        option = table.get("-" + text[index])
        index += 1
        if option is None:
            parsed.unknown.append("-" + text[index - 1])
            continue
        rest = text[index:]
        if option.value == "none":
            parsed.add(option.role, word)
            continue
        if rest:
            parsed.add(option.role, _value(word, rest))
        elif option.value == "required" and position < len(words):
            parsed.add(option.role, words[position])
            position += 1
        else:
            parsed.add(option.role, word)
        break
    return position


def _by_prefix(table: dict[str, Option], name: str) -> Option | None:
    if len(name) < 4:
        return None
    found = [option for spelling, option in table.items() if name[:2] == "--" and spelling.startswith(name)]
    return found[0] if len(found) == 1 else None


def _windows(table: dict[str, Option], words: list[Word], parsed: Parsed, strict: bool) -> None:
    """/opt, -opt, /opt:value, /opt value; case does not matter; `/Q/i:"x"/n` runs options together."""
    folded = {spelling.lower().lstrip("/-"): option for spelling, option in table.items()}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        text = word.text
        if not _WINDOWS_OPTION.match(text) and not (text[:1] in "/-" and folded.get(text[1:].lower())):
            parsed.args.append(word)
            if strict:
                parsed.args.extend(words[position:])
                return
            continue
        position = _windows_option(folded, words, position, word, text, parsed)


def _windows_option(folded: dict[str, Option], words: list[Word], position: int, word: Word, text: str, parsed: Parsed) -> int:
    body = text.lstrip("/-–—―")
    name = re.split(r"[:=]", body, maxsplit=1)[0]
    option = folded.get(body.lower()) or folded.get(name.lower())
    if option is None:
        option, value = _glued(folded, body)
        if option is not None:
            parsed.add(option.role, _value(word, value))
            return position
        if "/" in body:  # run-together options: /q/i:url
            for part in re.split(r"/(?=[A-Za-z])", body):
                if part and "/" not in part:
                    position = _windows_option(folded, words, position, word, "/" + part, parsed)
            return position
        parsed.unknown.append(text)
        return position
    if body.lower() != name.lower() and folded.get(body.lower()) is None:
        parsed.add(option.role, _value(word, body[len(name) + 1 :]))
    elif option.value == "required" and position < len(words):
        parsed.add(option.role, words[position])
        position += 1
    else:
        parsed.add(option.role, word)
    return position


def _glued(folded: dict[str, Option], body: str) -> tuple[Option | None, str]:
    """`-oC:\\out` of 7z, `/LC:\\x`: an attached-value option whose value follows without a separator."""
    for length in (3, 2, 1):
        option = folded.get(body[:length].lower())
        if option is not None and option.value == "attached" and len(body) > length:
            return option, body[length:]
    return None, ""


def _single(table: dict[str, Option], words: list[Word], parsed: Parsed, strict: bool) -> None:
    """-option value, -option=value, --option too; whole words only; case does not matter where the spelling is lower case."""
    exact = {spelling.lstrip("-"): option for spelling, option in table.items()}  # `-p` and `-P` differ on Unix
    folded = {spelling.lower().lstrip("-"): option for spelling, option in table.items()}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        text = word.text
        if text[:1] not in _DASHES or len(text) < 2:
            parsed.args.append(word)
            if strict:
                parsed.args.extend(words[position:])
                return
            continue
        body = text.lstrip(_DASHES)
        name, equals, value = body.partition("=")
        option = exact.get(body) or exact.get(name) or folded.get(body.lower()) or folded.get(name.lower())
        if option is None and ":" in body:
            head, _, tail = body.partition(":")
            option = folded.get(head.lower())
            equals, value = (":", tail) if option is not None else (equals, value)
        if option is None:
            option, tail = _glued(folded, body)
            if option is None:
                parsed.unknown.append(text)
                continue
            parsed.add(option.role, _value(word, tail))
        elif equals and folded.get(body.lower()) is None:
            parsed.add(option.role, _value(word, value))
        elif option.value == "required" and position < len(words):
            parsed.add(option.role, words[position])
            position += 1
        else:
            parsed.add(option.role, word)


def _keyvalue(table: dict[str, Option], words: list[Word], parsed: Parsed) -> None:
    """key=value words; everything else is positional."""
    for word in words:
        name, equals, value = word.text.partition("=")
        option = table.get(name.lower())
        if option is not None and equals:
            parsed.add(option.role, _value(word, value.strip('"')))
        elif option is not None and option.value == "none":
            parsed.add(option.role, word)
        else:
            parsed.args.append(word)


def _powershell(table: dict[str, Option], invocation: Invocation, words: list[Word], parsed: Parsed) -> None:
    """Parameters were already resolved by the PowerShell reader; positional words stay in order."""
    for name, word in invocation.named.items():
        option = table.get("-" + name)
        if option is not None:
            parsed.add(option.role, word)
        else:
            parsed.unknown.append("-" + name)
    parsed.args.extend(words)


_SOCAT_PEER = re.compile(
    r"^(?:tcp|udp|sctp|udplite|openssl|ssl|openssl-dtls|dccp)[46]?(?:-(?:connect|sendto|datagram|client))?$"
)
_SOCAT_LISTEN = re.compile(r"^(?:tcp|udp|sctp|openssl|ssl|openssl-dtls|dccp)[46]?-(?:listen|l|recv|recvfrom|dtls-server)$")
_SOCAT_PROXY = re.compile(r"^(?:socks4|socks4a|socks5(?:-connect)?|proxy(?:-connect)?)$")


def _socat(table: dict[str, Option], words: list[Word], parsed: Parsed) -> None:
    """Two addresses `TYPE:PARAMETERS,options`, see socat(1). Roles: first_ or second_ and peer, listen, file, run or stdio."""
    addresses: list[Word] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        option = table.get(word.text[:2]) if word.text.startswith("-") and len(word.text) > 1 else None
        if option is not None:
            attached = option.value == "required" and len(word.text) == 2 and position < len(words)
            parsed.add(option.role, words[position] if attached else word)
            position += attached
        elif not word.text.startswith("-") or word.text == "-":
            addresses.append(word)
    for place, word in zip(("first", "second"), addresses, strict=False):
        role, value = _socat_address(word.text)
        parsed.add(f"{place}_{role}", _value(word, value))
        parsed.args.append(word)


def _socat_address(text: str) -> tuple[str, str]:
    kind, _, rest = text.partition(":")
    kind = kind.lower()
    if text in ("-", "stdio", "STDIO") or kind.split(",")[0] in ("-", "stdio", "stdin", "stdout"):
        return "stdio", "-"
    value = rest.split(",")[0]
    if _SOCAT_PEER.match(kind):
        return "peer", value
    if _SOCAT_LISTEN.match(kind):
        return "listen", value
    if _SOCAT_PROXY.match(kind):
        return "peer", ":".join(value.split(":")[1:3])
    if kind in ("exec", "system", "shell"):
        return "run", value if kind == "exec" else rest
    if kind in ("open", "create", "creat", "file", "gopen") or "/" in text.split(",")[0]:
        return "file", (value if rest else text.split(",")[0])
    return "other", text
