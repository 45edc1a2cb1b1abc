"""Everything that a mine can reveal in an update's stead, in one cohort: each is left out and told why."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gmpy2 import mpz

from sonar.manifests.model import KeyManifest
from sonar.manifests.update import UpdateManifest
from sonar.protocol import codec
from sonar.protocol.events import MinePaid
from sonar.protocol.ids import Cid, digest_of, links_of
from tests.integration.campaign_kit import HonestMine, World, scientist_key_file_secret, shard_map

Forge = Callable[[HonestMine, Any, bytes, bytes], tuple[bytes, list[bytes]]]
"""(mine, key, the honest manifest, the honest blob) -> the digest to reveal, and what goes into the store."""


def manifest_with(**changes: Any) -> Forge:
    """The honest manifest with other fields, whatever they are."""

    def forge(_mine: HonestMine, _key: Any, manifest: bytes, blob: bytes) -> tuple[bytes, list[bytes]]:
        fields = codec.decode(manifest)
        assert isinstance(fields, dict)
        data = codec.encode({**fields, **changes})
        return digest_of(data), [blob, data]

    return forge


def blob_of(make: Callable[[Any, bytes], bytes]) -> Forge:
    def forge(_mine: HonestMine, key: Any, manifest: bytes, blob: bytes) -> tuple[bytes, list[bytes]]:
        other = make(key, blob)
        links = links_of(other)
        data = UpdateManifest.from_bytes(manifest).model_copy(update={"blobs": links}).to_bytes()
        return digest_of(data), [other, data]

    return forge


def bytes_of(make: Callable[[HonestMine, Any, bytes], bytes]) -> Forge:
    def forge(mine: HonestMine, key: Any, manifest: bytes, blob: bytes) -> tuple[bytes, list[bytes]]:
        data = make(mine, key, manifest)
        return digest_of(data), [blob, data]

    return forge


def number(value: Callable[[Any], int]) -> Forge:
    return blob_of(lambda key, _blob: int(value(key)).to_bytes(key.ciphertext_bytes, "big"))


def others_blob(mine: HonestMine, _key: Any, manifest: bytes, _blob: bytes) -> tuple[bytes, list[bytes]]:
    """The update of a mine that has trained already, under its own name."""
    stolen = links_of(mine.world.miners[0].ready[1][2][0])
    data = UpdateManifest.from_bytes(manifest).model_copy(update={"blobs": stolen}).to_bytes()
    return digest_of(data), [data]


FORGED: dict[str, tuple[Forge, str]] = {
    "ciphertext 0": (number(lambda key: 0), "ciphertext 0 is not between"),
    "ciphertext n": (number(lambda key: key.n), "shares a factor"),
    "a multiple of p": (number(lambda key: mpz(PRIME[0]) * 12345), "shares a factor"),
    # Well-formed: zeros, which no rows can give beside the mark in the first weights.
    "ciphertext 1": (number(lambda key: 1), "bias entry cannot come from any rows"),
    "ciphertext n^2": (number(lambda key: key.n2), "not between 0 and n^2"),
    "an empty blob": (blob_of(lambda _key, _blob: b""), "has 0 bytes"),
    "a huge blob": (blob_of(lambda _key, _blob: bytes(1 << 22)), "4 parts"),
    "a blob that is too long": (blob_of(lambda _key, _blob: bytes(1 << 20)), "limit is 256"),
    "rows 0": (manifest_with(rows=0), "rows"),
    "negative rows": (manifest_with(rows=-40), "rows"),
    "rows 2^63": (manifest_with(rows=2**63), "rows"),
    "rows as text": (manifest_with(rows="40"), "rows"),
    "too few rows": (manifest_with(rows=32), "rows: 32 is less than"),
    "a link to a manifest": (manifest_with(blobs=[Cid("dag-cbor", digest_of(b"x"))]), "blob"),
    "bytes for a link": (manifest_with(blobs=[b"x" * 36]), "blob"),
    "an unknown field": (manifest_with(extra=[]), "unknown field"),
    "another chain": (manifest_with(chain_id=1), "chain_id"),
    "more ciphertexts": (manifest_with(ciphertexts=2), "ciphertexts"),
    "the key's manifest": (
        bytes_of(lambda _m, key, _data: KeyManifest(bits=key.bits, n=key.to_bytes(), proof=b"").to_bytes()),
        "kind",
    ),
    "not CBOR": (bytes_of(lambda _m, _key, _data: secrets.token_bytes(100)), "malformed"),
    "deeply nested": (bytes_of(lambda _m, _key, _data: b"\x81" * 60_000), "nested deeper"),
    "nothing": (bytes_of(lambda _m, _key, _data: b""), "malformed"),
    "too much": (
        bytes_of(lambda _m, _key, data: data + bytes(UpdateManifest.max_bytes)),
        f"limit is {UpdateManifest.max_bytes}",
    ),
    "another's update": (others_blob, "copy"),
}
PRIME: list[int] = []


class Forger(HonestMine):
    """Seals what `forge` makes of its honest update."""

    forge: Forge

    def map(self, model: Any, plan: Any) -> Any:
        return shard_map(self.index % 10, 10, model.family, plan.data_frac)

    def sealed(self, bounty: Any, n: int, model: Any, key: Any, rows: int, blob: bytes) -> Any:
        _, salt, (_, manifest) = super().sealed(bounty, n, model, key, rows, blob)
        digest, stored = type(self).forge(self, key, manifest, blob)
        for data in stored:  # only what the campaign could find by the revealed digest matters
            self.world.store.put(data)
        return digest, salt, [b"", b""]


def test_every_malformed_update_is_left_out_with_its_reason(tmp_path: Path) -> None:
    honest, names = 3, list(FORGED)
    world = World(tmp_path, mines=honest + len(names), settings={"rounds": 1})
    PRIME[:] = [scientist_key_file_secret()[0]]
    for i, name in enumerate(names, honest):
        kind = type("ThisForger", (Forger,), {"forge": staticmethod(FORGED[name][0])})
        world.miners[i] = kind(world, i, world.miners[i].account)
    campaign = world.campaign()
    world.run(campaign)
    (line,) = campaign.history()
    assert line["ended"] == "settled"
    left_out = line["left_out"]
    for i, name in enumerate(names, honest):
        assert FORGED[name][1] in left_out.pop(world.miners[i].address, "NOT LEFT OUT"), name
    assert left_out == {}
    honest_addresses = {world.miners[i].address for i in range(honest)}
    assert set(line["accepted"]) == honest_addresses
    paid = {e.mine for e in world.events(MinePaid) if e.fee_units + e.reward_units}
    assert paid <= honest_addresses
    assert all(e.stake_units > 0 for e in world.events(MinePaid))
    world.check_money()
