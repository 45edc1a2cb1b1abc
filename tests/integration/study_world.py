"""A scientist with a study, and mines with small tables, on a chain in this process."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.study import Study
from pysonar.statistics.base import Statistic
from sonar.data.fixed import to_q32
from sonar.data.schema import NumberColumn, Schema
from sonar.families import question
from sonar.families.registry import family_of
from sonar.families.sums.spec import SumsSpec
from sonar.manifests.model import KeyManifest, ModelManifest
from sonar.paillier.public import PublicKey
from sonar.protocol.ids import BountyId, Cid, Digest, joined
from tests.integration.campaign_kit import HonestMine, World
from tests.study_kit import Means

Matrix = NDArray[np.float64]
SCHEMA: Schema = (
    NumberColumn(name="age", low_q32=to_q32(0), high_q32=to_q32(100), unit="years"),
    NumberColumn(name="height", low_q32=to_q32(50), high_q32=to_q32(250), unit="cm"),
)


def table(index: int, rows: int = 40) -> Matrix:
    """The rows of one mine."""
    rng = np.random.default_rng(index)
    return np.column_stack([rng.uniform(20, 80, rows), rng.normal(170, 10, rows)])


def pooled(mines: int) -> Matrix:
    """The rows of so many mines."""
    return np.concatenate([table(i) for i in range(mines)])


def study_in(world: World, statistic: Statistic, schema: Schema, given: Mapping[str, Any]) -> Study:
    """A study of a world's mines and windows; what is `given` counts for more."""
    names = ("commit_window_s", "reveal_window_s", "settle_window_s")
    wanted: dict[str, Any] = dict.fromkeys(names, world.window_s) | {
        "name": "heights", "cohort": world.mines, "min_mines": 2, "key_bits": 1024, "insecure_key": True,
        "stake": "0.1 ether", "fee": "0.01 ether",
    }  # fmt: skip
    return Study.of(statistic, columns=schema, **(wanted | dict(given)))


class StudyMine(HonestMine):
    """Answers with sums over its table; `change` alters what it sends."""

    change: Callable[[list[int]], list[int]] = staticmethod(lambda values: values)
    rows_of: int | None = None
    junk = False

    @property
    def table(self) -> Matrix:
        return table(self.index if self.rows_of is None else self.rows_of)

    def train(self, bounty: BountyId, n: int, model_digest: Digest) -> tuple[Digest, bytes, list[bytes]]:
        store = self.world.store
        model = ModelManifest.from_bytes(store.get(Cid("dag-cbor", model_digest), 1 << 20))
        key = PublicKey.from_bytes(KeyManifest.from_bytes(store.get(model.key, 1 << 16)).n, insecure=True)
        family, spec, plan = family_of(model.family), model.family, model.slot_plan
        blob = joined(model.blobs, question.bytes_of(family, spec, key), store.get)
        asked = [int(x) for x in question.read_question(family, spec, key, blob)]
        assert isinstance(spec, SumsSpec)
        assert isinstance(self.world, StudyWorld)
        names = [column.name for column in self.world.schema]
        rows = self.table[:, [names.index(column.name) for column in spec.columns]]
        own = family.prepare(spec, plan, [rows])
        values = self.change(family.values(plan, own, asked, lambda: [rows]))
        made = [(1 + number * key.n) % key.n2 for number in plan.pack(values)]
        update = [key.rerandomise(c, key.blinding(secrets.randbelow)) for c in made]
        blob = bytes(len(update) * key.ciphertext_bytes) if self.junk else key.encode_blob(update)
        return self.sealed(bounty, n, model, key, own.rows, blob)


@dataclass
class StudyWorld(World):
    """A `World` whose bounty is a study."""

    statistic: Statistic = field(default_factory=Means)
    schema: Schema = SCHEMA
    study: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bounty = study_in(self, self.statistic, self.schema, self.study)  # type: ignore[assignment]
        self.miners = [StudyMine(self, i, mine.account) for i, mine in enumerate(self.miners)]

    @property
    def pooled(self) -> Matrix:
        return pooled(self.mines)
