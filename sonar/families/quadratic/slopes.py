"""A model's coefficients, column by column: how much it moves per unit, and between which values that holds.

The last stage of most maps is a line in each column, cut off at its ends: phi_j = slope x_j + offset. So
weights and coefficients of the columns themselves say the same, and one follows from the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sonar.errors import ConfigError, DataError
from sonar.families.quadratic.losses.base import Matrix, Vector
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.maps.base import Line
from sonar.families.quadratic.spec import QuadraticSpec, by_output

Levels = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Slope:
    """What the model says moves by `per_unit` for each unit of the column, between low and high."""

    per_unit: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def bounded(self) -> bool:
        """Whether it holds in a range only."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def levels_of(features: Sequence[str], x: Matrix) -> dict[str, tuple[float, float]]:
    """Return the two values, lower first, of each column of x float64[n, features] that has just two."""
    found = {name: np.unique(column) for name, column in zip(features, x.T, strict=True)}
    return {name: (float(two[0]), float(two[1])) for name, two in found.items() if len(two) == 2}


def slopes_of(spec: QuadraticSpec, weights: Vector, levels: Levels) -> dict[str, Slope]:
    """Return a slope for each of float64[spec.weights], by its name; the bias's is the constant.

    Of a column with two `levels` it is what the model moves by between them, clip included. Raises DataError
    if two weights have one name.
    """
    names = spec.weight_names
    if len(set(names)) < len(names):
        hint = "`weights` has them in order; or rename a column"
        raise DataError("coefficients", "two columns of the feature map have one name", hint=hint)
    line = _line(spec, levels)
    slopes = []
    for (constant, unit), w in zip(_says(spec), by_output(spec, weights).T, strict=True):
        per_unit = unit * w[:-1] * line.slope
        ends = (per_unit.tolist(), line.low.tolist(), line.high.tolist())
        slopes += [Slope(*each) for each in zip(*ends, strict=True)]
        slopes.append(Slope(float(constant + unit * (w[-1] + w[:-1] @ line.offset))))
    return dict(zip(names, slopes, strict=True))


def weights_from(spec: QuadraticSpec, per_unit: Matrix, constants: Vector, levels: Levels) -> Vector:
    """Return weights float64[spec.weights] with these coefficients float64[outputs, features] and constants.

    The inverse of `slopes_of`. Raises ConfigError for a map that is not a line in each of its columns.
    """
    if len(spec.stages) > 1 or (spec.stages and spec.stages[0].line() is None):
        hint = "leave feature_map out, or start from a LinearModel, whose map is taken over"
        raise ConfigError("start", "is linear in the columns, and the bounty's feature_map is not", hint=hint)
    line, parts = _line(spec, levels), []
    for (constant, unit), slopes, said in zip(_says(spec), per_unit, constants, strict=True):
        w = slopes / (unit * line.slope)
        parts.append([*w, (said - constant) / unit - w @ line.offset])
    return np.concatenate(parts)


def rescaled(weights: Vector, old: QuadraticSpec, new: QuadraticSpec) -> Vector:
    """Return weights float64[new.weights] that say with `new`'s targets what `weights` say with `old`'s.

    The stages are the same; only centre and scale of the targets differ.
    """
    changed = by_output(old, weights).copy()
    for i, ((before, unit), (constant, other)) in enumerate(zip(_says(old), _says(new), strict=True)):
        changed[:, i] *= unit / other
        changed[-1, i] += (before - constant) / other
    return changed.T.ravel()


def _says(spec: QuadraticSpec) -> list[tuple[float, float]]:
    """Return of each output what the model says where phi w is 0, and by how much more where it is 1."""
    if spec.labels is not None and spec.outputs > 1:
        return [(math.log((1.0 + target.centre) / 2.0), 1.0) for target in spec.targets]
    loss, places = LOSSES[spec.loss], np.array([0.0, 1.0])
    told = (loss.predict(target, places) for target in spec.targets)
    return [(float(zero), float(one - zero)) for zero, one in told]


def _line(spec: QuadraticSpec, levels: Levels) -> Line:
    """Return the last stage as a line in each of the columns that it takes."""
    line = spec.stages[-1].line() if spec.stages else None
    if line is None:
        line = Line.unbounded(spec.width - 1)
    if len(spec.stages) > 1:
        return line  # its columns are no longer the features
    for place, name in enumerate(spec.features):
        if name in levels:
            line = line.through(place, *levels[name])
    return line
