"""From a digest on the chain to a mine's update: fetched by hash, every field checked against the bounty."""

from __future__ import annotations

from pysonar.keys.updates import MineUpdate
from sonar.manifests.update import UpdateManifest
from sonar.ports import Store
from sonar.protocol.ids import Address, Cid, Digest, joined
from sonar.settling.updates import Expected, Form, check_update


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
    check_update(manifest, expected, mine)
    update = _with_blob(store, expected.form, manifest)
    for each in (link, *manifest.blobs):
        store.pin(each)
    return update, manifest.blobs


def fetch_again(store: Store, form: Form, digest: Digest) -> MineUpdate:
    """Fetch an update that was checked before. Raises as `fetch_update`."""
    data = store.get(Cid("dag-cbor", digest), UpdateManifest.max_bytes)
    return _with_blob(store, form, UpdateManifest.from_bytes(data))


def _with_blob(store: Store, form: Form, manifest: UpdateManifest) -> MineUpdate:
    blob = joined(manifest.blobs, form.blob_bytes, store.get)
    return MineUpdate.read(form, manifest.mine, manifest.rows, blob, manifest.digest(), manifest.veil)
