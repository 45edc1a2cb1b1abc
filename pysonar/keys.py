"""The scientist's key. What it decrypts stays inside; it answers few questions, and a ledger counts.

It reveals, and nothing else:
- `decrypt_aggregate`: one sum of updates per round, of at least `min_mines` of them, and at the same weights
  of one cohort only;
- `inspect`: yes or no for each mine of a round, with the name of the failed test;
- `score`: one number of 16 bits for each mine and round.
`unsafe_decrypt_update` is the exception, is named so, and is called by no shipped path.

This holds for whoever uses this class. It does not hold against the owner of the key, who can write another.

Side channels: decryption has secret exponents, runs in GMP and is not constant-time, nor is key generation;
run them where nobody else measures. Python cannot promise to erase p and q from memory. An aggregate that
came from the Chinese remainder theorem is encrypted again before it is released: one that a fault made wrong
could give the factors away.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import gmpy2
from gmpy2 import mpz

from pysonar import inspection, keyfile
from pysonar.inspection import Opened, Rules, TestResult
from pysonar.ledger import Ledger
from sonar.errors import CiphertextError, EnvironmentFault, KeyFileError, UpdateOutOfRange, UsageError
from sonar.paillier.public import MAX_BITS, MIN_BITS, MIN_BITS_INSECURE, PublicKey
from sonar.paillier.slots import MAX_FRAC, SlotPlan

SCORE_BITS = 16
_SCORE_MAX = (1 << (SCORE_BITS - 1)) - 1
_CACHED_UPDATES = 4096
_PRIMALITY_ROUNDS = 40
_SIEVE = gmpy2.primorial(2_000)


@dataclass(frozen=True)
class MineUpdate:
    """One mine's encrypted update: its address, the number of rows that weights it, its ciphertexts."""

    mine: str
    rows: int
    ciphertexts: tuple[mpz, ...]


@dataclass(frozen=True)
class RoundUpdates:
    """A round as the tests need it: its number, fixed-point weights int[d], the revealed updates by mine."""

    round: int
    weights_int: Sequence[int]
    updates: Mapping[str, MineUpdate]


