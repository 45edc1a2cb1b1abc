"""What a model of this family is, as it stands in its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from sonar.families.quadratic.fixed import Target
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.maps import compose
from sonar.families.quadratic.maps.base import Matrix, Names
from sonar.families.quadratic.maps.registry import Stage
from sonar.protocol.record import MAX_WEIGHTS, Name, Record, Rows


def _known_loss(name: str) -> str:
    if name not in LOSSES:
        raise ValueError(f"must be one of {', '.join(map(repr, LOSSES))}")
    return name


class QuadraticSpec(Record):
    """What is learned from which columns: z = phi(x) w, phi the stages and a last column of ones.

    `features` and the targets' names are columns. `local_steps` and `local_rate_q32` are the gradient steps
    that a mine makes by itself in a round. A mine has at least `rows_min` rows. All targets share phi; the
    weights lie output by output.
    """

    kind: Literal["quadratic"] = "quadratic"
    features: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
    targets: Annotated[tuple[Target, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
    stages: Annotated[tuple[Stage, ...], Field(strict=False, max_length=8)] = ()
    loss: Annotated[str, Field(max_length=64), AfterValidator(_known_loss)] = "squared"
    local_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    local_rate_q32: Annotated[int, Field(ge=0, le=1 << 40)] = 0
    rows_min: Rows

    @cached_property
    def outputs(self) -> int:
        """Number of targets."""
        return len(self.targets)

    @cached_property
    def width(self) -> int:
        """Number of weights of one output: the columns that the stages make, and the bias."""
        return compose.widths(self.stages, len(self.features))[-1] + 1

    @cached_property
    def weights(self) -> int:
        """Number of weights over all outputs."""
        return self.width * self.outputs

    @cached_property
    def columns(self) -> Names:
        """The columns that a table must have: the features, then the targets."""
        return (*self.features, *(target.name for target in self.targets))

    @cached_property
    def least_rows(self) -> int:
        """Number of rows that hide one another in a mine's sums, whatever `rows_min` says."""
        return compose.least_rows(self.stages, len(self.features), self.outputs)

    @cached_property
    def weight_names(self) -> Names:
        """A name for each weight: of several outputs "target: column"."""
        names = compose.names_of(self.stages, self.features)
        if self.outputs == 1:
            return names
        return tuple(f"{target.name}: {name}" for target in self.targets for name in names)

    def transform(self, x: Matrix) -> Matrix:
        """Return phi(x), float64[n, width], for raw columns float64[n, features]. Raises DataError."""
        return compose.transform(self.stages, len(self.features), x)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("features: a column is named twice, or is a target")
        for target in self.targets:
            LOSSES[self.loss].accept(target)
        if self.weights > MAX_WEIGHTS:
            raise ValueError(f"features: {self.weights} weights with the bias; at most {MAX_WEIGHTS}")
        if self.local_steps > 1 and self.local_rate_q32 == 0:
            raise ValueError("local_rate_q32: must be more than 0 when local_steps is more than 1")
        return self


def by_output(spec: QuadraticSpec, flat: Sequence[float] | Matrix) -> Matrix:
    """Return float64[width, outputs] of numbers that lie output by output, float64[weights]."""
    return np.asarray(flat, dtype=np.float64).reshape(spec.outputs, spec.width).T
