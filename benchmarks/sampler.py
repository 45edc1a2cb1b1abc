"""The noise of `sonar.privacy`: how quick it is, how exact, and its price, against opendp's and others'."""

from __future__ import annotations

import json
import math
import random
import secrets
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import gmpy2

from benchmarks.figures import Figure, document_of
from benchmarks.race import timed
from sonar.privacy.accounting import delta_of, epsilon_of
from sonar.privacy.sampler import discrete_gaussian

DRAWS, PEER_DRAWS, REFERENCE_DRAWS = 1_000_000, 50_000, 3_000
SECONDS_MOST = 60.0
P_LEAST = 1e-6
ERROR_MOST = 1e-9
DEVIATIONS = {"deviation 10": 10.0, "deviation 2^26": 2.0**26, "deviation 2^62": 2.0**62}
VARIANCES = [Fraction(1, 10), Fraction(1, 2), Fraction(1), Fraction(3), Fraction(100), Fraction(355, 113)]
PRICES = list(product((1e-3, 0.02, 0.25, 1.0, 5.0), (1e-3, 1e-5, 1e-12)))
"""rho and delta."""
ENVIRONMENT = Path(__file__).resolve().parent.parent / ".venv-privacy"
JOB = Path(__file__).with_name("privacy_job.py")
PEERS = ("opendp", "dp-accounting")


def privacy_sampler(quick: bool, draws: int = DRAWS) -> dict[str, Any]:
    """Processor seconds for a million draws, others' in turns with ours, and chi-square tests."""
    seconds: dict[str, list[float]] = {}
    ratio: dict[str, list[float]] = {}
    for name, deviation in DEVIATIONS.items():
        variance = Fraction(deviation) ** 2
        for _ in range(1 if quick else 3):
            ours = _seconds(partial(discrete_gaussian, variance, draws, secrets.token_bytes))
            seconds.setdefault(f"sonar, {name}", []).append(ours)
            for other, theirs in _others(deviation, variance, draws):
                seconds.setdefault(f"{other}, {name}", []).append(theirs)
                ratio.setdefault(f"{other}, {name}", []).append(theirs / ours)
    figures = {
        f"seconds, {name}": Figure.most(median(seconds[f"sonar, {name}"]), SECONDS_MOST)
        for name in DEVIATIONS
    }
    for variance in VARIANCES:
        found = chi_square(discrete_gaussian(variance, draws, secrets.token_bytes), variance)
        figures[f"chi-square p-value, variance {variance}"] = Figure.least(found, P_LEAST)
    note = f"processor time of one core for {draws:,} draws; the others' of fewer, scaled"
    return document_of(figures, "s", note) | {
        "ratio": {name: median(each) for name, each in ratio.items()},
        "medians": {name: median(each) for name, each in seconds.items()},
        "missing": [] if ready() else ["opendp"],
    }


def _others(deviation: float, variance: Fraction, draws: int) -> list[tuple[str, float]]:
    """What others take for as many draws. opendp's integers have 32 bits."""
    few, fewer = min(draws, PEER_DRAWS), min(draws, REFERENCE_DRAWS)
    reference = _seconds(lambda: [by_the_paper(variance) for _ in range(fewer)])
    found = [("reference code", reference * draws / fewer)]
    if ready() and deviation < 2.0**28:
        told = told_by_peers({"scales": [deviation], "draws": few})["draws"]
        found.append(("opendp", told[0]["seconds"] * draws / few))
    return found


def _seconds(call: Callable[[], object]) -> float:
    return timed(call)[0]


