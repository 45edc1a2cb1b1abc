"""Openings, held against the ciphertexts in the store, all of a settlement's at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gmpy2 import mpz

from capsule.audit.public import PublicBounty
from capsule.audit.refusal import expect, refuse, spec_of
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
    """Ciphertexts and their openings, to be checked together: those of each key."""

    def __init__(self) -> None:
        self._lots: dict[mpz, _Lot] = {}

    @property
    def count(self) -> int:
        """How many openings there are."""
        return sum(len(lot.openings) for lot in self._lots.values())

    def add(
        self, what: str, key: PublicKey, ciphertexts: Sequence[mpz], openings: Openings
    ) -> tuple[mpz, ...]:
        """Take in some of a key, and return their plaintexts, in [0, n). Raises Refusal for another
        number.
        """
        try:
            pairs = openings.read((key.bits + 7) // 8, len(ciphertexts), what)
        except ManifestError as error:
            refuse("opening", str(error))
        lot = self._lots.setdefault(key.n, _Lot(key))
        lot.named += [(what, i) for i in range(len(pairs))]
        lot.ciphertexts += ciphertexts
        lot.openings += pairs
        return tuple(plain for plain, _ in pairs)

    def check(self, random_bits: Callable[[int], int]) -> None:
        """Refuse if one opening is false. `random_bits` must not be known to whoever sent them."""
        for lot in self._lots.values():
            lot.check(random_bits)


@dataclass
class _Lot:
    """What a batch has of one key."""

    key: PublicKey
    named: list[tuple[str, int]] = field(default_factory=list)
    ciphertexts: list[mpz] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)

    def check(self, random_bits: Callable[[int], int]) -> None:
        try:
            check_openings(self.key, self.ciphertexts, self.openings, random_bits)
        except CiphertextError as error:
            refuse("opening", f"{error}; they are numbered {self._in_words()}")

    def _in_words(self) -> str:
        first = {what: number for number, (what, i) in enumerate(self.named) if i == 0}
        return ", ".join(f"{what} from {number} on" for what, number in first.items())[:500]


def opened_round(
    public: PublicBounty, given: AuditedRound, read: Mapping[Address, ReadUpdate], batch: Batch
) -> OpenedRound:
    """Return a round whose openings are in `batch`, to be checked yet. `read`: the answers that count.

    Raises Refusal.
    """
    number = given.round
    model = public.model_of(number)
    weights, key = opened_weights(public, model, given.weights, batch), public.key(model)
    opened = {one.mine: one for one in given.answers}
    expect("openings-missing", f"the answers of round {number}", sorted(opened), sorted(read))
    plain = {}
    for mine, update in read.items():
        expect("opening", f"the update of {mine} in round {number}", opened[mine].update, update.digest)
        what = f"{mine} in round {number}"
        plain[mine] = batch.add(what, key, update.ciphertexts, opened[mine].openings)
    return OpenedRound(number, weights, read, plain)


def opened_weights(
    public: PublicBounty, model: ModelManifest, openings: Openings, batch: Batch
) -> tuple[int, ...]:
    """Return a model's weights int[d k], each within its bound; their openings are in `batch`."""
    key = public.key(model)
    plain = batch.add(f"the weights of round {model.round}", key, public.weights(model), openings)
    weights = tuple(key.signed(m) for m in plain)
    most = model.slot_plan.bounds.weight_max
    names = spec_of(model).weight_names
    for name, weight in zip(names, weights, strict=True):
        if abs(weight) > most:
            refuse("weights", f"the weight of {name} in round {model.round} is {weight}; at most {most}")
    return weights
