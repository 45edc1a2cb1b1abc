"""Leaves for a feature map: trees are boosted on the scientist's own rows, and cut into ranges of columns.

Thresholds lie on a grid of each column's own, so that trees which divide at about the same value divide at
the same: leaves then are equal, or apart by many rows. Those that are not apart by `APART` of the rows are
left out, and so is one leaf of each tree, which the others and the bias say. That costs no accuracy, and
mines, who refuse leaves that single out a few of their rows (`sonar.families.quadratic.maps.pairs`), can take
part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import floats, to_q32
from sonar.errors import ConfigError, DataError
from sonar.families.quadratic.maps.leaves import Leaf, Leaves, LeavesWish, Marks, Range
from sonar.families.quadratic.maps.pairs import fourfold
from sonar.protocol.record import MAX_WEIGHTS

Matrix = NDArray[np.float64]
Codes = NDArray[np.int64]
Bounds = dict[int, tuple[int | None, int | None]]
"""By column: the last edge that a leaf lies above, and the first that it lies below."""

MINE_ROWS = 500
"""What a mine has, if a bounty does not say what it has at least."""
LEAST_SHARE, LEAST_AT_MINE = 0.04, 20
"""A leaf has this part of the held-out rows at least, and a mine may expect so many in it; and out of it."""
APART, APART_AT_MINE = 0.02, 16
"""The same of three at least of the four parts that two leaves divide the rows in."""
LEAST_ROWS = 5
"""And so many held-out rows."""
EDGES = 24
"""Thresholds of a column at most."""
_CUT_OFF = 8.0
"""Targets further off, in deviations, would make leaves of their own."""


@dataclass(frozen=True)
class _Limits:
    """How many held-out rows a leaf has at least, and how many two must be apart."""

    least: int
    apart: int

    @classmethod
    def of(cls, held_out: int, mine_rows: int) -> _Limits:
        """Return them for so many held-out rows, and a mine's."""
        least = max(LEAST_SHARE, LEAST_AT_MINE / mine_rows)
        apart = max(APART, APART_AT_MINE / mine_rows)
        return cls(*(max(round(share * held_out), LEAST_ROWS) for share in (least, apart)))


def grown(
    wish: LeavesWish, names: Sequence[str], x: Matrix, y: Matrix, mine_rows: int = MINE_ROWS
) -> LeavesWish:
    """Return the wish with leaves of trees for held-out columns x float64[n, f] and targets y float64[n, k].

    Trees are boosted for each target by itself, as many in all as the wish says. A mine has `mine_rows` rows
    at least: it refuses leaves of few of them. Raises ConfigError if scikit-learn is missing, and DataError
    if no leaf is to be had.
    """
    limits = _Limits.of(len(x), mine_rows)
    edges = [_edges(name, column) for name, column in zip(names, x.T, strict=True)]
    codes = np.column_stack([_code(each, column) for each, column in zip(edges, x.T, strict=True)])
    each = -(-wish.trees // y.shape[1])
    found = [_boosted(wish, codes, target, each, limits.least) for target in y.T]
    # In turn, so that a model which has not room for all has the first of each target.
    in_turn = (leaf for leaves in zip_longest(*found) for leaf in leaves if leaf is not None)
    bounds = {tuple(sorted(one.items())): one for one in in_turn if one}
    leaves = [_ranges(one, edges) for one in bounds.values()]
    room = MAX_WEIGHTS // y.shape[1] - 1 - x.shape[1]
    kept = [leaves[place] for place in _apart(leaves, x, limits)][: max(room, 0)]
    if not kept:
        problem = f"has no leaf of {limits.least} of {len(x)} held-out rows" if room > 0 else "has no room"
        raise DataError(
            "feature_map", problem, hint="take feature_map = 'standard', or a larger holdout or rows_min"
        )
    return wish.model_copy(update={"grown": tuple(kept)})


def _edges(name: str, column: Matrix) -> tuple[int, ...]:
    """Return thresholds half-way between values, at nearly equal steps of the rows, in fixed point."""
    values, counts = np.unique(column, return_counts=True)
    middles, below = (values[1:] + values[:-1]) / 2, np.cumsum(counts)[:-1] / len(column)
    wanted = np.arange(1, EDGES + 1) / (EDGES + 1)
    nearest = {int(np.argmin(np.abs(below - part))) for part in wanted} if len(middles) else set()
    return tuple(sorted({to_q32(float(middles[place]), f"column {name!r}") for place in nearest}))


def _code(edges: tuple[int, ...], column: Matrix) -> Codes:
    """Return how many edges each value lies above, int64[n]."""
    return np.searchsorted(floats(edges), column, side="left")


def _boosted(wish: LeavesWish, codes: Codes, target: Matrix, trees: int, least: int) -> list[Bounds]:
    """Return the leaves of trees that are boosted for one target, but for the last of each tree."""
    try:
        from sklearn.ensemble import GradientBoostingRegressor
    except ImportError as error:
        hint = "pip install 'sonar-network-scientist[sklearn]'"
        raise ConfigError(
            "feature_map", "leaves are grown by scikit-learn, which is missing", hint=hint
        ) from error
    spread = target.std() or 1.0
    boosting = GradientBoostingRegressor(
        n_estimators=trees,
        max_depth=wish.depth,
        learning_rate=wish.learning_rate,
        min_samples_leaf=least,
        random_state=wish.random_state,
    )
    boosting.fit(codes, np.clip((target - target.mean()) / spread, -_CUT_OFF, _CUT_OFF))
    return list(chain.from_iterable(list(_leaves(one.tree_))[:-1] for one in boosting.estimators_.ravel()))


def _leaves(tree: Any) -> Iterator[Bounds]:
    """Yield what leads to each leaf of scikit-learn's arrays; it goes left where code <= threshold."""
    waiting: list[tuple[int, Bounds]] = [(0, {})]
    while waiting:
        node, bounds = waiting.pop()
        if tree.children_left[node] < 0:
            yield bounds
            continue
        column, edge = int(tree.feature[node]), int(tree.threshold[node])
        above, upto = bounds.get(column, (None, None))
        waiting.append((int(tree.children_right[node]), bounds | {column: (edge, upto)}))
        waiting.append((int(tree.children_left[node]), bounds | {column: (above, edge)}))


def _ranges(bounds: Bounds, edges: Sequence[tuple[int, ...]]) -> Leaf:
    return tuple(
        Range(
            column=column,
            above_q32=None if above is None else edges[column][above],
            upto_q32=None if upto is None else edges[column][upto],
        )
        for column, (above, upto) in sorted(bounds.items())
    )


def _apart(leaves: Sequence[Leaf], x: Matrix, limits: _Limits) -> list[int]:
    """Return the places of leaves that are apart from each other on these rows; the earlier ones stay.

    Of the four parts of two leaves one may be small: on a mine's rows it may be empty, and none of the others
    is then small.
    """
    if not leaves:
        return []
    marks: Marks = Leaves(leaves=tuple(leaves)).marks(x)
    numbers, rows = marks.astype(np.float64), len(x)
    both = np.rint(numbers.T @ numbers).astype(np.int64)
    each = np.diag(both)
    small = fourfold(both, each[:, None], each[None, :], rows) < limits.apart
    near = small.sum(axis=0) > 1
    kept: list[int] = []
    for place in range(len(leaves)):
        if limits.least <= each[place] <= rows - limits.least and not near[place, kept].any():
            kept.append(place)
    return kept
