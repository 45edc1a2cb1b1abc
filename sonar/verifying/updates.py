"""What the mines of a round revealed: whether an update is what its round asked for.

Junk is the mine's own fault, not the round's, as long as the evidence leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sonar.errors import CiphertextError, RemoteError
from sonar.manifests.update import UpdateManifest
from sonar.protocol.ids import Address, Digest, digest_of
from sonar.settling.updates import Expected, check_update


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


def read_manifest(expected: Expected, mine: Address, data: bytes) -> UpdateManifest:
    """Return the manifest of an update for this round. Raises RemoteError naming what is wrong."""
    manifest = UpdateManifest.from_bytes(data)
    check_update(manifest, expected, mine)
    return manifest


def check_ciphertexts(expected: Expected, blob: bytes) -> str:
    """Return what is wrong with an update's blob; nothing if it holds ciphertexts under the bounty's key, or
    words where those are asked for.
    """
    try:
        expected.form.decode(blob)
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
