"""Capsules for tests: their accounts and keys, a cover of them, and updates under it, honest and hostile.

capsules = make_capsules(3)
cover = cover_of(capsules, threshold=2)
plain = plain_update(key, plan, [1, 2, 3])
update = veil_over(plain, key, plan, cover)
digest = update.put(store, key)
false_wraps(update, plan)                                  # and the other lies below
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from eth_account import Account
from eth_account.signers.local import LocalAccount
from gmpy2 import mpz

from mine.work.veil import Site
from sonar.chain.signatures import sign_digest
from sonar.manifests.model import AuditSpec, CapsuleKey, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.ports import Store
from sonar.protocol.capsules import key_digest
from sonar.protocol.ids import Address, BountyId, Cid, Digest, links_of
from sonar.store.mend import put_blob
from sonar.veil import envelopes
from sonar.veil.envelopes import EnvelopeKey
from sonar.veil.masks import class_masks, read_wraps, veiled, write_wraps
from sonar.veil.streams import SEED_BYTES, Place, seed_hash


class Somewhere(NamedTuple):
    """A contract on a chain; a `Market` will do too wherever a site is asked for."""

    chain_id: int = 31337
    address: Address = Address("0x" + "c0" * 20)


HERE: Site = Somewhere()
MODEL = Cid("dag-cbor", Digest(b"m" * 32))
BOUNTY = BountyId(b"b" * 32)
MINE = Address("0x" + "11" * 20)


# ---- capsules


@dataclass(frozen=True)
class Capsule:
    """A capsule's account and its key for envelopes."""

    account: LocalAccount = field(default_factory=Account.create)
    key: EnvelopeKey = field(default_factory=EnvelopeKey.new)
    epoch: int = 1

    @property
    def address(self) -> Address:
        return Address(self.account.address)

    def signed(
        self, site: Site = HERE, *, by: Capsule | None = None, epoch: int = 0, hpke: bytes = b""
    ) -> CapsuleKey:
        """The key as a cover names it.

        Hostile: signed `by` another account, named for another `epoch` than the signed one, or another key.
        """
        digest = key_digest(site.chain_id, site.address, self.address, self.epoch, self.key.public)
        return CapsuleKey(
            account=self.address,
            epoch=epoch or self.epoch,
            hpke=hpke or self.key.public,
            signature=sign_digest((by or self).account, digest),
        )

    def signing(self, hpke: bytes, site: Site = HERE) -> CapsuleKey:
        """Hostile: its account's signature on whatever it likes."""
        digest = key_digest(site.chain_id, site.address, self.address, self.epoch, hpke)
        signature = sign_digest(self.account, digest)
        return CapsuleKey(account=self.address, epoch=self.epoch, hpke=hpke, signature=signature)


def make_capsules(count: int = 3) -> tuple[Capsule, ...]:
    """New capsules, ascending by account as in a cover."""
    return tuple(sorted((Capsule() for _ in range(count)), key=lambda one: int(one.address, 16)))


def cover_of(
    capsules: Sequence[Capsule],
    threshold: int = 2,
    site: Site = HERE,
    *,
    bits: int = 512,
    audit: AuditSpec | None = None,
) -> VeilCover:
    members = tuple(capsule.signed(site) for capsule in capsules)
    return VeilCover(threshold=threshold, members=members, bits=bits, audit=audit)


def opened(capsule: Capsule, cover: VeilCover, update: UpdateManifest) -> dict[int, bytes]:
    """The seeds that a capsule finds in its envelope, by class. Raises ManifestError."""
    assert update.veil is not None
    place = [member.account for member in cover.members].index(capsule.address)
    held, member = cover.classes.held_by(place), cover.members[place]
    context = envelopes.context(
        update.chain_id, update.contract, update.bounty, update.mine, member.epoch, update.veil.seeds
    )
    hashes = [update.veil.seeds[c] for c in held]
    return dict(zip(held, capsule.key.open(update.veil.envelopes[place], context, hashes), strict=True))


# ---- updates


@dataclass(frozen=True)
class Update:
    """An update, and what only a test knows of it: `seeds` are those of its masks, none for a plain one."""

    manifest: UpdateManifest
    ciphertexts: tuple[mpz, ...]
    seeds: tuple[bytes, ...] = ()

    @property
    def veil(self) -> Veil:
        assert self.manifest.veil is not None
        return self.manifest.veil

    @property
    def place(self) -> Place:
        return Place(self.manifest.model.digest, self.veil.nonce, self.manifest.round)

    def put(self, store: Store, key: PublicKey, *, blob: bool = True) -> Digest:
        """Publish it; without its `blob` it is withheld in part."""
        if blob:
            assert put_blob(store, key.encode_blob(self.ciphertexts)) == self.manifest.blobs
        return store.put(self.manifest.to_bytes(), "dag-cbor").digest

    def saying(self, **changes: Any) -> Update:
        """The same with another manifest."""
        return replace(self, manifest=self.manifest.model_copy(update=changes))

    def veil_saying(self, **changes: Any) -> Update:
        return self.saying(veil=self.veil.model_copy(update=changes))

    def carrying(self, key: PublicKey, ciphertexts: Sequence[mpz]) -> Update:
        """The same with other ciphertexts."""
        links = links_of(key.encode_blob(ciphertexts))
        return replace(self.saying(blobs=links), ciphertexts=tuple(ciphertexts))


