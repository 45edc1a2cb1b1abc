"""From plain numbers to a model's spec: fixed-point constants, and the linear model on scaled columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from sonar.errors import DataError
from sonar.model.table import Table
from sonar.protocol.featuremaps import Q32_ONE, Standard
from sonar.protocol.messages import MAX_ROWS, ModelSpec

DEFAULT_CLIP = 8.0


def to_q32(value: float, field: str = "value") -> int:
    """Return round(value * 2^32). Raises DataError for what is not finite or beyond ±2^31."""
    if not math.isfinite(value) or abs(value) >= 1 << 31:
        raise DataError(field, "is not a number between -2^31 and 2^31", hint="rescale the column")
    return round(value * Q32_ONE)


def from_q32(value: int) -> float:
    """Return the number that a fixed-point constant stands for."""
    return value / Q32_ONE


def linear_spec(
    table: Table,
    features: Sequence[str],
    target: str,
    *,
    target_max: float,
    clip: float = DEFAULT_CLIP,
    loss: Literal["squared", "logistic-taylor"] = "squared",
    local_steps: int = 1,
    local_rate: float = 0.0,
    rows_min: int = 1,
    rows_max: int = MAX_ROWS,
) -> ModelSpec:
    """Return the spec of a linear model on standardised columns, with the means and deviations of `table`.

    `table` is data that the scientist may publish two numbers per column of, usually her holdout.
    `target_max` bounds every mine's |target|. Raises DataError for a column that is missing or constant,
    ManifestError for a wrong limit.
    """
    values = table.matrix(features)
    stds = values.std(axis=0)
    for name, std in zip(features, stds, strict=True):
        if to_q32(float(std), f"column {name}") == 0:
            raise DataError(
                f"column {name}", "is constant", hint="leave the column out: the bias does its work"
            )
    stage = Standard(
        mean_q32=tuple(to_q32(float(mean), "mean") for mean in values.mean(axis=0)),
        std_q32=tuple(to_q32(float(std), "std") for std in stds),
        clip_q32=to_q32(clip, "clip"),
    )
    return ModelSpec.parse(
        {
            "features": tuple(features),
            "target": target,
            "stages": (stage,),
            "loss": loss,
            "local_steps": local_steps,
            "local_rate_q32": to_q32(local_rate, "local_rate"),
            "rows_min": rows_min,
            "rows_max": rows_max,
            "target_max_q32": to_q32(target_max, "target_max"),
        }
    )
