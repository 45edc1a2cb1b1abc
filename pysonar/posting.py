"""What a bounty is posted with: the key's manifest, the first model's, and its encrypted weights."""

from __future__ import annotations

import secrets

from pysonar.bounty import Bounty
from pysonar.keys import Key
from pysonar.records import Posting
from sonar.ports import Store
from sonar.protocol.cid import Cid
from sonar.protocol.messages import KeyManifest, ModelManifest


def prepare(bounty: Bounty, key: Key) -> Posting:
    """Encrypt the start, zero weights, and describe it. The salt makes the bounty's id."""
    design = bounty.design
    manifest = key_manifest(key)
    blob = key.public.encode_blob(key.encrypt_weights([0] * design.plan.values))
    model = ModelManifest(
        name=bounty.settings.name,
        round=1,
        spec=design.spec,
        plan=design.plan_spec,
        key=manifest.cid(),
        weights=Cid.of_blob(blob),
        zero_start=True,
    )
    salt = secrets.token_bytes(32)
    return Posting(bounty.digest, salt, manifest.to_bytes(), model.to_bytes(), blob)


def fits(posting: Posting, bounty: Bounty, key: Key) -> bool:
    """Tell whether `posting` is of this bounty, under this key."""
    return (posting.digest, posting.key_manifest) == (bounty.digest, key_manifest(key).to_bytes())


def publish(posting: Posting, store: Store) -> None:
    """Put it all into the store, for as long as the bounty lasts. Doing it again changes nothing."""
    for data, link in (
        (posting.key_manifest, Cid.of_manifest(posting.key_manifest)),
        (posting.weights_blob, Cid.of_blob(posting.weights_blob)),
        (posting.model_manifest, Cid.of_manifest(posting.model_manifest)),
    ):
        store.pin(store.put(data, link.codec))


def key_manifest(key: Key) -> KeyManifest:
    """The public half of a key, with its proof."""
    return KeyManifest(bits=key.public.bits, n=key.public.to_bytes(), proof=key.proof)
