"""From a digest on the chain to a mine's update: fetched by hash, and every field held against the bounty."""

from __future__ import annotations

from dataclasses import dataclass

from gmpy2 import mpz

from sonar.errors import ManifestError
from sonar.families.quadratic.spec import ModelSpec
from sonar.manifests.update import UpdateManifest
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
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
    spec: ModelSpec
    plan: SlotPlan


@dataclass(frozen=True)
class Fetched:
    """A well-formed update. `blob_digest` names its ciphertexts, to find copies by."""

    rows: int
    blob_digest: Digest
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
    blob = store.get(manifest.blob, count * expected.key.ciphertext_bytes)
    ciphertexts = tuple(expected.key.decode_blob(blob, count))
    store.pin(link)
    store.pin(manifest.blob)
    return Fetched(manifest.rows, manifest.blob.digest, ciphertexts)


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
    least, most = expected.spec.rows_min, expected.spec.rows_max
    if not least <= manifest.rows <= most:
        raise ManifestError("rows", f"{manifest.rows} is not between {least} and {most}")
