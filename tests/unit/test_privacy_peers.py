"""Ours against opendp and dp-accounting, which `make peers` installs; without them it is skipped by name."""

from __future__ import annotations

import json
import math
import subprocess
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import gmpy2
import pytest

from sonar.privacy.accounting import delta_of, epsilon_of, rho_of
from sonar.privacy.sampler import discrete_gaussian
from tests.unit.privacy_kit import Recorded

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-privacy" / "bin" / "python"
DRAWS, SCALES = 20_000, (0.7, 3.0, 25.0)
PRICES = list(product((1e-3, 0.02, 0.25, 1.0, 5.0), (1e-3, 1e-5, 1e-12)))

pytestmark = [
    pytest.mark.xdist_group("privacy peers"),  # they are asked once
    pytest.mark.skipif(
        not (PYTHON.parents[1] / ".ready").exists(),
        reason="opendp and dp-accounting are missing: run `make peers`",
    ),
]


def order(slope: Callable[[float], float]) -> float:
    """Where a rising function of the order passes zero."""
    low, high = 1.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return high


def question(rho: float, delta: float) -> list[Any]:
    """A price with an epsilon near its own, and the best orders for both."""
    epsilon = 1.1 * epsilon_of(Fraction(rho), delta)
    by_delta = order(lambda a: rho * (a - 1) ** 2 + math.log(delta * a))
    by_epsilon = order(lambda a: (2 * a - 1) * rho - epsilon + math.log1p(-1 / a) if a > 1 else -math.inf)
    return [rho, epsilon, delta, [by_delta, by_epsilon]]


@cache
def told() -> dict[str, Any]:
    asked = {"prices": [question(*each) for each in PRICES], "scales": SCALES, "draws": DRAWS}
    job = ROOT / "benchmarks" / "privacy_job.py"
    done = subprocess.run([PYTHON, job], input=json.dumps(asked), check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(
    "number", range(len(PRICES)), ids=lambda i: f"rho {PRICES[i][0]:g}, {PRICES[i][1]:g}"
)
def test_prices_are_the_others(number: int) -> None:
    rho, epsilon, delta, _ = question(*PRICES[number])
    theirs = told()["prices"][number]
    assert theirs["rho"] == pytest.approx(rho, rel=1e-12)
    for who in ("opendp", "dp-accounting"):
        assert epsilon_of(Fraction(rho), delta) == pytest.approx(theirs[f"{who} epsilon"], rel=1e-9)
        assert delta_of(Fraction(rho), epsilon) == pytest.approx(theirs[f"{who} delta"], rel=1e-9)
        assert float(rho_of(theirs[f"{who} epsilon"], delta)) == pytest.approx(rho, rel=1e-9)


@pytest.mark.parametrize("number", range(len(SCALES)), ids=lambda i: f"scale {SCALES[i]:g}")
def test_draws_are_as_opendps(number: int) -> None:
    """Both samples of one distribution: a chi-square test of each value that is not rare."""
    ours = Counter(discrete_gaussian(Fraction(SCALES[number]) ** 2, DRAWS, Recorded(20)))
    theirs = Counter(told()["draws"][number]["values"])
    cells = [value for value in ours | theirs if ours[value] + theirs[value] >= 20]
    pairs = [(ours[value], theirs[value]) for value in cells]
    pairs.append((DRAWS - sum(a for a, _ in pairs), DRAWS - sum(b for _, b in pairs)))
    statistic = sum((a - b) ** 2 / (a + b) for a, b in pairs if a + b)
    half = (len(pairs) - 1) / 2
    assert gmpy2.gamma_inc(half, statistic / 2) / gmpy2.gamma(half) > 1e-6
