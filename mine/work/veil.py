"""The veil on a mine's answers: seeds for each bounty, masks for each update.

The seeds are drawn once per bounty, and are in the journal before anything depends on them. So a mine that
was killed, or restored from any copy since, uses the same seeds. Other seeds would be refused by the
capsules: with them a mine could make a copy of an answer look like another one. What is fresh in each update
is its nonce: two updates with the same masks would give away their difference.

Whoever has all seeds can take the masks off. They are in the journal, and in one envelope for each capsule,
which holds only those of its own classes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Protocol

from gmpy2 import mpz

from mine import consent
from mine.consent import Policy
from mine.work.state import Book, Seeds, Turn, Veiled
from sonar.chain.contract.committee import is_committee
from sonar.chain.contract.market import REORG_BLOCKS, Market
from sonar.chain.rpc import Chain
from sonar.chain.signatures import key_fault
from sonar.errors import BlobNotFound, BlobTooLarge, ConsentError, ManifestError, UsageError
from sonar.manifests.model import CapsuleKey, PaillierCover, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.protocol.events import Revealed
from sonar.protocol.ids import Address, BountyId, Cid, Digest, hex32
from sonar.telling.text import short
from sonar.veil import envelopes, masks
from sonar.veil.streams import NONCE_BYTES, SEED_BYTES, Place, seed_hash
from sonar.veil.words import write_words


class Site(Protocol):
    """The contract that a bounty is of, and its chain; a `Market` is one."""

    @property
    def chain_id(self) -> int:
        """The chain's number."""
        ...

    @property
    def address(self) -> Address:
        """The contract's address."""
        ...


def check_cover(cover: PaillierCover | VeilCover, site: Site, policy: Policy) -> None:
    """Check that nobody could read an answer whom the operator does not trust.

    Raises ConsentError, and ManifestError for a key that is not the capsule's own.
    """
    consent.check_cover(cover, policy)
    if cover.kind == "veil":
        for member in cover.members:
            _check_key(member, site)


def _check_key(member: CapsuleKey, site: Site) -> None:
    if key_fault(member, site.chain_id, site.address):
        raise ManifestError(
            "capsules.members",
            f"the key of capsule {member.account} for epoch {member.epoch} is not signed by that account for "
            f"contract {site.address} on chain {site.chain_id}",
            hint="whoever made this key could open what is sealed for the capsule: do not join; the "
            "scientist must ask the capsule for its key (GET /v1/identity)",
        )
    try:
        envelopes.seal(member.hpke, (), b"")
    except ManifestError as error:
        raise ManifestError(
            "capsules.members",
            f"the key of capsule {member.account} for epoch {member.epoch} {error.problem}",
            hint="nothing can be sealed for this capsule: do not join, and tell the scientist",
        ) from error


def check_epochs(cover: PaillierCover | VeilCover, known: Mapping[str, int]) -> None:
    """Check that no capsule has signed a newer key than the bounty's, as far as this mine has seen.

    A key that was replaced may be in other hands, and its signature is good for ever. Raises ConsentError.
    """
    for member in cover.members if cover.kind == "veil" else ():
        if member.epoch < known.get(member.account, 0):
            raise ConsentError(
                f"capsules.members: the key of capsule {member.account} is of epoch {member.epoch}, which "
                f"it has replaced: you have joined a bounty with its key of epoch {known[member.account]}",
                hint="whoever has got hold of the old key could open what is sealed for the capsule: do not "
                "join; the scientist must ask the capsule for its key (GET /v1/identity)",
            )


def check_settler(chain: Chain, settler: Address, cover: PaillierCover | VeilCover) -> None:
    """Check that an audit binds: that the bounty's settler is the committee of its capsules.

    Else the manifest promises an audit, and the contract pays by the scientist's word. Raises ConsentError,
    ChainUnavailable, RpcError.
    """
    if cover.kind == "paillier" or cover.audit is None:
        return
    members = [member.account for member in cover.members]
    if fault := is_committee(chain, settler, members, cover.threshold):
        raise ConsentError(
            f"terms.settler: the capsules are to audit, but {fault}",
            hint="do not join: the scientist could settle without the capsules; the settler must be their "
            "committee",
        )