def privacy_accounting() -> dict[str, Any]:
    """The greatest relative difference of epsilon and delta from what opendp and dp-accounting say."""
    figures = {}
    if ready():
        asked = [question(*each) for each in PRICES]
        told = told_by_peers({"prices": asked})["prices"]
        for who in PEERS:
            off = [
                error
                for (rho, epsilon, delta, _), theirs in zip(asked, told, strict=True)
                for error in (
                    _off(epsilon_of(Fraction(rho), delta), theirs[f"{who} epsilon"]),
                    _off(delta_of(Fraction(rho), epsilon), theirs[f"{who} delta"]),
                )
            ]
            figures[f"{who}, relative difference"] = Figure.most(max(off), ERROR_MOST)
    found = document_of(figures, "", f"epsilon and delta at {len(PRICES)} prices")
    return found | {"missing": [] if ready() else list(PEERS)}


def _off(ours: float, theirs: float) -> float:
    return abs(ours / theirs - 1)


# What tests ask, too


def ready() -> bool:
    """Whether opendp and dp-accounting are installed (`make peers`)."""
    return (ENVIRONMENT / ".ready").exists()


def told_by_peers(asked: dict[str, Any]) -> dict[str, Any]:
    """What `privacy_job.py` answers in its environment."""
    command = [ENVIRONMENT / "bin" / "python", JOB]
    done = subprocess.run(command, input=json.dumps(asked), check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def question(rho: float, delta: float) -> list[Any]:
    """A price, an epsilon near its own, and the orders that are best for either."""
    epsilon = 1.1 * epsilon_of(Fraction(rho), delta)
    by_delta = _zero(lambda a: rho * (a - 1) ** 2 + math.log(delta * a))
    by_epsilon = _zero(lambda a: (2 * a - 1) * rho - epsilon + math.log1p(-1 / a) if a > 1 else -math.inf)
    return [rho, epsilon, delta, [by_delta, by_epsilon]]


def _zero(rising: Callable[[float], float]) -> float:
    low, high = 1.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return high


def chi_square(draws: Sequence[int], variance: Fraction) -> float:
    """The p-value of a chi-square test: values of fewer than ten draws expected are counted together."""
    most = max(8, math.ceil(12 * math.sqrt(variance)))
    weights = {y: math.exp(-y * y / (2 * float(variance))) for y in range(-most, most + 1)}
    total = math.fsum(weights.values())
    expected = {y: len(draws) * weight / total for y, weight in weights.items()}
    cells, found = [y for y in expected if expected[y] >= 10], Counter(draws)
    rest = len(draws) - math.fsum(expected[y] for y in cells), len(draws) - sum(found[y] for y in cells)
    pairs = [(expected[y], found[y]) for y in cells] + ([rest] if rest[0] >= 1 else [])
    return chi_square_tail(math.fsum((seen - likely) ** 2 / likely for likely, seen in pairs), len(pairs) - 1)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """The chance of a larger statistic."""
    return float(gmpy2.gamma_inc(freedom / 2, statistic / 2) / gmpy2.gamma(freedom / 2))


# Algorithms 1 to 3 of Canonne, Kamath and Steinke 2020, one draw at a time, as their reference code has them

_SYSTEM = random.SystemRandom()


def by_the_paper(variance: Fraction) -> int:
    """One draw of N_Z(0, variance)."""
    t = math.isqrt(int(variance)) + 1
    while True:
        y = _laplace(t)
        if _happens((abs(y) - variance / t) ** 2 / (2 * variance)):
            return y


def _laplace(t: int) -> int:
    while True:
        u = _SYSTEM.randrange(t)
        if not _happens(Fraction(u, t)):
            continue
        k = 0
        while _happens(Fraction(1)):
            k += 1
        size, negative = u + t * k, _SYSTEM.randrange(2)
        if size or not negative:
            return -size if negative else size


def _happens(x: Fraction) -> bool:
    """With chance e^-x."""
    while x > 1:
        if not _happens_below_one(Fraction(1)):
            return False
        x -= 1
    return _happens_below_one(x)


def _happens_below_one(x: Fraction) -> bool:
    k = 1
    while _SYSTEM.randrange(x.denominator * k) < x.numerator:
        k += 1
    return k % 2 == 1
