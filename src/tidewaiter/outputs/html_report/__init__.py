"""One self-contained HTML page: what was brought in, when, from where to where, why it matters, and what could not be seen.

The page has no script, asks nothing of any network and forbids both by its content security policy. It is written as a stream:
one pass over the transfers counts, the next ones write, so memory does not grow with their number.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from tidewaiter import __version__
from tidewaiter.formats.archives import Unreadable
from tidewaiter.outputs.html_report import cards, ledger, spread, timeline
from tidewaiter.outputs.html_report.survey import CARD_FROM, Cut, Survey, rank_of
from tidewaiter.outputs.html_report.text import environment
from tidewaiter.schema.account import Account
from tidewaiter.schema.transfer import SEVERITIES, STAGES, Transfer

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Contents", "Output", "write_report"]

CHUNK = 200
"""Rows of one table; each is in a part of the page that is laid out when it comes into view."""

FILTERED = 100
"""Hosts that the page can filter by."""

OPENED = 3
"""Up to so many high and critical cards are open from the start."""


@dataclass(kw_only=True)
class Contents:
    """What a report is made of. `transfers` is called for each pass and gives the same ones in the same order."""

    transfers: Callable[[], Iterable[Transfer]]
    accounts: Sequence[Account] = field(default_factory=list)
    unreadable: Sequence[Unreadable] = field(default_factory=list)
    paths: Sequence[str] = ()
    made: datetime | None = None
    narrowed: str | None = None  # in words, where the scan was told to leave something out


def write_report(contents: Contents, stream: TextIO) -> None:
    """Write the page. Raises OSError of the stream."""
    engine = environment()
    survey = Survey.of(contents.transfers())
    page = _Page(engine, contents, survey)
    for part in page.parts():
        stream.write(part)


class _Page:
    """The parts of one page, in their order."""

    def __init__(self, engine: Environment, contents: Contents, survey: Survey) -> None:
        self.engine = engine
        self.contents = contents
        self.survey = survey
        self.card_cut = survey.cut(cards=True)
        self.row_cut = survey.cut(cards=False)
        self.hosts = sorted(survey.hosts.values(), key=lambda host: host.name.casefold())[:FILTERED]

    def render(self, template: str, **values: Any) -> str:
        """One template."""
        return self.engine.get_template(template).render(**values)

    def parts(self) -> Iterator[str]:
        """Top to bottom."""
        survey = self.survey
        drawn, graph = timeline.draw(survey), spread.draw(survey)
        books = ledger.books(self.contents.accounts, self.contents.unreadable)
        yield self._head(has_account=bool(books.groups or books.unreadable), has_graph=graph is not None)
        yield self.render("summary.html", survey=survey, severities=SEVERITIES, books=books, leads=survey.leads())
        yield self.render("timeline.html", line=drawn, survey=survey)
        if graph is not None:
            yield self.render("spread.html", graph=graph, survey=survey)
        yield self.render("filter.html", severities=SEVERITIES, survey=survey, hosts=self.hosts)
        yield from self._cards()
        yield from self._rows()
        yield "</section>\n"
        yield self.render("unseen.html", stages=STAGES, hosts=self.hosts, survey=survey)
        yield from self._account(books)
        yield self.render("foot.html", survey=survey, version=__version__)

    def _head(self, *, has_account: bool, has_graph: bool) -> str:
        sheet = self.engine.loader.get_source(self.engine, "style.css")[0] if self.engine.loader else ""
        # hosts are numbers here: no text of a log is ever part of a style sheet
        rules = "\n".join(
            f'.filter:has(option[value="{host.number}"]:checked)~.listed .x:not(.h{host.number}){{display:none}}'
            for host in self.hosts
        )
        hashes = " ".join(f"'sha256-{_digest(text)}'" for text in (sheet, rules))
        return self.render(
            "head.html",
            policy=f"default-src 'none'; style-src {hashes}; base-uri 'none'; form-action 'none'",
            sheet=sheet,
            rules=rules,
            contents=self.contents,
            made=f"{self.contents.made:%Y-%m-%d %H:%M} UTC" if self.contents.made else None,
            version=__version__,
            survey=self.survey,
            has_account=has_account,
            has_graph=has_graph,
            has_rows=self.row_cut.total > 0,
        )

    def _numbered(self, cut: Cut, *, of_cards: bool) -> Iterator[tuple[int, Transfer]]:
        """The transfers that are cards (or rows), with their numbers, as far as there is room."""
        for number, transfer in enumerate(self.contents.transfers()):
            if (rank_of(transfer) >= CARD_FROM) is of_cards and cut.takes(transfer.score):
                yield number, transfer

    def _cards(self) -> Iterator[str]:
        yield self.render("cards_begin.html", cut=self.card_cut)
        worst = sum(count for rank, count in self.survey.severities.items() if rank > CARD_FROM)
        template = self.engine.get_template("card.html")
        for number, transfer in self._numbered(self.card_cut, of_cards=True):
            opened = worst <= OPENED and rank_of(transfer) > CARD_FROM
            yield template.render(card=cards.card(number, transfer, self.survey.host_number(transfer)), open=opened)
        yield "</div>\n"

    def _rows(self) -> Iterator[str]:
        cut = self.row_cut
        if not cut.total:
            return
        yield self.render("rows_begin.html", cut=cut)
        chunk: list[cards.Card] = []
        for number, transfer in self._numbered(cut, of_cards=False):
            chunk.append(cards.card(number, transfer, self.survey.host_number(transfer)))
            if len(chunk) == CHUNK:
                yield self.render("rows.html", rows=chunk)
                chunk = []
        if chunk:
            yield self.render("rows.html", rows=chunk)
        yield "</section>\n"

    def _account(self, books: ledger.Books) -> Iterator[str]:
        if not (books.groups or books.unreadable):
            return
        yield self.render("account.html", books=books)
        group_template = self.engine.get_template("account_group.html")
        for group in books.groups:
            yield group_template.render(group=group)
        yield self.render("unreadable.html", books=books)
        yield "</section>\n"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class Output:
    """`--format html`. `tidewaiter report` writes the same page with the account of the inputs."""

    def write(self, transfers: Iterable[Transfer], stream: TextIO) -> None:
        """Keep the transfers in a temporary file, then write the page from there. Raises OSError."""
        encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Transfer)
        with tempfile.TemporaryFile(prefix="tidewaiter-") as spool:
            for transfer in transfers:
                packed = encoder.encode(transfer)
                spool.write(len(packed).to_bytes(4, "big") + packed)

            def again() -> Iterator[Transfer]:
                spool.seek(0)
                while head := spool.read(4):
                    yield decoder.decode(spool.read(int.from_bytes(head, "big")))

            write_report(Contents(transfers=again), stream)
