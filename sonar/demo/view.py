"""The demo while it runs: who does what, what it waits for, and until when."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sonar.telling.documents import CampaignRound, MineRound
from sonar.telling.figures import in_words
from sonar.telling.progress import (
    Done,
    Line,
    Note,
    Problem,
    Repeats,
    Round,
    State,
    Transaction,
    Waiting,
    describe,
)
from sonar.telling.text import printable

SCIENTIST = "pysonar"
STARTING = "starting"
_WAIT = "waiting for"
_ROUND = re.compile(r" (?:in |to )?round (\d+)")
"""What of a wait stands in the column beside it."""


class View(Protocol):
    """Shows the run to a person."""

    def stage(self, text: str) -> None:
        """A new stage of the whole demo."""
        ...

    def show(self, line: Line) -> None:
        """Something that a party told."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class PlainView:
    """One line per thing worth knowing: for logs, pipes and terminals without cursor control."""

    def __init__(self, console: Console) -> None:
        self._console, self._repeats = console, Repeats()
        self._start = time.monotonic()

    def stage(self, text: str) -> None:
        """Print the stage."""
        self._print("demo", text)

    def show(self, line: Line) -> None:
        """Print the scientist's rounds, waits and notes, and everyone's problems."""
        match line.event:
            case Problem():
                self._print(line.party, _sentence(line))
            case Round() | Done() | Waiting() | Note() if line.party == SCIENTIST:
                if self._repeats.has(line):
                    return
                self._print(line.party, _sentence(line))
            case _:
                return

    def close(self) -> None:
        """Nothing to clean up."""

    def _print(self, party: str, text: str) -> None:
        clock = f"{time.monotonic() - self._start:6.1f}s"
        self._console.print(
            f"{clock}  {party:<8} {printable(text)}", markup=False, highlight=False, soft_wrap=True
        )


@dataclass
class _Row:
    state: str = STARTING
    doing: str = ""
    transactions: int = 0


class LiveView:
    """A table that is redrawn in place: one row per party; finished rounds scroll away above it."""

    def __init__(self, console: Console, parties: list[str]) -> None:
        self._rows = {party: _Row() for party in parties}
        self._stage = ""
        self._start = time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True, get_renderable=self._table)
        self._live.start()

    def stage(self, text: str) -> None:
        """Show the stage above the table."""
        self._stage = text

    def show(self, line: Line) -> None:
        """Update the party's row; print finished rounds and problems above the table."""
        row = self._rows.setdefault(line.party, _Row())
        match line.event:
            case State(_, number, state):
                row.state, row.doing = f"round {number}: {state}", ""
            case Transaction():
                row.transactions += 1
            case Waiting(what, _):
                row.doing = printable(_ROUND.sub("", what).replace("at most ", ""))
                if line.party == SCIENTIST and (found := _ROUND.search(what)):
                    row.state = f"round {found[1]}"
            case Note():
                row.state, row.doing = ("at work" if row.state == STARTING else row.state), ""
            case Done(what, _):
                row.state, row.doing = printable(what), ""
            case Round(_, number, CampaignRound() as told):
                row.state, row.doing = f"round {number}: {printable(told.ended)}", ""
                self._above(line, "")
            case Round(_, number, MineRound(result)):
                row.state, row.doing = f"round {number}: {printable(result)}", ""
            case Problem():
                self._above(line, "red")
            case _:
                return

    def close(self) -> None:
        """Take the table off the screen."""
        self._live.stop()

    def _above(self, line: Line, style: str) -> None:
        self._live.console.print(Text(f"{line.party}: {printable(_sentence(line))}", style=style))

    def _table(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
        for heading, least in (("party", 8), ("state", 20), (_WAIT, 1), ("tx", 3)):
            # In a narrow terminal only the long text of the third column may be cut.
            ratio = 1 if heading == _WAIT else None
            table.add_column(heading, no_wrap=True, overflow="ellipsis", min_width=least, ratio=ratio)
        for party, row in self._rows.items():
            table.add_row(party, Text(row.state), Text(row.doing, style="dim"), str(row.transactions))
        head = Text(f"{time.monotonic() - self._start:5.1f} s  {self._stage}", style="bold")
        return Group(head, table)


def _sentence(line: Line) -> str:
    match line.event:
        case Round(_, number, CampaignRound(loss=int()) as told):
            accepted, cohort = len(told.accepted), len(told.cohort)
            return f"round {number}: {in_words(told.figures)}, {accepted} of {cohort} updates accepted"
        case Done(what, _):
            return what
        case event:
            return describe(event)
