"""Separation: columns that tell the target without a fault have no finite coefficient.

Albert and Anderson, Biometrika 71, 1984. Three signs: coefficients that put every row on its side (exact); a
level whose rows all have the same target (exact); steps that do not get shorter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.fits.newton import length_of
from pysonar.statistics.fits.warning import PerfectSeparationWarning, Told
from pysonar.statistics.glm.opened import Common, Opened
from sonar.data.schema import CategoryColumn
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.steps.glm_step import GlmStep

Vector = NDArray[np.float64]

_LEAST_PART = 0.5
_NOT_SHORTER = 0.6
_NONE = 1e-6


def separation_of(
    spec: SumsSpec, asked: GlmStep, labels: Sequence[str], rounds: Sequence[Opened]
) -> list[Told]:
    """Return what is said of it; nothing if the model has finite estimates."""
    binomial, target = asked.family == "binomial", asked.target
    texts = [
        f"perfect separation: {text}; its coefficient has no finite estimate, and the one that is shown "
        "depends on the number of rounds"
        for text in _levels(spec, asked.columns, rounds[-1].common, target, binomial)
    ]
    apart = next((one for one in rounds if one.separated), None) if binomial else None
    if not texts and apart is not None:
        columns = _largest(labels, apart.end.coefficients)
        texts = [f"perfect separation: {columns} tell {target!r} of every row; estimates are not finite"]
    if not texts and binomial and _grows(rounds):
        columns = _largest(labels, rounds[-1].highest.step)
        texts = [f"perfect separation of some rows, as it seems: the estimates of {columns} grow without end"]
    return [Told(PerfectSeparationWarning, text) for text in texts]


def _levels(spec: SumsSpec, names: Sequence[str], at: Common, target: str, binomial: bool) -> list[str]:
    """Return a text for each level whose rows all have the same target."""
    found, place = list[str](), 1
    for name in names:
        column = spec.by_name[name]
        if not isinstance(column, CategoryColumn):
            place += 1
            continue
        end = place + len(column.levels) - 1
        counts = [at.weight - at.x[place:end].sum(), *at.x[place:end]]
        sums = [at.y - at.xy[place:end].sum(), *at.xy[place:end]]
        for level, count, total in zip(column.levels, counts, sums, strict=True):
            if count > _NONE and total < _NONE:
                found.append(f"{target!r} is 0 in every row where column {name!r} is {level!r}")
            elif binomial and count > _NONE and count - total < _NONE:
                found.append(f"{target!r} is 1 in every row where column {name!r} is {level!r}")
        place = end
    return found


def _grows(rounds: Sequence[Opened]) -> bool:
    steps = [length_of(one.highest.step) for one in rounds[-2:]]
    return len(steps) == 2 and steps[1] > _LEAST_PART and steps[1] > _NOT_SHORTER * steps[0]


def _largest(labels: Sequence[str], values: Vector) -> str:
    """Return the columns, the constant aside, whose values are at least half of the largest."""
    sizes = np.abs(values[1:])
    named = [repr(labels[1 + place]) for place in np.flatnonzero(sizes >= _LEAST_PART * sizes.max()).tolist()]
    return ("columns " if len(named) > 1 else "column ") + ", ".join(named)
