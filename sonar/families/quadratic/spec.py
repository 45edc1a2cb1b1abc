"""What a model of this family is, as it stands in its manifest, and its whole map, from columns to phi:
the stages one after the other, and the column of ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile
from math import comb, prod
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from sonar.data.fixed import Q32_MOST
from sonar.data.schema import CategoryColumn, NumberColumn, Schema
from sonar.errors import DataError
from sonar.families.quadratic.losses.classes import class_targets, codes_of, one_vs_rest
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.maps.base import BaseStage, Matrix, Names
from sonar.families.quadratic.maps.registry import Stage
from sonar.families.quadratic.noise import QuadraticNoise
from sonar.families.quadratic.target import Target
from sonar.protocol.record import MAX_WEIGHTS, Name, Record, Rows

LEAST_ROWS = 10
ROWS_PER_WEIGHT = 3
BIAS = "(bias)"


def _known_loss(name: str) -> str:
    if name not in LOSSES:
        raise ValueError(f"must be one of {', '.join(map(repr, LOSSES))}")
    return name


class QuadraticSpec(Record):
    """What is learned from which columns: z = phi(x) w, phi the stages and a last column of ones.

    `features` and the targets' names are columns. `local_steps` and `local_rate_q32` are the gradient steps
    that a mine makes by itself in a round. A mine has at least `rows_min` rows. All targets share phi; the
    weights lie output by output. `noise` is what mines add to their sums, None for none. `labels` is there if
    all targets come from one column of classes, which it names with its vocabulary; they are then named as
    `class_targets` says, and a table has its codes in place of them.
    """

    kind: Literal["quadratic"] = "quadratic"
    features: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
    targets: Annotated[tuple[Target, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
    stages: Annotated[tuple[Stage, ...], Field(strict=False, max_length=8)] = ()
    loss: Annotated[str, Field(max_length=64), AfterValidator(_known_loss)] = "squared"
    local_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    local_rate_q32: Annotated[int, Field(ge=0, le=1 << 40)] = 0
    rows_min: Rows
    noise: QuadraticNoise | None = None
    labels: CategoryColumn | None = None

    @cached_property
    def outputs(self) -> int:
        """Number of targets."""
        return len(self.targets)

    @cached_property
    def width(self) -> int:
        """Number of weights of one output: the columns that the stages make, and the bias."""
        return widths(self.stages, len(self.features))[-1] + 1

    @cached_property
    def weights(self) -> int:
        """Number of weights over all outputs."""
        return self.width * self.outputs

    @cached_property
    def columns(self) -> Names:
        """The columns that a table must have: the features, then the targets, or the one of labels."""
        if self.labels is not None:
            return (*self.features, self.labels.name)
        return (*self.features, *(target.name for target in self.targets))

    @cached_property
    def row_schema(self) -> Schema:
        """What the columns mean: numbers, as they are, and the labels as codes."""
        numbers = self.columns if self.labels is None else self.features
        schema: Schema = tuple(
            NumberColumn(name=name, low_q32=-Q32_MOST, high_q32=Q32_MOST) for name in numbers
        )
        return schema if self.labels is None else (*schema, self.labels)

    @cached_property
    def least_rows(self) -> int:
        """The least number of rows that hide one another in a mine's sums, whatever `rows_min` says."""
        return least_rows(self.stages, len(self.features), self.outputs, len(self.columns))

    @property
    def degree(self) -> int:
        """Of how many columns the map has products, before mixtures of them if there are any."""
        return degree_of(self.stages)

    @property
    def mixes(self) -> bool:
        """Whether the map's columns are mixtures of all that it takes."""
        return mixes(self.stages)

    @property
    def words(self) -> str:
        """What is done to the columns, for people who decide whether to train on it."""
        done = ", then ".join([stage.words() for stage in self.stages] or ["as they are"])
        return f"{done}: {self.weights} weights"

    @cached_property
    def names(self) -> Names:
        """A name for each column of phi, as scikit-learn has them: "age", "age^2", "age bmi"; "(bias)"."""
        names = self.features
        for stage in self.stages:
            names = stage.names(names)
        return (*names, BIAS)

    @property
    def widest(self) -> int:
        """The largest number of columns before, between and after the stages."""
        return max(widths(self.stages, len(self.features)))

    @cached_property
    def weight_names(self) -> Names:
        """A name for each weight: of several outputs "target: column"."""
        if self.outputs == 1:
            return self.names
        return tuple(f"{target.name}: {name}" for target in self.targets for name in self.names)

    def transform(self, x: Matrix) -> Matrix:
        """Return phi(x), float64[n, width], for raw columns float64[n, features]; the last column is ones.

        Raises DataError for another number of columns, and for values that are or become infinite or NaN.
        """
        if x.ndim != 2 or x.shape[1] != len(self.features):
            raise DataError("features", f"shape {x.shape}; the model takes {len(self.features)} columns")
        _require_finite(x, "features")
        phi = self.unsafe_transform(x)
        _require_finite(phi, "features after the feature map")
        return phi

    def unsafe_transform(self, x: Matrix) -> Matrix:
        """Return the same, with infinite values and NaN where they come about."""
        phi = np.asarray(x, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # found by the caller
            for stage in self.stages:
                phi = stage.apply(phi)
        return np.column_stack([phi, np.ones(len(phi))])

    def learned(self, y: Matrix) -> Matrix:
        """Return the targets float64[n, outputs] of a table's last columns: of labels, -1 and 1.

        Raises DataError for a label that is none.
        """
        if self.labels is None:
            return y
        return one_vs_rest(self.labels, codes_of(self.labels, y[:, 0]))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.labels is not None:
            self._check_labels(self.labels)
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("features: a column is named twice, or is a target")
        check_order(self.stages)
        for target in self.targets:
            LOSSES[self.loss].accept(target)
        if self.weights > MAX_WEIGHTS:
            raise ValueError(f"features: {self.weights} weights with the bias; at most {MAX_WEIGHTS}")
        if self.local_steps > 1 and self.local_rate_q32 == 0:
            raise ValueError("local_rate_q32: must be more than 0 when local_steps is more than 1")
        if self.noise is not None and self.local_steps > 1:
            problem = "noise is added to sums that serve one gradient step in a round"
            raise ValueError(f"local_steps: is {self.local_steps}, and 1 with noise: {problem}")
        return self

    def _check_labels(self, labels: CategoryColumn) -> None:
        if not LOSSES[self.loss].labels:
            raise ValueError(f"labels: {self.loss!r} is a loss for amounts")
        if labels.missing:
            raise ValueError(f"labels.missing: no label may be missing (column {labels.name!r})")
        if tuple(target.name for target in self.targets) != class_targets(labels):
            named = ", ".join(class_targets(labels))
            raise ValueError(f"targets: must be one for each class that has one: {named}"[:200])


def by_output(spec: QuadraticSpec, flat: Sequence[float] | Matrix) -> Matrix:
    """Return float64[width, outputs] of numbers that lie output by output, float64[weights]."""
    return np.asarray(flat, dtype=np.float64).reshape(spec.outputs, spec.width).T


def widths(stages: Sequence[BaseStage], columns: int) -> list[int]:
    """Return how many columns there are after each stage, the raw ones first.

    Raises ValueError when a stage does not take that many, or makes too many: no stage's output may be larger
    than a model, whatever the next stage would make of it.
    """
    found = [columns]
    for index, stage in enumerate(stages):
        found.append(stage.width_after(found[-1], f"stages.{index}"))
    return found


def check_order(stages: Sequence[BaseStage]) -> None:
    """Raise ValueError for a stage that must be first and is not, or is followed by one that is no line."""
    for place, stage in enumerate(stages):
        if stage.leads and place:
            raise ValueError(f"stages.{place}: must be the first stage")
        if place and stages[0].leads and stage.line() is None:
            raise ValueError(f"stages.{place}: only 'standard' may follow stages.0")


def degree_of(stages: Sequence[BaseStage]) -> int:
    """Return of how many columns the map has products, before mixtures of them if there are any."""
    return prod(stage.factors for stage in takewhile(lambda stage: not stage.mixes, stages))


def mixes(stages: Sequence[BaseStage]) -> bool:
    """Tell whether the map's columns are mixtures of all that it takes."""
    return any(stage.mixes for stage in stages)


def least_rows(stages: Sequence[BaseStage], columns: int, outputs: int = 1, given: int | None = None) -> int:
    """Return how many rows a mine needs at least, so that sums over them hide single ones.

    Three per weight of an output; and no fewer numbers in them, targets included, than A and b are sums of
    them: else the sums could be solved for the rows. Of columns and of products of few, three per weight are
    enough for that; many mixtures of few columns need more. `given`: how many columns a table has, where its
    targets are not one each.
    """
    width = widths(stages, columns)[-1] + 1
    squares = width * (width + 1) // 2
    if not mixes(stages):
        degree = 2 * degree_of(stages)  # A holds each product of so many columns, most of them several times
        squares = min(squares, comb(columns + degree, degree))
    sums = squares + width * outputs
    return max(LEAST_ROWS, ROWS_PER_WEIGHT * width, -(-sums // (given or columns + outputs)))


def _require_finite(x: Matrix, field: str) -> None:
    if not np.isfinite(x).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise DataError(field, f"row {row + 1}, column {column + 1} is infinite or not a number")
