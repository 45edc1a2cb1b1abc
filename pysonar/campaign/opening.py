"""The first steps of a campaign: it posts the bounty, and finds it on the chain.

It is posted with manifests of the key, the model and its allow-list, and with encrypted weights.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pysonar.bounty.base import AnyBounty
from pysonar.bounty.terms import settle_window_of
from pysonar.campaign.means import Means
from pysonar.campaign.records import Posting, Publication
from pysonar.keys.holder import KeyHolder
from pysonar.keys.job import Job
from sonar.chain.contract.errors import BountyExists, UnknownBounty
from sonar.chain.contract.market import REORG_BLOCKS, Market
from sonar.chain.contract.settler import check_settler
from sonar.chain.contract.token import check_asset, unit_of
from sonar.chain.deploying.committee import ensure_committee
from sonar.chain.deploying.succession import succession_on
from sonar.chain.rpc import Chain, Head
from sonar.chain.sending.intent import Intent
from sonar.chain.sending.outbox import pay
from sonar.chain.sending.queue import BURIED_BLOCKS
from sonar.errors import (
    BlobNotFound,
    BlobTooLarge,
    ChainUnavailable,
    ConfigError,
    DigestMismatch,
    InsufficientFunds,
)
from sonar.families.question import write_visible
from sonar.families.registry import FamilySpec, family_of
from sonar.manifests.model import (
    SALT_BYTES,
    AllowList,
    CoverSpec,
    ModelManifest,
    PlanSpec,
)
from sonar.ports import Store
from sonar.protocol.ids import PART_BYTES, Address, BountyId, Cid, Codec, digest_of, hex32
from sonar.protocol.phase import BountyState, Terms
from sonar.store.mend import put_blob
from sonar.telling.progress import Waiting
from sonar.telling.text import span

_PACE_BLOCKS = 100
"""Over how many blocks a chain's pace is looked at."""


class Opening:
    """Posts the bounty, once."""

    def __init__(self, means: Means) -> None:
        self._means, self._records = means, means.records
        posting: Posting | None = self._records.get(Posting)
        sent = posting is not None and means.outbox.submitted(Intent.of_posting(means.name))
        if posting and sent and not fits(posting, means.bounty, means.holder):
            problem = f"another bounty named {means.name!r} was posted from this home, or with another key"
            raise ConfigError("name", problem, hint="give the changed bounty another name")

    def post(self) -> Waiting | None:
        """Take the next step of the posting; None when the bounty is posted."""
        if self._records.bounty() is not None:
            return None
        means, posting = self._means, self._prepared()
        job = self.job(posting)
        intent, bounty = Intent.of_posting(means.name), job.bounty
        call = means.market.post(job.terms, job.model_digest, job.key_digest, job.salt)
        if means.outbox.wanted(intent):
            with means.watch.timed(0, "publish"):
                publish(posting, means.copies, means.store)
            check(means.market, means.bounty, job.terms, means.outbox.address)
        try:
            receipt = pay(means.market, means.outbox, intent, call)
            block = receipt.block if receipt else None
        except BountyExists:  # nobody else can have this id: a transaction of ours, of which we lost sight
            block = self._posted_in(bounty)
        except InsufficientFunds as poor:
            if not means.outbox.submitted(intent):
                raise
            return means.without_ether(poor, "the posting", None)
        if block is None:
            return Waiting("the bounty to be posted")
        self._records.set_bounty(bounty, block)
        means.watch.tell(0)
        means.progress.note(f"posted bounty {hex32(bounty)}")
        return None

    def job(self, posting: Posting | None = None) -> Job:
        """What the bounty is posted with on this network: its id is made of the chain and
        the contract too.
        """
        means = self._means
        found = posting or self._records.get(Posting)
        return job_of(found, means.bounty, means.market, means.outbox.address)

    def state(self, head: Head) -> BountyState:
        """Return the bounty at `head`. Raises UnknownBounty, ChainUnavailable where that may pass."""
        means = self._means
        bounty, block = means.posted
        try:
            return means.market.bounty(bounty, head)
        except UnknownBounty as error:
            if bounty != self.job().bounty:
                raise
            if means.outbox.under_way(Intent.of_posting(means.name)):
                problem = "the chain's node has lost the bounty's posting, which is sent again"
                hint = "it may have been killed; check that it has all its blocks"
                raise ChainUnavailable(problem, hint=hint) from error
            hint = "it has fallen behind, or one of several behind the same address has"
            if head.number < block:
                problem = f"is at block {head.number}, but the bounty was posted in block {block}"
            elif means.market.events(block - REORG_BLOCKS, head.number, bounty):
                problem = f"has records of the bounty, but does not know it at block {head.number}"
            else:
                raise
            raise ChainUnavailable(f"the chain's node {problem}", hint=hint) from error

    def _prepared(self) -> Posting:
        """What is posted; what was prepared and not sent is made anew if it is out of date."""
        means = self._means
        posting: Posting | None = self._records.get(Posting)
        if posting is None or self._old(posting):
            with means.watch.timed(0, "encrypt"):
                posting = prepare(means.bounty, means.holder, means.copies)
            if auditors := cover_in(posting).auditors:
                means.progress.note("looking for the capsules' committee, which signs the settlements")
                placed = ensure_committee(means.market, means.outbox, *auditors, progress=means.progress)
                posting = replace(posting, settler=placed.address)
            self._records.put(posting)
        return posting

    def _old(self, posting: Posting) -> bool:
        """Tell whether a posting that was not sent is of another bounty or key; or, say, of an old key of a
        capsule.
        """
        means = self._means
        if not fits(posting, means.bounty, means.holder):
            return True
        wanted = means.outbox.wanted(Intent.of_posting(means.name))
        return wanted and cover_in(posting) != means.holder.cover()

    def _posted_in(self, bounty: BountyId) -> int | None:
        """The block of a posting by the chain's record, once it is confirmed."""
        market = self._means.market
        head, posted = market.head(), market.posting(bounty)
        confirmed = posted is not None and head.number - posted.block + 1 >= self._means.confirmations
        return posted.block if posted is not None and confirmed else None


