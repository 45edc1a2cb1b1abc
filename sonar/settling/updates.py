"""A mine's update as scientist and capsules read it: every field checked against the bounty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from gmpy2 import mpz

from sonar.errors import ManifestError, RemoteError, UsageError
from sonar.families.registry import FamilySpec
from sonar.manifests.model import CoverSpec, ModelManifest, VeilCover, answers_are_words
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.cohort import digest_of_parts
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import Address, BountyId, Cid, Digest, check_parts, joined
from sonar.settling.verdict import MALFORMED, REASON_MAX
from sonar.veil.masks import WORD_BYTES, read_wraps

NO_KEY = bytes(32)
"""What stands for a key's fingerprint where nothing is encrypted."""
Get = Callable[[Cid, int], bytes]
"""Returns the bytes that a link names, at most so many: `Store.get`."""
_KEPT = 512
"""How many manifests are kept as they were read."""


@dataclass(frozen=True)
class Form:
    """How an answer lies in its blob: as ciphertexts under the round's key, or as words, without any key.

    Raises UsageError for ciphertexts whose key was not given.
    """

    plan: SlotPlan
    key: PublicKey | None
    are_words: bool

    @property
    def numbers(self) -> int:
        """How many ciphertexts or words there are."""
        return self.plan.weights if self.are_words else self.plan.ciphertexts

    @property
    def fingerprint(self) -> bytes:
        """The key that they are under, as an update's manifest says it."""
        return NO_KEY if self.are_words else self._paillier.fingerprint

    @property
    def blob_bytes(self) -> int:
        """How long a blob is."""
        return self.numbers * (WORD_BYTES if self.are_words else self._paillier.ciphertext_bytes)

    def decode(self, blob: bytes) -> tuple[mpz, ...]:
        """Return the ciphertexts in a blob, each checked: none of words, as no word is wrong by itself.

        Raises CiphertextError.
        """
        if self.are_words:
            return ()
        return tuple(self._paillier.decode_blob(blob, self.numbers))

    @property
    def _paillier(self) -> PublicKey:
        if self.key is None:
            raise UsageError("the answers are ciphertexts, and their key was not given")
        return self.key


@dataclass(frozen=True)
class Expected:
    """What an honest update of a round says. `model`: the digest of the manifest that the round trains on.

    `key` is the round's, and may be left out where answers are words.
    """

    chain_id: int
    contract: Address
    bounty: BountyId
    round: int
    model: Digest
    key: PublicKey | None
    spec: FamilySpec
    plan: SlotPlan
    cover: CoverSpec

    @property
    def form(self) -> Form:
        """How answers lie in their blobs."""
        return Form(self.plan, self.key, answers_are_words(self.spec, self.cover))

    @classmethod
    def of(
        cls,
        place: tuple[int, Address, BountyId, int],
        asked: Digest,
        key: PublicKey | None,
        model: ModelManifest,
    ) -> Expected:
        """Return what answers to a bounty's model say. `place`: chain, contract, bounty, round; `asked`: the
        digest of the round's manifest; `model`: any round's, since no round changes what is read of it here.
        """
        return cls(*place, asked, key, model.family, model.slot_plan, model.cover)


@dataclass(frozen=True)
class ReadUpdate:
    """A well-formed update: whose, of how many rows, its ciphertexts, and the digest of its manifest.

    An answer in words has no ciphertexts: the words are in `blob`.
    """

    mine: Address
    rows: int
    ciphertexts: tuple[mpz, ...] = field(repr=False)
    blob: bytes = field(repr=False)
    digest: Digest
    veil: Veil | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The digest of the answer as it was sent, in hex, whoever sent it."""
        return digest_of_parts(self.blob).hex()


@lru_cache(maxsize=_KEPT)
def update_manifest(data: bytes) -> UpdateManifest:
    """Return the manifest that these bytes are. Raises ManifestError.

    One with envelopes takes milliseconds, and is read for functionals, sums, and each later audit.
    """
    return UpdateManifest.from_bytes(data)


def read_update(get: Get, expected: Expected, mine: Address, digest: Digest) -> ReadUpdate:
    """Read and check what `mine` revealed as `digest`.

    Raises ManifestError, CiphertextError, BlobTooLarge, which say what is wrong with it, and what `get` does.
    """
    manifest = update_manifest(get(Cid("dag-cbor", digest), UpdateManifest.max_bytes))
    check_update(manifest, expected, mine)
    blob = joined(manifest.blobs, expected.form.blob_bytes, get)
    ciphertexts = expected.form.decode(blob)
    return ReadUpdate(mine, manifest.rows, ciphertexts, blob, digest, manifest.veil)


def malformed(fault: RemoteError) -> str:
    """Return the reason that evidence gives for an update which `read_update` refuses."""
    text = f"{MALFORMED}{fault}"
    return "".join(char if char.isprintable() else "?" for char in text)[:REASON_MAX]


def check_update(manifest: UpdateManifest, expected: Expected, mine: Address) -> None:
    """Check every field of an update against its bounty and round. Raises ManifestError."""
    wanted = {
        "chain_id": expected.chain_id,
        "contract": expected.contract,
        "bounty": expected.bounty,
        "round": expected.round,
        "mine": mine,
        "model": Cid("dag-cbor", expected.model),
        "key": expected.form.fingerprint,
        "ciphertexts": expected.form.numbers,
    }
    for name, value in wanted.items():
        if getattr(manifest, name) != value:
            raise ManifestError(name, f"is not this {'mine' if name == 'mine' else 'round'}'s")
    check_parts(manifest.blobs, expected.form.blob_bytes)
    check_veil(manifest.veil, expected.cover, expected.plan, are_words=expected.form.are_words)
    if manifest.rows < (least := expected.spec.rows_min):
        raise ManifestError("rows", f"{manifest.rows} is less than the bounty's {least}")


def check_veil(veil: Veil | None, cover: CoverSpec, plan: SlotPlan, *, are_words: bool = False) -> None:
    """Check that an update has the masks that the cover asks for, and no others. Raises ManifestError.

    `are_words`: masks of words do not wrap around anything, so nothing is said of that.
    """
    if not isinstance(cover, VeilCover):
        if veil is not None:
            raise ManifestError("veil", "is there, but this bounty has no capsules")
        return
    if veil is None:
        raise ManifestError("veil", "is missing: this bounty's answers are masked")
    if (told := len(veil.seeds)) != (count := cover.classes.count):
        raise ManifestError("veil.seeds", f"has {told} hashes; there are {count} classes")
    if (told := len(veil.envelopes)) != (count := len(cover.members)):
        raise ManifestError("veil.envelopes", f"has {told}; there are {count} capsules")
    if not are_words:
        read_wraps(plan, veil.wraps)
    elif veil.wraps:
        raise ManifestError("veil.wraps", "are there, but answers in words have none: leave them empty")
