"""The design matrix that terms share: standardised numbers, indicators of categories, and ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import CategoryColumn, NumberColumn, Rows
from sonar.families.sums.terms.base import Columns

Matrix = NDArray[np.float64]


def width_of(columns: Columns, names: Sequence[str]) -> int:
    """Return how many columns the design matrix has: see `design_matrix`."""
    return 1 + sum(_width(columns[name]) for name in names)


def labels_of(columns: Columns, names: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each column of the design matrix: "(bias)", "age", "sex[m]"."""
    found = ["(bias)"]
    for name in names:
        column = columns[name]
        if isinstance(column, NumberColumn):
            found.append(name)
        else:
            found += [f"{name}[{level}]" for level in column.levels[1:]]
    return tuple(found)


def design_matrix(columns: Columns, names: Sequence[str], rows: Rows) -> Matrix:
    """Return float64[rows, width] for complete rows: ones, then each column in turn.

    A column of numbers is (x - centre) / scale, within ±1; one of categories has an indicator of each level
    but the first. It is read-only.
    """
    return rows.latest("design", tuple(names), lambda: _made(columns, names, rows))


def _made(columns: Columns, names: Sequence[str], rows: Rows) -> Matrix:
    # A column's numbers lie side by side, since that is how they are written.
    found = np.zeros((width_of(columns, names), len(rows)))
    found[0], place = 1.0, 1
    for name in names:
        column = columns[name]
        if isinstance(column, NumberColumn):
            found[place] = rows.standard(name)
        else:
            codes, where = rows.code(name), np.arange(len(rows))
            found[place + codes[codes > 0] - 1, where[codes > 0]] = 1.0
        place += _width(column)
    found.flags.writeable = False
    return found.T


def _width(column: NumberColumn | CategoryColumn) -> int:
    return len(column.levels) - 1 if isinstance(column, CategoryColumn) else 1
