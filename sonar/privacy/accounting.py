"""What a rho of zCDP means as (epsilon, delta), and back: rounded so that no epsilon is ever too small.

A mechanism that is rho-zCDP is (epsilon, delta)-DP for each b > 0, where 1 + b is the order, with

    epsilon = rho (1 + b) + ln(b / (1 + b)) - (ln delta + ln(1 + b)) / b

(Canonne, Kamath and Steinke 2020, Proposition 12; their `cdp_delta`, opendp and dp-accounting have the same).
The best b solves rho b^2 = -ln(delta (1 + b)). Any other b is right too and only worse, so it is enough to
round the formula itself upward. Releases compose by adding their rho.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import gmpy2
from gmpy2 import mpfr

from sonar.errors import ConfigError, UsageError

EPSILON_LEAST, EPSILON_MOST = 1e-9, 1e9
DELTA_LEAST = 1e-100
RHO_BITS = 64
"""A rho is rounded up to as many binary digits before anything is made of it."""

_BITS = 256
_SLACK_BITS = 240
"""The formulas take fewer than 20 operations, each right to 2^-256 of its result: 2^-240 of the sum of all
terms' magnitudes covers them.
"""
_HALVINGS = 100
_ORDERS = 1100
"""b lies between 2^-1100 and 2^1100."""
_EXPONENTS = -200, 200
"""Every rho that `rho_of` returns lies between 2 to these powers."""


def checked(epsilon: float, delta: float, field: str, most: float = EPSILON_MOST) -> None:
    """Check a budget or a declared price. Raises ConfigError for what is not between their limits.

    `field` is the table that has both, such as "privacy"; `most` is the largest epsilon.
    """
    if not EPSILON_LEAST <= epsilon <= most:
        hint = "1 protects strongly, 8 is usual, and far more protects little"
        limits = f"{EPSILON_LEAST:g} to {most:g}"
        raise ConfigError(f"{field}.epsilon", f"{epsilon} is not a number from {limits}", hint=hint)
    if not DELTA_LEAST <= delta < 1:
        hint = "take far less than 1 over the number of rows, such as 1e-5 for a few thousand"
        raise ConfigError(f"{field}.delta", f"{delta} is not from {DELTA_LEAST:g} to below 1", hint=hint)


def loose(delta: float, rows: int) -> str:
    """Return a warning if `delta` is 1 / rows or more, else nothing.

    A mechanism that gives each row away with a chance of delta would pass.
    """
    if delta * rows < 1:
        return ""
    return f"a delta of {delta:g} lets one row in {1 / delta:,.0f} be given away, and there are {rows:,}"


def epsilon_of(rho: Fraction, delta: float) -> float:
    """Return the least epsilon that the formula has for `rho` at `delta`, rounded up; 0 where it is negative.

    It never falls when rho grows. Raises UsageError for a negative rho, or a delta outside of its limits.
    """
    _check_rho(rho)
    _check_delta(delta)
    if rho == 0:
        return 0.0
    with gmpy2.context(precision=_BITS):
        up, log_delta = _rounded_up(rho), gmpy2.log(mpfr(delta))
        best = _root(lambda b: up * b * b + log_delta + gmpy2.log1p(b))
        return max(0.0, _float_up(_epsilon_at(up, log_delta, best)))


def delta_of(rho: Fraction, epsilon: float) -> float:
    """Return the least delta that the formula has for `rho` at `epsilon`, rounded up; at most 1.

    Raises UsageError for a negative rho, or an epsilon outside of its limits.
    """
    _check_rho(rho)
    _check_epsilon(epsilon)
    if rho == 0:
        return 0.0
    with gmpy2.context(precision=_BITS):
        up = _rounded_up(rho)
        best = _root(lambda b: (1 + 2 * b) * up - epsilon + gmpy2.log(b) - gmpy2.log1p(b))
        return min(1.0, _float_up(gmpy2.exp(_log_delta_at(up, epsilon, best))))


def rho_of(epsilon: float, delta: float) -> Fraction:
    """Return the largest rho of `RHO_BITS` binary digits with epsilon_of(rho, delta) <= epsilon.

    Raises UsageError for an epsilon or a delta outside of its limits.
    """
    _check_epsilon(epsilon)
    _check_delta(delta)
    low, high = (exponent << (RHO_BITS - 1) for exponent in _EXPONENTS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if epsilon_of(_numbered(middle), delta) <= epsilon else (low, middle)
    return _numbered(low)


def _epsilon_at(rho: mpfr, log_delta: mpfr, b: mpfr) -> mpfr:
    """The formula, and a little more than all its roundings."""
    terms = (rho * (1 + b), gmpy2.log(b), -gmpy2.log1p(b), -log_delta / b, -gmpy2.log1p(b) / b)
    return _sum_up(terms)


def _log_delta_at(rho: mpfr, epsilon: float, b: mpfr) -> mpfr:
    """The formula solved for delta, its logarithm, and a little more than all its roundings."""
    order = 1 + b
    terms = (b * order * rho, -b * epsilon, order * gmpy2.log(b), -order * gmpy2.log1p(b), -gmpy2.log(b))
    return _sum_up((*terms, gmpy2.exp2(mpfr(-_SLACK_BITS))))


def _sum_up(terms: tuple[mpfr, ...]) -> mpfr:
    """The sum of computed terms, or a little more."""
    return sum(terms, mpfr(0)) + gmpy2.mul_2exp(sum(map(abs, terms), mpfr(0)), -_SLACK_BITS)


def _root(rising: Callable[[mpfr], mpfr]) -> mpfr:
    """Return where a function that rises from below 0 passes it, to about 80 binary digits."""
    low, high = mpfr(-_ORDERS), mpfr(_ORDERS)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(gmpy2.exp2(middle)) < 0 else (low, middle)
    return gmpy2.exp2(high)


def _numbered(number: int) -> Fraction:
    """The numbers of `RHO_BITS` binary digits, ascending."""
    half = 1 << (RHO_BITS - 1)
    exponent, digits = divmod(number, half)
    return (half + digits) * Fraction(2) ** (exponent - RHO_BITS)


def _rounded_up(rho: Fraction) -> mpfr:
    """To `RHO_BITS` digits or one more."""
    exponent = rho.numerator.bit_length() - rho.denominator.bit_length() - RHO_BITS
    return gmpy2.mul_2exp(mpfr(math.ceil(rho / Fraction(2) ** exponent)), exponent)


def _float_up(number: mpfr) -> float:
    """The least float that is not below."""
    near = float(number)
    return near if near >= number else math.nextafter(near, math.inf)


def _check_rho(rho: Fraction) -> None:
    if rho < 0:
        raise UsageError("a rho below 0; releases cost 0 or more")


def _check_epsilon(epsilon: float) -> None:
    if not EPSILON_LEAST <= epsilon <= EPSILON_MOST:
        raise UsageError(f"an epsilon of {epsilon}; it is from {EPSILON_LEAST:g} to {EPSILON_MOST:g}")


def _check_delta(delta: float) -> None:
    if not DELTA_LEAST <= delta < 1:
        raise UsageError(f"a delta of {delta}; it is from {DELTA_LEAST:g} to below 1")
