"""The scientist's key. What it decrypts stays inside; it answers few questions, and a ledger counts.

It reveals, and nothing else:
- `decrypt_aggregate`: one sum of updates per round, of at least `min_mines` of them, and at the same weights
  of one cohort only; each update enters one sum only;
- `inspect`: yes or no for each mine of a round, with the name of the failed test;
- `score`: one number of 16 bits for each mine in a round's aggregate;
- `decrypt_packed_sum`: a sum of at least two packed vectors, each of which enters one sum only.
`unsafe_decrypt_update` is the exception, is named so, and is called by no shipped path.

This holds against mistakes. It does not hold against the owner of the key, who can write another class, or
deceive this one: an update under new randomness is a new one to the ledger, the labels of bounties and
weights are her word, and `inspect` answers whatever history she makes up.
The arithmetic, how faults in it are found, and what is said about side channels: `pysonar.keys.secret`. The
key at rest: `pysonar.keys.keyfile`.
"""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys import inspection, keyfile
from pysonar.keys.inspection import Opened, Rules, TestResult
from pysonar.keys.ledger import Ledger
from pysonar.keys.secret import Secret, Tell
from pysonar.keys.updates import (
    MineUpdate,
    RoundUpdates,
    aggregate_digest,
    digest_of_parts,
    plan_bytes,
    update_digest,
    weights_digest,
)
from sonar.errors import CiphertextError, KeyFileError, UpdateOutOfRange, UsageError
from sonar.paillier import keyproof
from sonar.paillier.packed import PackedPlan, Vector
from sonar.paillier.public import MAX_BITS, MIN_BITS, MIN_BITS_INSECURE, PublicKey
from sonar.paillier.slots import SlotPlan

__all__ = ["Key", "MineUpdate", "RoundUpdates", "aggregate_digest"]

SCORE_BITS = 16
_SCORE_MAX = (1 << (SCORE_BITS - 1)) - 1
_CACHED_UPDATES = 4096


