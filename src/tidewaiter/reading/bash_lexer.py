"""Tokens of the Unix shells: words as spelled, operators, redirections and the bodies of here-documents.

Written after the Shell Command Language of POSIX.1-2017 (2.2 quoting, 2.3 token recognition, 2.7 redirection) and the
additions of bash and zsh (process substitution, here-strings, `&>`, `|&`, ANSI-C quoting, array assignments). One pass,
no recursion: nested quotes and substitutions are counted on a list, so that no input can exhaust the stack.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from tidewaiter.reading.budget import Budget, BudgetExceeded

SHORT = 2_000
"""Characters of a text that is cut into tokens without a look at the clock."""

_RUN = re.compile(r"(?:[^\s\\'\"`$;&|<>()]|\$(?![({'\"]))+")
_BLANK = re.compile(r"(?:[ \t\r\f\v]|\\\r?\n)+")
_LINES = re.compile(r"\n\s*")
_SINGLE = re.compile(r"'[^']*'?")
_ANSI_C = re.compile(r"\$'[^'\\]*(?:\\.[^'\\]*)*'?", re.DOTALL)
_BACKTICK = re.compile(r"`[^`\\]*(?:\\.[^`\\]*)*`?", re.DOTALL)
_ASSIGNS_ARRAY = re.compile(r"[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=\Z")
# Process creation records give a quoted URL without its quotes: the & between two parameters of a query ends no command.
_QUERY = re.compile(r"://[^\s?]+\?[^\s]*=")
_MORE_QUERY = re.compile(r"&[\w.%~-]+=")
_OPERATOR = re.compile(r";;&|;;|;&|;|&&|\|\||\|&|\||&(?!>)|\(|\)|\n")
_REDIRECT = re.compile(r"(\d{1,4}|\{\w+\})?(&>>|&>|<<<|<<-|<<|<>|<&|>>|>&|>\||>!|<|>)")
_HEREDOC = re.compile(r"<<(-?)[ \t]*([^\s;&|<>()]+)")
_INTERESTING = {
    '"': re.compile(r'[\\"`$]'),
    "(": re.compile(r"[\\'\"`$()#<]"),
    "{": re.compile(r"[\\'\"`$}]"),
    "q": re.compile(r'[\\"`$}]'),  # ${...} inside double quotes, where ' is an ordinary character
}


@dataclass(slots=True)
class Token:
    """One token. `kind` is "word", "op" or "redirect"; `start` and `end` are offsets into the text."""

    kind: str
    text: str  # the word as spelled, or the operator
    start: int
    end: int
    fd: str = ""  # redirect: the descriptor written before it
    body: str | None = None  # here-document
    quoted: bool = False  # here-document whose delimiter is quoted: its body is not expanded


def skip_quoted(text: str, start: int, budget: Budget | None = None) -> int:
    """The offset after the quoted or nested construct that begins at `start`; len(text) + 1 where it is never closed.

    With a budget, raises BudgetExceeded.
    """
    position, stack = _enter(text, start, [])
    end = len(text)
    rounds = 0
    while stack:
        rounds += 1
        if budget is not None and not rounds % 16:
            budget.spend()
        match = _INTERESTING[stack[-1]].search(text, position)
        if match is None:
            return end + 1
        position = _step(text, match.start(), stack)
    return position


def _enter(text: str, at: int, stack: list[str]) -> tuple[int, list[str]]:
    """Step over what begins at `at`, or push it and step inside."""
    char, pair = text[at], text[at : at + 2]
    pattern = {"'": _SINGLE, "`": _BACKTICK}.get(char)
    if pair == "$'" and not (stack and stack[-1] in '"q'):
        pattern = _ANSI_C
    if pattern is not None:
        match = pattern.match(text, at)
        assert match is not None
        closed = match.end() - at > 1 and match.group().endswith(char if char != "$" else "'")
        return (match.end() if closed else len(text) + 1), stack
    if char == '"':
        stack.append('"')
        return at + 1, stack
    if pair == "${":
        stack.append("q" if stack and stack[-1] in '"q' else "{")
        return at + 2, stack
    if pair in ("$(", "<(", ">(", "=("):
        stack.append("(")
        return at + 2, stack
    if char == "(":
        stack.append("(")
    return at + 1, stack


def _step(text: str, at: int, stack: list[str]) -> int:
    """Handle the interesting character at `at` inside the innermost open construct."""
    char, inside = text[at], stack[-1]
    if char == "\\":
        return at + 2
    if (char == '"' and inside == '"') or (char == "}" and inside in "{q") or (char == ")" and inside == "("):
        stack.pop()
        return at + 1
    if char == "#":
        if text[at - 1] in " \t\n;&|":
            newline = text.find("\n", at)
            return len(text) if newline < 0 else newline
        return at + 1
    if char == "<":
        return _skip_heredoc(text, at)
    return _enter(text, at, stack)[0]


def _skip_heredoc(text: str, at: int) -> int:
    match = _HEREDOC.match(text, at)
    if match is None or text.startswith("<<<", at):
        return at + (3 if text.startswith("<<<", at) else 1)
    newline = text.find("\n", match.end())
    if newline < 0:
        return match.end()
    # What stands between the delimiter and the end of its line may open or close something: only the body is skipped, and
    # only where the rest of the line is plain.
    if re.search(r"['\"`$()]", text[match.end() : newline]):
        return match.end()
    return heredoc_end(text, newline + 1, _unquoted(match.group(2)), bool(match.group(1)))[1]


def heredoc_end(text: str, start: int, delimiter: str, strip_tabs: bool) -> tuple[int, int]:
    """Where a here-document's body ends and where reading goes on; both len(text) where the delimiter is missing."""
    pattern = re.compile((r"^\t*" if strip_tabs else "^") + re.escape(delimiter) + r"[ \t\r]*$", re.MULTILINE)
    match = pattern.search(text, start)
    return (match.start(), match.end()) if match else (len(text), len(text))


