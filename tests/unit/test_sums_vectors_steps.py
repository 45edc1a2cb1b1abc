"""The vectors of terms of steps are right by the protocol's page alone: nothing of ours, and no numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.test_sums_vectors import CASES, Row, Table

Numbers = list[float]
Term = dict[str, Any]


class Floats(Table):
    """The columns of a question as floats."""

    def x(self, names: list[str], row: Row) -> Numbers:
        return [float(one) for one in self.design(names, row)]

    def number(self, name: str, row: Row) -> float:
        return float(self.cell(name, row)) if self.levels(name) else float(self.clipped(name, row))


def q32(values: list[int]) -> Numbers:
    return [value / 2**32 for value in values]


def dot(one: Numbers, other: Numbers) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def added(vectors: list[Numbers], width: int) -> Numbers:
    return [sum(vector[i] for vector in vectors) for i in range(width)]


def times(factor: float, vector: Numbers) -> Numbers:
    return [factor * one for one in vector]


def upper(x: Numbers) -> Numbers:
    return [x[i] * x[j] for i in range(len(x)) for j in range(i, len(x))]


def xlogx(x: float) -> float:
    return x * math.log(x) if x > 0 else 0.0


class Glm:
    """One row's part of a step."""

    def __init__(self, table: Floats, term: Term) -> None:
        self.table, self.term, self.family = table, term, term["family"]
        self.low: float = term["mu_low_q32"] / 2**32
        self.high: float = term["mu_high_q32"] / 2**32

    def mean(self, eta: float) -> float:
        if self.family == "binomial":
            return 1 / (1 + math.exp(-max(-16.0, min(16.0, eta))))
        return max(self.low, min(self.high, math.exp(eta)))

    def sides(self, y: float, m: float) -> tuple[float, float]:
        return {"binomial": (m * (1 - m), y - m), "poisson": (m, y - m), "gamma": (y / m, y / m - 1)}[
            self.family
        ]

    def model(self, y: float, m: float) -> float:
        if self.family == "binomial":
            return y * math.log(m) + (1 - y) * math.log(1 - m)
        return y * math.log(m) - m if self.family == "poisson" else -math.log(m) - y / m

    def alone(self, y: float) -> Numbers:
        """Own and base."""
        if self.family == "binomial":
            return [xlogx(y) + xlogx(1 - y), 0.0]
        if self.family == "poisson":
            return [xlogx(y) - y, -math.lgamma(y + 1)]
        return [-math.log(y) - 1, math.log(y)]

    def squares(self, y: float, m: float) -> float:
        variance = {"binomial": m * (1 - m), "poisson": m, "gamma": m * m}[self.family]
        return min((y - m) ** 2 / variance, 1e6)

    def row(self, row: Row, at: Numbers) -> Numbers:
        x, y = self.table.x(self.term["columns"], row), self.table.number(self.term["target"], row)
        w = self.table.number(self.term["weights"], row) if "weights" in self.term else 1.0
        exposure = self.table.number(self.term["exposure"], row) if "exposure" in self.term else 1.0
        d, offset = len(x), math.log(exposure)
        null = [y / exposure, offset] if self.family == "gamma" else [exposure, y * offset]
        common = [*times(w, x), *times(w * y, x), 1.0, *times(w, [1.0, y, *self.alone(y), *null])]
        if not at[0]:
            assert self.family == "binomial"  # the only one whose first step is in the vectors
            return [*common, *upper(x), *times(y, x), *[0.0] * 5]
        b, s = at[1 : 1 + d], at[1 + d :]
        eta = dot(x, [one + other for one, other in zip(b, s, strict=True)]) + offset
        m = self.mean(eta)
        weight, right = self.sides(y, m)
        p = self.squares(y, m)
        clipped = abs(eta) > 16 if self.family == "binomial" else not self.low <= math.exp(eta) <= self.high
        wrong = self.family == "binomial" and (2 * y - 1) * eta <= 0
        found = [*common, *times(w * weight, upper(x)), *times(w * right, x), w * self.model(y, m)]
        found += [w * min(p, 1.0), w * max(p - 1, 0.0), float(clipped), float(wrong)]
        for t in q32(self.term.get("beside_q32", [])):
            m = self.mean(dot(x, b) + t * dot(x, s) + offset)
            weight, right = self.sides(y, m)
            along = max(-64.0, min(64.0, dot(x, s)))
            found += [w * self.model(y, m), *times(w * right, x), *times(w * weight * along, x)]
        return found


def glm(table: Floats, term: Term, at: Numbers) -> Numbers:
    needed = [term["target"], *term["columns"], term.get("weights"), term.get("exposure")]
    rows = [Glm(table, term).row(row, at) for row in table.complete(*needed)]
    found = added(rows, len(rows[0]))
    if not at[0]:  # a first step fills the bounds of the others: 1/4 for the weight, 1 for the right side
        start = 2 * len(table.x(term["columns"], table.complete(*needed)[0])) + 7
        matrix = len(upper(table.x(term["columns"], table.complete(*needed)[0])))
        found[start : start + matrix] = times(0.25, found[start : start + matrix])
    return found


