"""The vector file is what the code makes, and is right by the formulas of the protocol's page alone."""

from __future__ import annotations

import json
import runpy
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.unit.privacy_kit import draws_by_definition

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "privacy.json").read_text())
ULP = Decimal(2) ** -52
EXACT = Decimal(10) ** -40


def test_the_code_makes_the_file() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_vectors_privacy.py"))
    assert script["main"](["--check"]) == 0


# ---- below, nothing of ours: Python's integers, fractions and decimals, and the page's formulas


class Given:
    """The bytes in the file, each once."""

    def __init__(self, text: str) -> None:
        self.left = bytes.fromhex(text)

    def __call__(self, count: int) -> bytes:
        found, self.left = self.left[:count], self.left[count:]
        assert len(found) == count
        return found


@pytest.mark.parametrize("each", DOCUMENT["draws"], ids=lambda each: str(each["variance"])[:12])
def test_draws(each: dict[str, Any]) -> None:
    source = Given(each["bytes"])
    found = draws_by_definition(Fraction(each["variance"]), len(each["draws"]), source)
    assert [str(draw) for draw in found] == each["draws"]
    assert source.left == b""


def test_one_draw_takes_a_second_word_for_each_number() -> None:
    """19 candidates of four words, and three more."""
    assert len(bytes.fromhex(DOCUMENT["draws"][-1]["bytes"])) == 8 * (19 * 4 + 3)


def test_a_release() -> None:
    told = DOCUMENT["release"]
    source, found = Given(told["bytes"]), [int(value) for value in told["sums"]]
    for variance in dict.fromkeys(told["variances"]):
        places = [i for i, each in enumerate(told["variances"]) if each == variance]
        noise = draws_by_definition(Fraction(variance) / told["parts"], len(places), source)
        for i, draw in zip(places, noise, strict=True):
            found[i] += draw
    assert [str(value) for value in found] == told["released"]
    assert source.left == b""


def least(formula: Any) -> Decimal:
    """The least value over all b > 0, by thirds of the logarithm."""
    low, high = Decimal(-60), Decimal(60)
    for _ in range(180):
        step = (high - low) / 3
        one, two = formula(Decimal(2) ** (low + step)), formula(Decimal(2) ** (high - step))
        low, high = (low, high - step) if one < two else (low + step, high)
    return Decimal(formula(Decimal(2) ** low))


def decimal(text: str) -> Decimal:
    above, _, below = text.partition("/")
    return Decimal(above) / Decimal(below or 1)


def epsilon(rho: Decimal, delta: Decimal) -> Decimal:
    return least(lambda b: rho * (1 + b) + (b / (1 + b)).ln() - (delta.ln() + (1 + b).ln()) / b)


def log_delta(rho: Decimal, limit: Decimal) -> Decimal:
    return least(lambda b: b * ((1 + b) * rho - limit) + (1 + b) * (b / (1 + b)).ln() - b.ln())


@pytest.mark.parametrize("each", DOCUMENT["epsilons"], ids=lambda each: f"{each['rho'][:8]}, {each['delta']}")
def test_epsilons(each: dict[str, Any]) -> None:
    with localcontext(prec=60):
        exact = max(Decimal(0), epsilon(decimal(each["rho"]), Decimal(float(each["delta"]))))
        assert exact * (1 - EXACT) <= Decimal(float(each["epsilon"])) <= exact * (1 + ULP)


@pytest.mark.parametrize("each", DOCUMENT["deltas"], ids=lambda each: f"{each['rho'][:8]}, {each['epsilon']}")
def test_deltas(each: dict[str, Any]) -> None:
    with localcontext(prec=60):
        exact = min(Decimal(1), log_delta(decimal(each["rho"]), Decimal(float(each["epsilon"]))).exp())
        assert exact * (1 - EXACT) <= Decimal(float(each["delta"])) <= exact * (1 + ULP) + Decimal("5e-324")


@pytest.mark.parametrize("each", DOCUMENT["rhos"], ids=lambda each: f"{each['epsilon']}, {each['delta']}")
def test_rhos(each: dict[str, Any]) -> None:
    with localcontext(prec=60):
        rho, delta = decimal(each["rho"]), Decimal(float(each["delta"]))
        assert (
            epsilon(rho, delta)
            <= Decimal(float(each["epsilon"]))
            < epsilon(rho * (1 + 2 * Decimal(2) ** -63), delta)
        )


def test_prices() -> None:
    for each in DOCUMENT["prices"]:
        noise = each["noise"]
        above, below = noise["row_max"] ** 2 + noise["constant"] ** 2, noise["deviation"]
        assert Fraction(each["rho"]) == Fraction(above, below) ** 2
        assert each["parts"] == noise["parts"]