class Key:
    """A Paillier key pair with its ledger.

    The constructor trusts its primes, for tests and conversions; use `generate` and `load`.
    """

    def __init__(self, p: int, q: int, ledger: Ledger | None = None) -> None:
        self._p, self._q = _Prime(mpz(p), mpz(q)), _Prime(mpz(q), mpz(p))
        self._q_inverse = gmpy2.invert(q, p)
        self._q2_inverse = gmpy2.invert(self._q.square, self._p.square)
        self._public = PublicKey(mpz(p) * q)
        self._ledger = ledger or Ledger(None, self._public.fingerprint)
        self._opened: OrderedDict[bytes, tuple[int, ...]] = OrderedDict()

    @classmethod
    def generate(cls, bits: int = 3072, *, insecure: bool = False) -> Key:
        """Make a key with a modulus of `bits` bits from the system's randomness. A second or so.

        2048 bits are worth 112 bits of security, 3072 are worth 128. `insecure` admits 1024, for comparisons.
        Raises UsageError.
        """
        least = MIN_BITS_INSECURE if insecure else MIN_BITS
        if type(bits) is not int or bits % 16 or not least <= bits <= MAX_BITS:
            raise UsageError(f"bits must be a multiple of 16 from {least} to {MAX_BITS}, got {bits!r}")
        while True:
            p, q = _random_prime(bits // 2), _random_prime(bits // 2)
            # Fermat's method finds factors that lie close together; the last point makes r -> r^n one-to-one.
            if abs(p - q).bit_length() > bits // 2 - 100 and gmpy2.gcd(p * q, (p - 1) * (q - 1)) == 1:
                return cls(p, q)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    @property
    def ledger(self) -> Ledger:
        """The record of what this key has given away."""
        return self._ledger

    def save(self, path: Path, passphrase: str, *, dev: bool = False) -> None:
        """Write the key to `path`, encrypted, and its ledger, named by the fingerprint, into the same folder.

        Both have mode 0600. `dev` takes a light scrypt (16 MiB, not 128), for development networks only. From
        here on this object uses the ledger on disk. Raises KeyFileError, also when either exists.
        """
        path = Path(path)
        ledger_path = _ledger_path(path, self._public.fingerprint)
        if path.exists() or ledger_path.exists():
            raise KeyFileError(f"{path} or {ledger_path} exists", hint="load it, or move it away")
        half = self._public.bits // 16
        secret = int(self._p.p).to_bytes(half, "big") + int(self._q.p).to_bytes(half, "big")
        ledger = Ledger(ledger_path, self._public.fingerprint)
        self._ledger.copy_to(ledger)
        keyfile.write(path, secret, self._public.fingerprint, passphrase, light=dev)
        self._ledger.close()
        self._ledger = ledger

    @classmethod
    def load(cls, path: Path, passphrase: str) -> Key:
        """Read a key and its ledger. Raises KeyFileError: wrong passphrase, file mode, format, no ledger."""
        path = Path(path)
        secret, fingerprint = keyfile.read(path, passphrase)
        ledger_path = _ledger_path(path, fingerprint)
        if not ledger_path.exists():
            raise KeyFileError(
                f"the ledger {ledger_path} is missing, and without it the key could decrypt too much",
                hint="copy it from where the key was used last; if it is lost, make a new key",
            )
        keyfile.check_private(ledger_path)
        half = len(secret) // 2
        p, q = int.from_bytes(secret[:half], "big"), int.from_bytes(secret[half:], "big")
        if PublicKey(mpz(p) * q).fingerprint != fingerprint:
            raise KeyFileError(f"{path} holds another key than its fingerprint says")
        return cls(p, q, Ledger(ledger_path, fingerprint))

    def close(self) -> None:
        """Close the ledger and forget what was decrypted."""
        self._opened.clear()
        self._ledger.close()

    def encrypt_weights(self, w_int: Sequence[int]) -> list[mpz]:
        """One fresh ciphertext for each signed integer, |w| < n/2. Reveals nothing. Raises UsageError."""
        return [self._encrypt(w) for w in w_int]

    def decrypt_aggregate(
        self,
        *,
        bounty: bytes,
        round: int,
        plan: SlotPlan,
        weights_int: Sequence[int],
        updates: Sequence[MineUpdate],
        min_mines: int,
    ) -> list[int]:
        """Reveal sum_i rows_i u_i, d integers at scale 2^plan.scale_bits, once per round.

        `weights_int` int[d] are the weights that the updates were made on. The digests of exactly these
        updates, of the weights and of the cohort go to the ledger first. The same call may be made again;
        another set of updates, other rows or another plan for this round raises LedgerConflict, and so does
        another cohort at weights where an aggregate of this key was decrypted before. Raises UsageError for
        fewer than `min_mines` (at least 2: the sum of one update is that update) and rows beyond the plan,
        CiphertextError, UpdateOutOfRange, EnvironmentFault if the machine miscalculated.
        """
        self._check_cohort(plan, updates, min_mines)
        if len(weights_int) != plan.values:
            raise UsageError(f"{len(weights_int)} weights; the slot plan has {plan.values}")
        self._ledger.record_aggregate(
            bounty,
            round,
            aggregate_digest(self._public, plan, updates),
            weights=_weights_digest(plan, weights_int),
            cohort=_digest(*sorted(f"{one.mine} {one.rows}".encode() for one in updates)),
        )
        rows = [update.rows for update in updates]
        columns = zip(*(update.ciphertexts for update in updates), strict=True)
        sums = [self._public.weighted_sum(column, rows) for column in columns]
        return plan.unpack([self._decrypt_checked(c) for c in sums], weight=sum(rows))

    def inspect(
        self,
        *,
        bounty: bytes,
        round: int,
        plan: SlotPlan,
        history: Sequence[RoundUpdates],
        zero_start: bool,
        bias_index: int,
        bias_curvature: int | None,
    ) -> dict[str, TestResult]:
        """Reveal for each mine of `round` whether its update passed, and if not, the first test that failed.

        `history` holds the rounds up to and including this one, ascending, with well-formed updates only; a
        mine may be absent from some. `zero_start` says that the first round's weights are zero and that
        targets lie mostly on one side of zero, so that their means compare. `bias_curvature` is A[bias, bias]
        as the integer that every honest mine has (2^data_frac for squared loss, a quarter of that for
        logistic loss), None where it differs between mines, as after several local steps.

        A mine that failed an exact test in a former round fails again by the same; a comparison with the
        cohort counts for its round only. The tests and what they assume: `pysonar.inspection`. Failures are
        counted in the ledger. Raises UsageError.
        """
        _check_history(plan, history, round, bias_index)
        opened = [
            Opened(
                tuple(int(w) for w in past.weights_int),
                {mine: self._open(plan, update) for mine, update in past.updates.items()},
            )
            for past in history
        ]
        rules = Rules(plan, zero_start, bias_index, bias_curvature, secrets.randbits)
        left_out: dict[str, str] = {}
        for mine, test in self._ledger.failed_before(bounty, round):
            if test not in inspection.COMPARISONS:
                left_out.setdefault(mine, test)
        failed = inspection.inspect(rules, opened, lambda mine: mine not in left_out)
        verdicts = {mine: left_out.get(mine, test) for mine, test in failed.items()}
        new = [(mine, test) for mine, test in failed.items() if test and mine not in left_out]
        self._ledger.record_failed_tests(bounty, round, new)
        return {mine: TestResult(test is None, test) for mine, test in verdicts.items()}

    def score(
        self,
        *,
        bounty: bytes,
        round: int,
        plan: SlotPlan,
        terms: Mapping[str, Sequence[tuple[MineUpdate, Sequence[float]]]],
    ) -> dict[str, int]:
        """Reveal for each mine sum_s <coefficients_s, u_s>, u_s in real units, rounded to 16 bits.

        `terms` holds for each mine its updates with a coefficient vector float[d] each. All values are scaled
        together, so that the largest magnitude becomes 32767. One answer per round: the first one is recorded
        and returned again, also if the coefficients have changed since. Raises LedgerConflict for another set
        of updates, UsageError, CiphertextError, UpdateOutOfRange.
        """
        values = {
            mine: math.fsum(self._value(plan, update, vector) for update, vector in pairs)
            for mine, pairs in terms.items()
        }
        if not all(math.isfinite(value) for value in values.values()):
            raise UsageError("a coefficient is not a finite number")
        largest = max((abs(value) for value in values.values()), default=0.0)
        scale = _SCORE_MAX / largest if largest else 0.0
        scores = {mine: math.floor(value * scale + 0.5) for mine, value in values.items()}
        digest = _digest(
            b"sonar scores", *(_update_parts(self._public, u) for m in sorted(terms) for u, _ in terms[m])
        )
        return self._ledger.record_scores(bounty, round, digest, SCORE_BITS, scores)

    def unsafe_decrypt_update(self, plan: SlotPlan, update: MineUpdate) -> list[int]:
        """Reveal one mine's whole update, d integers. This breaks the promise that was made to the mine.

        Raises CiphertextError, UpdateOutOfRange.
        """
        return list(self._open_checked(plan, update))

    def unsafe_primes(self) -> tuple[int, int]:
        """Reveal p and q: the key itself, without its ledger."""
        return int(self._p.p), int(self._q.p)

    def __repr__(self) -> str:
        return f"<Key {self._public.bits} bits, fingerprint {self._public.fingerprint.hex()[:16]}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Key is neither pickled nor copied; use save and load")

    def _check_cohort(self, plan: SlotPlan, updates: Sequence[MineUpdate], min_mines: int) -> None:
        least = max(min_mines, 2)
        if len(updates) < least:
            raise UsageError(f"{len(updates)} updates; an aggregate takes at least {least}")
        if len({update.mine for update in updates}) != len(updates):
            raise UsageError("a mine occurs twice in one aggregate")
        if len(updates) > plan.mines_max:
            raise UsageError(f"{len(updates)} updates; the slot plan has room for {plan.mines_max}")
        for update in updates:
            if not 1 <= update.rows <= plan.rows_max:
                raise UsageError(
                    f"{update.mine}: {update.rows} rows; the slot plan takes 1 to {plan.rows_max}"
                )
            self._check_update(plan, update)

    def _check_update(self, plan: SlotPlan, update: MineUpdate) -> None:
        if plan.key_bits != self._public.bits:
            raise UsageError(f"the plan is for a key of {plan.key_bits} bits, not {self._public.bits}")
        if len(update.ciphertexts) != plan.ciphertexts:
            raise CiphertextError(
                f"{update.mine}: {len(update.ciphertexts)} ciphertexts, the slot plan has {plan.ciphertexts}"
            )
        self._public.check_all(update.ciphertexts)

    def _open(self, plan: SlotPlan, update: MineUpdate) -> tuple[int, ...] | None:
        try:
            return self._open_checked(plan, update)
        except (CiphertextError, UpdateOutOfRange):
            return None

    def _open_checked(self, plan: SlotPlan, update: MineUpdate) -> tuple[int, ...]:
        """Decrypt one update, or take it from memory. What it returns must not leave this object."""
        self._check_update(plan, update)
        name = _digest(_plan_bytes(plan), self._public.encode_blob(update.ciphertexts))
        values = self._opened.get(name)
        if values is None:
            values = tuple(plan.unpack([self._decrypt(c) for c in update.ciphertexts], weight=1))
            self._opened[name] = values
            if len(self._opened) > _CACHED_UPDATES:
                self._opened.popitem(last=False)
        return values

    def _value(self, plan: SlotPlan, update: MineUpdate, vector: Sequence[float]) -> float:
        if len(vector) != plan.values:
            raise UsageError(f"{len(vector)} coefficients for {plan.values} values")
        scale = 1 << plan.scale_bits
        update_int = self._open_checked(plan, update)
        return math.fsum(float(k) * (u / scale) for k, u in zip(vector, update_int, strict=True))

    def _encrypt(self, m: int) -> mpz:
        n = self._public.n
        if 2 * abs(m) >= n:
            raise UsageError("a number to encrypt is not between -n/2 and n/2")
        zero_p, zero_q = self._p.random_zero(), self._q.random_zero()
        step = (zero_p - zero_q) * self._q2_inverse % self._p.square
        return self._public.add_plain(zero_q + self._q.square * step, m)

    def _decrypt(self, c: mpz) -> int:
        m_p, m_q = self._p.decrypt(c), self._q.decrypt(c)
        return self._public.signed(m_q + self._q.p * ((m_p - m_q) * self._q_inverse % self._p.p))

    def _decrypt_checked(self, c: mpz) -> int:
        """Decrypt, recover the randomness too, and see that both encrypt to `c` again."""
        m = self._decrypt(c)
        r_p, r_q = self._p.root(c), self._q.root(c)
        r = r_q + self._q.p * ((r_p - r_q) * self._q_inverse % self._p.p)
        if self._public.encrypt(m % self._public.n, r) != c:
            raise EnvironmentFault(
                "a decryption does not encrypt to the same ciphertext again; nothing was released",
                hint="this machine miscalculated: check its memory, and do not use it for keys until then",
            )
        return m