def plain_update(
    key: PublicKey,
    plan: SlotPlan,
    values: Sequence[int],
    *,
    mine: Address = MINE,
    round_number: int = 1,
    rows: int = 40,
    bounty: BountyId = BOUNTY,
    model: Cid = MODEL,
    site: Site = HERE,
) -> Update:
    """An update without a veil, of these integers."""
    ciphertexts = [
        key.rerandomise(key.encrypt(m % key.n, 1), key.blinding(secrets.randbelow)) for m in plan.pack(values)
    ]
    manifest = UpdateManifest(
        chain_id=site.chain_id,
        contract=site.address,
        bounty=bounty,
        round=round_number,
        mine=mine,
        model=model,
        key=key.fingerprint,
        rows=rows,
        ciphertexts=len(ciphertexts),
        blobs=links_of(key.encode_blob(ciphertexts)),
    )
    return Update(manifest, tuple(ciphertexts))


def new_seeds(cover: VeilCover) -> tuple[bytes, ...]:
    return tuple(secrets.token_bytes(SEED_BYTES) for _ in range(cover.classes.count))


def sealed(update: UpdateManifest, cover: VeilCover, seeds: Sequence[bytes]) -> tuple[bytes, ...]:
    """An envelope for each member, with the seeds that it holds."""
    hashes = [seed_hash(seed) for seed in seeds]
    return tuple(
        envelopes.seal(
            member.hpke,
            [seeds[c] for c in cover.classes.held_by(place)],
            envelopes.context(
                update.chain_id, update.contract, update.bounty, update.mine, member.epoch, hashes
            ),
        )
        for place, member in enumerate(cover.members)
    )


def veil_over(
    plain: Update,
    key: PublicKey,
    plan: SlotPlan,
    cover: VeilCover,
    seeds: Sequence[bytes] = (),
    nonce: bytes = b"",
) -> Update:
    """The same answer under masks; with new seeds and a fresh nonce, unless they are given."""
    seeds, nonce = tuple(seeds) or new_seeds(cover), nonce or secrets.token_bytes(32)
    place = Place(plain.manifest.model.digest, nonce, plain.manifest.round)
    ciphertexts, wraps = veiled(key, plan, plain.ciphertexts, seeds, place)
    veil = Veil(
        nonce=nonce,
        seeds=tuple(map(seed_hash, seeds)),
        wraps=wraps,
        envelopes=sealed(plain.manifest, cover, seeds),
    )
    return replace(plain.carrying(key, ciphertexts).saying(veil=veil), seeds=seeds)


def without_veil(update: Update, key: PublicKey) -> Update:
    """The same answer without its masks."""
    count = len(update.ciphertexts)
    masks = [class_masks(seed, update.place, key.n, count) for seed in update.seeds]
    sums = [sum(column) for column in zip(*masks, strict=True)]
    bare = [key.add_plain(c, -int(mask)) for c, mask in zip(update.ciphertexts, sums, strict=True)]
    return replace(update.carrying(key, bare).saying(veil=None), seeds=())


# ---- lies of a mine


def false_wraps(update: Update, plan: SlotPlan, by: int = 1) -> Update:
    """A kappa that is off `by` this much for each ciphertext."""
    wraps = [(number + by) % (1 << plan.slot_bits) for number in read_wraps(plan, update.veil.wraps)]
    return update.veil_saying(wraps=write_wraps(plan, wraps))


def bad_envelope(update: Update, place: int) -> Update:
    """An envelope that does not open, for one holder alone."""
    return _with_envelope(update, place, lambda data: data[:-1] + bytes([data[-1] ^ 1]))


def false_seeds(update: Update, cover: VeilCover, place: int) -> Update:
    """An envelope that opens for its holder, and has other seeds than those of the published hashes.

    Its context is right, and so are all the others.
    """
    held = cover.classes.held_by(place)
    manifest, member = update.manifest, cover.members[place]
    context = envelopes.context(
        manifest.chain_id, manifest.contract, manifest.bounty, manifest.mine, member.epoch, update.veil.seeds
    )
    lie = envelopes.seal(member.hpke, [secrets.token_bytes(SEED_BYTES) for _ in held], context)
    return _with_envelope(update, place, lambda _: lie)


def swapped_envelopes(update: Update) -> Update:
    """The envelopes of two holders, each for the other."""
    first, second, *rest = update.veil.envelopes
    return update.veil_saying(envelopes=(second, first, *rest))


def reseeded(update: Update, key: PublicKey, plan: SlotPlan, cover: VeilCover) -> Update:
    """The same answer under new seeds: as a mine's second home would, or one that wants to hide a twin."""
    return veil_over(without_veil(update, key), key, plan, cover)


def replayed(update: Update, round_number: int, model: Cid | None = None) -> Update:
    """An earlier round's ciphertexts, nonce and wraps, as the answer of another round."""
    return update.saying(round=round_number, model=model or update.manifest.model)


def anothers(update: Update, mine: Address) -> Update:
    """Another mine's update as one's own: ciphertexts, nonce, hashes and envelopes are copied."""
    return update.saying(mine=mine)


def junk_above_slots(update: Update, key: PublicKey, plan: SlotPlan, amount: int = 1) -> Update:
    """Something in the bits above the slots of the first ciphertext, where an honest answer has its sign."""
    first, *rest = update.ciphertexts
    junk = amount << (plan.slots_per_ciphertext * plan.slot_bits)
    return update.carrying(key, [key.add_plain(first, junk), *rest])


def _with_envelope(update: Update, place: int, change: Callable[[bytes], bytes]) -> Update:
    data = list(update.veil.envelopes)
    data[place] = change(data[place])
    return update.veil_saying(envelopes=tuple(data))
