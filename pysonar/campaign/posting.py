"""What a bounty is posted with: manifests of the key, the model and its allow-list; encrypted weights."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from pysonar.bounty.request import Bounty
from pysonar.campaign.records import Posting, Publication
from pysonar.keys.holder import KeyHolder
from pysonar.keys.job import Job
from sonar.chain.contract.market import Market
from sonar.chain.contract.token import check_asset, unit_of
from sonar.errors import BlobNotFound, BlobTooLarge, ConfigError, DigestMismatch
from sonar.manifests.allowlist import AllowList
from sonar.manifests.holdout import SALT_BYTES, commitment
from sonar.manifests.key import KeyManifest
from sonar.manifests.model import ModelManifest, PaillierCover, PlanSpec
from sonar.ports import Store
from sonar.protocol.blobs import PART_BYTES
from sonar.protocol.cid import Cid, Codec, digest_of
from sonar.protocol.ids import Address
from sonar.store.mend import put_blob


def prepare(bounty: Bounty, key: KeyHolder, copies: Store) -> Posting:
    """Encrypt the start and describe it; its ciphertexts go to `copies`.

    The salt makes the bounty's id.
    """
    design = bounty.design
    salt, columns = secrets.token_bytes(SALT_BYTES), bounty.held_out.columns
    manifest = key_manifest(key)
    blob = key.public.encode_blob(key.encrypt(design.start))
    allowed = AllowList(mines=bounty.allowed) if bounty.allowed else None
    model = ModelManifest(
        name=bounty.settings.name,
        round=1,
        family=design.spec,
        cover=PaillierCover(),
        plan=PlanSpec.parse(design.plan.to_dict()),
        key=manifest.cid(),
        blobs=put_blob(copies, blob),
        zero_start=design.zero_start,
        holdout=commitment(salt, columns, bounty.held_out.values),
        allow_list=allowed.cid() if allowed else None,
    )
    return Posting(
        bounty.digest,
        secrets.token_bytes(32),
        manifest.to_bytes(),
        model.to_bytes(),
        salt,
        allowed.to_bytes() if allowed else b"",
    )


def check(market: Market, bounty: Bounty, me: Address) -> None:
    """Check before money is sent what only the chain can tell of the bounty's terms.

    The token must be one and count its units as the amounts do, the settler must be able to sign, and a quiet
    end must be as long as the network's windows. `me` is the scientist's account. Raises ConfigError naming
    the field, and what the chain raises.
    """
    check_asset(market, bounty.unit.asset, me)
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
    if bounty.terms.settler in (me, market.address):
        whose = "your own account" if bounty.terms.settler == me else "the market, which signs nothing"
        hint = "name somebody else who agrees to each settlement, or leave it out"
        raise ConfigError("settler", f"{bounty.terms.settler} is {whose}", hint=hint)
    market.check_settler(bounty.terms.settler)


def fits(posting: Posting, bounty: Bounty, key: KeyHolder) -> bool:
    """Tell whether `posting` is of this bounty, under this key."""
    return (posting.digest, posting.key_manifest) == (bounty.digest, key_manifest(key).to_bytes())


def job_of(posting: Posting, bounty: Bounty, market: Market, scientist: Address) -> Job:
    """Return what the key's holder has to know of a bounty, as it is posted on this network."""
    return Job(
        market.chain_id,
        market.address,
        scientist,
        bounty.terms,
        posting.model_manifest,
        digest_of(posting.key_manifest),
        posting.salt,
    )


def blobs_of(posted: Posting | Publication, copies: Store, store: Store) -> Iterator[tuple[bytes, Codec]]:
    """Return what others read of a posting or publication, each before what links to it, one at a time.

    Raises BlobNotFound if neither the home nor the network has the weights' ciphertexts any more.
    """
    if posted.model_manifest:
        for link in ModelManifest.from_bytes(posted.model_manifest).blobs:
            yield _part(link, copies, store), "raw"
    for manifest in posted.manifests():
        yield manifest, "dag-cbor"


def _part(link: Cid, copies: Store, store: Store) -> bytes:
    try:
        return copies.get(link, PART_BYTES)
    except (BlobNotFound, DigestMismatch, BlobTooLarge):
        data = store.get(link, PART_BYTES)
        copies.put(data)
        return data


def publish(posted: Posting | Publication, copies: Store, store: Store) -> None:
    """Put it all into the store, for as long as the bounty lasts. Doing it again changes nothing."""
    for data, codec in blobs_of(posted, copies, store):
        store.pin(store.put(data, codec))


def key_manifest(key: KeyHolder) -> KeyManifest:
    """The public half of a key, with its proof."""
    return KeyManifest(bits=key.public.bits, n=key.public.to_bytes(), proof=key.proof)
