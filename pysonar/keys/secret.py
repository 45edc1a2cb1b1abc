"""The secret half of a key: p and q, and all arithmetic that takes them. What may be asked of it: see `Key`.

All of it goes by the Chinese remainder theorem: modulo p^2 and q^2, which takes a quarter of the time.

Faults. A result that is right modulo one prime and wrong modulo the other gives the factors away to whoever
learns it (Boneh, DeMillo and Lipton 1997). So every decryption is checked before it leaves `decrypt`. That m
is what c = (1 + m n) r^n encrypts, for some r, is the same as that y = c (1 - m n) is an n-th power modulo
n^2, and this is the same as y^(p-1) = 1 modulo p^2 and y^(q-1) = 1 modulo q^2: no r is needed, and the check
costs as much as a decryption. Several are checked at once: y^(p-1) lies in a group of p elements, p prime, so
a product of powers y_i^e_i with random e_i of 64 bits is 1 only if every y_i^(p-1) is, but for one chance in
2^64 (the small exponents test of Bellare, Garay and Rabin 1998). For sixteen at a time it adds a fifth. A
root for the key's proof is raised to the power of n again. Encryption is not checked: nobody else knows its
randomness, to which the ciphertext could be compared.

Side channels. Exponents here are secret. GMP's powers, the choice of table entries, and the making of primes
take a time, and touch memory, that depend on them: none of it is constant-time. Decrypt on a machine where
nobody else measures or runs programs. `Key.close` lets go of p and q and of what was computed from them. But
Python does not overwrite memory that it frees: they may stay in it, in a core dump or in swapped pages, until
it is used again.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

import gmpy2
from gmpy2 import mpz

from pysonar.keys.zeros import ZeroTable
from sonar.cores import cores_allowed, spread
from sonar.errors import EnvironmentFault, UsageError
from sonar.paillier.public import PublicKey

Tell = Callable[[int, int], None]
"""Is told (done, of) about once a second, by work that takes more than one."""

_PRIMALITY_ROUNDS = 40
_SIEVE = gmpy2.primorial(2_000)
_CHECK_BITS = 64
_AT_A_TIME = 16
_TABLE_PAYS_FROM = 50


class Secret:
    """The primes of a key, of any size. `generate` makes good ones; the constructor takes them for primes."""

    def __init__(self, p: int, q: int) -> None:
        if p == q or gmpy2.gcd(p * q, (p - 1) * (q - 1)) != 1:
            raise UsageError(
                "p and q make no key: they are equal, or p q shares a factor with (p - 1)(q - 1)"
            )
        self._p, self._q = _Prime(mpz(p), mpz(q)), _Prime(mpz(q), mpz(p))
        self._q_inverse = gmpy2.invert(q, p)
        self._q2_inverse = gmpy2.invert(self._q.square, self._p.square)
        self.public = PublicKey(mpz(p) * q)
        self.cores = cores_allowed()
        self.tell: Tell | None = None

    @classmethod
    def generate(cls, bits: int) -> Secret:
        """Two random primes of bits / 2 bits each, a multiple of 8; a second or so."""
        while True:
            p, q = random_prime(bits // 2), random_prime(bits // 2)
            # Fermat's method finds factors that lie close together; the last point makes r -> r^n one-to-one.
            if abs(p - q).bit_length() > bits // 2 - 100 and gmpy2.gcd(p * q, (p - 1) * (q - 1)) == 1:
                return cls(p, q)

    def primes(self) -> tuple[int, int]:
        """The key itself."""
        return int(self._p.p), int(self._q.p)

    def encrypt(self, numbers: Sequence[int]) -> list[mpz]:
        """One fresh ciphertext for each signed integer, |number| < n/2.

        The randomness is a uniform n-th power, or from `ZeroTable` where that pays. Raises UsageError.
        """
        if any(2 * abs(number) >= self.public.n for number in numbers):
            raise UsageError("a number to encrypt is not between -n/2 and n/2")
        if len(numbers) >= _TABLE_PAYS_FROM:
            for prime in (self._p, self._q):
                prime.table = prime.table or ZeroTable(prime.p)
        # Additions to a table's product are too short for threads: they would wait for each other.
        cores = 1 if self._p.table else self.cores
        return self._spread(
            lambda part: [self.public.add_plain(self._zero(), m) for m in part], numbers, cores
        )

    def decrypt(self, ciphertexts: Sequence[mpz]) -> list[int]:
        """The signed plaintexts, checked as this module says. Raises EnvironmentFault for a wrong one.

        The ciphertexts must have passed `PublicKey.check_all`.
        """
        return self._spread(self._decrypt_some, ciphertexts, self.cores)

    def roots(self, numbers: Sequence[mpz]) -> list[mpz]:
        """The n-th roots modulo n of units. Raises EnvironmentFault for a wrong one."""
        by_p, by_q = self._p.roots(numbers), self._q.roots(numbers)
        roots = [self._combine(*pair) for pair in zip(by_p, by_q, strict=True)]
        n = self.public.n
        if any(gmpy2.powmod(root, n, n) != x for root, x in zip(roots, numbers, strict=True)):
            raise _miscalculated("a root")
        return roots

    def _spread(
        self, work: Callable[[Sequence[mpz]], list[mpz]], items: Sequence[int], cores: int
    ) -> list[mpz]:
        done: list[mpz] = []
        told_s = time.monotonic()
        for part in spread(work, items, cores=cores, at_a_time=_AT_A_TIME):
            done += part
            if self.tell and time.monotonic() - told_s >= 1:
                told_s = time.monotonic()
                self.tell(len(done), len(items))
        return done

    def _zero(self) -> mpz:
        zero_p, zero_q = self._p.random_zero(), self._q.random_zero()
        step = (zero_p - zero_q) * self._q2_inverse % self._p.square
        return zero_q + self._q.square * step

    def _decrypt_some(self, cs: Sequence[mpz]) -> list[int]:
        by_p, by_q = self._p.decrypt(cs), self._q.decrypt(cs)
        plain = [self._combine(*pair) for pair in zip(by_p, by_q, strict=True)]
        n, n2 = self.public.n, self.public.n2
        zeros = [c * (1 - m * n) % n2 for c, m in zip(cs, plain, strict=True)]
        if not (self._p.are_zeros(zeros) and self._q.are_zeros(zeros)):
            raise _miscalculated("a decryption")
        return [self.public.signed(m) for m in plain]

    def _combine(self, x_p: mpz, x_q: mpz) -> mpz:
        """The number in [0, n) that is x_p modulo p and x_q modulo q."""
        return x_q + self._q.p * ((x_p - x_q) * self._q_inverse % self._p.p)


class _Prime:
    """What is done modulo one of the primes, p, and its square."""

    __slots__ = ("_decrypt_factor", "_root_exponent", "p", "square", "table")

    def __init__(self, p: mpz, other: mpz) -> None:
        self.p, self.square = p, p * p
        self.table: ZeroTable | None = None
        self._decrypt_factor = gmpy2.invert(-other, p)
        self._root_exponent = gmpy2.invert(p * other, p - 1)

    def decrypt(self, cs: Sequence[mpz]) -> list[mpz]:
        """The plaintexts mod p: L(c^(p-1) mod p^2) / L((1 + n)^(p-1) mod p^2), L(x) = (x - 1) / p."""
        powers = gmpy2.powmod_base_list(list(cs), self.p - 1, self.square)
        return [(power - 1) // self.p * self._decrypt_factor % self.p for power in powers]

    def are_zeros(self, ys: Sequence[mpz]) -> bool:
        """Whether all are n-th powers mod p^2, by one power of a random combination of them."""
        combined = mpz(1)
        for y in ys:
            combined = combined * gmpy2.powmod(y, secrets.randbits(_CHECK_BITS), self.square) % self.square
        return bool(gmpy2.powmod_base_list([combined], self.p - 1, self.square) == [1])

    def roots(self, xs: Sequence[mpz]) -> list[mpz]:
        """The n-th roots mod p."""
        return list(gmpy2.powmod_base_list(list(xs), self._root_exponent, self.p))

    def random_zero(self) -> mpz:
        """A random n-th power mod p^2. x^p takes each of them, because q is prime to p - 1."""
        if self.table:
            return self.table.random()
        x = mpz(1 + secrets.randbelow(int(self.p) - 1))
        return gmpy2.powmod_base_list([x], self.p, self.square)[0]


def random_prime(bits: int) -> mpz:
    """A uniform prime of `bits` bits among those that are 3 mod 4 with the top two bits set.

    Every candidate is drawn afresh: stepping from a random start would favour primes after long gaps.
    """
    while True:
        candidate = mpz(secrets.randbits(bits)) | 3 << (bits - 2) | 3
        if gmpy2.gcd(candidate, _SIEVE) == 1 and gmpy2.is_prime(candidate, _PRIMALITY_ROUNDS):
            return candidate


def _miscalculated(what: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"{what} failed its check; nothing was released",
        hint="this machine miscalculated: check its memory, and do not use it for keys until then",
    )