def cover_in(posting: Posting) -> CoverSpec:
    """Return what hides answers in a bounty that is posted so."""
    return ModelManifest.from_bytes(posting.model_manifest).cover


def prepare(bounty: AnyBounty, key: KeyHolder, copies: Store) -> Posting:
    """Write the first question and describe it; its bytes go to `copies`.

    The salt makes the bounty's id.
    """
    design = bounty.design
    salt, manifest = secrets.token_bytes(SALT_BYTES), key.key()
    blob = question_of(design.spec, key, design.start)
    allowed = AllowList(mines=bounty.offer.allowed) if bounty.offer.allowed else None
    model = ModelManifest(
        name=bounty.settings.name,
        round=1,
        family=design.spec,
        cover=key.cover(),
        plan=PlanSpec.parse(design.plan.to_dict()),
        key=manifest.cid(),
        blobs=put_blob(copies, blob),
        zero_start=design.zero_start,
        holdout=bounty.commitment(salt),
        allow_list=allowed.cid() if allowed else None,
    )
    return Posting(
        bounty.digest,
        secrets.token_bytes(32),
        manifest.encoded,
        model.encoded,
        salt,
        allowed.encoded if allowed else b"",
        bounty.offer.terms.settle_window_s,
    )


def question_of(
    spec: FamilySpec, key: KeyHolder, numbers: Sequence[int], job: Job | None = None, round: int = 1
) -> bytes:
    """Return the blob that asks about these numbers in a round: encrypted, or for everybody to see.

    Without `job`, of a bounty to be posted. Raises UsageError, KeyFileError.
    """
    if family_of(spec).visible:
        return write_visible(numbers)
    public = key.public if job is None else key.public_of(job, round)
    return public.encode_blob(key.encrypt(numbers, job, round))


def check(market: Market, bounty: AnyBounty, terms: Terms, me: Address) -> None:
    """Check against the chain, before money is sent, what the terms assume.

    The token must be one and count its units as the amounts do, the settler must be able to sign, a quiet end
    must be as long as the network's windows, and those who may take part must go on under these accounts.
    `me` is the scientist's account. Raises ConfigError naming the field, and what the chain raises.
    """
    check_asset(market, bounty.unit.asset, me)
    _check_allowed(market, bounty.offer.allowed)
    meant, told = bounty.offer.unit, unit_of(market, bounty.offer.unit.asset)
    if meant.known and told.known and told.decimals != meant.decimals:
        raise ConfigError(
            "asset_decimals",
            f"is {meant.decimals}, but the token {meant.asset} says {told.decimals}",
            hint="correct it, and check all amounts",
        )
    quiet_s, least_s = terms.quiet_s, market.min_window_s()
    if 0 < quiet_s < least_s:
        hint = f"give {least_s} at least, or 0 to let every round's commits last their window"
        raise ConfigError("quiet_s", f"{quiet_s} s is less than this network's {least_s} s", hint=hint)
    if terms.settler in (me, market.address):
        whose = "your own account" if terms.settler == me else "the market, which signs nothing"
        hint = "name somebody else who agrees to each settlement, or leave it out"
        raise ConfigError("settler", f"{terms.settler} is {whose}", hint=hint)
    check_settler(market, terms.settler)


def _check_allowed(market: Market, allowed: Sequence[Address]) -> None:
    """Check that no mine on the allow-list goes on under another account: it could not take part."""
    for account, latest in succession_on(market).followed(allowed).items():
        raise ConfigError(
            "allow",
            f"names {account}, which {latest} has followed: its mine joins new bounties with that one",
            hint=f"write {latest} in its place, if you are sure whose it is; nothing was posted",
        )


def short_window(chain: Chain, window_s: int, confirmations: int) -> str:
    """Say that a settle window is shorter than settling takes at the chain's pace; empty if it is not.

    The reveals must be confirmed. What cannot be proven of one is believed when it is buried, and the
    settlement may wait as long until it is mined. A chain of one confirmation mines as it likes.
    """
    blocks, head = confirmations + 2 * BURIED_BLOCKS, chain.head()
    past = chain.at_depth(head, _PACE_BLOCKS + 1)
    if confirmations <= 1 or head.number - past.number < blocks:
        return ""
    block_s = (head.timestamp_s - past.timestamp_s) / (head.number - past.number)
    if window_s >= (least_s := math.ceil(blocks * block_s)):
        return ""
    return (
        f"the settle window of {span(window_s)} is short for this network: with confirmations = "
        f"{confirmations}, settling takes up to {blocks} blocks of {span(block_s)}; give settle_window_s = "
        f"{least_s} or more, or a round may be overdue before it can be settled"
    )


def fits(posting: Posting, bounty: AnyBounty, key: KeyHolder) -> bool:
    """Tell whether `posting` is of this bounty, under this key."""
    return (posting.digest, posting.key_manifest) == (bounty.digest, key.key().encoded)


def job_of(posting: Posting, bounty: AnyBounty, market: Market, scientist: Address) -> Job:
    """Return what the key holder must know of a bounty, as it is posted on this network."""
    settle_s = posting.settle_window_s or settle_window_of(bounty.settings, dev=True)
    return Job(
        market.chain_id,
        market.address,
        scientist,
        replace(
            bounty.offer.terms,
            settle_window_s=settle_s,
            settler=Address(posting.settler) if posting.settler else bounty.offer.terms.settler,
        ),
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
