"""Kaplan-Meier curves and log-rank tests beside lifelines on the pooled rows."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy.base import Compared, Found, equal, relative
from pysonar.statistics.local import compute
from pysonar.statistics.survival.kaplan_meier import KaplanMeier, KaplanMeierResult
from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, NumberColumn

LIMIT = 1e-12
MINES = 10
LEVELS = ("miR-137", "control")


def kaplan_meier(quick: bool) -> Found:
    """The curves of two groups at every time of an event, their intervals, and their log-rank test."""
    from lifelines import KaplanMeierFitter
    from lifelines.datasets import load_waltons
    from lifelines.statistics import logrank_test

    data = load_waltons()
    group = (data.group == "control").to_numpy() * 1
    time, event = data["T"].to_numpy(dtype=np.float64), data["E"].to_numpy(dtype=np.float64)
    grid = sorted(set(time[event == 1].tolist()))
    columns = (
        NumberColumn(name="time", low_q32=0, high_q32=to_q32(100)),
        NumberColumn(name="event", low_q32=0, high_q32=to_q32(1)),
        CategoryColumn(name="group", levels=LEVELS),
    )
    tables = np.array_split(np.column_stack([time, event, group]), MINES)
    ours = compute(KaplanMeier(time="time", event="event", grid=tuple(grid), by="group"), columns, tables)
    assert isinstance(ours, KaplanMeierResult)
    assert ours.log_rank is not None
    one, two = group == 0, group == 1
    test = logrank_test(time[one], time[two], event[one], event[two])
    compared: list[Compared] = [relative("log-rank chi2", ours.log_rank.chi2, test.test_statistic, LIMIT)]
    times = [f"{each:g}" for each in grid]
    for level, here in zip(LEVELS, (one, two), strict=True):
        fit = KaplanMeierFitter().fit(time[here], event[here], timeline=grid)
        curve, survival = ours.curve(level), fit.survival_function_.to_numpy().ravel()
        ends = fit.confidence_interval_survival_function_.to_numpy()
        compared += equal(f"survival of {level} at", times, curve.survival, survival[-len(grid) :], LIMIT)
        compared += equal(
            f"lower end of {level} at", times, curve.interval[:, 0], ends[-len(grid) :, 0], 1e-9
        )
        compared.append(relative(f"median of {level}", curve.median, fit.median_survival_time_, 0.0))
    what = f"Kaplan-Meier of two groups over {MINES} mines on every time of an event, one round"
    return Found(what, "lifelines", compared)
