"""A campaign while it runs, in the notebook: a table of rounds under the cell, redrawn in place."""

from __future__ import annotations

import math
import sys
from html import escape
from typing import Any

from sonar.telling.amounts import format_amount
from sonar.telling.documents import CampaignRound, CampaignSummary
from sonar.telling.figures import cells, heading
from sonar.telling.progress import (
    Done,
    Line,
    Note,
    PlainSink,
    Problem,
    Round,
    Sink,
    Waiting,
    describe,
    round_of_campaign,
)
from sonar.telling.text import printable, short

_CELL = "text-align:right;padding:2px 14px 2px 0;font-variant-numeric:tabular-nums"
_BAR = "display:inline-block;height:0.7em;background:#1f6feb;border-radius:2px"
_BAR_EM = 12.0


def told_live() -> Sink:
    """Return the reporter of a campaign for people: a display in a notebook, elsewhere lines of text."""
    shell = notebook_shell()
    return PlainSink() if shell is None else LiveTold(shell)


def notebook_shell() -> Any:
    """Return the shell of the notebook that this runs in, or None."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell if hasattr(shell, "kernel") else None


class LiveTold:
    """Shows the finished rounds and the current wait, in one display per cell that prints."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._cell: int | None = None
        self._handle: Any = None
        self._rounds: dict[tuple[str, int], CampaignRound] = {}
        self._now = self._problem = ""

    def emit(self, line: Line) -> None:
        """Show one event."""
        match line.event:
            case Round(_, number, CampaignRound() as summary):
                self._begin_cell()
                self._rounds[line.party, number], self._problem = summary, ""
            case Done(what, summary):
                self._begin_cell()
                rounds = summary.rounds if isinstance(summary, CampaignSummary) else ()
                self._rounds |= {(line.party, each.round): each for each in rounds}
                self._now, self._problem = what, ""
            case Waiting() | Note():
                self._begin_cell()
                self._now = describe(line.event)
            case Problem():
                self._begin_cell()
                self._problem = describe(line.event)
            case _:
                return
        self._show()

    def _begin_cell(self) -> None:
        """Start a new display when the user runs another cell."""
        if self._shell.execution_count != self._cell:
            self._cell, self._handle = self._shell.execution_count, None
            self._rounds, self._now, self._problem = {}, "", ""

    def _show(self) -> None:
        from IPython.display import DisplayHandle

        shown = {"text/html": self._html(), "text/plain": self._text()}
        if self._handle is None:
            new: Any = DisplayHandle
            self._handle = new()
            self._handle.display(shown, raw=True)
        else:
            self._handle.update(shown, raw=True)

    def _text(self) -> str:
        lines = [round_of_campaign(self._rounds[key]) for key in sorted(self._rounds)]
        return printable("\n".join([*lines, *filter(None, (self._problem, self._now))]))

    def _html(self) -> str:
        parties = sorted({party for party, _ in self._rounds})
        parts = [
            self._table(party, f"<div><b>{_safe(party)}</b></div>" * (len(parties) > 1)) for party in parties
        ]
        if self._problem:
            parts.append(f'<div style="color:#cf222e">{_safe(self._problem)}</div>')
        parts.append(f'<div style="opacity:0.7">{_safe(self._now)}</div>')
        return "".join(parts)

    def _table(self, party: str, caption: str) -> str:
        """The rounds that one party told."""
        rows = [self._rounds[key] for key in sorted(self._rounds) if key[0] == party]
        other = "brought" if any(row.told for row in rows) else "loss"
        names = next((list(row.figures) for row in rows if row.figures), [other])
        told = ["round", *map(heading, names), "", "updates", "paid"]
        heads = "".join(f'<th style="{_CELL}">{_safe(each)}</th>' for each in told)
        losses = [row.loss for row in rows if row.loss is not None]
        body = "".join(_row(row, names, losses) for row in rows)
        return f"{caption}<table><tr>{heads}</tr>{body}</table>"


def _row(row: CampaignRound, names: list[str], losses: list[int]) -> str:
    """One round, with the figures of these names, and a bar for its loss among `losses`."""
    ended = row.told or row.ended
    shown = cells(row.figures, names) if row.figures else [ended, *[""] * (len(names) - 1)]
    before = [str(row.round), *shown]
    after = [f"{len(row.accepted)} of {len(row.cohort)}", format_amount(row.paid_units, row.asset)]
    left_out = "; ".join(f"left out {short(mine)}: {why}" for mine, why in row.left_out.items())
    bar = _bar(None if row.told else row.loss, losses)
    drawn = f'<td style="text-align:left;min-width:{_BAR_EM + 1}em">{bar}</td>'
    return f"<tr>{_cells(before)}{drawn}{_cells(after)}<td>{_safe(left_out)}</td></tr>"


def _bar(loss: int | None, losses: list[int]) -> str:
    """A bar as long as the loss's logarithm, from the lowest of them to the highest."""
    if loss is None:
        return ""
    logarithms = [math.log(max(each, 1)) for each in losses]
    low, high = min(logarithms), max(logarithms)
    part = (math.log(max(loss, 1)) - low) / (high - low) if high > low else 1.0
    return f'<span style="{_BAR};width:{0.3 + _BAR_EM * part:.1f}em"></span>'


def _cells(texts: list[str]) -> str:
    return "".join(f'<td style="{_CELL}">{_safe(text)}</td>' for text in texts)


def _safe(text: str) -> str:
    """Return text that strangers may have written, escaped for HTML."""
    return escape(printable(text)).replace("\n", "<br>")
