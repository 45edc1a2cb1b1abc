"""Write tests/vectors/statistics_ols.json: regressions by statsmodels, which ours must equal on any mines.

    .venv-peers/bin/python scripts/make_vectors_ols.py            write the file
    .venv-peers/bin/python scripts/make_vectors_ols.py --check    only compare; exit 1 when it differs

It runs where statsmodels is installed (`make accuracy` makes that environment); the tests read the file.
statsmodels is given each column less its `shift`, so that its own arithmetic loses nothing where a column
lies far from zero: slopes and all figures are the same, and the intercept is another one.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "statistics_ols.json"
Matrix = NDArray[np.float64]
FIGURES = ("rsquared", "rsquared_adj", "fvalue", "f_pvalue", "llf", "aic", "bic", "scale", "ssr")


def longley() -> dict[str, Any]:
    """Return J. W. Longley's table of 1967, which least squares are hard on."""
    import statsmodels.api as sm

    table = sm.datasets.longley.load_pandas().data
    names = ["GNPDEFL", "GNP", "UNEMP", "ARMED", "POP", "YEAR"]
    # In thousands, as numbers beyond 2^31 are not published.
    rows = table[[*names, "TOTEMP"]].to_numpy(float) / [1, 1000, 1, 1, 1, 1, 1]
    bounds = [[50, 150], [100, 1000], [0, 10000], [0, 10000], [0, 200000], [1900, 2000], [0, 100000]]
    return {"names": names, "target": "TOTEMP", "rows": rows.tolist(), "bounds": bounds, "mines": 3}


def drawn(seed: int, n: int, far: bool) -> dict[str, Any]:
    """Return rows of which `far` says whether a column's bounds are a million times its deviation."""
    rng = np.random.default_rng(seed)
    a = rng.normal(900_000, 1, n).round(6) if far else rng.normal(3, 2, n).round(4)
    b, c = rng.uniform(-5, 40, n).round(3), rng.integers(0, 2, n).astype(float)
    w = rng.uniform(0.5, 4, n).round(3)
    y = 1.5 * (a - 900_000 * far) + 0.25 * b - 2 * c + 10 + rng.normal(0, 1, n) / np.sqrt(w)
    bounds = [[0, 1_000_000] if far else [-20, 20], [-10, 50], [0, 1], [0.25, 5], [-100, 100]]
    return {
        "names": ["a", "b", "c"],
        "target": "y",
        "weight": "w",
        "rows": np.column_stack([a, b, c, w, y.round(4)]).tolist(),
        "bounds": bounds,
        "shift": [900_000.0 if far else 0.0, 0.0, 0.0],
        "mines": 10,
    }


CASES: dict[str, tuple[Callable[[], dict[str, Any]], dict[str, Any]]] = {
    "longley": (longley, {}),
    "plain": (lambda: drawn(1, 200, False), {}),
    "no intercept": (lambda: drawn(2, 200, False), {"intercept": False}),
    "weighted": (lambda: drawn(3, 200, False), {"weighted": True}),
    "far": (lambda: drawn(4, 600, True), {}),
    "robust": (lambda: drawn(6, 200, False), {"robust": "HC1"}),
    "robust, no intercept": (lambda: drawn(7, 200, False), {"robust": "HC0", "intercept": False}),
    "robust and far": (lambda: drawn(8, 600, True), {"robust": "HC0"}),
    "far and weighted": (lambda: drawn(5, 600, True), {"weighted": True}),
}


def vectors() -> dict[str, Any]:
    """Return all cases with their figures."""
    found = {}
    for name, (make, options) in CASES.items():
        case: dict[str, Any] = make() | {"intercept": True, "weighted": False, "robust": None} | options
        found[name] = case | {"expected": figures(case)}
    return {"about": "least squares by statsmodels, see scripts/make_vectors_ols.py", "cases": found}


def figures(case: dict[str, Any]) -> dict[str, Any]:
    """Return what statsmodels says."""
    import statsmodels.api as sm

    rows: Matrix = np.array(case["rows"])
    d = len(case["names"])
    x = rows[:, :d] - case.get("shift", [0.0] * d)
    design = sm.add_constant(x, has_constant="add") if case["intercept"] else x
    y = rows[:, -1]
    model = sm.WLS(y, design, weights=rows[:, d]) if case["weighted"] else sm.OLS(y, design)
    fit = model.fit(cov_type=case["robust"] or "nonrobust")
    arrays = {name: getattr(fit, name).tolist() for name in ("params", "bse", "tvalues", "pvalues")}
    single = {name: float(getattr(fit, name)) for name in FIGURES}
    interval = fit.conf_int(0.05).tolist()
    return {
        **arrays,
        "conf_int": interval,
        **single,
        "df_model": int(fit.df_model),
        "df_resid": int(fit.df_resid),
    }


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal but for the last digits of floats, which machines differ in."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-7, abs_tol=1e-12)
    return bool(one == other)


def main() -> int:
    """Write the file, or compare."""
    found = json.loads(json.dumps(vectors()))
    if "--check" in sys.argv[1:]:
        return 0 if same(found, json.loads(PATH.read_text(encoding="utf-8"))) else 1
    PATH.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
