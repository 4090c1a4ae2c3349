"""The grammar of the Unix shells, from tokens to a tree of commands. Words stay as spelled.

A recursive descent after the grammar of POSIX.1-2017 (2.10) with the compound commands of bash and zsh. What it cannot
place it steps over, so that everything before and after an error is still read; `complete` says that it happened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tidewaiter.reading.bash_lexer import SHORT, Lexer, Token, skip_quoted
from tidewaiter.reading.budget import Budget, BudgetExceeded

NESTING = 30
"""Compound commands inside each other that are read; deeper ones are read as plain words."""

ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[[^\]]*\])?(\+?)=")
_CLOSERS = frozenset({"then", "else", "elif", "fi", "do", "done", "esac", "}", "]]"})
_OPENERS = frozenset({"if", "while", "until", "for", "select", "case", "function", "{", "[["})


@dataclass(slots=True)
class Redirect:
    """One redirection. `target` is the word as spelled; here-documents have `body` instead."""

    operator: str
    fd: str
    target: str = ""
    body: str | None = None
    quoted: bool = False


@dataclass(slots=True)
class Node:
    """One command of any kind.

    kind: "simple" (assignments, words), "pipe" (children = its stages), "group" and "subshell" (children = the list),
    "blocks" (if, while, case: children = all lists), "for" (name, words, children) or "function" (name, children).
    """

    kind: str
    start: int
    end: int = 0
    name: str = ""
    assignments: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    background: bool = False


class Grammar:
    """Reads one text. `complete` is False where something could not be placed."""

    def __init__(self, text: str, budget: Budget) -> None:
        self.text = text
        self._budget = budget
        self._arithmetic = True
        lexer = Lexer(text, budget)
        self._tokens = lexer.run()
        self.complete = lexer.complete
        self._at = 0
        self._depth = 0

    def program(self) -> list[Node]:
        """The commands of the whole text, or of a long text those before the place where the budget ran out.

        Raises BudgetExceeded for a short text.
        """
        nodes: list[Node] = []
        try:
            self._list(frozenset(), nodes)
        except BudgetExceeded:
            if len(self.text) <= SHORT:
                raise
            self.complete = False
        return nodes

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _is_op(self, *operators: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == "op" and token.text in operators

    def _is_word(self, *words: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == "word" and token.text in words

    def _list(self, stops: frozenset[str], nodes: list[Node] | None = None) -> list[Node]:
        """Commands up to a token of `stops`, which is not consumed."""
        nodes = [] if nodes is None else nodes
        while (token := self._peek()) is not None:
            if token.kind != "redirect" and token.text in stops:
                break
            if token.kind == "op" and token.text != "(":
                if token.text == "&" and nodes:
                    nodes[-1].background = True
                elif token.text in (")", ";;", ";&", ";;&"):
                    self.complete = False
                self._at += 1
                continue
            if token.kind == "word" and token.text in _CLOSERS:
                self.complete = False
                self._at += 1
                continue
            nodes.append(self._pipeline())
        return nodes

    def _pipeline(self) -> Node:
        while self._is_word("!", "time", "coproc", "noglob", "nocorrect"):
            self._at += 1
            if self._is_word("-p"):
                self._at += 1
        first = self._command()
        if not self._is_op("|", "|&"):
            return first
        node = Node("pipe", first.start, children=[first])
        while self._is_op("|", "|&"):
            self._at += 1
            while self._is_op("\n"):
                self._at += 1
            if self._peek() is None:
                self.complete = False
                break
            node.children.append(self._command())
        node.end = node.children[-1].end
        return node

    def _command(self) -> Node:
        token = self._peek()
        if token is None:
            return Node("group", len(self.text), len(self.text))
        self._depth += 1
        try:
            if self._depth <= NESTING:
                if token.kind == "op" and token.text == "(":
                    return self._parenthesis(token)
                if token.kind == "word" and token.text in _OPENERS:
                    return self._compound(token)
            elif token.kind == "op":
                self.complete = False
                self._at += 1
                return Node("group", token.start, token.end)
            return self._simple(token)
        finally:
            self._depth -= 1

    def _parenthesis(self, token: Token) -> Node:
        if self._arithmetic and self.text.startswith("((", token.start):
            end = skip_quoted(self.text, token.start, self._budget)
            self._arithmetic = end <= len(self.text)  # one that never ends is not looked for again
            if end <= len(self.text) and self.text.startswith("))", end - 2):
                self._skip_to(end)
                return Node("group", token.start, end)
        self._at += 1
        node = Node("subshell", token.start, children=self._list(frozenset({")"})))
        self._close(")")
        return self._finish(node)

    def _skip_to(self, offset: int) -> None:
        while self._at < len(self._tokens) and self._tokens[self._at].start < offset:
            self._at += 1

    def _close(self, *words: str) -> None:
        token = self._peek()
        if token is not None and token.kind != "redirect" and token.text in words:
            self._at += 1
        else:
            self.complete = False

    def _finish(self, node: Node) -> Node:
        """Read the redirections that follow a compound command."""
        while (token := self._peek()) is not None and token.kind == "redirect":
            self._redirection(node, token)
        node.end = self._tokens[self._at - 1].end if self._at else node.start
        return node

    def _redirection(self, node: Node, token: Token) -> None:
        self._at += 1
        redirect = Redirect(token.text, token.fd, body=token.body, quoted=token.quoted)
        if token.body is None:
            target = self._peek()
            if target is None or target.kind != "word":
                self.complete = False
            else:
                redirect.target = target.text
                self._at += 1
        node.redirects.append(redirect)

    def _simple(self, first: Token) -> Node:
        node = Node("simple", first.start)
        while (token := self._peek()) is not None:
            if token.kind == "redirect":
                self._redirection(node, token)
            elif token.kind == "word":
                self._at += 1
                if not node.words and ASSIGNMENT.match(token.text):
                    node.assignments.append(token.text)
                else:
                    node.words.append(token.text)
            elif token.text == "(" and len(node.words) == 1 and self._defines():
                return self._function(node.words[0], first.start)
            else:
                break
        node.end = self._tokens[self._at - 1].end
        return node

    def _defines(self) -> bool:
        following = self._tokens[self._at + 1 : self._at + 2]
        return bool(following) and following[0].kind == "op" and following[0].text == ")"

    def _function(self, name: str, start: int) -> Node:
        if self._is_op("("):
            self._at += 2
        while self._is_op("\n"):
            self._at += 1
        body = self._command()
        return Node("function", start, body.end, name=name, children=[body])

    def _compound(self, token: Token) -> Node:
        self._at += 1
        word = token.text
        if word == "{":
            node = Node("group", token.start, children=self._list(frozenset({"}"})))
            self._close("}")
            return self._finish(node)
        if word == "function":
            name = self._peek()
            if name is None or name.kind != "word":
                return Node("group", token.start, token.end)
            self._at += 1
            return self._function(name.text, token.start)
        if word == "[[":
            return self._test(token)
        if word == "case":
            return self._case(token)
        if word in ("for", "select"):
            return self._for(token)
        node = Node("blocks", token.start)
        last = "fi" if word == "if" else "done"
        stops = frozenset({"then", "elif", "else", "fi"} if word == "if" else {"do", "done"})
        while True:
            node.children += self._list(stops)
            if self._peek() is None or self._is_word(last):
                break
            self._at += 1
        self._close(last)
        return self._finish(node)

    def _test(self, token: Token) -> Node:
        node = Node("simple", token.start, words=["[["])
        while (part := self._peek()) is not None and not self._is_word("]]"):
            if part.kind == "op" and part.text in (";", "\n"):
                break
            if part.kind == "word":
                node.words.append(part.text)
            self._at += 1
        self._close("]]")
        return self._finish(node)

    def _case(self, token: Token) -> Node:
        node = Node("blocks", token.start)
        while self._peek() is not None and not self._is_word("in"):
            self._at += 1
        self._close("in")
        while self._peek() is not None and not self._is_word("esac"):
            while self._peek() is not None and not self._is_op(")") and not self._is_word("esac"):
                self._at += 1  # the pattern
            if not self._is_op(")"):
                break
            self._at += 1
            node.children += self._list(frozenset({";;", ";&", ";;&", "esac"}))
            while self._is_op(";;", ";&", ";;&", "\n"):
                self._at += 1
        self._close("esac")
        return self._finish(node)

    def _for(self, token: Token) -> Node:
        node = Node("for", token.start)
        name = self._peek()
        if name is not None and self._is_op("("):
            end = skip_quoted(self.text, name.start, self._budget)
            self._skip_to(min(end, len(self.text)))
        elif name is not None and name.kind == "word":
            node.name = name.text
            self._at += 1
            if self._is_word("in"):
                self._at += 1
                while (word := self._peek()) is not None and word.kind == "word":
                    node.words.append(word.text)
                    self._at += 1
            elif self._is_op("("):  # zsh: for x (a b c)
                self._at += 1
                while (word := self._peek()) is not None and word.kind == "word":
                    node.words.append(word.text)
                    self._at += 1
                self._close(")")
        while self._is_op(";", "\n"):
            self._at += 1
        brace = self._is_word("{")
        if not brace and not self._is_word("do"):
            self.complete = False
            return self._finish(node)
        self._at += 1
        node.children = self._list(frozenset({"}"} if brace else {"done"}))
        self._close("}" if brace else "done")
        return self._finish(node)
