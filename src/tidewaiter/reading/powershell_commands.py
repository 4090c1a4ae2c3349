"""Commands of PowerShell: the command mode with its parameters, bare words, splats and redirections."""

from __future__ import annotations

import re

from tidewaiter.reading.powershell_expressions import TYPE, ExpressionParser
from tidewaiter.reading.powershell_nodes import Array, Command, Literal, Node, Option, Redirect
from tidewaiter.reading.powershell_scanner import STOP

OPTION = re.compile(r"-((?:`?[A-Za-z_?])(?:`?[^\s:(){};,|&.\[\]\"'$`<>=/\\])*)(:)?")
REDIRECT = re.compile(r"(?:([1-6*])(?=>))?(>>?)(?:&\s*([12]))?")
VERBATIM = re.compile(r"--%[ \t]*([^\r\n|]*)")
ARGUMENT_END = " \t\r\n;|)}"


class CommandParser(ExpressionParser):
    """The command mode."""

    def command(self) -> Command:
        """A command with its arguments, at its name or call operator."""
        start, at = self.pos, self.char()
        called = ""
        if at == "&" or (at == "." and self.text[self.pos + 1 : self.pos + 2] in tuple(" \t('\"${&")):
            called = at
            self.pos += 1
            self.lines()
        name = self.command_name(called=bool(called))
        found = Command(start, self.pos, called, name, [])
        while self.element(found):
            pass
        found.end = self.pos
        return found

    def command_name(self, *, called: bool) -> Node:
        """The name: a bare word, or after a call operator any operand."""
        at = self.char()
        if called and at and at in "($'\"{@[":
            if at == "[":
                return self.unary()
            if at == "$":
                return self.argument()
            return self.postfix(self.primary())
        if at == "$":  # only reached where an expression turned out to be the program of a command
            return self.bare_word()
        start = self.pos
        word = self.bare_word()
        if self.pos == start and self.char() not in (")", "}", "", ";", "|", "\n", "\r"):
            self.pos += 1
            self.incomplete = True
        if isinstance(word, Literal) and isinstance(word.value, str) and "^" in word.value and len(word.value) > 1:
            word.value = word.value.replace("^", "")  # left over from cmd.exe
        return word

    def element(self, command: Command) -> bool:
        """Read one argument, option or redirection into the command; False at its end."""
        self.space()
        self.watch()
        at = self.char()
        if at == "" or at in "\r\n;|)}":
            return False
        start = self.pos
        if at == "#":
            self.lines()
            self.pos = start + len(re.compile(r"[^\r\n]*").match(self.text, start)[0])  # type: ignore[index]  # always matches
            return False
        if at == "&":
            return False
        if at in ">123456*":
            match = REDIRECT.match(self.text, start)
            if match and match[2]:
                command.redirects.append(self.redirect(match))
                return True
        if at == "<":
            self.incomplete = True
            self.pos += 1
            return True
        if at == "-":
            match = VERBATIM.match(self.text, start)
            if match:
                self.pos = match.end()
                command.elements.extend(Literal(start, self.pos, word.strip('"'), bare=True) for word in match[1].split())
                return True
            option = self.option()
            if option is not None:
                command.elements.append(option)
                return True
        command.elements.append(self.argument_list())
        if self.pos == start:
            self.pos += 1
            self.incomplete = True
        return True

    def redirect(self, match: re.Match[str]) -> Redirect:
        """A redirection that was matched at the position."""
        self.pos = match.end()
        target = None
        if match[3] is None:
            self.space()
            target = self.argument()
        return Redirect(match.start(), self.pos, match[1] or "1", match[2] == ">>", target)

    def option(self) -> Option | None:
        """`-name`, `-name:value`; None where the word only looks like one (`--x=1`, `-o'x'`)."""
        match = OPTION.match(self.text, self.pos)
        if match is None:
            return None
        start, end = self.pos, match.end()
        follower = self.text[end : end + 1]
        name = match[1].replace("`", "")
        if match[2]:
            self.pos = end
            self.space()
            if self.char() and self.char() not in ARGUMENT_END:
                value = self.argument_list()
                return Option(start, self.pos, name, value)
            return Option(start, self.pos, name, None)
        if follower and follower not in " \t\r\n;|)}({,&`[<>":
            return None
        if follower == "`" and not self.text.startswith(("`\n", "`\r\n"), end):
            return None
        self.pos = end
        return Option(start, end, name, None)

    def argument_list(self) -> Node:
        """An argument, or several joined by commas."""
        first = self.argument()
        items = [first]
        while True:
            before = self.pos
            self.space()
            if self.char() != ",":
                self.pos = before
                break
            self.pos += 1
            self.lines()
            if self.char() == "" or self.char() in STOP:
                break
            items.append(self.argument())
        return first if len(items) == 1 else Array(first.start, self.pos, items)

    def argument(self) -> Node:
        """One argument: an operand with its members, or a bare word."""
        start, at = self.pos, self.char()
        if at == "$":
            node = self.postfix(self.primary())
            if self.char() == "" or self.char() in ARGUMENT_END + ",(&{<>":
                return node
            self.pos = start
            return self.bare_word()
        if at in "'\"":
            return self.quoted_argument(start)
        if at in "({":
            return self.postfix(self.primary())
        if at == "@" and self.text[start + 1 : start + 2] in tuple("({'\"") + tuple(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
        ):
            return self.postfix(self.primary())
        if at == "[" and (match := TYPE.match(self.text, start)) and self.text.startswith("::", match.end()):
            return self.expression(lowest=9)  # not the language, but what a person means who writes it
        return self.bare_word()

    def quoted_argument(self, start: int) -> Node:
        """A quoted string, with members or glued to the word that follows it."""
        node = self.postfix(self.primary())
        at = self.char()
        if at == "" or at in ARGUMENT_END + ",({&-<>@":
            return node
        if at in "'\"" and isinstance(node, Literal):  # 'a''b' over two kinds of quotes: two arguments
            return node
        if isinstance(node, Literal):
            self.pos = start
            return self.bare_word()
        return node
