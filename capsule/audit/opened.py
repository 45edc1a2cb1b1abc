"""Openings, held against the ciphertexts in the store, all of a settlement's at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gmpy2 import mpz

from capsule.audit.public import PublicBounty
from capsule.audit.refusal import expect, refuse
from sonar.errors import CiphertextError, ManifestError
from sonar.manifests.audit import AuditedRound, Openings
from sonar.manifests.model import ModelManifest
from sonar.paillier.openings import check_openings
from sonar.paillier.public import PublicKey
from sonar.protocol.ids import Address
from sonar.settling.updates import ReadUpdate

Opening = tuple[mpz, mpz]


@dataclass(frozen=True)
class OpenedRound:
    """A round with what its ciphertexts hold: the weights int[d k], and the masked plaintexts of each answer,
    one for each ciphertext, in [0, n).
    """

    number: int
    weights: tuple[int, ...]
    updates: Mapping[Address, ReadUpdate]
    plain: Mapping[Address, tuple[mpz, ...]]


class Batch:
    """Ciphertexts of a key and their openings, to be checked together."""

    def __init__(self, key: PublicKey) -> None:
        self._key, self._width = key, (key.bits + 7) // 8
        self._named: list[tuple[str, int]] = []
        self._ciphertexts: list[mpz] = []
        self._openings: list[Opening] = []

    @property
    def count(self) -> int:
        """How many openings there are."""
        return len(self._openings)

    def add(self, what: str, ciphertexts: Sequence[mpz], openings: Openings) -> tuple[mpz, ...]:
        """Take in some, and return their plaintexts, in [0, n). Raises Refusal for another number."""
        try:
            pairs = openings.read(self._width, len(ciphertexts), what)
        except ManifestError as error:
            refuse("opening", str(error))
        self._named += [(what, i) for i in range(len(pairs))]
        self._ciphertexts += ciphertexts
        self._openings += pairs
        return tuple(plain for plain, _ in pairs)

    def check(self, random_bits: Callable[[int], int]) -> None:
        """Refuse if one opening is false. `random_bits` must not be known to whoever sent them."""
        try:
            check_openings(self._key, self._ciphertexts, self._openings, random_bits)
        except CiphertextError as error:
            refuse("opening", f"{error}; they are numbered {self._in_words()}")

    def _in_words(self) -> str:
        first = {what: number for number, (what, i) in enumerate(self._named) if i == 0}
        return ", ".join(f"{what} from {number} on" for what, number in first.items())[:500]


def opened_round(
    public: PublicBounty, given: AuditedRound, read: Mapping[Address, ReadUpdate], batch: Batch
) -> OpenedRound:
    """Return a round whose openings are in `batch`, to be checked yet. `read`: the answers that count.

    Raises Refusal.
    """
    number = given.round
    weights = opened_weights(public, public.model_of(number), given.weights, batch)
    opened = {one.mine: one for one in given.answers}
    expect("openings-missing", f"the answers of round {number}", sorted(opened), sorted(read))
    plain = {}
    for mine, update in read.items():
        expect("opening", f"the update of {mine} in round {number}", opened[mine].update, update.digest)
        what = f"{mine} in round {number}"
        plain[mine] = batch.add(what, update.ciphertexts, opened[mine].openings)
    return OpenedRound(number, weights, read, plain)


def opened_weights(
    public: PublicBounty, model: ModelManifest, openings: Openings, batch: Batch
) -> tuple[int, ...]:
    """Return a model's weights int[d k], each within its bound; their openings are in `batch`."""
    plain = batch.add(f"the weights of round {model.round}", public.weights(model), openings)
    weights = tuple(public.key.signed(m) for m in plain)
    most = model.slot_plan.bounds.weight_max
    for name, weight in zip(model.family.weight_names, weights, strict=True):
        if abs(weight) > most:
            refuse("weights", f"the weight of {name} in round {model.round} is {weight}; at most {most}")
    return weights
