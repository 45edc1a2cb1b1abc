"""The vector file is what the code makes, and is right by the formulas of the protocol's page alone."""

from __future__ import annotations

import json
import math
import runpy
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PATH = ROOT / "tests" / "vectors" / "quadratic.json"
DOCUMENT = json.loads(PATH.read_text())
CASES = {case["name"]: case for case in DOCUMENT["cases"]}
Rows = list[list[float]]


def test_the_code_makes_the_file() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_vectors_quadratic.py"))
    assert script["main"](["--check"]) == 0


# ---- below, nothing of ours and no numpy: Python's numbers, and the page's formulas


def q32(values: Any) -> Any:
    return [q32(one) for one in values] if isinstance(values, list) else values / 2**32


def holds(one: dict[str, Any], row: list[float]) -> bool:
    value = row[one["column"]] * 2**32
    above, upto = (
        float(one.get(end, none)) for end, none in (("above_q32", -math.inf), ("upto_q32", math.inf))
    )
    return bool(above < value <= upto)


def applied(stage: dict[str, Any], row: list[float]) -> list[float]:
    if stage["kind"] == "standard":
        means, stds, clip = q32(stage["mean_q32"]), q32(stage["std_q32"]), q32(stage["clip_q32"])
        return [max(-clip, min(clip, (x - m) / s)) for x, m, s in zip(row, means, stds, strict=True)]
    if stage["kind"] == "clip":
        clip = q32(stage["clip_q32"])
        return [max(-clip, min(clip, x)) for x in row]
    if stage["kind"] == "polynomial":
        powers = range(1, stage["degree"] + 1)
        return [math.prod(each) for power in powers for each in combinations_with_replacement(row, power)]
    if stage["kind"] == "bent":
        return [*row, *map(abs, row)]
    if stage["kind"] == "leaves":
        return [*row, *(float(all(holds(one, row) for one in leaf)) for leaf in stage["leaves"])]
    weights, phases = q32(stage["weights_q32"]), q32(stage["phases_q32"])
    factor = math.sqrt(2 / len(weights))
    return (row if stage.get("beside") else []) + [
        factor * math.cos(sum(w * x for w, x in zip(ws, row, strict=True)) + phase)
        for ws, phase in zip(weights, phases, strict=True)
    ]


def mapped(spec: dict[str, Any], row: list[float]) -> list[float]:
    z = []
    if labels := spec.get("labels"):
        levels = labels["levels"]
        named = levels[1:] if len(levels) == 2 else levels
        row = [1.0 if levels[int(row[0])] == level else -1.0 for level in named]
    for target, y in zip(spec["targets"], row, strict=True):
        clip = q32(target["clip_q32"])
        z.append(max(-clip, min(clip, (y - q32(target["centre_q32"])) / q32(target["scale_q32"]))))
    return z


def mean_products(left: Rows, right: Rows, factor: float) -> Rows:
    pairs = list(zip(left, right, strict=True))
    return [
        [factor * math.fsum(u[i] * v[j] for u, v in pairs) / len(pairs) for j in range(len(right[0]))]
        for i in range(len(left[0]))
    ]


def times(a: Rows, b: Rows) -> Rows:
    return [
        [math.fsum(x * y for x, y in zip(row, col, strict=True)) for col in zip(*b, strict=True)] for row in a
    ]


def rounded(matrix: Rows, places: int) -> list[list[int]]:
    return [[round(math.ldexp(value, places)) for value in row] for row in matrix]


@pytest.mark.parametrize("name", CASES)
def test_the_file_is_right_by_the_formulas(name: str) -> None:
    case, f, g = CASES[name], DOCUMENT["weight_frac"], DOCUMENT["data_frac"]
    spec = case["spec"]
    phi: Rows = []
    for row in case["x"]:
        for stage in spec["stages"]:
            row = applied(stage, row)
        phi.append([*row, 1.0])
    for own, told in zip(phi, case["phi"], strict=True):
        assert own == pytest.approx(told, rel=1e-12, abs=1e-12)
    z = [mapped(spec, row) for row in case["y"]]
    assert z == case["z"]

    a_factor, b_factor = (0.25, 0.5) if spec["loss"] == "logistic-taylor" else (1.0, 1.0)
    a, b = rounded(mean_products(phi, phi, a_factor), g), rounded(mean_products(phi, z, b_factor), g)
    if spec["local_steps"] > 1:
        rate, one = spec["local_rate_q32"] / 2**32, [[math.ldexp(v, -g) for v in row] for row in a]
        step = [[(i == j) - rate * v for j, v in enumerate(row)] for i, row in enumerate(one)]
        power = [[float(i == j) for j in range(len(a))] for i in range(len(a))]
        mean = [[0.0] * len(a) for _ in a]
        for _ in range(spec["local_steps"]):
            mean = [
                [m + p / spec["local_steps"] for m, p in zip(*rows, strict=True)]
                for rows in zip(mean, power, strict=True)
            ]
            power = times(power, step)
        a = rounded(times(mean, one), g)
        b = rounded(times(mean, [[math.ldexp(v, -g) for v in row] for row in b]), g)
    told_a, told_b = ([[int(v) for v in row] for row in case[key]] for key in ("a", "b"))
    for own_row, told_row in zip([*a, *b], [*told_a, *told_b], strict=True):
        assert all(abs(x - y) <= 1 for x, y in zip(own_row, told_row, strict=True))
    assert told_a == [list(column) for column in zip(*told_a, strict=True)]

    d, k = len(told_b), len(told_b[0])
    w = [int(value) for value in case["weights"]]
    answer = [
        (told_b[i][o] << f) - sum(told_a[i][j] * w[o * d + j] for j in range(d))
        for o in range(k)
        for i in range(d)
    ]
    assert answer == [int(value) for value in case["answer"]]
    assert len(case["weight_names"]) == d * k
