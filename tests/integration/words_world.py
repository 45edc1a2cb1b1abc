"""A study behind capsules: mines that answer in words under masks, and the program's own capsules."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pysonar.statistics.base import Statistic
from sonar.data.schema import Schema
from sonar.families.question import read_visible
from sonar.families.registry import family_of
from sonar.manifests.model import ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.protocol.ids import BountyId, Cid, Digest, joined, links_of
from sonar.veil.masks import Words, veiled_words
from sonar.veil.streams import Place, seed_hash
from sonar.veil.words import to_words, write_words
from tests.integration.campaign_kit import HonestMine
from tests.integration.capsule_world import CapsuleWorld
from tests.integration.study_world import SCHEMA, Matrix, pooled, study_in, table
from tests.study_kit import Means


@dataclass
class WordsMine(HonestMine):
    """Answers with words under masks. `change` alters the words; `says` what its manifest says of them."""

    change: Callable[[Words], Words] = field(default=lambda words: words)
    says: dict[str, Any] = field(default_factory=dict)

    def train(self, bounty: BountyId, n: int, model_digest: Digest) -> tuple[Digest, bytes, list[bytes]]:
        store = self.world.store
        model = ModelManifest.from_bytes(store.get(Cid("dag-cbor", model_digest), 1 << 20))
        family, spec, plan, cover = family_of(model.family), model.family, model.slot_plan, model.cover
        assert isinstance(cover, VeilCover)
        count = family.numbers(spec)
        asked = read_visible(joined(model.blobs, 8 * max(count, 1), store.get), count)
        own = family.prepare(spec, plan, [table(self.index)])
        words = to_words(family.values(plan, own, asked, lambda: [table(self.index)]))
        envelopes = self.envelopes(bounty, cover)
        place = Place(model.digest(), secrets.token_bytes(32), n)
        blob = write_words(self.change(veiled_words(words, self.seeds, place)))
        hashes = tuple(map(seed_hash, self.seeds))
        manifest = UpdateManifest(
            chain_id=self.market.chain_id,
            contract=self.market.address,
            bounty=bounty,
            round=n,
            mine=self.address,
            model=model.cid(),
            key=bytes(32),
            rows=own.rows,
            ciphertexts=plan.weights,
            blobs=links_of(blob),
            veil=Veil(nonce=place.nonce, seeds=hashes, wraps=b"", envelopes=envelopes),
        ).model_copy(update=self.says)
        return manifest.digest(), secrets.token_bytes(32), [blob, manifest.to_bytes()]


@dataclass
class WordsWorld(CapsuleWorld):
    """A `CapsuleWorld` whose bounty is a study."""

    statistic: Statistic = field(default_factory=Means)
    schema: Schema = SCHEMA
    study: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {"capsules": {"threshold": self.threshold}, **self.study}
        self.bounty = study_in(self, self.statistic, self.schema, given)  # type: ignore[assignment]
        self.miners = [WordsMine(self, i, mine.account) for i, mine in enumerate(self.miners)]

    @property
    def pooled(self) -> Matrix:
        return pooled(self.mines)
