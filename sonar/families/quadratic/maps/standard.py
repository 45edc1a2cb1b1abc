"""Columns brought to mean 0 and deviation 1 by published constants, and clipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from sonar.data.fixed import PositiveQ32, PositiveQ32Row, Q32Row, deviation_q32, floats, from_q32, to_q32
from sonar.errors import DataError
from sonar.families.quadratic.maps.base import BaseStage, BaseWish, Line, Matrix, Seeded
from sonar.protocol.record import MAX_WEIGHTS

DEFAULT_CLIP = 8.0
_LEAST_DEVIATION = 1e-6


class Standard(BaseStage):
    """x -> clip((x - mean) / std, ±clip), column by column."""

    kind: Literal["standard"] = "standard"
    mean_q32: Q32Row
    std_q32: PositiveQ32Row
    clip_q32: PositiveQ32

    @property
    def constants(self) -> tuple[Matrix, Matrix, float]:
        """Mean and deviation of each column, float64[width], and the clip."""
        return floats(self.mean_q32), floats(self.std_q32), from_q32(self.clip_q32)

    def width_after(self, width: int, where: str) -> int:
        """Return `width`, for which it has a constant each."""
        if not len(self.mean_q32) == len(self.std_q32) == width:
            raise ValueError(f"{where}: mean_q32 and std_q32 must have {width} entries each")
        return width

    def apply(self, x: Matrix) -> Matrix:
        """Return float64[n, width]."""
        mean, std, clip = self.constants
        return np.clip((x - mean) / std, -clip, clip)

    def line(self) -> Line:
        """Return (x - mean) / std, within the clip."""
        mean, std, clip = self.constants
        return Line(1.0 / std, -mean / std, mean - clip * std, mean + clip * std)

    def words(self) -> str:
        """Say to what."""
        return f"standardised to ±{self.constants[2]:g}"


class StandardWish(BaseWish):
    """The columns, standardised."""

    kind: Literal["standard"] = "standard"
    clip: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = DEFAULT_CLIP

    def stages(self, names: Sequence[str], x: Matrix, seeded: Seeded) -> tuple[BaseStage, ...]:
        """Return one stage."""
        return (standard_stage(names, x, self.clip),)


def standard_stage(names: Sequence[str], x: Matrix, clip: float = DEFAULT_CLIP) -> Standard:
    """Return the stage that standardises columns by the mean and deviation of x float64[n, len(names)].

    These two numbers per column become public, so x is usually the scientist's holdout.

    Raises DataError for a column that is constant, or too large for fixed point.
    """
    if len(names) >= MAX_WEIGHTS:
        problem = f"{len(names)} columns and a bias; a model has at most {MAX_WEIGHTS} weights"
        raise DataError("features", problem, hint="choose fewer columns")
    fields = [f"column {name!r}" for name in names]
    return Standard(
        mean_q32=tuple(
            to_q32(float(column.mean()), field) for field, column in zip(fields, x.T, strict=True)
        ),
        std_q32=tuple(deviation_q32(column, field) for field, column in zip(fields, x.T, strict=True)),
        clip_q32=to_q32(clip, "clip"),
    )


def standard_again(x: Matrix, clip: float) -> Standard:
    """Return the stage that standardises what a map makes, float64[n, k].

    What hardly varies on the holdout, as the square of a balanced column of 0 and 1, is only centred: divided
    by next to nothing, rounding errors would be a feature.
    """
    deviations = x.std(axis=0)
    deviations[deviations < _LEAST_DEVIATION] = 1.0
    return Standard(
        mean_q32=tuple(to_q32(value) for value in x.mean(axis=0).tolist()),
        std_q32=tuple(to_q32(value) for value in deviations.tolist()),
        clip_q32=to_q32(clip, "clip"),
    )
