"""Laws of products of powers: they are the products, by either method, and cost what the cost model says."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sonar.errors import CiphertextError
from sonar.paillier import affine, powers
from sonar.paillier.affine import Shape
from sonar.paillier.powers import Bases, Method, even_digits, sliding_digits
from tests.unit.paillier_keys import small_key

KEY = small_key()
PUBLIC = KEY.public
MOST = 2**63 - 1
numbers = st.lists(st.sampled_from([0, 1, -1, MOST, -MOST, 2**62]) | st.integers(-MOST, MOST), max_size=30)
methods = st.builds(Method, st.sampled_from(["straus", "buckets"]), st.integers(2, 10))


def ciphertexts(count: int) -> list[mpz]:
    return [PUBLIC.encrypt(1000 + m, 2 + m) for m in range(count)]


@given(numbers, st.integers(2, 10))
def test_sliding_digits_add_up_and_lie_apart(values: list[int], window: int) -> None:
    number, position, digit = (
        part.tolist() for part in sliding_digits(np.array(values, dtype=np.int64), window)
    )
    sums = [0] * len(values)
    for i, p, d in zip(number, position, digit, strict=True):
        assert d % 2
        assert abs(d) < 1 << (window - 1)
        sums[i] += d << p
    assert sums == values
    for i in range(len(values)):
        places = [p for j, p in zip(number, position, strict=True) if j == i]
        assert all(after - before >= window for before, after in pairwise(places))


@given(numbers.filter(len), st.integers(2, 10))
def test_even_digits_add_up(values: list[int], window: int) -> None:
    digits = even_digits(np.array([values], dtype=np.int64), window)
    assert (np.abs(digits) <= 1 << (window - 1)).all()
    for i, value in enumerate(values):
        assert sum(int(d) << (window * chunk) for chunk, d in enumerate(digits[0, :, i])) == value


@st.composite
def products(draw: st.DrawFn) -> tuple[np.ndarray, list[int], list[int]]:
    rows, d, outputs = draw(st.integers(0, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 2))
    longest = draw(st.integers(1, 63))
    entry = st.integers(-(2**longest - 1), 2**longest - 1)
    row = st.lists(entry | st.just(0), min_size=d, max_size=d)
    values = np.array(draw(st.lists(row, min_size=rows, max_size=rows)), dtype=np.int64).reshape(rows, d)
    firsts = draw(st.lists(st.integers(0, outputs - 1), min_size=rows, max_size=rows))
    return values, [(longest + 2) * i for i in range(rows)], [first * d for first in sorted(firsts)]


@settings(max_examples=100, deadline=None)
@given(products(), methods, st.integers(-(2**300), 2**300))
def test_a_product_of_powers_is_one(
    problem: tuple[np.ndarray, list[int], list[int]], method: Method, constant: int
) -> None:
    """By definition: power by power, with gmpy2's own."""
    values, shifts, firsts = problem
    cs = ciphertexts(2 * values.shape[1])
    expected = (1 + constant * PUBLIC.n) % PUBLIC.n2
    for row, shift, first in zip(values.tolist(), shifts, firsts, strict=True):
        for j, value in enumerate(row):
            expected = expected * gmpy2.powmod(cs[first + j], value << shift, PUBLIC.n2) % PUBLIC.n2
    assert Bases(PUBLIC, cs).product(values, shifts, firsts, method, constant) == expected


@pytest.mark.parametrize("window", range(2, 8))
def test_the_table_holds_the_odd_powers(window: int) -> None:
    cs = ciphertexts(3)
    table = Bases(PUBLIC, cs).table(window)
    most = 1 << (window - 1)
    powers_of = iter(table)
    for c in cs:
        for k in range(1 - most, most, 2):
            h, t = next(powers_of)
            assert 0 < h < PUBLIC.n
            assert h * (1 + t * PUBLIC.n) % PUBLIC.n2 == gmpy2.powmod(c, k, PUBLIC.n2)
    assert next(powers_of, None) is None


def test_what_is_no_ciphertext_is_named() -> None:
    cs = ciphertexts(3)
    p = KEY.unsafe_primes()[0]
    for hostile in (0, -5, int(PUBLIC.n), int(PUBLIC.n2), p, 7 * p):
        with pytest.raises(CiphertextError, match="ciphertext 2"):
            Bases(PUBLIC, [*cs[:2], hostile])


