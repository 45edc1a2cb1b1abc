"""Public feature maps, as they stand in a model's manifest. `sonar.families.quadratic.maps` computes them.

A map is a list of stages, applied in order; a column of ones (the bias) is appended last. Constants are
fixed-point integers, round(x * 2^32).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from math import comb, prod
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sonar.protocol.record import MAX_WEIGHTS

Q32_ONE = 1 << 32
LEAST_ROWS = 10
ROWS_PER_WEIGHT = 3

Q32 = Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)]
_Positive = Annotated[Q32, Field(gt=0)]
_Row = Annotated[tuple[Q32, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]


class _Stage(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Standard(_Stage):
    """x -> clip((x - mean) / std, ±clip), column by column."""

    kind: Literal["standard"] = "standard"
    mean_q32: _Row
    std_q32: Annotated[tuple[_Positive, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
    clip_q32: _Positive


class Clip(_Stage):
    """x -> clip(x, ±clip)."""

    kind: Literal["clip"] = "clip"
    clip_q32: _Positive


class Polynomial(_Stage):
    """All monomials of degree 1 to `degree`, by degree and then in the columns' order (x0 x0, x0 x1, …)."""

    kind: Literal["polynomial"] = "polynomial"
    degree: Annotated[int, Field(ge=2, le=3)]


class Fourier(_Stage):
    """x -> sqrt(2 / D) cos(W x + phase): random Fourier features (Rahimi and Recht 2007), W with D rows."""

    kind: Literal["fourier"] = "fourier"
    weights_q32: Annotated[tuple[_Row, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
    phases_q32: _Row


Stage = Annotated[Standard | Clip | Polynomial | Fourier, Field(discriminator="kind")]


def width_after(stage: Stage, width: int, where: str = "stage") -> int:
    """Return how many columns `stage` makes of `width`.

    Raises ValueError when it does not take that many, or makes too many: no stage's output may be larger than
    a model, whatever the next stage would make of it.
    """
    if isinstance(stage, Standard) and not len(stage.mean_q32) == len(stage.std_q32) == width:
        raise ValueError(f"{where}: mean_q32 and std_q32 must have {width} entries each")
    if isinstance(stage, Polynomial):
        width = comb(width + stage.degree, stage.degree) - 1
    if isinstance(stage, Fourier):
        if any(len(row) != width for row in stage.weights_q32):
            raise ValueError(f"{where}.weights_q32: each row must have {width} entries")
        width = len(stage.weights_q32)
        if len(stage.phases_q32) != width:
            raise ValueError(f"{where}.phases_q32: must have {width} entries, like weights_q32")
    if width >= MAX_WEIGHTS:
        raise ValueError(f"{where}: {width} outputs and a bias; at most {MAX_WEIGHTS} in all")
    return width


def weights_of(stages: Sequence[Stage], columns: int) -> int:
    """Return how many weights a model has of `columns` through `stages`, the bias included.

    Raises ValueError as `width_after`.
    """
    width = columns
    for index, stage in enumerate(stages):
        width = width_after(stage, width, f"stages.{index}")
    return width + 1


def degree_of(stages: Sequence[Stage]) -> int:
    """Return of how many columns the map has products, before cosines of them if there are any."""
    before = takewhile(lambda stage: not isinstance(stage, Fourier), stages)
    return prod(stage.degree for stage in before if isinstance(stage, Polynomial))


def least_rows(stages: Sequence[Stage], columns: int) -> int:
    """Return how many rows a mine needs at least, so that sums over them hide single ones.

    Three per weight; and no fewer numbers in them, targets included, than A and b are sums of them: else the
    sums could be solved for the rows. Of columns and of products of few, three per weight are enough for
    that; many Fourier features of few columns need more.
    """
    weights = weights_of(stages, columns)
    sums = weights * (weights + 3) // 2
    if not any(isinstance(stage, Fourier) for stage in stages):
        degree = 2 * degree_of(stages)  # A holds each product of so many columns, most of them several times
        sums = min(sums, comb(columns + degree, degree) + weights)
    return max(LEAST_ROWS, ROWS_PER_WEIGHT * weights, -(-sums // (columns + 1)))
