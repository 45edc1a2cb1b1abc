"""Write tests/vectors/privacy.json, which any implementation of noise and its price must reproduce.

    python scripts/make_vectors_privacy.py            write the file
    python scripts/make_vectors_privacy.py --check    only compare; exit 1 when it differs

Everything is made of labels and protects nothing. Fractions are text, numerator / denominator; floats are the
shortest text that reads as the same float; bytes are hex: all that were drawn.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from sonar.families.quadratic.noise import QuadraticNoise
from sonar.privacy.accounting import delta_of, epsilon_of, rho_of
from sonar.privacy.chance import exp_digits
from sonar.privacy.release import noisy
from sonar.privacy.sampler import discrete_gaussian
from sonar.privacy.terms import RowSums

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "privacy.json"
VARIANCES = [
    Fraction(1, 10),
    Fraction(1),
    Fraction(355, 113),
    Fraction((1 << 25) - 1),
    Fraction((1 << 26) - 1),
    Fraction(1 << 100),
    Fraction((1 << 126) - 1),
    Fraction(10**39, 7),
]
RHOS = [Fraction(1, 1 << 60), Fraction(1, 1000), Fraction(1, 40), Fraction(1, 3), Fraction(1), Fraction(50)]
DELTAS, EPSILONS = [1e-12, 1e-5, 0.1], [0.01, 1.0, 8.0]


class Drawn:
    """Bytes of a label, after those that are given; it keeps what was taken."""

    def __init__(self, label: str, first: bytes = b"") -> None:
        self._bytes, self.taken = self._all(label, first), bytearray()

    @staticmethod
    def _all(label: str, first: bytes) -> Iterator[int]:
        yield from first
        for i in range(1 << 20):
            yield from hashlib.sha256(f"sonar test vector: privacy {label} {i}".encode()).digest()

    def __call__(self, count: int) -> bytes:
        """The next bytes."""
        found = bytes(next(self._bytes) for _ in range(count))
        self.taken += found
        return found


def vectors() -> dict[str, Any]:
    """Everything in the file."""
    return {
        "draws": [draws(str(v), v, 4) for v in VARIANCES] + [border()],
        "release": release(),
        "epsilons": [
            {"rho": str(rho), "delta": repr(delta), "epsilon": repr(epsilon_of(rho, delta))}
            for rho in RHOS
            for delta in DELTAS
        ],
        "deltas": [
            {"rho": str(rho), "epsilon": repr(epsilon), "delta": repr(delta_of(rho, epsilon))}
            for rho in RHOS
            for epsilon in EPSILONS
        ],
        "rhos": [
            {"epsilon": repr(epsilon), "delta": repr(delta), "rho": str(rho_of(epsilon, delta))}
            for epsilon in EPSILONS
            for delta in DELTAS
        ],
        "prices": [price(parts) for parts in (1, 3)],
    }


def draws(label: str, variance: Fraction, count: int, first: bytes = b"") -> dict[str, Any]:
    """So many draws, and the bytes that they took."""
    source = Drawn(label, first)
    values = discrete_gaussian(variance, count, source)
    return {"variance": str(variance), "bytes": source.taken.hex(), "draws": texts(values)}


def border() -> dict[str, Any]:
    """One draw whose every first digit is that of its border: each number takes a second word."""
    low, k, variance, t = 3, 1, Fraction(100), 8
    x = (low + k * t - variance / t) ** 2 / (2 * variance)
    pairs = [(low, t), (k, 1), (x.numerator, x.denominator)]
    words = [low | t, *(exp_digits(*pair, 64) for pair in pairs)]
    return draws("border", variance, 1, b"".join(word.to_bytes(8, "little") for word in words))


def release() -> dict[str, Any]:
    """Noise on sums of two variances, in three parts."""
    sums = RowSums([5, -(1 << 90), 0, 7], [Fraction(64), Fraction(32), Fraction(32), Fraction(64)], 40, 0)
    source = Drawn("release")
    values = noisy(sums, 3, source)
    return {
        "sums": texts(sums.values),
        "variances": [str(each) for each in sums.variances],
        "parts": 3,
        "bytes": source.taken.hex(),
        "released": texts(values),
    }


def price(parts: int) -> dict[str, Any]:
    """What a record of noise costs."""
    noise = QuadraticNoise(
        frac=14,
        row_max=19_661,
        constant=16_384,
        target_unit=22_938,
        deviation=590_645_531,
        parts=parts,
        ridge_q32=1 << 34,
    )
    return {"noise": noise.model_dump(), "rho": str(noise.price.rho), "parts": noise.price.parts}


def texts(numbers: Any) -> list[str]:
    """Integers as decimal text."""
    return [str(int(number)) for number in numbers]


def main(arguments: list[str]) -> int:
    """Write or compare."""
    text = json.dumps(vectors(), indent=1) + "\n"
    if arguments == ["--check"]:
        same = PATH.is_file() and PATH.read_text(encoding="utf-8") == text
        print(f"{PATH.name} {'is up to date' if same else 'differs: run scripts/make_vectors_privacy.py'}")
        return 0 if same else 1
    PATH.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
