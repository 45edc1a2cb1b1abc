"""A mine's update as scientist and capsules read it: every field checked against the bounty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from gmpy2 import mpz

from sonar.errors import ManifestError, RemoteError
from sonar.families.registry import FamilySpec
from sonar.manifests.model import CoverSpec, ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.cohort import digest_of_parts
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import Address, BountyId, Cid, Digest, joined
from sonar.settling.verdict import MALFORMED, REASON_MAX
from sonar.veil.masks import read_wraps

Get = Callable[[Cid, int], bytes]
"""Returns the bytes that a link names, at most so many: `Store.get`."""
_KEPT = 512
"""How many manifests are kept as they were read."""


@dataclass(frozen=True)
class Expected:
    """What an honest update of a round says. `model`: the digest of the manifest that the round trains on."""

    chain_id: int
    contract: Address
    bounty: BountyId
    round: int
    model: Digest
    key: PublicKey
    spec: FamilySpec
    plan: SlotPlan
    cover: CoverSpec

    @classmethod
    def of(
        cls,
        place: tuple[int, Address, BountyId, int],
        asked: Digest,
        key: PublicKey,
        model: ModelManifest,
    ) -> Expected:
        """Return what answers to a bounty's model say. `place`: chain, contract, bounty, round; `asked`: the
        digest of the round's manifest; `model`: any round's, since no round changes what is read of it here.
        """
        return cls(*place, asked, key, model.family, model.slot_plan, model.cover)


@dataclass(frozen=True)
class ReadUpdate:
    """A well-formed update: whose, of how many rows, its ciphertexts, and the digest of its manifest."""

    mine: Address
    rows: int
    ciphertexts: tuple[mpz, ...] = field(repr=False)
    blob: bytes = field(repr=False)
    digest: Digest
    veil: Veil | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The digest of the ciphertexts in hex, whoever sent them."""
        return digest_of_parts(self.blob).hex()


@lru_cache(maxsize=_KEPT)
def update_manifest(data: bytes) -> UpdateManifest:
    """Return the manifest that these bytes are. Raises ManifestError.

    One with envelopes takes milliseconds, and is read for functionals, sums, and each later audit.
    """
    return UpdateManifest.from_bytes(data)


def read_update(get: Get, expected: Expected, mine: Address, digest: Digest) -> ReadUpdate:
    """Read and check what `mine` revealed as `digest`.

    Raises ManifestError, CiphertextError, BlobTooLarge, which say what is wrong with it, and what `get` does.
    """
    manifest = update_manifest(get(Cid("dag-cbor", digest), UpdateManifest.max_bytes))
    check_update(manifest, expected, mine)
    plan, key = expected.plan, expected.key
    blob = joined(manifest.blobs, plan.ciphertexts * key.ciphertext_bytes, get)
    ciphertexts = tuple(key.decode_blob(blob, plan.ciphertexts))
    return ReadUpdate(mine, manifest.rows, ciphertexts, blob, digest, manifest.veil)


def malformed(fault: RemoteError) -> str:
    """Return the reason that evidence gives for an update which `read_update` refuses."""
    text = f"{MALFORMED}{fault}"
    return "".join(char if char.isprintable() else "?" for char in text)[:REASON_MAX]


def check_update(manifest: UpdateManifest, expected: Expected, mine: Address) -> None:
    """Check every field of an update against its bounty and round. Raises ManifestError."""
    wanted = {
        "chain_id": expected.chain_id,
        "contract": expected.contract,
        "bounty": expected.bounty,
        "round": expected.round,
        "mine": mine,
        "model": Cid("dag-cbor", expected.model),
        "key": expected.key.fingerprint,
        "ciphertexts": expected.plan.ciphertexts,
    }
    for name, value in wanted.items():
        if getattr(manifest, name) != value:
            raise ManifestError(name, f"is not this {'mine' if name == 'mine' else 'round'}'s")
    check_veil(manifest.veil, expected.cover, expected.plan)
    if manifest.rows < (least := expected.spec.rows_min):
        raise ManifestError("rows", f"{manifest.rows} is less than the bounty's {least}")


def check_veil(veil: Veil | None, cover: CoverSpec, plan: SlotPlan) -> None:
    """Check that an update has the masks that the cover asks for, and no others. Raises ManifestError."""
    if not isinstance(cover, VeilCover):
        if veil is not None:
            raise ManifestError("veil", "is there, but this bounty has no capsules")
        return
    if veil is None:
        raise ManifestError("veil", "is missing: this bounty's answers are masked")
    if (told := len(veil.seeds)) != (count := cover.classes.count):
        raise ManifestError("veil.seeds", f"has {told} hashes; there are {count} classes")
    if (told := len(veil.envelopes)) != (count := len(cover.members)):
        raise ManifestError("veil.envelopes", f"has {told}; there are {count} capsules")
    read_wraps(plan, veil.wraps)
