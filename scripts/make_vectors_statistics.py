"""Write tests/vectors/statistics.json: what statsmodels and lifelines find of small data sets of theirs.

    .venv-peers/bin/python scripts/make_vectors_statistics.py           write the file
    .venv-peers/bin/python scripts/make_vectors_statistics.py --check   compare; exit 1 when a figure differs

It needs `make accuracy`'s environment. Both libraries iterate until nothing changes any more, which their
defaults do not: lifelines' stop at 1e-5 or so.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "statistics.json"
_CHECKED = 1e-7
_PRECISE = {"precision": 1e-11, "r_precision": 1e-12}


def main(arguments: list[str]) -> int:
    """Write the file, or with --check compare it."""
    made = {"glm": glm(), "cox": cox(), "kaplan-meier": kaplan_meier()}
    if "--check" in arguments:
        return 0 if _same(json.loads(PATH.read_text(encoding="utf-8")), made) else 1
    PATH.write_text(json.dumps(made, separators=(",", ":")).replace('},"', '},\n"') + "\n", encoding="utf-8")
    return 0


def glm() -> list[dict[str, Any]]:
    """Logistic, Poisson and gamma regressions of statsmodels."""
    import statsmodels.api as sm

    families = {
        "spector": sm.families.Binomial(),
        "cpunish": sm.families.Poisson(),
        "scotland": sm.families.Gamma(sm.families.links.Log()),
    }
    found = []
    for name, family in families.items():
        data = getattr(sm.datasets, name).load_pandas()
        names = [column for column in data.exog.columns if column not in ("const", "SOUTH", "DEGREE")]
        x, y = data.exog[names].to_numpy(dtype=float), data.endog.to_numpy(dtype=float)
        fit = sm.GLM(y, sm.add_constant(x), family=family).fit(tol=1e-14, maxiter=200)
        found.append(
            {
                "data": name,
                "family": type(family).__name__.lower(),
                "names": names,
                "rows": np.column_stack([x, y]).tolist(),
                "params": fit.params.tolist(),
                "bse": fit.bse.tolist(),
                "pvalues": fit.pvalues.tolist(),
                "llf": float(fit.llf),
                "llnull": float(fit.llnull),
                "deviance": float(fit.deviance),
                "null_deviance": float(fit.null_deviance),
                "pearson_chi2": float(fit.pearson_chi2),
                "scale": float(fit.scale),
                "aic": float(fit.aic),
                "pseudo_r2": float(fit.pseudo_rsquared()),
            }
        )
    return found


def cox() -> list[dict[str, Any]]:
    """Cox regressions of lifelines, with tied times and with strata."""
    from lifelines import CoxPHFitter
    from lifelines.datasets import load_larynx, load_rossi, load_waltons

    rossi, larynx, waltons = load_rossi(), load_larynx(), load_waltons()
    waltons["control"] = (waltons.group == "control") * 1
    asked = [
        ("rossi", rossi, "week", "arrest", ["fin", "age", "race", "wexp", "mar", "paro", "prio"], None),
        ("rossi by wexp", rossi, "week", "arrest", ["fin", "age", "prio"], "wexp"),
        ("larynx", larynx, "time", "death", ["age", "Stage_II", "Stage_III", "Stage_IV"], None),
        ("waltons", waltons, "T", "E", ["control"], None),
    ]
    found = []
    for name, data, time, event, names, strata in asked:
        used = data[[time, event, *names, *([strata] if strata else [])]]
        fit = CoxPHFitter().fit(used, time, event, strata=strata, fit_options=_PRECISE)
        grid = sorted(set(used[time][used[event] == 1]))
        found.append(
            {
                "data": name,
                "names": names,
                "strata": strata,
                "rows": used.to_numpy(dtype=float).tolist(),
                "grid": [float(each) for each in grid],
                "params": fit.params_.tolist(),
                "bse": fit.standard_errors_.tolist(),
                "pvalues": fit.summary.p.tolist(),
                "llf": float(fit.log_likelihood_),
                "aic": float(fit.AIC_partial_),
                "lr": float(fit.log_likelihood_ratio_test().test_statistic),
                "baseline": fit.baseline_hazard_.loc[grid].to_numpy().T.tolist(),
                "survival": fit.predict_survival_function(used.iloc[:5]).loc[grid].to_numpy().T.tolist(),
            }
        )
    return found


def kaplan_meier() -> list[dict[str, Any]]:
    """Kaplan-Meier curves and log-rank tests of lifelines."""
    from lifelines import KaplanMeierFitter
    from lifelines.datasets import load_larynx, load_waltons
    from lifelines.statistics import multivariate_logrank_test, pairwise_logrank_test
    from lifelines.utils import median_survival_times

    larynx, waltons = load_larynx(), load_waltons()
    stage = (larynx.Stage_II + 2 * larynx.Stage_III + 3 * larynx.Stage_IV).to_numpy()
    asked = [
        ("larynx", larynx.time, larynx.death, stage, ["I", "II", "III", "IV"]),
        ("waltons", waltons["T"], waltons.E, (waltons.group == "control").to_numpy() * 1, ["miR", "control"]),
    ]
    found = []
    for name, time, event, group, levels in asked:
        times, events = time.to_numpy(dtype=float), event.to_numpy(dtype=float)
        grid = sorted(set(times[events == 1].tolist()))
        curves = {}
        for place, level in enumerate(levels):
            here = group == place
            fit = KaplanMeierFitter().fit(times[here], events[here], timeline=grid)
            interval = fit.confidence_interval_survival_function_
            curves[level] = {
                "survival": fit.survival_function_.loc[grid].to_numpy().ravel().tolist(),
                "interval": interval.loc[grid].to_numpy().tolist(),
                "median": _number(float(fit.median_survival_time_)),
                "median_interval": [_number(v) for v in median_survival_times(interval).to_numpy().ravel()],
            }
        test = multivariate_logrank_test(times, group, events)
        pairs = pairwise_logrank_test(times, group, events)
        found.append(
            {
                "data": name,
                "levels": levels,
                "rows": np.column_stack([times, events, group]).tolist(),
                "grid": grid,
                "curves": curves,
                "overall": [float(test.test_statistic), float(test.p_value)],
                "pairs": np.column_stack([pairs.test_statistic, pairs.p_value]).tolist(),
            }
        )
    return found


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _same(one: Any, other: Any, where: str = "") -> bool:
    """Compare two documents, numbers within 1e-7; say the first place where they differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return all(_same(one[key], other[key], f"{where}.{key}") for key in one)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return all(
            _same(*pair, f"{where}.{place}") for place, pair in enumerate(zip(one, other, strict=True))
        )
    if isinstance(one, float | int) and isinstance(other, float | int):
        same = math.isclose(one, other, rel_tol=_CHECKED, abs_tol=1e-12)
    else:
        same = one == other
    if not same:
        print(f"statistics.json{where}: {one!r}, and now {other!r}", file=sys.stderr)
    return same


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
