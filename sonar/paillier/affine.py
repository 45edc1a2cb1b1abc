"""One mine's update on encrypted weights: a plaintext matrix by an encrypted vector, packed, in one product.

    Enc(sum_i u_i 2^(S i)) = Enc(c) prod_j Enc(w_j)^(e_j)
    e_j = -sum_i A_ij 2^(S i)        c = sum_i b_i 2^(weight_frac + S i)

so rows of A cost no ciphertext operations of their own. The product is one simultaneous multi-exponentiation
(Straus, with width-w non-adjacent digits after Moeller): squarings are shared over all bases, tables of odd
powers over all output ciphertexts, and one inversion serves the negative digits of every base.

Numbers modulo n^2 are kept as pairs x = a + b n with a, b < n. A squaring then takes one half-width square,
one half-width product and two reductions by n in place of a full-width square and a reduction by n^2.

Side channel: the time depends on the digits of A. It is spent on the mine's own machine, before it publishes;
do not run it where someone else measures the time of single operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.errors import BoundsError, PlanError
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan

Matrix = Sequence[Sequence[int]] | NDArray[np.object_] | NDArray[np.int64]
Vector = Sequence[int] | NDArray[np.object_] | NDArray[np.int64]
Pair = tuple[mpz, mpz]


class Bases:
    """Ciphertexts c_j with tables of their odd powers and inverses, for any number of products of powers.

    Takes 2^(window - 1) numbers of the width of n^2 per base: at 2048 bits 50 kB for d = 11, at most 35 MB
    for d = 1000. Raises CiphertextError for anything that is not a ciphertext of `key`.
    """

    def __init__(self, key: PublicKey, ciphertexts: Sequence[int], *, window: int = 4) -> None:
        self.key, self.window = key, window
        cs = key.check_all(ciphertexts)
        self._tables = [
            self._odd_powers(c) | {-k: power for k, power in self._odd_powers(inverse).items()}
            for c, inverse in zip(cs, _invert_all(cs, key.n2), strict=True)
        ]

    def __len__(self) -> int:
        return len(self._tables)

    def product(self, exponents: Sequence[int]) -> mpz:
        """prod_j c_j^(exponents_j) mod n^2, for signed exponents of any length."""
        factors: dict[int, list[Pair]] = {}
        for table, exponent in zip(self._tables, exponents, strict=True):
            for position, digit in signed_digits(exponent, self.window):
                factors.setdefault(position, []).append(table[digit])
        n = self.key.n
        a, b = mpz(1), mpz(0)
        for position in range(max(factors, default=-1), -1, -1):
            carry, low = gmpy2.f_divmod(a * a, n)
            a, b = low, (2 * a * b + carry) % n
            for fa, fb in factors.get(position, ()):
                carry, low = gmpy2.f_divmod(a * fa, n)
                a, b = low, (a * fb + b * fa + carry) % n
        return a + b * n

    def _odd_powers(self, c: mpz) -> dict[int, Pair]:
        n, n2 = self.key.n, self.key.n2
        square, power, table = c * c % n2, c, {}
        for k in range(1, 1 << (self.window - 1), 2):
            high, low = gmpy2.f_divmod(power, n)
            table[k] = (low, high)
            power = power * square % n2
        return table


def affine_update(
    key: PublicKey, plan: SlotPlan, a_int: Matrix, b_int: Vector, enc_w: Sequence[int] | Bases
) -> list[mpz]:
    """Enc(pack_i(b_i 2^weight_frac - sum_j A_ij w_j)), one ciphertext per `plan.ciphertexts`.

    `a_int` [d, d] and `b_int` [d] are integers at scale 2^data_frac; `enc_w` is d ciphertexts, or their
    `Bases` to share the tables between calls. The result is NOT re-randomised: it is a function of A, b and
    the ciphertexts, and must be multiplied by fresh blindings before anyone sees it.
    Raises BoundsError naming the row that exceeds the plan's bounds, PlanError, CiphertextError.
    """
    if key.bits != plan.key_bits:
        raise PlanError(f"the slot plan is for a key of {plan.key_bits} bits, the key has {key.bits}")
    a = [[int(x) for x in row] for row in a_int]
    b = [int(x) for x in b_int]
    check_bounds(plan, a, b)
    bases = enc_w if isinstance(enc_w, Bases) else Bases(key, enc_w, window=best_window(plan, a))
    if len(bases) != plan.values:
        raise PlanError(f"the model has {len(bases)} encrypted weights, the slot plan {plan.values}")
    update = []
    for c in range(plan.ciphertexts):
        shifts = [(i, plan.shift(i)[1]) for i in plan.rows_of(c)]
        exponents = [-sum(mpz(a[i][j]) << shift for i, shift in shifts) for j in range(plan.values)]
        constant = sum(mpz(b[i]) << (plan.weight_frac + shift) for i, shift in shifts)
        update.append(key.add_plain(bases.product(exponents), constant))
    return update


def check_bounds(plan: SlotPlan, a: Sequence[Sequence[int]], b: Sequence[int]) -> None:
    """Check a mine's A [d, d] and b [d] against the bounds that the bounty declares. Raises BoundsError.

    The message names the row and the limit, and keeps the data's own values to itself.
    """
    d, bounds = plan.values, plan.bounds
    if len(a) != d or len(b) != d or any(len(row) != d for row in a):
        raise BoundsError(f"the data's matrix and vector do not have the plan's size {d}")
    for i in range(d):
        if sum(abs(x) for x in a[i]) > bounds.a_row_l1_max:
            raise BoundsError(f"row {i} of the data's matrix exceeds the bounty's a_row_l1_max", hint=_HINT)
        if abs(b[i]) > bounds.b_max:
            raise BoundsError(f"entry {i} of the data's vector exceeds the bounty's b_max", hint=_HINT)


_HINT = "are the data in the units that the bounty's features and target ask for?"


def estimated_s(plan: SlotPlan) -> float:
    """About how long an update takes on one core, in seconds.

    Eight bits of exponent cost one product: 8 microseconds at 2048 bits, and in proportion at other sizes.
    """
    exponent_bits = plan.values**2 * plan.slot_bits
    return exponent_bits / 8 * 8e-6 * plan.key_bits / 2048


def best_window(plan: SlotPlan, a: Sequence[Sequence[int]]) -> int:
    """The digit width that costs the fewest multiplications: tables against non-zero digits."""
    bits = sum(x.bit_length() for row in a for x in row)
    return min(range(2, 8), key=lambda w: (plan.values << (w - 1)) + bits // (w + 1))


def signed_digits(k: int, window: int) -> Iterator[tuple[int, int]]:
    """The non-zero digits of `k` as (position, odd digit), so that k = sum digit 2^position.

    |digit| < 2^(window - 1), and of any `window` successive positions at most one holds a digit.
    """
    rest, position, mask = mpz(k), 0, (1 << window) - 1
    while rest:
        zeros = gmpy2.bit_scan1(rest)
        rest >>= zeros
        position += zeros
        digit = int(rest & mask)
        if digit >> (window - 1):
            digit -= 1 << window
        yield position, digit
        rest -= digit


def _invert_all(cs: Sequence[mpz], modulus: mpz) -> list[mpz]:
    """The inverses of all of `cs` by one inversion (Montgomery's trick)."""
    prefixes = [mpz(1)]
    for c in cs:
        prefixes.append(prefixes[-1] * c % modulus)
    inverse, inverses = gmpy2.invert(prefixes[-1], modulus), []
    for c, prefix in zip(reversed(cs), reversed(prefixes[:-1]), strict=True):
        inverses.append(inverse * prefix % modulus)
        inverse = inverse * c % modulus
    return inverses[::-1]
