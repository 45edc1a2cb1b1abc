"""What chain and store say of a bounty: manifests by their digests, ciphertexts by their links.

The chain's part comes at the network's depth; what lies in the store is checked by its hash. A manifest that
is not there now may be there later: that is the store's fault, and nothing is decided by it, except that an
update which nobody can read does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import TypeVar

from gmpy2 import mpz

from capsule.audit.memory import Memory, Place
from capsule.audit.refusal import expect, refuse
from sonar.errors import BlobNotFound, CiphertextError, DigestMismatch, RemoteError
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import FROZEN, KeyManifest, ModelManifest, VeilCover
from sonar.paillier.public import PublicKey, check_proof
from sonar.protocol.events import BountyPosted
from sonar.protocol.fold import RoundRecord
from sonar.protocol.ids import Address, Cid, Digest, joined
from sonar.protocol.phase import BountyState, Status
from sonar.protocol.record import Manifest
from sonar.settling.updates import Expected, Get, ReadUpdate, malformed, read_update
from sonar.settling.verdict import WITHHELD

M = TypeVar("M", bound=Manifest)
READ_AT_ONCE = 16


@dataclass(frozen=True)
class OnChain:
    """A bounty as the chain holds it at the network's depth: its posting, state and status, and every round.

    `unproven`: the mines of the open round whose digest does not open the seal that the contract holds.
    """

    chain_id: int
    contract: Address
    posted: BountyPosted
    state: BountyState
    status: Status
    rounds: Mapping[int, RoundRecord]
    unproven: frozenset[Address] = frozenset()


@lru_cache(maxsize=64)
def _checked_key(n: bytes, proof: bytes, insecure: bool) -> PublicKey:
    """A key that has passed its checks; they take longer than most of an audit. Raises CiphertextError."""
    key = PublicKey.from_bytes(n, insecure=insecure)
    check_proof(key, proof)
    return key


class PublicBounty:
    """A bounty's manifests and ciphertexts, read once. `insecure` admits the keys of development networks;
    `memory`: what was read of this bounty before.

    Raises Refusal, and what `get` does for blobs that are not there.
    """

    def __init__(
        self, chain: OnChain, get: Get, *, insecure: bool = False, memory: Memory | None = None
    ) -> None:
        self.chain, self._get, self._insecure = chain, get, insecure
        self.memory = Memory() if memory is None else memory
        self._updates: dict[int, dict[Address, ReadUpdate | str]] = {}

    @cached_property
    def first(self) -> ModelManifest:
        """The model's first manifest, which the bounty was posted with, and its key."""
        posted = self.chain.posted
        found = self._manifest(ModelManifest, posted.model_digest, "model")
        expect("key", "the key that the model links", found.key.digest, posted.key_digest)
        return found

    @cached_property
    def cover(self) -> VeilCover:
        """The bounty's veil, which asks for audits."""
        cover = self.first.cover
        if not isinstance(cover, VeilCover) or cover.audit is None:
            refuse("not-audited", "the bounty's first manifest names no audit")
        return cover

    def key(self, model: ModelManifest) -> PublicKey:
        """The scientist's key of a model's round, whose proof was checked."""
        manifest = self._manifest(KeyManifest, model.key.digest, "key")
        try:
            key = _checked_key(manifest.n, manifest.proof, self._insecure)
        except CiphertextError as error:
            refuse("key", str(error))
        expect("key", f"the size of the key of round {model.round}", key.bits, self.first.plan.key_bits)
        return key

    def modulus(self, number: int) -> mpz:
        """The n of the key that a round's answers are under."""
        return self.key(self.model_of(number)).n

    def settled(self) -> list[int]:
        """The earlier rounds that were settled, ascending: no other has judged anybody."""
        return [number for number, record in sorted(self.chain.rounds.items()) if record.settled]

    def model_of(self, number: int) -> ModelManifest:
        """The manifest that a round trained on."""
        record = self.chain.rounds.get(number)
        if record is None or record.opened is None:
            refuse("round", f"the chain's record has no beginning of round {number}")
        return self.model(record.opened.model_digest)

    def model(self, digest: Digest) -> ModelManifest:
        """The model of a digest; it must be this bounty's first but for its round, key and weights."""
        if digest not in self.memory.models:
            found = self._manifest(ModelManifest, digest, "model")
            for field in FROZEN:
                if getattr(found, field) != getattr(self.first, field):
                    refuse("model", f"the model's manifest has another {field} than the first")
            self.memory.models[digest] = found
        return self.memory.models[digest]

    def weights(self, model: ModelManifest) -> list[mpz]:
        """The ciphertexts of a model's weights."""
        key, count = self.key(model), model.plan.weights
        try:
            blob = joined(model.blobs, count * key.ciphertext_bytes, self._get)
            return key.decode_blob(blob, count)
        except (RemoteError, BlobNotFound) as error:
            if isinstance(error, (BlobNotFound, DigestMismatch)):
                raise
            refuse("model", f"the weights of round {model.round} are not readable: {error}")

    def evidence(self, number: int) -> EvidenceManifest:
        """The evidence of a settled round."""
        record = self.chain.rounds[number]
        assert record.settled is not None
        return self.found_evidence(record.settled.evidence_digest)

    def found_evidence(self, digest: Digest) -> EvidenceManifest:
        """The evidence of a digest."""
        return self._manifest(EvidenceManifest, digest, "evidence")

    def cohort(self, number: int) -> CohortManifest | None:
        """The set that is fixed on the chain for a round's sum; None if no set is fixed."""
        record = self.chain.rounds.get(number)
        if record is None or record.fixed is None:
            return None
        found = self._manifest(CohortManifest, Digest(record.fixed.digest), "cohort")
        chain = self.chain
        place = (found.chain_id, found.contract, found.bounty, found.round)
        expect(
            "cohort", "the set's place", place, (chain.chain_id, chain.contract, chain.state.bounty, number)
        )
        return found

    def updates(
        self, number: int, only: Collection[Address] | None = None
    ) -> dict[Address, ReadUpdate | str]:
        """What each mine revealed in a round, or each of `only`, ascending: read, or why it does not count.

        A store waits seconds for what is not there, so several are asked for at once.
        """
        known, record = self._updates.setdefault(number, {}), self.chain.rounds[number]
        wanted = [mine for mine in record.cohort if only is None or mine in only]
        new = [(number, mine, record.reveals[mine].update_digest) for mine in wanted if mine not in known]
        if new:
            expected = self._expected(number)
            known |= self.memory.updates(new, expected.model)
            self._read_all(expected, [place for place in new if place[1] not in known])
        return {mine: known[mine] for mine in wanted}

    def _read_all(self, expected: Expected, places: Sequence[Place]) -> None:
        if not places:
            return
        with ThreadPoolExecutor(min(len(places), READ_AT_ONCE)) as pool:
            found = list(pool.map(partial(self._read, expected), places))
        for place, one in zip(places, found, strict=True):
            number, mine, _ = place
            self._updates[number][mine] = one
            if not isinstance(one, str):
                self.memory.keep(place, expected.model, one)

    def _expected(self, number: int) -> Expected:
        chain, model = self.chain, self.model_of(number)
        place = chain.chain_id, chain.contract, chain.state.bounty, number
        return Expected.of(place, model.digest(), self.key(model), model)

    def _read(self, expected: Expected, place: Place) -> ReadUpdate | str:
        _, mine, digest = place
        try:
            return read_update(self._get, expected, mine, digest)
        except (BlobNotFound, DigestMismatch):
            return WITHHELD
        except RemoteError as error:
            return malformed(error)

    def _manifest(self, kind: type[M], digest: Digest, code: str) -> M:
        known = self.memory.manifests.get(digest)
        if isinstance(known, kind):
            return known
        data = self._get(Cid("dag-cbor", digest), kind.max_bytes)
        try:
            found = kind.from_bytes(data)
        except RemoteError as error:
            refuse(code, f"the {code}'s manifest is malformed: {error}")
        self.memory.manifests[digest] = found
        return found
