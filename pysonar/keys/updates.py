"""Encrypted updates as a key holder takes them, and the digests by which its ledger names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gmpy2 import mpz

from sonar.errors import CiphertextError, UsageError
from sonar.manifests.update import Veil
from sonar.paillier.cohort import digest_of_parts
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import MAX_FRAC, SlotPlan
from sonar.settling.updates import Form
from sonar.veil.masks import Words
from sonar.veil.words import read_words


@dataclass(frozen=True)
class MineUpdate:
    """One mine's encrypted update: its address, its rows, its ciphertexts, and their `blob`.

    `read` and `of` make one, and check every ciphertext; nobody has to check them again. `digest` is that of
    its manifest, and `veil` what this says of its masks, if there are any. An answer in words has no
    ciphertexts: the words are its blob.
    """

    mine: str
    rows: int
    ciphertexts: tuple[mpz, ...] = field(repr=False)
    blob: bytes = field(repr=False)
    digest: bytes = b""
    veil: Veil | None = field(default=None, repr=False)

    @classmethod
    def read(
        cls,
        form: Form,
        mine: str,
        rows: int,
        blob: bytes,
        digest: bytes = b"",
        veil: Veil | None = None,
    ) -> MineUpdate:
        """Read what a mine sent. Raises CiphertextError."""
        return cls(mine, rows, form.decode(blob), blob, digest, veil)

    @classmethod
    def of(cls, key: PublicKey, mine: str, rows: int, ciphertexts: Sequence[mpz]) -> MineUpdate:
        """Make one of ciphertexts. Raises CiphertextError."""
        blob = key.encode_blob(ciphertexts)
        return cls(mine, rows, tuple(mpz(c) for c in ciphertexts), blob)

    def check(self, form: Form) -> None:
        """Check that it is as long as its form says. Raises CiphertextError, UsageError."""
        there, wanted = len(self.ciphertexts), 0 if form.are_words else form.numbers
        if there != wanted or len(self.blob) != form.blob_bytes:
            what = "words" if form.are_words else "ciphertexts"
            raise CiphertextError(
                f"{self.mine}: {there} ciphertexts in {len(self.blob)} bytes; the slot plan has "
                f"{form.numbers} {what} in {form.blob_bytes}"
            )
        if form.are_words and self.veil is None:
            raise UsageError(f"the update of {self.mine} has no masks, but its bounty has capsules")

    def words(self, plan: SlotPlan) -> Words:
        """Return the words uint64[plan.weights] of an answer in words. Raises ManifestError."""
        return read_words(self.blob, plan.weights)

    @property
    def name(self) -> bytes:
        """The digest of the answer as it was sent, whoever sent it and however it is weighted."""
        return digest_of_parts(self.blob)


def weights_digest(plan: SlotPlan, weights_int: Sequence[int]) -> bytes:
    """Name the weights themselves, whatever the scale that a plan writes them at."""
    finest = (int(w) << (MAX_FRAC - plan.weight_frac) for w in weights_int)
    return digest_of_parts(*(str(w).encode() for w in finest))