def _unquoted(word: str) -> str:
    return re.sub(r"[\\'\"]|\$(?=['\"])", "", word)


def word_end(text: str, start: int, budget: Budget | None = None) -> tuple[int, bool]:
    """The offset after the word that begins at `start`, and whether all its quotes are closed."""
    position, end = start, len(text)
    while position < end:
        match = _RUN.match(text, position)
        if match:
            position = match.end()
            continue
        char = text[position]
        if char == "\\":
            position += 2
            continue
        if char == "&" and _MORE_QUERY.match(text, position) and _QUERY.search(text, start, position):
            position += 1
            continue
        opens = char in "'\"`$" or text.startswith(("<(", ">("), position)
        if char == "(" and not opens:
            before = text[start:position]
            opens = _ASSIGNS_ARRAY.match(before) is not None or before[-1:] in ("?", "*", "+", "@") or before == "="
            opens = opens or (len(before) > 1 and before[-1] == "!")
        if not opens:
            break
        position = skip_quoted(text, position, budget)
    return min(position, end), position <= end


class Lexer:
    """Cuts a text into tokens. `complete` is False afterwards where a quote or here-document was never closed."""

    def __init__(self, text: str, budget: Budget) -> None:
        self.text = text
        self._budget = budget
        self.tokens: list[Token] = []
        self.complete = True
        self._waiting: list[tuple[Token, str, bool]] = []

    def run(self) -> list[Token]:
        """All tokens of the text, in order. Comments and line continuations are left out.

        A long text may take half of the time that is left; the tokens found until then are returned, so that junk at the
        end of a command does not hide its beginning. Raises BudgetExceeded for a short text.
        """
        budget, deadline = self._budget, self._budget.deadline
        if len(self.text) > SHORT:
            now = time.process_time()
            budget.deadline = min(deadline, now + max(0.0, deadline - now) / 2)
        try:
            self._run()
        except BudgetExceeded:
            if len(self.text) <= SHORT:
                raise
            self.complete = False
        finally:
            budget.deadline = deadline
        return self.tokens

    def _run(self) -> None:
        text, position, end = self.text, 0, len(self.text)
        while position < end:
            blank = _BLANK.match(text, position)
            if blank:
                position = blank.end()
                continue
            if not len(self.tokens) % 16:
                self._budget.spend()
            char = text[position]
            if char == "#":
                newline = text.find("\n", position)
                position = end if newline < 0 else newline
                continue
            position = self._token(position, char)
        if self._waiting:
            self._read_bodies(end)

    def _token(self, position: int, char: str) -> int:
        text = self.text
        if char in "0123456789{<>&":
            match = _REDIRECT.match(text, position)
            if match and not text.startswith(("<(", ">("), match.end() - 1):
                return self._redirect(match)
            if match and match.group(2) in ("<<<", "<<", ">>"):
                return self._redirect(match)
        if char in ";&|()\n" and (match := _OPERATOR.match(text, position)):
            self.tokens.append(Token("op", match.group(), position, match.end()))
            if char != "\n":
                return match.end()
            if self._waiting:
                return self._read_bodies(match.end())
            lines = _LINES.match(text, position)
            assert lines is not None
            return lines.end()
        stop, closed = word_end(text, position, self._budget)
        if stop == position:  # a character that begins nothing
            stop, closed = position + 1, False
        self.complete = self.complete and closed
        self.tokens.append(Token("word", text[position:stop], position, stop))
        return stop

    def _redirect(self, match: re.Match[str]) -> int:
        token = Token("redirect", match.group(2), match.start(), match.end(), fd=(match.group(1) or "").strip("{}"))
        self.tokens.append(token)
        if token.text not in ("<<", "<<-"):
            return match.end()
        blank = _BLANK.match(self.text, match.end())
        start = blank.end() if blank else match.end()
        stop, _ = word_end(self.text, start, self._budget)
        raw = self.text[start:stop]
        token.quoted = any(char in raw for char in "\\'\"")
        token.body = ""
        self._waiting.append((token, _unquoted(raw), token.text == "<<-"))
        token.end = stop
        return max(stop, match.end())

    def _read_bodies(self, position: int) -> int:
        text = self.text
        for token, delimiter, strip_tabs in self._waiting:
            stop, after = heredoc_end(text, position, delimiter, strip_tabs)
            self.complete = self.complete and after > stop
            body = text[position:stop]
            token.body = re.sub(r"(?m)^\t+", "", body) if strip_tabs else body
            position = min(after + 1, len(text))
        self._waiting = []
        return position