class Veils:
    """Covers a mine's updates. Methods raise JournalBlocked for a disk that is full."""

    def __init__(self, market: Market, store: Store, me: Address, book: Book) -> None:
        self._market, self._store, self._me, self._book = market, store, me, book
        self._looked_to: dict[BountyId, int] = {}

    def seeds(self, turn: Turn, cover: VeilCover) -> Seeds:
        """Return the mine's seeds in a bounty, drawn and recorded if there are none yet.

        Raises UsageError if this account has answered in the bounty with others, and what the store raises.
        """
        bounty = turn.joined.bounty
        kept = self._book.seeds(bounty)
        self._check_one_home(turn, kept)
        return kept or self._book.keep_seeds(self._drawn(bounty, cover))

    def _check_one_home(self, turn: Turn, kept: Seeds | None) -> None:
        """Check that what this account has revealed in the bounty has these seeds.

        An update that is in no store, or is none, has no seeds that a capsule could have taken.
        """
        bounty = turn.joined.bounty
        ours = {part.update for part in self._book.parts(bounty)}
        since = self._looked_to.get(bounty, turn.joined.block) - REORG_BLOCKS
        for event in self._market.events(since, turn.head.number, bounty, names=(Revealed.__name__,)):
            if not isinstance(event, Revealed) or event.mine != self._me or event.update_digest in ours:
                continue
            if kept is None or self._seeds_in(event.update_digest) not in (None, kept.hashes):
                raise UsageError(
                    f"account {self._me} has answered in round {event.round} of bounty "
                    f"{short(hex32(bounty))} from another home folder, with seeds that this one does not "
                    "have; the capsules take one set of seeds from a mine in a bounty",
                    hint="run the mine with that home, whose journal has the seeds; or `mine leave` this "
                    "bounty, and take part in the next one",
                )
        self._looked_to[bounty] = turn.head.number

    def _seeds_in(self, update: Digest) -> tuple[bytes, ...] | None:
        try:
            data = self._store.get(Cid("dag-cbor", update), UpdateManifest.max_bytes)
            veil = UpdateManifest.from_bytes(data).veil
        except (BlobNotFound, BlobTooLarge, ManifestError):
            return None
        return veil.seeds if veil else None

    def _drawn(self, bounty: BountyId, cover: VeilCover) -> Seeds:
        """New seeds, one a class, and an envelope for each capsule."""
        seeds = tuple(secrets.token_bytes(SEED_BYTES) for _ in range(cover.classes.count))
        hashes = tuple(map(seed_hash, seeds))
        sealed = [
            envelopes.seal(
                member.hpke,
                [seeds[c] for c in cover.classes.held_by(place)],
                envelopes.context(
                    self._market.chain_id, self._market.address, bounty, self._me, member.epoch, hashes
                ),
            )
            for place, member in enumerate(cover.members)
        ]
        return Seeds(bounty, Veiled.of(cover), seeds, hashes, tuple(sealed))


def veiled_words(words: masks.Words, seeds: Seeds, question: Digest, round_number: int) -> tuple[bytes, Veil]:
    """Return an answer in words under masks of its own, as a blob, and what its manifest says of them.

    `words` uint64[...]; `question` is the digest of the model that was answered.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    masked = masks.veiled_words(words, seeds.seeds, Place(question, nonce, round_number))
    veil = Veil(nonce=nonce, seeds=seeds.hashes, wraps=b"", envelopes=seeds.envelopes)
    return write_words(masked), veil


def veiled(
    key: PublicKey,
    plan: SlotPlan,
    update: Sequence[mpz],
    seeds: Seeds,
    question: Digest,
    round_number: int,
) -> tuple[list[mpz], Veil]:
    """Return the update under masks of its own, and what its manifest says of them.

    `question` is the digest of the model that was answered.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    masked, wraps = masks.veiled(key, plan, update, seeds.seeds, Place(question, nonce, round_number))
    return masked, Veil(nonce=nonce, seeds=seeds.hashes, wraps=wraps, envelopes=seeds.envelopes)
