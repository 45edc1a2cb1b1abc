"""Tables and named lines for people, in as many columns as the terminal has.

A number or an id that is broken over lines cannot be read or copied. So where a table is wider than the
terminal, texts are broken between words, and then columns are left out by name; only if that is not enough
is it printed one field a line. A file or pipe has no width: it gets every column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import IO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sonar.telling.again import with_home
from sonar.telling.text import filled, legible, printable

_GAP = 2
_TEXT_LEAST = 16
"""The least width of a text that may be broken."""


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    texts: Collection[str] = (),
    spare: Sequence[str] = (),
    wide: bool = False,
    file: IO[str] | None = None,
) -> None:
    """Print `rows`, a text for each heading, to `file` or standard output.

    A heading's second line is the column's unit. The columns named in `right` are aligned there, those in
    `texts` may be broken between words, and those in `spare` are left out where the terminal is too narrow,
    in that order; a line below the table says so. `wide` keeps every column, however long the lines become.
    Nothing is read as markup, and everything is made harmless: a stranger may have written it, such as a
    token's name.
    """
    console = Console(file=file)

    def clean(text: str) -> str:
        return legible(printable(with_home(text)), console.encoding)

    columns = {clean(heading): [clean(row[i]) for row in rows] for i, heading in enumerate(headings)}
    right, texts, spare = (list(map(clean, named)) for named in (right, texts, spare))
    whole = _width(columns, ())
    if wide or not console.is_terminal:
        _print(Console(file=file, width=max(whole, 1)), columns, right, ())
        return
    left_out = []
    for heading in spare:
        if _width(columns, texts) <= console.width:
            break
        if columns.pop(heading, None):
            left_out.append(heading.partition("\n")[0])
    if _width(columns, texts) > console.width:
        _print_fields(console, columns)
        return
    _print(console, columns, right, texts)
    if left_out:
        told = f"(no room for: {', '.join(left_out)}; a wider terminal shows more)"
        console.print(Text(filled(told, console.width, 1), style="dim"), soft_wrap=True)


def _width(columns: dict[str, list[str]], texts: Collection[str]) -> int:
    """The least width of a table, with texts broken."""
    widths = []
    for heading, cells in columns.items():
        lines = [*heading.split("\n"), *(line for cell in cells for line in cell.split("\n"))]
        longest = max(map(cell_len, lines))
        if heading in texts:
            words = max((cell_len(word) for line in lines for word in line.split()), default=0)
            longest = min(longest, max(words, _TEXT_LEAST))
        widths.append(longest + _GAP)
    return sum(widths) - _GAP


def _print(
    console: Console, columns: dict[str, list[str]], right: Collection[str], texts: Collection[str]
) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(
            Text(heading), justify="right" if heading in right else "left", no_wrap=heading not in texts
        )
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(Text, row))
    console.print(table)


def _print_fields(console: Console, columns: dict[str, list[str]]) -> None:
    """One field a line, and an empty line between rows."""
    names = [heading.replace("\n", " ") for heading in columns]
    longest = max(map(cell_len, names))
    for row in zip(*columns.values(), strict=True):
        for name, cell in zip(names, row, strict=True):
            if cell:
                line = Text.assemble((f"{name:<{longest + _GAP}}", "bold"), cell)
                console.print(line, soft_wrap=True)
        console.print()


def print_named(lines: Iterable[tuple[str, str]], *, file: IO[str] | None = None) -> None:
    """Print texts, each beside its name; on a terminal they are filled, so that names stand out at the left.

    A line without a text is left out. What is printed is made harmless.
    """
    shown = [(name, printable(with_home(text))) for name, text in lines if text]
    indent = max((cell_len(name) for name, _ in shown), default=0) + _GAP
    console = Console(file=file)
    width = console.width - indent if console.is_terminal else None
    for name, text in shown:
        body = filled(text, width, 0).replace("\n", "\n" + " " * indent)
        print(f"{name:<{indent}}{body}", file=file)


def print_text(text: str, *, indent: int = 0, file: IO[str] | None = None) -> None:
    """Print paragraphs, filled on a terminal; their second and later lines are indented."""
    console = Console(file=file)
    print(
        filled(printable(with_home(text)), console.width if console.is_terminal else None, indent), file=file
    )