class _Prime:
    """What is done modulo one of the primes, p, and its square."""

    __slots__ = ("_decrypt_factor", "_root_exponent", "p", "square")

    def __init__(self, p: mpz, other: mpz) -> None:
        self.p, self.square = p, p * p
        self._decrypt_factor = gmpy2.invert(-other, p)
        self._root_exponent = gmpy2.invert(p * other, p - 1)

    def decrypt(self, c: mpz) -> mpz:
        """The plaintext mod p: L(c^(p-1) mod p^2) / L((1 + n)^(p-1) mod p^2), L(x) = (x - 1) / p."""
        return (gmpy2.powmod(c, self.p - 1, self.square) - 1) // self.p * self._decrypt_factor % self.p

    def root(self, c: mpz) -> mpz:
        """The randomness mod p: the n-th root of c."""
        return gmpy2.powmod(c, self._root_exponent, self.p)

    def random_zero(self) -> mpz:
        """A uniform n-th power mod p^2. x^p takes each of them, because q is prime to p - 1."""
        return gmpy2.powmod(1 + secrets.randbelow(int(self.p) - 1), self.p, self.square)


def aggregate_digest(key: PublicKey, plan: SlotPlan, updates: Sequence[MineUpdate]) -> bytes:
    """sha2-256 that names an aggregate: the key, the plan, and each mine's address, rows and ciphertexts.

    The order of `updates` does not matter.
    """
    parts = (_update_parts(key, update) for update in sorted(updates, key=lambda update: update.mine))
    return _digest(b"sonar aggregate", key.fingerprint, _plan_bytes(plan), *parts)


