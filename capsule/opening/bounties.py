"""What a bounty asks of this capsule: its first manifests and its key, fetched by digest and checked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capsule.home.keys import Epoch
from capsule.problems import Refused
from sonar.chain.signatures import key_fault
from sonar.errors import BlobTooLarge, CiphertextError, ManifestError, PlanError
from sonar.families.registry import family_of
from sonar.manifests.model import FROZEN, KeyManifest, ModelManifest, VeilCover
from sonar.paillier.public import PublicKey, check_proof
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.protocol.ids import Address, BountyId, Cid, Digest, hex32
from sonar.veil.words import WORD_BITS, bits_asked

if TYPE_CHECKING:
    from capsule.opening.chainview import View

_MOST_KEPT = 64


@dataclass(frozen=True)
class Question:
    """What a round asks: the digest of its model's manifest, and the key that answers are under.

    There is none if they are words.
    """

    model: Digest
    key: PublicKey | None


@dataclass(frozen=True)
class Bounty:
    """A bounty that this capsule serves: it is member number `place`, and opens envelopes with `epoch`.

    `model` is its first.
    """

    bounty: BountyId
    scientist: Address
    model: ModelManifest
    cover: VeilCover
    plan: SlotPlan
    place: int
    epoch: Epoch

    @property
    def held(self) -> tuple[int, ...]:
        """The classes of seeds that this capsule holds, ascending."""
        return self.cover.classes.held_by(self.place)

    @property
    def are_words(self) -> bool:
        """Whether answers are words: masks are added modulo 2^64, and nothing is encrypted."""
        return self.model.answers_are_words

    @property
    def tells_range_only(self) -> bool:
        """Whether nothing is told of single answers but whether a word is in range: nobody is scored."""
        return self.are_words and not family_of(self.model.family).scored

    @property
    def bits(self) -> int:
        """The most bits that are told of one mine in a round."""
        if not self.tells_range_only:
            return self.cover.bits
        return min(self.cover.bits, bits_asked(self.plan, self.cover.classes.count))

    @property
    def value_bits(self) -> int:
        """Of how many bits a functional's value is, and a number in its vector."""
        return WORD_BITS if self.are_words else self.plan.slot_bits


class Bounties:
    """Reads bounties from the store. Safe to use from several threads.

    Raises Refused (not-veiled, model), BlobNotFound, StoreUnavailable.
    """

    def __init__(
        self,
        store: Store,
        site: tuple[int, Address],
        account: Address,
        epochs: Mapping[int, Epoch],
        *,
        insecure_keys: bool,
        kin: frozenset[Address] = frozenset(),
    ) -> None:
        self._store, self._site, self._account = store, site, account
        self._epochs, self._insecure_keys, self._kin = epochs, insecure_keys, kin
        self._known: OrderedDict[BountyId, Bounty] = OrderedDict()
        self._questions: OrderedDict[tuple[BountyId, int, Digest], Question] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, view: View) -> Bounty:
        """Return what a bounty asks of this capsule."""
        bounty = view.state.bounty
        with self._lock:
            if found := self._known.get(bounty):
                return found
        found = self._read(view)
        with self._lock:
            self._known[bounty] = found
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Read everything again when it is next needed."""
        with self._lock:
            self._known.clear()

    def question(self, bounty: Bounty, view: View, number: int) -> Question:
        """Return what a round's answers are to, once model and key are checked."""
        opened = view.round(number).opened
        assert opened is not None
        digest = opened.model_digest
        place = bounty.bounty, number, digest
        with self._lock:
            if place in self._questions:
                return self._questions[place]
        model = self._model(digest, number)
        for field in FROZEN:
            if getattr(model, field) != getattr(bounty.model, field):
                raise Refused("model", f"the {field} of round {number} is not that of round 1")
        found = Question(digest, None if model.answers_are_words else self._key(model))
        with self._lock:
            self._questions[place] = found
            while len(self._questions) > 256 * _MOST_KEPT:
                self._questions.popitem(last=False)
        return found

    def _read(self, view: View) -> Bounty:
        posted, terms = view.posted, view.state.terms
        model = self._model(posted.model_digest, 1)
        cover = model.cover
        if cover.kind != "veil":
            raise Refused("not-veiled", f"the bounty {hex32(posted.bounty)} has no capsules")
        place = self._place(cover)
        epoch = self._epoch(cover, place)
        if model.key.digest != posted.key_digest:
            raise Refused("model", "the model's key is not the one that the bounty was posted with")
        if not model.answers_are_words:
            self._key(model)
        try:
            plan = model.slot_plan
        except PlanError as error:
            raise Refused("model", f"the slot plan is not sound: {error}") from error
        if plan.mines_max < terms.cohort_cap:
            problem = f"the slot plan is for {plan.mines_max} mines, the terms admit {terms.cohort_cap}"
            raise Refused("model", problem)
        return Bounty(posted.bounty, view.state.scientist, model, cover, plan, place, epoch)

    def _model(self, digest: Digest, number: int) -> ModelManifest:
        try:
            model = ModelManifest.from_bytes(
                self._store.get(Cid("dag-cbor", digest), ModelManifest.max_bytes)
            )
        except (ManifestError, BlobTooLarge) as error:
            raise Refused("model", f"the model of round {number} is malformed: {error}") from error
        if model.round > number:  # after a round that opened nothing, the model stays the one before
            raise Refused("model", f"the model of round {number} says that it is of round {model.round}")
        return model

    def _place(self, cover: VeilCover) -> int:
        accounts = [member.account for member in cover.members]
        if self._account not in accounts:
            raise Refused("not-veiled", f"the capsule {self._account} is no member of this bounty")
        if twice := self._kin.intersection(accounts):  # one operator would hold what takes two
            problem = f"the members {self._account} and {min(twice)} are one capsule, under two accounts"
            raise Refused("model", problem, hint="name it once: GET /v1/identity says as which")
        for member in cover.members:
            if key_fault(member, *self._site):
                raise Refused("model", f"the key of the member {member.account} is not signed by it")
        return accounts.index(self._account)

    def _epoch(self, cover: VeilCover, place: int) -> Epoch:
        member = cover.members[place]
        epoch = self._epochs.get(member.epoch)
        if epoch is None:
            raise Refused(
                "model",
                f"this capsule has no key of epoch {member.epoch} any more",
                hint="name its newest key: GET /v1/identity",
            )
        if epoch.public.hpke != member.hpke:
            raise Refused("model", f"the key of epoch {member.epoch} is not this capsule's")
        return epoch

    def _key(self, model: ModelManifest) -> PublicKey:
        """The key of a round's model, which may be another than the round before had."""
        try:
            manifest = KeyManifest.from_bytes(self._store.get(model.key, KeyManifest.max_bytes))
            key = PublicKey.from_bytes(manifest.n, insecure=self._insecure_keys)
            check_proof(key, manifest.proof)
        except (ManifestError, BlobTooLarge, CiphertextError) as error:
            problem = f"the bounty's key of round {model.round} is not sound: {error}"
            raise Refused("model", problem) from error
        if key.bits != (bits := model.plan.key_bits):
            problem = f"the slot plan is for {bits} bits, the key of round {model.round} has {key.bits}"
            raise Refused("model", problem)
        return key