def timed(table: Floats, term: Term, row: Row) -> tuple[int, bool, bool, bool]:
    """At how many grid times a row is at risk, whether its event is seen, is between two, is after all."""
    grid, time = q32(term["grid_q32"]), table.number(term["time"], row)
    event = table.number(term["event"], row) > 0.5
    late = event and time > grid[-1]
    if event and not late:
        place = sum(one < time for one in grid)
        return place + 1, True, grid[place] != time, False
    return sum(one <= time for one in grid), False, False, late


def at_risk(table: Floats, term: Term, at: Numbers) -> Numbers:
    found, size = list[float](), len(term["grid_q32"]) + 1
    for group in table.groups(term.get("by"), table.complete(term["time"], term["event"], term.get("by"))):
        rows = [timed(table, term, row) for row in group]
        found += [float(sum(r[1] and r[0] == k + 1 for r in rows)) for k in range(size)]
        found += [float(sum(not r[1] and r[0] == k for r in rows)) for k in range(size)]
        found += [float(sum(r[2] for r in rows)), float(sum(r[3] for r in rows))]
    return found


def cox(table: Floats, term: Term, at: Numbers) -> Numbers:
    rows = table.complete(term["time"], term["event"], *term["columns"], term.get("strata"))
    times_, efron, most = (
        len(term["grid_q32"]),
        term.get("ties", "efron") == "efron",
        term["risk_max_q32"] / 2**32,
    )
    p = len(table.x(term["columns"], rows[0])) - 1
    groups = table.groups(term.get("strata"), rows)
    cells = len(groups) * times_
    a, f = at[1 + p : 1 + p + cells], at[1 + p + cells :]
    events, risks, ties = (
        [0.0] * cells,
        [[0.0] * (1 + p) for _ in range(cells)],
        [[0.0] * (1 + p) for _ in range(cells)],
    )
    seen, every, matrix, scalars = [0.0] * p, [0.0] * p, [0.0] * (p * (p + 1) // 2), [0.0] * 4
    for g, group in enumerate(groups):
        for row in group:
            x = table.x(term["columns"], row)[1:]
            until, died, between, late = timed(table, term, row)
            raw = math.exp(dot(x, at[1 : 1 + p]) - at[0])
            r, place = min(raw, most), g * times_ + until - 1
            part = [r, *times(r, x)]
            for k in range(until):
                risks[g * times_ + k] = added([risks[g * times_ + k], part], 1 + p)
            h = sum(max(0.0, min(1.0, one)) for one in a[g * times_ : g * times_ + until])
            if died:
                events[place] += 1
                ties[place], seen = added([ties[place], part], 1 + p), added([seen, x], p)
                h -= max(0.0, min(1.0, f[place])) if efron else 0.0
            every = added([every, x], p)
            matrix = added([matrix, times(r * max(0.0, min(1.0, h)), upper(x))], len(matrix))
            scalars = added([scalars, [1.0, float(between), float(late), float(raw > most)]], 4)
    blocks = [one for cell in risks for one in cell] + (
        [one for cell in ties for one in cell] if efron else []
    )
    return [*events, *blocks, *seen, *every, *matrix, *scalars]


def scores(table: Floats, term: Term, at: Numbers) -> Numbers:
    rows = table.complete(term["target"], *term["columns"], term.get("by"))
    width = len(table.x(term["columns"], rows[0]))
    weights = [at[start : start + width] for start in range(0, len(at), width)]
    found: Numbers = []
    for group in table.groups(term.get("by"), rows):
        said = [[dot(table.x(term["columns"], row), one) for one in weights] for row in group]
        found += TASKS[term["task"]](table, term, group, said)
    return found


def binned(term: Term, values: Numbers, weights: Numbers) -> Numbers:
    edges = q32(term["edges_q32"])
    places = [sum(edge <= value for edge in edges) for value in values]
    return [
        sum(w for place, w in zip(places, weights, strict=True) if place == k) for k in range(len(edges) + 1)
    ]


def regression(table: Floats, term: Term, rows: list[Row], said: list[Numbers]) -> Numbers:
    y, q = [float(table.standard(term["target"], row)) for row in rows], [one[0] for one in said]
    raw = [a - b for a, b in zip(q, y, strict=True)]
    e = [max(-4.0, min(4.0, one)) for one in raw]
    real = [float(len(y)), sum(y), dot(y, y), sum(e), dot(e, e), sum(map(abs, e))]
    real.append(float(sum(a != b for a, b in zip(e, raw, strict=True))))
    shown = [round(max(-5.0, min(5.0, one)) * 256) / 256 for one in q]
    bins = told([binned(term, q, one) for one in ([1.0] * len(q), shown, y)])
    return [*real, *bins[0], *bins[1], *bins[2]]


def told(bins: list[Numbers]) -> list[Numbers]:
    """Runs of bins with at least 5 rows, each at the bin of its middle row."""
    runs: list[list[int]] = [[]]
    for place in range(len(bins[0])):
        runs[-1].append(place)
        if bins[0][place] and sum(bins[0][k] for k in runs[-1]) >= 5:
            runs.append([])
    rest = runs.pop()
    if runs and sum(bins[0][k] for k in rest):
        runs[-1] += rest
    elif not runs:
        runs = [rest]
    found = [[0.0] * len(line) for line in bins]
    for run in runs:
        rows = [bins[0][k] for k in run]
        half = next(k for k in range(len(run)) if 2 * sum(rows[: k + 1]) >= sum(rows))
        for to, line in zip(found, bins, strict=True):
            to[run[half]] = sum(line[k] for k in run)
    return found


def logistic(table: Floats, term: Term, rows: list[Row], said: list[Numbers]) -> Numbers:
    y = [table.number(term["target"], row) for row in rows]
    logits = [max(-35.0, min(35.0, one[0])) for one in said]
    p = [1 / (1 + math.exp(-one)) for one in logits]
    losses = [math.log1p(math.exp(-one if side else one)) for one, side in zip(logits, y, strict=True)]
    pairs = list(zip(p, y, strict=True))
    found = [float(len(y)), sum(y), sum(losses), sum((a - b) ** 2 for a, b in pairs)]
    threshold = term.get("threshold_q32", 1 << 31) / 2**32
    found += [
        float(sum(b == t and (a >= threshold) == s for a, b in pairs)) for t in (0, 1) for s in (False, True)
    ]
    shown = [1 / (1 + math.exp(-round(one * 64) / 64)) for one in logits]
    sides = []
    for side in ([1 - one for one in y], y):
        sides.append(told([binned(term, p, side), binned(term, p, times_each(side, shown))]))
    return [*found, *sides[0][0], *sides[1][0], *sides[0][1], *sides[1][1]]


def times_each(one: Numbers, other: Numbers) -> Numbers:
    return [a * b for a, b in zip(one, other, strict=True)]


def classes(table: Floats, term: Term, rows: list[Row], said: list[Numbers]) -> Numbers:
    y, count = [int(table.cell(term["target"], row)) for row in rows], len(said[0])
    p = []
    for line in said:
        odds = [math.exp(max(one - max(line), -35.0)) for one in line]
        p.append([one / sum(odds) for one in odds])
    found = [float(len(y)), sum(-math.log(line[c]) for line, c in zip(p, y, strict=True))]
    found.append(
        sum((line[c] - (own == c)) ** 2 for line, own in zip(p, y, strict=True) for c in range(count))
    )
    largest = [line.index(max(line)) for line in p]
    found += [
        float(sum(a == t and b == s for a, b in zip(y, largest, strict=True)))
        for t in range(count)
        for s in range(count)
    ]
    for c in range(count):
        for side in (False, True):
            sides = [float((own == c) == side) for own in y]
            found += told([binned(term, [line[c] for line in p], sides)])[0]
    return found


TASKS: dict[str, Callable[[Floats, Term, list[Row], list[Numbers]], Numbers]] = {
    "regression": regression,
    "logistic": logistic,
    "classes": classes,
}
STEPS: dict[str, Callable[[Floats, Term, Numbers], Numbers]] = {
    "glm-step": glm,
    "at-risk": at_risk,
    "cox-step": cox,
    "scores": scores,
}
STEPPED = [case for case in CASES.values() if case["spec"]["terms"][0]["kind"] in STEPS]


@pytest.mark.parametrize("case", STEPPED, ids=lambda case: case["name"])
def test_an_answer_is_the_sums_of_the_page(case: dict[str, Any]) -> None:
    (term,) = case["spec"]["terms"]
    scale = 2 ** case["plan"]["data_frac"]
    sent = [bound * int(one) / scale for bound, one in zip(case["bounds"], case["answer"], strict=True)]
    wanted = STEPS[term["kind"]](Floats(case["spec"]), term, q32([int(one) for one in case["question"]]))
    assert len(sent) == 1 + len(wanted)
    for place, (found, right) in enumerate(zip(sent[1:], wanted, strict=True)):
        room = case["bounds"][place + 1] / scale + 1e-12 * abs(right)
        assert abs(found - right) <= room, (place, found, right)


def test_every_kind_of_step_is_there() -> None:
    assert {case["spec"]["terms"][0]["kind"] for case in STEPPED} == set(STEPS)
    assert {case["spec"]["terms"][0].get("task") for case in STEPPED} >= set(TASKS)