def _weights_digest(plan: SlotPlan, weights_int: Sequence[int]) -> bytes:
    """Name the weights themselves, whatever the scale that a plan writes them at."""
    finest = (int(w) << (MAX_FRAC - plan.weight_frac) for w in weights_int)
    return _digest(*(str(w).encode() for w in finest))


def _update_parts(key: PublicKey, update: MineUpdate) -> bytes:
    blob = key.encode_blob(update.ciphertexts)
    return _digest(update.mine.encode(), str(update.rows).encode(), blob)


def _plan_bytes(plan: SlotPlan) -> bytes:
    return ",".join(f"{name}={value}" for name, value in sorted(plan.to_dict().items())).encode()


def _digest(*parts: bytes) -> bytes:
    """sha2-256 over the parts, each after its length."""
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def _check_history(plan: SlotPlan, history: Sequence[RoundUpdates], round: int, bias_index: int) -> None:
    numbers = [past.round for past in history]
    if not numbers or numbers != sorted(set(numbers)) or numbers[-1] != round:
        raise UsageError(f"the history must ascend and end with round {round}, got rounds {numbers}")
    if any(len(past.weights_int) != plan.values for past in history):
        raise UsageError(f"the weights of a round do not have the plan's {plan.values} values")
    if not 0 <= bias_index < plan.values:
        raise UsageError(f"bias_index {bias_index} is not between 0 and {plan.values - 1}")


def _ledger_path(key_path: Path, fingerprint: bytes) -> Path:
    return key_path.with_name(f"{fingerprint.hex()[:16]}.ledger")


def _random_prime(bits: int) -> mpz:
    """A uniform prime of `bits` bits among those that are 3 mod 4 with the top two bits set.

    Every candidate is drawn afresh: stepping from a random start would favour primes after long gaps.
    """
    while True:
        candidate = mpz(secrets.randbits(bits)) | 3 << (bits - 2) | 3
        if gmpy2.gcd(candidate, _SIEVE) == 1 and gmpy2.is_prime(candidate, _PRIMALITY_ROUNDS):
            return candidate
