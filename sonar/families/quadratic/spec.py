"""What a model of this family is, as it stands in its manifest."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sonar.families.quadratic.stages import Q32, Stage, least_rows, weights_of
from sonar.protocol.record import MAX_WEIGHTS, Name, Record, Rows


class QuadraticSpec(Record):
    """What is learned from which columns: prediction = phi(x) w, phi the stages and a last column of ones.

    `features` and `target` are column names. `local_steps` and `local_rate_q32` are the gradient steps that a
    mine makes by itself in a round. A mine has at least `rows_min` rows, and targets of at most
    `target_max_q32` in magnitude.
    """

    kind: Literal["quadratic"] = "quadratic"
    features: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
    target: Name
    stages: Annotated[tuple[Stage, ...], Field(strict=False, max_length=8)] = ()
    loss: Literal["squared", "logistic-taylor"] = "squared"
    local_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    local_rate_q32: Annotated[int, Field(ge=0, le=1 << 40)] = 0
    rows_min: Rows
    target_max_q32: Annotated[Q32, Field(gt=0)]

    @property
    def outputs(self) -> int:
        """Number of targets."""
        return 1

    @property
    def weights(self) -> int:
        """Number of weights over all outputs: for each, the columns that the stages make, and the bias."""
        return weights_of(self.stages, len(self.features))

    @property
    def least_rows(self) -> int:
        """Number of rows that hide one another in a mine's sums, whatever `rows_min` says."""
        return least_rows(self.stages, len(self.features))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.features)) != len(self.features) or self.target in self.features:
            raise ValueError("features: a column is named twice, or is the target")
        if self.weights > MAX_WEIGHTS:
            raise ValueError(f"features: {self.weights} weights with the bias; at most {MAX_WEIGHTS}")
        if self.local_steps > 1 and self.local_rate_q32 == 0:
            raise ValueError("local_rate_q32: must be more than 0 when local_steps is more than 1")
        return self
