"""Tables of results: in text as statsmodels has them, in HTML for notebooks, and as data frames."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, get_args

from sonar.errors import ClientMissing, UsageError

Cell = float | int | str | None
WIDTH = 78
Library = Literal["pandas", "polars", "pyarrow"]


@dataclass(frozen=True)
class Table:
    """`rows` of a label and a cell for each of `columns`. A column named "P>…" has p-values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    name: str = ""


def number(value: Cell) -> str:
    """Return a cell as people read it: four decimals; of a large number six digits, of a small one four."""
    if value is None or isinstance(value, str | int):
        return "" if value is None else str(value)
    size = abs(value)
    if not math.isfinite(value) or size == 0:
        return str(value) if size else "0"
    if size < 1e-2 or size >= 1e7:
        return f"{value:.4g}"
    return f"{value:.4f}" if size < 1e3 else f"{value:.{max(5 - int(math.log10(size)), 0)}f}"


def p_value(value: Cell) -> str:
    """Return a p-value as people read it."""
    if isinstance(value, float | int) and value < 0.0005:
        return "<0.001"
    return f"{value:.3f}" if isinstance(value, float) and not math.isnan(value) else number(value)


def shown(table: Table) -> list[list[str]]:
    """Return a table's cells as texts, a row of headings first."""
    lines = [[table.name, *table.columns]]
    for label, cells in table.rows:
        named = zip(table.columns, cells, strict=True)
        texts = [p_value(cell) if name.startswith("P>") else number(cell) for name, cell in named]
        lines.append([label, *texts])
    return lines


def text_of(
    title: str, facts: Sequence[tuple[str, Cell]], tables: Sequence[Table], notes: Sequence[str]
) -> str:
    """Return a result as lines of text: a title, facts in two columns, tables, and notes below."""
    blocks = [_facts_text(facts)] if facts else []
    blocks += [_table_text(table) for table in tables]
    width = max([len(title), *(len(line) for block in blocks for line in block)])
    lines = [title.center(width).rstrip()]
    for block in blocks:
        lines += ["=" * width, *block]
    lines.append("=" * width)
    for note in notes:
        lines += textwrap.wrap(note, max(width, WIDTH), subsequent_indent="  ")
    return "\n".join(lines)


def _facts_text(facts: Sequence[tuple[str, Cell]]) -> list[str]:
    half = (len(facts) + 1) // 2
    columns = [facts[:half], facts[half:]]
    texts = [_pairs(column) for column in columns if column]
    return ["   ".join(line).rstrip() for line in zip(*_filled(texts), strict=True)]


def _pairs(facts: Sequence[tuple[str, Cell]]) -> list[str]:
    names = max(len(name) for name, _ in facts) + 1
    values = [number(value) for _, value in facts]
    width = max(map(len, values))
    return [f"{name + ':':<{names}} {value:>{width}}" for (name, _), value in zip(facts, values, strict=True)]


def _filled(columns: list[list[str]]) -> list[list[str]]:
    height = max(map(len, columns))
    return [[*column, *[""] * (height - len(column))] for column in columns]


def _table_text(table: Table) -> list[str]:
    lines = shown(table)
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    texts = [
        "  ".join(
            [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    return [texts[0], "-" * len(texts[0]), *texts[1:]]


def html_of(
    title: str, facts: Sequence[tuple[str, Cell]], tables: Sequence[Table], notes: Sequence[str]
) -> str:
    """Return a result as HTML, every text escaped."""
    parts = [f"<h4>{escape(title)}</h4>"]
    if facts:
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(number(value))}</td></tr>" for name, value in facts]
        parts.append(f"<table>{''.join(rows)}</table>")
    for table in tables:
        head, *body = shown(table)
        heads = "".join(f"<th>{escape(text)}</th>" for text in head)
        rows = [
            f"<tr><th>{escape(line[0])}</th>{''.join(f'<td>{escape(t)}</td>' for t in line[1:])}</tr>"
            for line in body
        ]
        parts.append(f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>")
    parts += [f"<p>{escape(note)}</p>" for note in notes]
    return "".join(parts)


def frame_of(table: Table, library: Library = "pandas") -> Any:
    """Return a table as a data frame of pandas (labels as its index), polars or pyarrow (as a column).

    Raises UsageError for another library, ClientMissing for one that is not installed.
    """
    if library not in get_args(Library):
        problem = f"to_frame: {library!r} is none of {', '.join(get_args(Library))}"
        raise UsageError(problem, hint='leave it out for "pandas", the default')
    columns: dict[str, list[Cell]] = {
        name: [cells[i] for _, cells in table.rows] for i, name in enumerate(table.columns)
    }
    index = table.name or "name"
    named: dict[str, list[Any]] = {index: [label for label, _ in table.rows], **columns}
    try:
        import narwhals.stable.v2 as nw

        frame: Any = nw.from_dict(named, backend=library).to_native()
    except ImportError as error:
        raise ClientMissing(f"no data frame: {error}", hint=f"install it: pip install {library}") from error
    return frame.set_index(index) if library == "pandas" else frame
