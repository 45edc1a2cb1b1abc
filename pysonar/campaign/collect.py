"""From a digest on the chain to a mine's update: fetched by hash, every field checked against the bounty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pysonar.keys.updates import MineUpdate
from sonar.errors import ManifestError
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.manifests.update import UpdateManifest
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.protocol.ids import Address, BountyId, Cid, Digest, joined


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


def fetch_update(
    store: Store, expected: Expected, mine: Address, digest: Digest
) -> tuple[MineUpdate, tuple[Cid, ...]]:
    """Fetch and check what `mine` revealed as `digest`, and keep it from garbage collection.

    Returns it with the links to its parts.

    Raises BlobNotFound and StoreUnavailable, which may pass; and ManifestError, CiphertextError, BlobTooLarge
    and DigestMismatch, which say what is wrong with it.
    """
    link = Cid("dag-cbor", digest)
    manifest = UpdateManifest.from_bytes(store.get(link, UpdateManifest.max_bytes))
    _check(manifest, expected, mine)
    update = fetch_ciphertexts(store, expected.key, expected.plan, mine, manifest.rows, manifest.blobs)
    for each in (link, *manifest.blobs):
        store.pin(each)
    return update, manifest.blobs


def fetch_ciphertexts(
    store: Store, key: PublicKey, plan: SlotPlan, mine: str, rows: int, links: Sequence[Cid]
) -> MineUpdate:
    """Fetch the ciphertexts of an update by the links to its parts. Raises as `fetch_update`."""
    blob = joined(links, plan.ciphertexts * key.ciphertext_bytes, store.get)
    return MineUpdate.read(key, plan, mine, rows, blob)


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
