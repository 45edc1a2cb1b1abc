"""Data that come with Sonar, for the demo, the notebook and tests."""

from __future__ import annotations

from importlib import resources

import numpy as np

from sonar.data.table import Table, parse_csv
from sonar.errors import DataError

NAMES = ("diabetes",)
HOLDOUT_ROWS = 42
DIABETES_FEATURES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
DIABETES_TARGET = "target"


def load(name: str) -> Table:
    """Return a bundled table. Raises DataError for an unknown name.

    diabetes: 442 patients, ten measurements and the progression of the disease a year later, in raw units;
    from Efron, Hastie, Johnstone and Tibshirani, "Least Angle Regression", Annals of Statistics 2004. The
    same values as scikit-learn's `load_diabetes(scaled=False)`.
    """
    if name not in NAMES:
        raise DataError(f"example {name[:40]!r}", f"is not bundled; there is: {', '.join(NAMES)}")
    file = resources.files("sonar.data") / "tables" / f"{name}.csv"
    return parse_csv(file.read_bytes(), f"{name}.csv")


def holdout(table: Table, rows: int = HOLDOUT_ROWS) -> Table:
    """Return the first `rows` rows, which the scientist keeps.

    Raises DataError when there are not more than that.
    """
    if not 0 < rows < table.rows:
        raise DataError("holdout", f"{rows} of {table.rows} rows", hint=f"take 1 to {table.rows - 1}")
    return table.slice(0, rows)


def shard(table: Table, index: int, of: int, skip: int = HOLDOUT_ROWS) -> Table:
    """Return part `index` (from 0) of `of` nearly equal parts, in order, of the rows after the first `skip`.

    Raises DataError when there is no such part, or no row for it.
    """
    if not 0 <= index < of:
        raise DataError("shard", f"part {index} of {of}", hint=f"parts are numbered 0 to {of - 1}")
    if not 0 <= skip <= table.rows - of:
        raise DataError("shard", f"{table.rows - skip} rows cannot be split into {of} parts")
    return Table(table.columns, np.array_split(table.values[skip:], of)[index])
