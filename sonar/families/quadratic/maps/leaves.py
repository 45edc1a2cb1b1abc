"""Leaves of trees: columns of 0 and 1, each for rows whose columns lie in published ranges.

A scientist grows the trees on rows of her own, and publishes the ranges. The weights of leaves are learned as
those of any column are. What is new to a mine is that leaves overlap as their author likes: see `pairs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sonar.data.fixed import Q32, Q32_ONE, floats, from_q32
from sonar.errors import ConfigError
from sonar.families.quadratic.maps.base import BaseStage, BaseWish, Matrix, Names, Seeded, check_width
from sonar.families.quadratic.maps.standard import DEFAULT_CLIP, Standard, standard_again, standard_stage
from sonar.protocol.record import MAX_WEIGHTS, Record

MAX_RANGES = 8
"""Of how many columns a leaf may have ranges."""
Marks = NDArray[np.bool_]
Edge = tuple[int, int]
"""A column's place and a threshold: x <= threshold."""


class Range(Record):
    """x[column] is more than `above` and at most `upto`; one of them may be missing."""

    column: Annotated[int, Field(ge=0, lt=MAX_WEIGHTS)]
    above_q32: Q32 | None = None
    upto_q32: Q32 | None = None

    @property
    def edges(self) -> tuple[Edge | None, Edge | None]:
        """The two ends as edges: x is not below the first and below the second; None for none."""
        above, upto = self.above_q32, self.upto_q32
        return (
            None if above is None else (self.column, above),
            None if upto is None else (self.column, upto),
        )

    def words(self, name: str) -> str:
        """Return it in words, as "20 < age <= 50"."""
        above = "" if self.above_q32 is None else _shortest(self.above_q32)
        upto = "" if self.upto_q32 is None else f" <= {_shortest(self.upto_q32)}"
        if above and not upto:
            return f"{name} > {above}"
        return f"{above} < {name}{upto}" if above else f"{name}{upto}"

    @model_validator(mode="after")
    def _check(self) -> Self:
        above, upto = self.above_q32, self.upto_q32
        if above is None and upto is None:
            raise ValueError("above_q32: a range has above_q32, upto_q32 or both")
        if above is not None and upto is not None and above >= upto:
            raise ValueError("above_q32: is not below upto_q32")
        return self


Leaf = Annotated[tuple[Range, ...], Field(strict=False, min_length=1, max_length=MAX_RANGES)]
Grown = Annotated[tuple[Leaf, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]


class Leaves(BaseStage):
    """x -> x, and then for each leaf 1 if all its ranges hold, 0 if not."""

    mixes: ClassVar[bool] = True
    sums: ClassVar[str] = (
        "products of two columns or leaves, and of one and the target: of two leaves, how many rows are in "
        "both; of one, what the targets of its rows add up to"
    )
    leads: ClassVar[bool] = True
    keeps: ClassVar[bool] = True

    kind: Literal["leaves"] = "leaves"
    leaves: Grown

    def width_after(self, width: int, where: str) -> int:
        """Return the columns and the leaves."""
        if max(one.column for leaf in self.leaves for one in leaf) >= width:
            raise ValueError(f"{where}.leaves: a range is of a column that there is not; there are {width}")
        return check_width(width + len(self.leaves), where)

    def apply(self, x: Matrix) -> Matrix:
        """Return float64[n, width + leaves]."""
        return np.concatenate([x, self.marks(x)], axis=1, dtype=np.float64)

    def marks(self, x: Matrix) -> Marks:
        """Return which rows of float64[n, width] are in which leaf, bool[n, leaves]. Edges are met once."""
        below: dict[Edge, Marks] = {}
        found = np.empty((len(self.leaves), len(x)), dtype=np.bool_)
        for marks, leaf in zip(found, self.leaves, strict=True):
            marks[:] = True
            for one in leaf:
                above, upto = (_below(x, edge, below) for edge in one.edges)
                if above is not None:
                    marks &= ~above
                if upto is not None:
                    marks &= upto
        return found.T

    def names(self, names: Names) -> Names:
        """Return the columns' names, and each leaf's ranges: "20 < age <= 50 and bmi > 27.3"."""
        leaves = (" and ".join(one.words(names[one.column]) for one in leaf) for leaf in self.leaves)
        return (*names, *leaves)

    def words(self) -> str:
        """Say how many, and of how many columns."""
        most = max(map(len, self.leaves))
        ranges = "a range of one column" if most == 1 else f"ranges of up to {most} columns"
        return f"as they are, and {len(self.leaves)} leaves of trees (1 in {ranges}, 0 elsewhere)"

    @model_validator(mode="after")
    def _check(self) -> Self:
        for place, leaf in enumerate(self.leaves):
            columns = [one.column for one in leaf]
            if columns != sorted(set(columns)):
                raise ValueError(f"leaves.{place}: its columns must ascend, each once")
        if len({tuple(one.edges for one in leaf) for leaf in self.leaves}) < len(self.leaves):
            raise ValueError("leaves: two are the same")
        return self


def _shortest(q32: int) -> str:
    """Return a threshold with as many digits as tell it from all others."""
    value = from_q32(q32)
    texts = (f"{value:.{digits}g}" for digits in range(4, 18))
    return next((text for text in texts if round(float(text) * Q32_ONE) == q32), repr(value))


def _below(x: Matrix, edge: Edge | None, known: dict[Edge, Marks]) -> Marks | None:
    if edge is None:
        return None
    if edge not in known:
        known[edge] = x[:, edge[0]] <= floats((edge[1],))[0]
    return known[edge]


class LeavesWish(BaseWish):
    """The columns, and leaves of `trees` boosted trees, each of up to `depth` columns, all standardised.

    `grown` are the leaves; None for those that are to be grown on the held-out rows by `learning_rate` (of
    scikit-learn's GradientBoostingRegressor) and `random_state`. The defaults are the best of those measured:
    more trees, or deeper ones, fit the few rows that they are grown on.
    """

    tells: ClassVar[str] = (
        ", and of the leaves; and the ranges of the leaves, which say where rows of your holdout lie whose "
        "targets are large or small"
    )
    plain: ClassVar[bool] = False

    kind: Literal["leaves"] = "leaves"
    trees: Annotated[int, Field(ge=1, le=500)] = 50
    depth: Annotated[int, Field(ge=1, le=4)] = 2
    learning_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.3
    random_state: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    clip: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = DEFAULT_CLIP
    grown: Grown | None = None

    def stages(self, names: Sequence[str], x: Matrix, seeded: Seeded) -> tuple[BaseStage, ...]:
        """Return two stages."""
        if self.grown is None:
            hint = "make the bounty with Bounty.of, .example or .from_toml, which grow them"
            raise ConfigError("feature_map", "has leaves that are not grown yet", hint=hint)
        first = Leaves(leaves=self.grown)
        columns = standard_stage(names, x, self.clip)
        leaves = standard_again(first.marks(x).astype(np.float64), self.clip)
        second = Standard(
            mean_q32=columns.mean_q32 + leaves.mean_q32,
            std_q32=columns.std_q32 + leaves.std_q32,
            clip_q32=columns.clip_q32,
        )
        return first, second
