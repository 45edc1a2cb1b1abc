"""Random encryptions of zero by a table, for many numbers that the holder of a key encrypts herself.

Damgard, Jurik and Nielsen, "A generalization of Paillier's public-key system with applications to electronic
voting" (2010), take for r^n a power of one fixed n-th power h = (-x^2)^n, with an exponent of half as many
bits as n has. Here p and q are known, so there is an h modulo p^2 and one modulo q^2, and each has its own
exponent of a quarter of the bits: as many random bits in all, for a third of the work. What is assumed is
that nobody without p and q tells such powers from all n-th powers. (For one exponent modulo n it follows from
the hardness of factoring: Goldreich and Rosen 2003.) Finding an exponent of a quarter of 2048 bits takes
2^256 steps by the best known method, even with p and q.

Use it for numbers that the key's holder may know. A mine hides its data from her, and takes a uniform r.
"""

from __future__ import annotations

import secrets

import gmpy2
from gmpy2 import mpz


class ZeroTable:
    """All h^(k 256^i) modulo p^2 for k < 256, for one random n-th power h. p = 3 mod 4 for keys of ours.

    A power takes a product for every byte of its exponent. The table takes 5 MB and
    0.05 s at 2048 bits, 12 MB and 0.1 s at 3072.
    """

    def __init__(self, p: mpz) -> None:
        self._square = p * p
        x = mpz(1 + secrets.randbelow(int(p) - 1))
        # The n-th powers modulo p^2 are the p-th powers. -x^2 has no square root: h has an even order.
        base = gmpy2.powmod(-x * x, p, self._square)
        self._rows: list[list[mpz]] = []
        for _ in range(p.bit_length() // 16):
            row = [mpz(1)]
            for _ in range(256):
                row.append(row[-1] * base % self._square)
            base = row.pop()
            self._rows.append(row)

    def random(self) -> mpz:
        """h to a random power of half as many bits as p."""
        return self.power(secrets.token_bytes(len(self._rows)))

    def power(self, exponent: bytes) -> mpz:
        """h^exponent modulo p^2, for an exponent of as many little-endian bytes as the table has rows."""
        square, power = self._square, mpz(1)
        for row, digit in zip(self._rows, exponent, strict=True):
            power = power * row[digit] % square
        return power
