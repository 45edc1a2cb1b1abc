"""A bounty's rounds over mines in this process, with the product's own designs, checks, sums and steps.

Nothing is encrypted: opening an answer gives the same integers. A mine refuses what it would refuse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.request import Bounty
from pysonar.models.linear import LinearModel
from sonar.families.quadratic.course import next_point, start_of
from sonar.families.quadratic.prepare import prepare

Matrix = NDArray[np.float64]


def trained(bounty: Bounty, tables: Sequence[Matrix]) -> LinearModel:
    """The model of a bounty that these mines took part in, float64[rows, columns of the bounty] each."""
    design = bounty.design
    maps = [prepare(design.spec, design.plan, [table]) for table in tables]
    rows = [min(one.rows, design.plan.weight_rows) for one in maps]
    course, names = start_of(design), [str(mine) for mine in range(len(maps))]
    for number in range(1, bounty.settings.rounds + 1):
        answers = [one.answer(course.current.weights_int, design.plan.weight_frac) for one in maps]
        sums = [
            sum(n * u for n, u in zip(rows, column, strict=True)) for column in zip(*answers, strict=True)
        ]
        course = course.seen(number, sums, sum(rows), names, design.plan)
        course = course.moved(next_point(course, bounty.optimiser, design))
    return LinearModel.of(design, course)
