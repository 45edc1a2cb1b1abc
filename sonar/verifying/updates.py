"""What the mines of a round revealed: whether an update is what its round asked for.

Junk is the mine's own fault, not the round's, as long as the evidence leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sonar.errors import CiphertextError, ManifestError, RemoteError
from sonar.manifests.model import ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.protocol.ids import Address, BountyId, Cid, Digest, digest_of
from sonar.verifying.posting import Place


@dataclass(frozen=True)
class Question:
    """What a round asked its mines. `model` is the first round's manifest, `model_digest` this one's."""

    place: Place
    bounty: BountyId
    round: int
    model_digest: Digest
    model: ModelManifest
    key: PublicKey

    @property
    def plan(self) -> SlotPlan:
        """How answers are packed."""
        return self.model.slot_plan

    @property
    def answer_bytes(self) -> int:
        """How long the blob of an answer is."""
        return self.plan.ciphertexts * self.key.ciphertext_bytes


@dataclass(frozen=True)
class Judged:
    """An update: the rows that it says, if it is for this round; what is wrong with it, or missing."""

    rows: int | None = None
    fault: str = ""
    missing: str = ""


@dataclass
class Earlier:
    """What a mine has said in earlier rounds, which must stay, or must not come again."""

    seeds: dict[Address, tuple[bytes, ...]] = field(default_factory=dict)
    nonces: dict[bytes, tuple[Address, int]] = field(default_factory=dict)
    blobs: dict[Digest, Address] = field(default_factory=dict)


def read_manifest(question: Question, mine: Address, data: bytes) -> UpdateManifest:
    """Return the manifest of an update for this round. Raises RemoteError naming what is wrong."""
    manifest = UpdateManifest.from_bytes(data)
    wanted = {
        "chain_id": question.place.chain_id,
        "contract": question.place.contract,
        "bounty": question.bounty,
        "round": question.round,
        "mine": mine,
        "model": Cid("dag-cbor", question.model_digest),
        "key": question.key.fingerprint,
        "ciphertexts": question.plan.ciphertexts,
    }
    for name, value in wanted.items():
        if getattr(manifest, name) != value:
            raise ManifestError(name, f"is not this {'mine' if name == 'mine' else 'round'}'s")
    if manifest.rows < question.model.family.rows_min:
        least = question.model.family.rows_min
        raise ManifestError("rows", f"{manifest.rows} is less than the bounty's {least}")
    cover = question.model.cover
    if isinstance(cover, VeilCover):
        _check_veil(cover, question.plan, manifest.veil)
    elif manifest.veil is not None:
        raise ManifestError("veil", "is there, and the bounty has none")
    return manifest


def _check_veil(cover: VeilCover, plan: SlotPlan, veil: Veil | None) -> None:
    if veil is None:
        raise ManifestError("veil", "is missing, and the bounty has one")
    sizes = {
        "seeds": (len(veil.seeds), cover.classes.count),
        "envelopes": (len(veil.envelopes), len(cover.members)),
        "wraps": (len(veil.wraps), plan.ciphertexts * -(-plan.slot_bits // 8)),
    }
    for name, (found, expected) in sizes.items():
        if found != expected:
            raise ManifestError(f"veil.{name}", f"has length {found}, not {expected}")


def check_ciphertexts(question: Question, blob: bytes) -> str:
    """Return what is wrong with an update's blob; nothing if it holds ciphertexts under the bounty's key."""
    try:
        question.key.decode_blob(blob, question.plan.ciphertexts)
    except (CiphertextError, RemoteError) as fault:
        return str(fault)
    return ""


def copied(earlier: Earlier, manifest: UpdateManifest) -> str:
    """Return whose ciphertexts a well-formed update has, if another mine sent them before.

    Else it is remembered.
    """
    owner = earlier.blobs.setdefault(
        digest_of(b"".join(link.digest for link in manifest.blobs)), manifest.mine
    )
    return "" if owner == manifest.mine else f"it has the ciphertexts of {owner}, who committed before"


def careless(earlier: Earlier, manifest: UpdateManifest) -> str:
    """Return what a mine does to its own harm: it draws new seeds in a bounty, or uses a nonce twice.

    Seeds stay the same in a bounty. Two answers under one nonce and seed give away their difference.
    """
    if manifest.veil is None:
        return ""
    here, nonce = (manifest.mine, manifest.round), manifest.veil.nonce
    if earlier.seeds.setdefault(manifest.mine, manifest.veil.seeds) != manifest.veil.seeds:
        return "veil.seeds: are others than in an earlier round"
    was = earlier.nonces.setdefault(nonce, here)
    return "" if was == here else f"veil.nonce: is that of {was[0]} in round {was[1]}"
