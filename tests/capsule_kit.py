"""Capsules in the test's own process, behind the scientist's client: they open envelopes, derive masks, and
tell what they are asked, by the rules that need no chain. And capsules that lie.

Not a mock: masks, envelopes, signatures and bytes are the real ones. What a real capsule reads on the chain,
a test says here: which sets are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from eth_account.signers.local import LocalAccount
from gmpy2 import mpz

from mine.work.veil import Site
from pysonar.capsules.client import CONTENT_TYPE, Asker, HttpCapsule
from pysonar.capsules.panel import Panel
from sonar.chain.signatures import sign_digest, signer_of
from sonar.errors import BlobNotFound, ManifestError
from sonar.manifests.capsule import (
    Ask,
    FunctionalAnswer,
    FunctionalRequest,
    Identity,
    Problem,
    SignedAnswer,
    SignedRequest,
    SumAnswer,
    SumRequest,
)
from sonar.manifests.cohort import Addend, CohortManifest
from sonar.manifests.model import ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.protocol.capsules import answer_digest, request_digest
from sonar.protocol.ids import Address, Cid, Digest, digest_of
from sonar.veil import functionals
from sonar.veil.masks import class_masks, class_wraps
from sonar.veil.streams import Place
from sonar.veil.sums import class_sums, class_word_sums
from sonar.veil.words import WORD_BITS, class_word_value, read_words, write_words
from tests.veil_kit import Capsule, opened


class Refusal(Exception):
    def __init__(self, code: str, problem: str, mine: Address | None = None) -> None:
        super().__init__(problem)
        self.code, self.mine = code, mine


@dataclass
class Service:
    """One capsule's work. `models`: the first manifests of bounties; `fixed`: by bounty and round the digest
    that the chain has.
    """

    capsule: Capsule
    site: Site
    scientist: Address
    models: Mapping[bytes, ModelManifest]
    n: mpz
    store: Store
    fixed: Mapping[tuple[bytes, int], bytes]
    least: int = 2
    bits: int = 4096
    lie: Callable[[str, Any], Any] = lambda _kind, values: values
    log: Callable[[str], None] = lambda _kind: None

    def identity(self) -> bytes:
        key = self.capsule.signed(self.site)
        told = Identity(
            chain_id=self.site.chain_id,
            contract=self.site.address,
            key=key,
            version="test",
            least=self.least,
            bits=self.bits,
            policy="tells what it is asked",
        )
        return self.sign(told.to_bytes())

    def sign(self, body: bytes) -> bytes:
        digest = answer_digest(self.site.chain_id, self.site.address, body)
        return SignedAnswer(body=body, signature=sign_digest(self.capsule.account, digest)).to_bytes()

    def answer(self, kind: str, data: bytes) -> bytes:
        self.log(kind)
        request = SignedRequest.from_bytes(data)
        place = (self.site.chain_id, self.site.address, request.capsule, request.nonce, request.expires_s)
        assert request.capsule == self.capsule.address
        assert signer_of(request_digest(*place, request.body), request.signature) == self.scientist
        tell = {"functional": self._functional, "sum": self._sum}[kind]
        return self.sign(tell(request.body).to_bytes())

    def _functional(self, body: bytes) -> FunctionalAnswer:
        request = FunctionalRequest.from_bytes(body)
        are_words = self.models[request.bounty].answers_are_words
        tell = self._of_words if are_words else self._of_digits
        values = [tell(request, ask) for ask in request.asks]
        told_now = self.lie("functional", tuple(values))
        return FunctionalAnswer(capsule=self.capsule.address, request=digest_of(body), values=told_now)

    def _of_digits(self, request: FunctionalRequest, ask: Ask) -> tuple[int, ...]:
        plan, told = self._plan(request.bounty), []
        updates = [self._update(ask.mine, part.update) for part in ask.parts]
        asked = [functionals.read_vector(plan, request.vectors[part.vector]) for part in ask.parts]
        for number in self._held(request.bounty):
            masks = [self._masks(update)[number] for update in updates]
            wraps = [self._wraps(update)[number] for update in updates]
            value = functionals.class_value(plan, [self.n] * len(asked), asked, masks, wraps)
            told.append(functionals.told(value, plan.slot_bits, ask.bits))
        return tuple(told)

    def _of_words(self, request: FunctionalRequest, ask: Ask) -> tuple[int, ...]:
        count, told = self._plan(request.bounty).weights, []
        updates = [self._update(ask.mine, part.update) for part in ask.parts]
        asked = [read_words(request.vectors[part.vector], count) for part in ask.parts]
        for number in self._held(request.bounty):
            parts = [(v, self._seeds(u)[number], place_of(u)) for v, u in zip(asked, updates, strict=True)]
            told.append(functionals.told(class_word_value(parts), WORD_BITS, ask.bits))
        return tuple(told)

    def _sum(self, body: bytes) -> SumAnswer:
        request = SumRequest.from_bytes(body)
        plan = self._plan(request.bounty)
        if self.fixed.get((request.bounty, request.round)) != request.cohort:
            raise Refusal("not-fixed", "the chain has fixed no such cohort")
        data = self.store.get(Cid("dag-cbor", request.cohort), CohortManifest.max_bytes)
        addends = CohortManifest.from_bytes(data).addends
        if self.models[request.bounty].answers_are_words:
            return self._word_sum(body, plan.weights, request.bounty, addends)
        updates = [(one.weight, self._masks(self._update(one.mine, one.update))) for one in addends]
        width = (int(self.n.bit_length()) + 7) // 8
        sums = []
        for number in self._held(request.bounty):
            masks = ((weight, each[number]) for weight, each in updates)
            total = class_sums(self.n, plan.ciphertexts, masks)
            sums.append(b"".join(int(x).to_bytes(width, "big") for x in self.lie("sum", total)))
        return SumAnswer(capsule=self.capsule.address, request=digest_of(body), sums=tuple(sums))

    def _word_sum(self, body: bytes, count: int, bounty: bytes, addends: Sequence[Addend]) -> SumAnswer:
        updates = [(one.weight, self._update(one.mine, one.update)) for one in addends]
        sums = []
        for number in self._held(bounty):
            masks = [(weight, self._seeds(update)[number], place_of(update)) for weight, update in updates]
            total = np.concatenate([chunk.copy() for chunk in class_word_sums(count, masks)])
            sums.append(write_words(self.lie("sum", total)))
        return SumAnswer(capsule=self.capsule.address, request=digest_of(body), sums=tuple(sums))

    def _plan(self, bounty: bytes) -> SlotPlan:
        return self.models[bounty].slot_plan

    def _cover(self, bounty: bytes) -> VeilCover:
        cover = self.models[bounty].cover
        assert isinstance(cover, VeilCover)
        return cover

    def _held(self, bounty: bytes) -> tuple[int, ...]:
        cover = self._cover(bounty)
        place = [member.account for member in cover.members].index(self.capsule.address)
        return cover.classes.held_by(place)

    def _update(self, mine: Address, digest: Digest) -> UpdateManifest:
        try:
            data = self.store.get(Cid("dag-cbor", digest), UpdateManifest.max_bytes)
        except BlobNotFound as gone:
            raise Refusal("mine", f"{mine}: {gone}", mine) from gone
        update = UpdateManifest.from_bytes(data)
        assert update.mine == mine
        return update

    def _seeds(self, update: UpdateManifest) -> dict[int, bytes]:
        try:
            return opened(self.capsule, self._cover(update.bounty), update)
        except ManifestError as bad:
            raise Refusal("mine", f"{update.mine}: {bad}", update.mine) from bad

    def _masks(self, update: UpdateManifest) -> dict[int, list[mpz]]:
        assert update.veil is not None
        place = Place(update.model.digest, update.veil.nonce, update.round)
        count = self._plan(update.bounty).ciphertexts
        return {c: class_masks(seed, place, self.n, count) for c, seed in self._seeds(update).items()}

    def _wraps(self, update: UpdateManifest) -> dict[int, list[int]]:
        assert update.veil is not None
        place, plan = Place(update.model.digest, update.veil.nonce, update.round), self._plan(update.bounty)
        count = plan.ciphertexts
        return {c: class_wraps(seed, place, plan.slot_bits, count) for c, seed in self._seeds(update).items()}


def place_of(update: UpdateManifest) -> Place:
    assert update.veil is not None
    return Place(update.model.digest, update.veil.nonce, update.round)


def transport_to(service: Any, before: Callable[[], None] = lambda: None) -> httpx.MockTransport:
    """HTTP to a service in this process; `before` may wait, or fail as a network does."""

    def handle(request: httpx.Request) -> httpx.Response:
        before()
        headers = {"content-type": CONTENT_TYPE}
        kind = request.url.path.rpartition("/")[2]
        if kind == "identity":
            return httpx.Response(200, content=service.identity(), headers=headers)
        try:
            return httpx.Response(200, content=service.answer(kind, request.content), headers=headers)
        except Refusal as refusal:
            problem = Problem(code=refusal.code, problem=str(refusal)[:1000], mine=refusal.mine)
            return httpx.Response(409, content=problem.to_bytes(), headers=headers)

    return httpx.MockTransport(handle)


def panel_of(
    services: Sequence[Service],
    account: LocalAccount,
    site: Site,
    before: Mapping[Address, Callable[[], None]] | None = None,
    timeout_s: float = 60.0,
) -> Panel:
    """The client of a scientist, to capsules in this process."""
    asker = Asker(site.chain_id, site.address, account, lambda: 1_800_000_000)
    return Panel(
        [
            HttpCapsule(
                service.capsule.address,
                "http://capsule.example",
                asker,
                timeout_s=timeout_s,
                transport=transport_to(service, (before or {}).get(service.capsule.address, lambda: None)),
            )
            for service in services
        ]
    )
