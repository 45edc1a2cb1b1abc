"""What the mines' data sets have spent of their budgets in a run, as each mine tells it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sonar.errors import RemoteError
from sonar.telling.documents import document
from sonar.telling.tables import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


@document
class BudgetRow:
    """One mine's data set: `spent` of `budget` and `left`, as epsilon at `delta`, over all bounties.

    `parts`: the noise of how many mines that takes; 1 if its own is enough.
    """

    name: str
    data: str
    rows: int
    budget: float
    delta: float
    spent: float
    left: float
    parts: int = 1


def command_of(home: Path) -> list[str]:
    """The command by which a mine tells it."""
    return ["mine", "privacy", "--home", str(home), "--json"]


def read(name: str, text: str) -> BudgetRow:
    """Return what a mine printed of its one data set. Raises RemoteError for anything else."""
    try:
        (told,) = json.loads(text)
        fields = {key: told[key] for key in ("data", "rows", "budget", "delta", "spent", "left")}
        numbers = {key: float(fields[key]) for key in ("budget", "delta", "spent", "left")}
        parts = max((int(one["parts"]) for one in told["revealed"]), default=1)
        data, rows = str(fields["data"]), int(fields["rows"])
        return BudgetRow(name=name, data=data, rows=rows, parts=parts, **numbers)
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteError(f"{name} told nothing of its budget: {text[:200]!r}") from error


def show(rows: Sequence[BudgetRow], console: Console) -> None:
    """Print the table."""
    console.print("\n[bold]What the mines' data have spent[/]", highlight=False)
    headings = ["mine", "data set", "rows", "budget\nepsilon", "spent\nepsilon", "left\nepsilon"]
    cells = [
        [row.name, row.data, str(row.rows), *(f"{one:.2f}" for one in (row.budget, row.spent, row.left))]
        for row in rows
    ]
    print_table(headings, cells, right=headings[2:], file=console.file)
    legend = (
        f"the most that {whose(rows)} tell of a row, at a delta of {rows[0].delta:g}: paid once, "
        "for the noise before\nround 1, and for no round after it"
    )
    console.print(legend, style="dim", highlight=False)


def whose(rows: Sequence[BudgetRow]) -> str:
    """Of which sums the figures hold: those of a mine, or over as many mines as share the noise."""
    parts = max(row.parts for row in rows)
    return "a mine's sums" if parts == 1 else f"sums over {parts} mines or more"