class CountingModulus:
    """The modulus n, counting how often something is reduced by it."""

    def __init__(self, n: mpz) -> None:
        self.n, self.reductions = n, 0

    def __rdivmod__(self, x: mpz) -> Any:
        self.reductions += 1
        return divmod(x, self.n)

    def __rmod__(self, x: mpz) -> mpz:
        self.reductions += 1
        return x % self.n

    def __rmul__(self, x: mpz) -> mpz:
        return x * self.n

    def __sub__(self, x: Any) -> mpz:
        return self.n - x


class CountingKey:
    """A public key whose modulus counts."""

    n2 = PUBLIC.n2
    check_all = staticmethod(PUBLIC.check_all)

    def __init__(self) -> None:
        self.n = CountingModulus(PUBLIC.n)


class OnTheNumber:
    """gmpy2's functions that look into the modulus get the number itself."""

    invert = staticmethod(lambda x, modulus: gmpy2.invert(x, modulus.n))
    divexact = staticmethod(lambda x, modulus: gmpy2.divexact(x, modulus.n))


@pytest.mark.parametrize(("d", "data_frac"), [(3, 18), (11, 18), (11, 20), (31, 24), (60, 20)])
@pytest.mark.parametrize("name", ["straus", "buckets"])
def test_the_cost_model_counts_what_is_done(
    d: int, data_frac: int, name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reductions modulo n, predicted from A's lengths alone: tables within 4%, buckets within 8%."""
    monkeypatch.setattr(powers, "gmpy2", OnTheNumber)
    a = gram(d, data_frac)
    shifts = [72 * i for i in range(d)]
    for window in (2, 3, 4, 5, 6):
        method = Method(name, window)
        if name == "buckets" and d < 4 << window:
            continue  # more buckets than numbers to fill them: never chosen, and counted roughly
        key: Any = CountingKey()
        Bases(key, ciphertexts(d)).product(a, shifts, [0] * d, method)
        expected = affine.counts(method, Shape.of(a, 1, shifts[-1:])).reductions
        tolerance = 0.04 if name == "straus" else 0.08
        assert key.n.reductions == pytest.approx(expected, rel=tolerance), window


def gram(d: int, data_frac: int) -> NDArray[np.int64]:
    """A mine's A from 44 random rows."""
    phi = np.random.default_rng(d).normal(size=(44, d))
    return np.asarray(np.rint(phi.T @ phi / 44 * 2**data_frac), np.int64)


def shape_for(d: int) -> Shape:
    return Shape(d, d, d * d, 17.5 * d * d, 21, (d // 28 + 1) * 27 * 72)


@pytest.mark.parametrize("d", [1, 2, 11, 31, 100, 1000, 4096])
def test_the_method_chosen_is_the_cheapest_that_fits(d: int) -> None:
    every = [Method(name, w) for name in ("straus", "buckets") for w in affine.WINDOWS]
    for bytes_max in (1 << 20, 64 << 20, 1 << 40):
        chosen = affine.choose(shape_for(d), 2048, bytes_max=bytes_max)
        fitting = [m for m in every if m.name == "buckets" or affine.table_bytes(m, d, 2048) <= bytes_max]
        assert chosen in fitting
        best = min(affine.counts(method, shape_for(d)).mulmods for method in fitting)
        assert affine.counts(chosen, shape_for(d)).mulmods == best


def test_windows_grow_with_d_and_buckets_come_where_tables_do_not_fit() -> None:
    chosen = [affine.choose(shape_for(d), 2048) for d in (11, 31, 1000, 4096)]
    assert [method.name for method in chosen] == ["straus", "straus", "straus", "buckets"]
    assert [method.window for method in chosen[:3]] == sorted(method.window for method in chosen[:3])


def test_tables_take_no_more_memory_than_is_said() -> None:
    import tracemalloc

    key, method = small_key(2048), Method("straus", 6)
    bases = Bases(key.public, [key.public.encrypt(m, 2 + m) for m in range(20)])
    tracemalloc.start()
    table = bases.table(method.window)
    python_bytes = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    limbs = sum((int(part.bit_length()) + 63) // 64 * 8 for half in table for part in half)
    assert limbs + python_bytes <= affine.table_bytes(method, 20, 2048)
