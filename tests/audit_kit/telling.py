"""Capsules in memory: what they tell of seeds, signed, and what a scientist makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gmpy2 import mpz

from pysonar.keys.key import Key
from sonar.chain.signatures import sign_digest
from sonar.families.veiled import Asked
from sonar.manifests.capsule import (
    Ask,
    FunctionalAnswer,
    FunctionalRequest,
    Part,
    SignedAnswer,
    SumAnswer,
    SumRequest,
)
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.model import VeilCover
from sonar.paillier.slots import SlotPlan
from sonar.protocol.capsules import answer_digest
from sonar.protocol.ids import Address, digest_of, parse_address
from sonar.veil.functionals import Measured, class_value, measured, read_vector, told, write_vector
from sonar.veil.masks import class_masks, class_wraps, read_wraps
from sonar.veil.sums import class_sums
from tests.veil_kit import BOUNTY, Capsule, Somewhere, Update

HERE = Somewhere(address=parse_address("0x" + "c0" * 20))


def signed(capsule: Capsule, body: bytes) -> bytes:
    """A capsule's answer in its envelope."""
    digest = answer_digest(HERE.chain_id, HERE.address, body)
    return SignedAnswer(body=body, signature=sign_digest(capsule.account, digest)).to_bytes()


@dataclass
class Tellers:
    """A bounty's capsules, who know the seeds of all updates in `sent`, by round and mine."""

    key: Key
    plan: SlotPlan
    cover: VeilCover
    capsules: tuple[Capsule, ...]
    sent: dict[tuple[int, Address], Update] = field(default_factory=dict)

    def tell_sum(self, capsule: Capsule, cohort: CohortManifest, add: int = 0) -> bytes:
        """A capsule's signed part of a sum; `add` is a lie."""
        width = (self.plan.key_bits + 7) // 8
        sums = []
        for number in self.cover.classes.held_by(self.capsules.index(capsule)):
            found = self.class_sums(cohort, number)
            sums.append(b"".join(int((x + add) % self.key.public.n).to_bytes(width, "big") for x in found))
        answer = SumAnswer(
            capsule=capsule.address, request=digest_of(self.sum_request(cohort)), sums=tuple(sums)
        )
        return signed(capsule, answer.to_bytes())

    def class_sums(self, cohort: CohortManifest, number: int) -> list[mpz]:
        """A class's weighted sum of masks."""
        updates = [(a.weight, self.sent[cohort.round, a.mine]) for a in cohort.addends]
        count = self.plan.ciphertexts
        masks = ((w, class_masks(u.seeds[number], u.place, self.key.public.n, count)) for w, u in updates)
        return class_sums(self.key.public.n, count, masks)

    def sum_request(self, cohort: CohortManifest) -> bytes:
        """The body of a request for a sum."""
        return SumRequest(
            chain_id=HERE.chain_id,
            contract=HERE.address,
            bounty=BOUNTY,
            round=cohort.round,
            cohort=cohort.digest(),
        ).to_bytes()

    def functional_request(self, number: int, asks: Mapping[str, Sequence[Asked]]) -> bytes:
        """The body of a request for functionals."""
        vectors: dict[bytes, int] = {}
        made = []
        for mine, each in asks.items():
            for asked in each:
                parts = []
                for round_, vector in asked.parts:
                    place = vectors.setdefault(write_vector(self.plan, vector), len(vectors))
                    update = self.sent[round_, Address(mine)].manifest.digest()
                    parts.append(Part(round=round_, update=update, vector=place))
                made.append(Ask(mine=Address(mine), bits=asked.bits, parts=tuple(parts)))
        return FunctionalRequest(
            chain_id=HERE.chain_id,
            contract=HERE.address,
            bounty=BOUNTY,
            round=number,
            vectors=tuple(vectors),
            asks=tuple(made),
        ).to_bytes()

    def tell(self, capsule: Capsule, body: bytes) -> bytes:
        """A capsule's signed answer to a request for functionals."""
        request = FunctionalRequest.from_bytes(body)
        held = self.cover.classes.held_by(self.capsules.index(capsule))
        values = tuple(tuple(self._told(request, ask, number) for number in held) for ask in request.asks)
        answer = FunctionalAnswer(capsule=capsule.address, request=digest_of(body), values=values)
        return signed(capsule, answer.to_bytes())

    def _told(self, request: FunctionalRequest, ask: Ask, number: int) -> int:
        vectors = [read_vector(self.plan, request.vectors[part.vector]) for part in ask.parts]
        updates = [self.sent[part.round, ask.mine] for part in ask.parts]
        count, size = self.plan.ciphertexts, self.plan.slot_bits
        masks = [class_masks(u.seeds[number], u.place, self.key.public.n, count) for u in updates]
        wraps = [class_wraps(u.seeds[number], u.place, size, count) for u in updates]
        moduli = [self.key.public.n] * len(vectors)
        return told(class_value(self.plan, moduli, vectors, masks, wraps), size, ask.bits)

    def measured(self, mine: str, asked: Asked) -> Measured:
        """What a scientist knows of a functional."""
        updates = [self.sent[number, Address(mine)] for number, _ in asked.parts]
        body = self.functional_request(1, {mine: (asked,)})
        request = FunctionalRequest.from_bytes(body)
        numbers = [self._told(request, request.asks[0], c) for c in range(self.cover.classes.count)]
        opened = [[mpz(x) for x in self.plain(update)] for update in updates]
        wraps = [read_wraps(self.plan, update.veil.wraps) for update in updates]
        vectors = [vector for _, vector in asked.parts]
        return measured(
            self.plan, [self.key.public.n] * len(vectors), vectors, opened, wraps, numbers, asked.bits
        )

    def plain(self, update: Update) -> list[int]:
        """What an update's ciphertexts hold: masked plaintexts."""
        return self.key.unsafe_decrypt(update.ciphertexts)
