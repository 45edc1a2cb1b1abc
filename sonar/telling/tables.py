"""Tables for people: as wide as what is in them, or, on a terminal that is narrower, one field a line.

An id that is broken over lines cannot be copied, and a number not read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import IO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sonar.telling.progress import printable

_GAP = 2


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    file: IO[str] | None = None,
) -> None:
    """Print `rows`, a text for each heading, to `file` or standard output.

    The columns named in `right` are aligned there. Text is not read as markup, and made harmless: it may be a
    stranger's.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    columns = zip(headings, *shown, strict=True)
    width = sum(max(map(cell_len, column)) + _GAP for column in columns) - _GAP
    console = Console(file=file)
    if not console.is_terminal:  # a file or pipe has no width that lines must keep to
        console = Console(file=file, width=width)
    if width <= console.width:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in headings:
            table.add_column(heading, justify="right" if heading in right else "left", no_wrap=True)
        for row in shown:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    longest = max(map(cell_len, headings))
    for row in shown:
        for heading, cell in zip(headings, row, strict=True):
            if not cell:
                continue
            line = Text.assemble((f"{heading:<{longest + _GAP}}", "bold"), cell)
            console.print(line, soft_wrap=True)
        console.print()
