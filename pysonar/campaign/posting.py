"""What a bounty is posted with: manifests of the key, the model and its allow-list; encrypted weights."""

from __future__ import annotations

import secrets

from pysonar.bounty.bounty import Bounty
from pysonar.campaign.records import Posting, Publication
from pysonar.keys.key import Key
from sonar.manifests.allowlist import AllowList
from sonar.manifests.holdout import SALT_BYTES, commitment
from sonar.manifests.key import KeyManifest
from sonar.manifests.model import ModelManifest, PaillierCover
from sonar.ports import Store
from sonar.protocol.blobs import links_of


def prepare(bounty: Bounty, key: Key) -> Posting:
    """Encrypt the start, zero weights, and describe it. The salt makes the bounty's id."""
    design = bounty.design
    salt, columns = secrets.token_bytes(SALT_BYTES), (*bounty.features, bounty.target)
    manifest = key_manifest(key)
    blob = key.public.encode_blob(key.encrypt_weights([0] * design.plan.weights))
    allowed = AllowList(mines=bounty.allowed) if bounty.allowed else None
    model = ModelManifest(
        name=bounty.settings.name,
        round=1,
        family=design.spec,
        cover=PaillierCover(),
        plan=design.plan_spec,
        key=manifest.cid(),
        blobs=links_of(blob),
        zero_start=True,
        holdout=commitment(salt, columns, bounty.table.matrix(columns)),
        allow_list=allowed.cid() if allowed else None,
    )
    return Posting(
        bounty.digest,
        secrets.token_bytes(32),
        manifest.to_bytes(),
        model.to_bytes(),
        blob,
        salt,
        allowed.to_bytes() if allowed else b"",
    )


def fits(posting: Posting, bounty: Bounty, key: Key) -> bool:
    """Tell whether `posting` is of this bounty, under this key."""
    return (posting.digest, posting.key_manifest) == (bounty.digest, key_manifest(key).to_bytes())


def publish(posted: Posting | Publication, store: Store) -> None:
    """Put it all into the store, for as long as the bounty lasts. Doing it again changes nothing."""
    for data, codec in posted.blobs():
        store.pin(store.put(data, codec))


def key_manifest(key: Key) -> KeyManifest:
    """The public half of a key, with its proof."""
    return KeyManifest(bits=key.public.bits, n=key.public.to_bytes(), proof=key.proof)
