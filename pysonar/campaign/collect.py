"""From a digest on the chain to a mine's update: fetched by hash, and every field held against the bounty."""

from __future__ import annotations

from dataclasses import dataclass

from gmpy2 import mpz

from sonar.errors import ManifestError
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.manifests.update import UpdateManifest
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.protocol.blobs import joined
from sonar.protocol.cid import Cid
from sonar.protocol.ids import Address, BountyId, Digest


@dataclass(frozen=True)
class Expected:
    """What an honest update of this round says."""

    chain_id: int
    contract: Address
    bounty: BountyId
    round: int
    model: Digest
    key: PublicKey
    spec: QuadraticSpec
    plan: SlotPlan


@dataclass(frozen=True)
class Fetched:
    """A well-formed update."""

    rows: int
    ciphertexts: tuple[mpz, ...]


def fetch_update(store: Store, expected: Expected, mine: Address, digest: Digest) -> Fetched:
    """Fetch and check what `mine` revealed as `digest`, and keep it from garbage collection.

    Raises BlobNotFound and StoreUnavailable, which may pass; and ManifestError, CiphertextError, BlobTooLarge
    and DigestMismatch, which say what is wrong with it.
    """
    link = Cid("dag-cbor", digest)
    manifest = UpdateManifest.from_bytes(store.get(link, UpdateManifest.max_bytes))
    _check(manifest, expected, mine)
    count = expected.plan.ciphertexts
    blob = joined(manifest.blobs, count * expected.key.ciphertext_bytes, store.get)
    ciphertexts = tuple(expected.key.decode_blob(blob, count))
    store.pin(link)
    for part in manifest.blobs:
        store.pin(part)
    return Fetched(manifest.rows, ciphertexts)


def _check(manifest: UpdateManifest, expected: Expected, mine: Address) -> None:
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
    for field, value in wanted.items():
        if getattr(manifest, field) != value:
            raise ManifestError(field, f"is not this {'mine' if field == 'mine' else 'round'}'s")
    if manifest.rows < expected.spec.rows_min:
        raise ManifestError("rows", f"{manifest.rows} is less than the bounty's {expected.spec.rows_min}")