class Key:
    """A Paillier key pair with its ledger.

    The constructor trusts its primes, for tests and conversions; use `generate` and `load`.
    """

    def __init__(self, p: int, q: int, ledger: Ledger | None = None) -> None:
        self._open_secret: Secret | None = Secret(p, q)
        self._public = self._secret.public
        self._ledger = ledger or Ledger(None, self._public.fingerprint)
        self._opened: OrderedDict[bytes, tuple[int, ...] | None] = OrderedDict()

    @classmethod
    def generate(cls, bits: int = 3072, *, insecure: bool = False) -> Key:
        """Make a key with a modulus of `bits` bits from the system's randomness. A second or so.

        2048 bits are worth 112 bits of security, 3072 are worth 128. `insecure` admits 1024, for comparisons.
        Raises UsageError.
        """
        least = MIN_BITS_INSECURE if insecure else MIN_BITS
        if type(bits) is not int or bits % 16 or not least <= bits <= MAX_BITS:
            raise UsageError(f"bits must be a multiple of 16 from {least} to {MAX_BITS}, got {bits!r}")
        return cls(*Secret.generate(bits).primes())

    @property
    def _secret(self) -> Secret:
        if self._open_secret is None:
            raise UsageError("the key is closed", hint="load it again")
        return self._open_secret

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    @cached_property
    def proof(self) -> bytes:
        """The proof that mines ask for, for the key's manifest: see `sonar.paillier.keyproof`."""
        return keyproof.encode(self._public, self._secret.roots(keyproof.challenges(self._public)))

    def on_progress(self, tell: Tell | None) -> None:
        """Have `tell` called with (done, of) about once a second by work that takes longer."""
        self._secret.tell = tell

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
        secret = b"".join(prime.to_bytes(half, "big") for prime in self.unsafe_primes())
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
        if p == q or not (gmpy2.is_prime(p) and gmpy2.is_prime(q)):
            raise KeyFileError(f"{path} does not hold two primes", hint="whoever made it cannot be trusted")
        return cls(p, q, Ledger(ledger_path, fingerprint))

    def close(self) -> None:
        """Close the ledger, and let go of the key and of what was decrypted."""
        self._opened.clear()
        self._open_secret = None
        self._ledger.close()

    def encrypt_weights(self, w_int: Sequence[int]) -> list[mpz]:
        """One fresh ciphertext for each signed integer, |w| < n/2. Reveals nothing. Raises UsageError."""
        return self._secret.encrypt(w_int)

    def encrypt_packed(self, plan: PackedPlan, values: Vector) -> list[mpz]:
        """The ciphertexts of a long vector int[plan.weights]. Reveals nothing. Raises UsageError."""
        self._check_bits(plan)
        return self._secret.encrypt(plan.pack(values))

    def decrypt_packed_sum(self, plan: PackedPlan, vectors: Sequence[Sequence[mpz]]) -> NDArray[np.int64]:
        """Reveal the sum int64[plan.weights] of two or more packed vectors.

        The digest of each goes to the ledger first, with that of the sum. The same call may be made again; a
        vector that was part of another sum raises LedgerConflict, since two sums that differ by one vector
        give that one away. Raises UsageError, CiphertextError, UpdateOutOfRange, EnvironmentFault.
        """
        self._check_bits(plan)
        if len(vectors) < 2:
            raise UsageError("the sum of one vector is that vector; at least 2 are needed")
        total = plan.add(self._public, vectors)
        digests = sorted(digest_of_parts(self._public.encode_blob(vector)) for vector in vectors)
        if len(set(digests)) != len(digests):
            raise UsageError("a vector occurs twice in one sum")
        self._ledger.record_sum(digests, digest_of_parts(b"sonar packed sum", *digests))
        return plan.unpack(self._secret.decrypt(total), addends=len(vectors))

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
        another cohort at weights where an aggregate of this key was decrypted before, or an update that was
        part of another aggregate. Raises UsageError for
        fewer than `min_mines` (at least 2: the sum of one update is that update) and rows beyond the plan,
        CiphertextError, UpdateOutOfRange, EnvironmentFault if the machine miscalculated.
        """
        self._check_cohort(plan, updates, min_mines)
        if len(weights_int) != plan.weights:
            raise UsageError(f"{len(weights_int)} weights; the slot plan has {plan.weights}")
        self._ledger.record_aggregate(
            bounty,
            round,
            aggregate_digest(self._public, plan, updates),
            weights=weights_digest(plan, weights_int),
            cohort=digest_of_parts(*sorted(f"{one.mine} {one.rows}".encode() for one in updates)),
            updates={one.mine: self._digest(one) for one in updates},
        )
        rows = [update.rows for update in updates]
        columns = zip(*(update.ciphertexts for update in updates), strict=True)
        sums = [self._public.weighted_sum(column, rows) for column in columns]
        return plan.unpack(self._secret.decrypt(sums), weight=sum(rows))

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
        min_mines: int,
    ) -> dict[str, TestResult]:
        """Reveal for each mine of `round` whether its update passed, and if not, the first test that failed.

        `history` holds the rounds up to and including this one, ascending, with well-formed updates only; a
        mine may be absent from some. `zero_start` says that the first round's weights are zero and that
        targets lie mostly on one side of zero, so that their means compare; if not, whole updates are, from
        zero weights. `bias_curvature` is A[bias, bias] as the integer that every honest mine has
        (2^data_frac for squared loss, a quarter of that for logistic loss), None where it differs between
        mines, as after several local steps. `min_mines`: how many updates an aggregate takes; mines that come
        late are left out of their first round, if so many are left.

        A mine that failed an exact test in a former round fails again by the same; the tests of
        `inspection.ROUND_ONLY` count for their round only. What each assumes: `pysonar.keys.inspection`.
        Failures are counted in the ledger. Raises UsageError.
        """
        _check_history(plan, history, round, bias_index)
        self._open_all(plan, [update for past in history for update in past.updates.values()])
        opened = [
            Opened(
                tuple(int(w) for w in past.weights_int),
                {mine: self._open(plan, update) for mine, update in past.updates.items()},
            )
            for past in history
        ]
        rules = Rules(plan, zero_start, bias_index, bias_curvature, min_mines, secrets.randbits)
        left_out: dict[str, str] = {}
        for mine, test in self._ledger.failed_before(bounty, round):
            if test not in inspection.ROUND_ONLY:
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
        together, so that the largest magnitude becomes 32767; a positive one stays at least 1, since the sign
        says who is paid, and a cheat's huge negative score must not wipe out the others'. One answer per
        round: the first one is recorded and returned again, also if the coefficients have changed since.
        Raises LedgerConflict for another set of updates, for a mine that is not in the round's aggregate, and
        for an update that is in none of the bounty's as that mine's; UsageError, CiphertextError,
        UpdateOutOfRange.
        """
        self._open_all(plan, [update for pairs in terms.values() for update, _ in pairs])
        values = {
            mine: math.fsum(self._value(plan, update, vector) for update, vector in pairs)
            for mine, pairs in terms.items()
        }
        if not all(math.isfinite(value) for value in values.values()):
            raise UsageError("a coefficient is not a finite number")
        largest = max((abs(value) for value in values.values()), default=0.0)
        scale = _SCORE_MAX / largest if largest else 0.0
        scores = {mine: _rounded(value * scale, value > 0) for mine, value in values.items()}
        digest = digest_of_parts(
            b"sonar scores", *(update_digest(self._public, u) for m in sorted(terms) for u, _ in terms[m])
        )
        asked = {mine: {self._digest(update) for update, _ in pairs} for mine, pairs in terms.items()}
        return self._ledger.record_scores(bounty, round, digest, SCORE_BITS, scores, asked)

    def unsafe_decrypt_update(self, plan: SlotPlan, update: MineUpdate) -> list[int]:
        """Reveal one mine's whole update, d integers. This breaks the promise that was made to the mine.

        Raises CiphertextError, UpdateOutOfRange.
        """
        return list(self._open_checked(plan, update))

    def unsafe_primes(self) -> tuple[int, int]:
        """Reveal p and q: the key itself, without its ledger."""
        return self._secret.primes()

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
            if not 1 <= update.rows <= plan.weight_rows:
                raise UsageError(
                    f"{update.mine}: {update.rows} rows; the slot plan takes 1 to {plan.weight_rows}"
                )
            self._check_update(plan, update)

    def _check_bits(self, plan: SlotPlan | PackedPlan) -> None:
        if plan.key_bits != self._public.bits:
            raise UsageError(f"the plan is for a key of {plan.key_bits} bits, not {self._public.bits}")

    def _check_update(self, plan: SlotPlan, update: MineUpdate) -> None:
        self._check_bits(plan)
        if len(update.ciphertexts) != plan.ciphertexts:
            raise CiphertextError(
                f"{update.mine}: {len(update.ciphertexts)} ciphertexts, the slot plan has {plan.ciphertexts}"
            )
        self._public.check_all(update.ciphertexts)

    def _open(self, plan: SlotPlan, update: MineUpdate) -> tuple[int, ...] | None:
        """One update's values, None if it has none. What this returns must not leave this object."""
        try:
            self._check_update(plan, update)
        except CiphertextError:
            return None
        name = self._name(plan, update)
        if name not in self._opened:
            self._open_all(plan, [update])
        return self._opened[name]

    def _open_checked(self, plan: SlotPlan, update: MineUpdate) -> tuple[int, ...]:
        self._check_update(plan, update)
        values = self._open(plan, update)
        if values is None:
            raise UpdateOutOfRange(f"{update.mine}: a value is outside the range that the bounds allow")
        return values

    def _open_all(self, plan: SlotPlan, updates: Sequence[MineUpdate]) -> None:
        """Decrypt what is well formed and not in memory yet, all at once: cores and check share it."""
        new: dict[bytes, MineUpdate] = {}
        for update in updates:
            with suppress(CiphertextError):
                self._check_update(plan, update)
                name = self._name(plan, update)
                if name not in self._opened:
                    new[name] = update
        plain = self._secret.decrypt([c for update in new.values() for c in update.ciphertexts])
        for i, name in enumerate(new):
            values = None
            with suppress(UpdateOutOfRange):
                part = plain[i * plan.ciphertexts : (i + 1) * plan.ciphertexts]
                values = tuple(plan.unpack(part, weight=1))
            self._opened[name] = values
        while len(self._opened) > max(_CACHED_UPDATES, len(updates)):
            self._opened.popitem(last=False)

    def _digest(self, update: MineUpdate) -> bytes:
        """Name the ciphertexts, whoever sent them and however they are weighted."""
        return digest_of_parts(self._public.encode_blob(update.ciphertexts))

    def _name(self, plan: SlotPlan, update: MineUpdate) -> bytes:
        return digest_of_parts(plan_bytes(plan), self._public.encode_blob(update.ciphertexts))

    def _value(self, plan: SlotPlan, update: MineUpdate, vector: Sequence[float]) -> float:
        if len(vector) != plan.weights:
            raise UsageError(f"{len(vector)} coefficients for {plan.weights} values")
        scale = 1 << plan.scale_bits
        update_int = self._open_checked(plan, update)
        return math.fsum(float(k) * (u / scale) for k, u in zip(vector, update_int, strict=True))

    def _decrypt(self, c: mpz) -> int:
        return self._secret.decrypt([c])[0]


def _check_history(plan: SlotPlan, history: Sequence[RoundUpdates], round: int, bias_index: int) -> None:
    numbers = [past.round for past in history]
    if not numbers or numbers != sorted(set(numbers)) or numbers[-1] != round:
        raise UsageError(f"the history must ascend and end with round {round}, got rounds {numbers}")
    if any(len(past.weights_int) != plan.weights for past in history):
        raise UsageError(f"the weights of a round do not have the plan's {plan.weights} values")
    if not 0 <= bias_index < plan.weights:
        raise UsageError(f"bias_index {bias_index} is not between 0 and {plan.weights - 1}")


def _rounded(score: float, positive: bool) -> int:
    nearest = math.floor(score + 0.5)
    return max(nearest, 1) if positive else nearest


def _ledger_path(key_path: Path, fingerprint: bytes) -> Path:
    return key_path.with_name(f"{fingerprint.hex()[:16]}.ledger")
