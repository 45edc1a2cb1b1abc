"""Columns that allow no coefficient: constant ones, levels that no row has, and combinations of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.linear.gram import Gram
from sonar.data.schema import CategoryColumn, Column
from sonar.errors import DataError

Matrix = NDArray[np.float64]
DEPENDENT = 1e-12
"""A column of which others explain all but this share of its variance is a combination of them."""
CONSTANT = 1e-2
"""Where rounding may be so much of a column's sum of squares, nothing of it is known."""
_EMPTY = 1e-12


def correlation_of(cross: Matrix) -> Matrix:
    """Return the correlations that centred products stand for, float64[d, d]."""
    deviation = np.sqrt(np.diag(cross))
    return np.asarray(cross / np.outer(deviation, deviation))


def filled_levels(gram: Gram, columns: Sequence[Column]) -> tuple[list[int], list[str]]:
    """Return the places of `columns` in a design without levels that no row has, and warnings of these.

    The first level that rows have is the reference, which has no indicator.
    """
    warnings, places = [], []
    for column in columns:
        if not isinstance(column, CategoryColumn):
            places.append(gram.labels.index(column.name))
            continue
        own = [gram.labels.index(f"{column.name}[{level}]") for level in column.levels[1:]]
        shares = [1 - float(gram.mean[own].sum()), *gram.mean[own].tolist()]
        there = [place for place, share in enumerate(shares) if share > _EMPTY]
        if empty := [level for level, share in zip(column.levels, shares, strict=True) if share <= _EMPTY]:
            reference = f"; the reference is {column.levels[there[0]]!r}" if 0 not in there and there else ""
            warnings.append(f"No row has the level {_listed(empty)} of column {column.name!r}{reference}.")
        places += [own[place - 1] for place in there[1:]]
    return places, warnings


def unusable(gram: Gram) -> dict[int, str]:
    """Return what is wrong with columns of a design, by place: constant, or a combination of those before."""
    variances = np.diag(gram.cross)
    bad = {
        place: f"column {gram.labels[place]!r} is constant, as far as its bounds let it be seen"
        for place in range(len(gram.labels))
        if variances[place] <= 0 or gram.noise[place] > CONSTANT
    }
    kept: list[int] = []
    for place in range(len(gram.labels)):
        if place in bad:
            continue
        of = _combination(gram, place, kept)
        if of is None:
            kept.append(place)
        else:
            what = "varies as" if len(of) == 1 else "is a combination of"
            bad[place] = f"column {gram.labels[place]!r} {what} {_listed([gram.labels[i] for i in of])}"
    return bad


def _combination(gram: Gram, place: int, kept: list[int]) -> list[int] | None:
    """Return of which columns in `kept` a column is a combination; None if it is none."""
    if not kept:
        return None
    corr = correlation_of(gram.cross[np.ix_([*kept, place], [*kept, place])])
    weights = np.linalg.solve(corr[:-1, :-1], corr[:-1, -1])
    left = 1 - float(weights @ corr[:-1, -1])
    noise = 30 * float(max(gram.noise[[*kept, place]]))
    if left > DEPENDENT + noise:
        return None
    return [i for i, weight in zip(kept, weights.tolist(), strict=True) if abs(weight) > 1e-4] or kept


def refuse(bad: dict[int, str]) -> None:
    """Refuse columns that allow no coefficient, all at once. Raises DataError."""
    if bad:
        hint = 'leave them out; or say unusable = "drop", and they are left out with a warning'
        raise DataError(
            "columns", "perfect collinearity or no variation: " + "; ".join(bad.values()), hint=hint
        )


def _listed(names: list[str]) -> str:
    shown = [repr(name) for name in names[:10]] + ["…"] * (len(names) > 10)
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
