"""What a bounty is posted with: manifests of the key, the model and its allow-list; encrypted weights."""

from __future__ import annotations

import secrets

from pysonar.bounty.request import Bounty
from pysonar.campaign.records import Posting, Publication
from pysonar.keys.keys import Key
from sonar.chain.contract.market import Market
from sonar.chain.contract.token import unit_of
from sonar.errors import ConfigError
from sonar.manifests.allowlist import AllowList
from sonar.manifests.holdout import SALT_BYTES, commitment
from sonar.manifests.key import KeyManifest
from sonar.manifests.model import ModelManifest, PaillierCover, PlanSpec
from sonar.ports import Store
from sonar.protocol.blobs import links_of


def prepare(bounty: Bounty, key: Key) -> Posting:
    """Encrypt the start and describe it. The salt makes the bounty's id."""
    design = bounty.design
    salt, columns = secrets.token_bytes(SALT_BYTES), design.spec.columns
    manifest = key_manifest(key)
    blob = key.public.encode_blob(key.encrypt_weights(design.start))
    allowed = AllowList(mines=bounty.allowed) if bounty.allowed else None
    model = ModelManifest(
        name=bounty.settings.name,
        round=1,
        family=design.spec,
        cover=PaillierCover(),
        plan=PlanSpec.parse(design.plan.to_dict()),
        key=manifest.cid(),
        blobs=links_of(blob),
        zero_start=design.zero_start,
        holdout=commitment(salt, columns, bounty.held_out.table.matrix(columns)),
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


def check(market: Market, bounty: Bounty) -> None:
    """Check before money is sent what only the chain can tell of the bounty's terms.

    The token must count its units as the amounts do, the settler must be able to sign, and a quiet end must
    be as long as the network's windows. Raises ConfigError naming the field, and what the chain raises.
    """
    meant, told = bounty.unit, unit_of(market, bounty.unit.asset)
    if meant.known and told.known and told.decimals != meant.decimals:
        raise ConfigError(
            "asset_decimals",
            f"is {meant.decimals}, and the token {meant.asset} says {told.decimals}",
            hint="correct it, and look at all amounts again",
        )
    quiet_s, least_s = bounty.terms.quiet_s, market.min_window_s()
    if 0 < quiet_s < least_s:
        hint = f"give {least_s} at least, or 0 to let every round's commits last their window"
        raise ConfigError("quiet_s", f"{quiet_s} s is less than this network's {least_s} s", hint=hint)
    market.check_settler(bounty.terms.settler)


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
