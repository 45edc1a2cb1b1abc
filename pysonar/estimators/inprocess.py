"""A campaign of the quadratic family in this process: rows dealt over mines that are only parts of a table.

Everything that decides a model is a network's: the design from held-out rows (here all rows), each mine's
sums in fixed point, their bounds, the packed sums of a cohort, and the optimiser's steps. There is no key, so
nothing is hidden; no money; and no mine refuses for having few rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.settings import Settings
from pysonar.bounty.start import designed
from pysonar.bounty.tables import HeldOut
from pysonar.models.linear import LinearModel
from sonar.families.quadratic.answer import LocalMap, local_map, moments
from sonar.families.quadratic.course import Course, next_point, start_of
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.optimisers.base import Optimiser
from sonar.families.quadratic.prepare import check_sizes, mapped_rows

Matrix = NDArray[np.float64]

LEAST_ROWS = 10
"""A mine has so many rows at least; of fewer rows in all there are fewer mines."""
STILL = 2
"""After so many rounds in which the loss did not fall, nothing more comes of it."""


def dealt(rows: int, mines: int) -> list[slice]:
    """Return which rows each mine has: one after the other in turn, as cards are dealt."""
    count = max(1, min(mines, rows // LEAST_ROWS))
    return [slice(mine, None, count) for mine in range(count)]


def fitted(settings: Settings, held_out: HeldOut, mines: int) -> tuple[LinearModel, int]:
    """Return the model of a campaign over `mines` mines that have `held_out` dealt out, and its rounds.

    Raises DataError, ConfigError, PlanError, BoundsError.
    """
    tables = [held_out.values[part] for part in dealt(held_out.rows, mines)]
    most = max(len(table) for table in tables)
    settings = settings.model_copy(update={"weight_rows": most, "cohort": max(len(tables), 2)})
    design = designed(settings, held_out, None)
    maps = [_prepared(design, table) for table in tables]
    course = _course(design, settings.optimiser.optimiser(design.ground), maps, settings.rounds)
    return LinearModel.of(design, course), len(course.visited)


def _prepared(design: Design, table: Matrix) -> LocalMap:
    found = local_map(design.spec, moments(*mapped_rows(design.spec, table)), design.plan.data_frac)
    check_sizes(design.spec, design.plan, found)
    return found


def _course(design: Design, optimiser: Optimiser, maps: Sequence[LocalMap], rounds: int) -> Course:
    course, names = start_of(design), [str(number) for number in range(len(maps))]
    rows = sum(one.rows for one in maps)
    for number in range(1, rounds + 1):
        sums = _opened(design, maps, course.current.weights_int)
        course = course.seen(number, sums, rows, names, design.plan)
        course = course.moved(next_point(course, optimiser, design))
        if course.points.index(course.best) + STILL < len(course.points):
            break
    return course


def _opened(design: Design, maps: Sequence[LocalMap], weights_int: Sequence[int]) -> list[int]:
    """Return the cohort's sum of answers times rows, which went through packed plaintexts."""
    plan = design.plan
    packed = [plan.pack(one.answer(weights_int, plan.weight_frac)) for one in maps]
    sums = [
        sum(one.rows * number for one, number in zip(maps, column, strict=True))
        for column in zip(*packed, strict=True)
    ]
    return plan.unpack(sums, weight=sum(one.rows for one in maps))
