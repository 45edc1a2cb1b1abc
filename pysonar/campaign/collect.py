"""From a digest on the chain to a mine's update: fetched by hash, every field checked against the bounty."""

from __future__ import annotations

from dataclasses import dataclass

from pysonar.keys.updates import MineUpdate
from sonar.errors import ManifestError
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.manifests.model import CoverSpec
from sonar.manifests.update import UpdateManifest
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.protocol.ids import Address, BountyId, Cid, Digest, joined
from sonar.settling.updates import check_veil


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
    cover: CoverSpec


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
    update = _with_ciphertexts(store, expected.key, expected.plan, manifest)
    for each in (link, *manifest.blobs):
        store.pin(each)
    return update, manifest.blobs


def fetch_again(store: Store, key: PublicKey, plan: SlotPlan, digest: Digest) -> MineUpdate:
    """Fetch an update that was checked before. Raises as `fetch_update`."""
    data = store.get(Cid("dag-cbor", digest), UpdateManifest.max_bytes)
    return _with_ciphertexts(store, key, plan, UpdateManifest.from_bytes(data))


def _with_ciphertexts(store: Store, key: PublicKey, plan: SlotPlan, manifest: UpdateManifest) -> MineUpdate:
    blob = joined(manifest.blobs, plan.ciphertexts * key.ciphertext_bytes, store.get)
    said = (manifest.mine, manifest.rows, blob, manifest.digest(), manifest.veil)
    return MineUpdate.read(key, plan, *said)


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
    check_veil(manifest.veil, expected.cover, expected.plan)
    if manifest.rows < expected.spec.rows_min:
        raise ManifestError("rows", f"{manifest.rows} is less than the bounty's {expected.spec.rows_min}")
