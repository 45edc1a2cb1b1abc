"""Whole campaigns behind capsules in which one mine lies under its veil: it is left out, no round is lost.

The honest mines' model is, bit by bit, the one that they train without it; the liar gets no reward.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sonar.manifests.model import ModelManifest, VeilCover
from sonar.manifests.update import UpdateManifest
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.protocol.events import MinePaid, Revealed
from sonar.protocol.ids import Address, BountyId, Cid, Digest
from sonar.settling.verdict import SPARED
from tests import veil_kit as kit
from tests.integration.campaign_kit import HonestMine
from tests.integration.capsule_world import CapsuleWorld

ROUNDS, MINES = 2, 5


@dataclass(frozen=True)
class Around:
    """What a liar knows when it makes an update. `made` are its honest ones, this one included."""

    key: PublicKey
    plan: SlotPlan
    cover: VeilCover
    made: list[kit.Update]
    published: list[kit.Update]


Lie = Callable[[kit.Update, Around], kit.Update]


@dataclass
class Liar(HonestMine):
    """Answers by the protocol, and publishes what `lie` makes of it."""

    lie: Lie = lambda update, _: update
    made: list[kit.Update] = field(default_factory=list)

    def sealed(
        self, bounty: BountyId, n: int, model: ModelManifest, key: PublicKey, rows: int, blob: bytes
    ) -> tuple[Digest, bytes, list[bytes]]:
        _, salt, (_, data) = super().sealed(bounty, n, model, key, rows, blob)
        assert isinstance(model.cover, VeilCover)
        self.made.append(read(key, data, blob, self.seeds))
        around = Around(key, model.slot_plan, model.cover, self.made, self.published(bounty, key))
        sent = self.lie(self.made[-1], around)
        data = sent.manifest.to_bytes()
        return sent.manifest.digest(), salt, [key.encode_blob(sent.ciphertexts), data]

    def published(self, bounty: BountyId, key: PublicKey) -> list[kit.Update]:
        """What other mines have revealed so far."""
        found = []
        for event in self.world.events(Revealed):
            if event.mine != self.address:
                data = self.world.store.get(Cid("dag-cbor", event.update_digest), UpdateManifest.max_bytes)
                (link,) = UpdateManifest.from_bytes(data).blobs
                found.append(read(key, data, self.world.store.get(link, 1 << 20)))
        return found


def read(key: PublicKey, data: bytes, blob: bytes, seeds: tuple[bytes, ...] = ()) -> kit.Update:
    manifest = UpdateManifest.from_bytes(data)
    return kit.Update(manifest, tuple(key.decode_blob(blob, manifest.ciphertexts)), seeds)


def times(factor: int) -> Lie:
    """The answer, multiplied, under honest masks."""

    def lie(update: kit.Update, around: Around) -> kit.Update:
        bare = kit.without_veil(update, around.key)
        many = [around.key.mul_plain(c, factor) for c in bare.ciphertexts]
        return kit.veil_over(
            bare.carrying(around.key, many), around.key, around.plan, around.cover, update.seeds
        )

    return lie


def anothers(update: kit.Update, around: Around) -> kit.Update:
    """What another mine revealed in the round before, with this round's number and model."""
    stolen = kit.replayed(around.published[0], update.manifest.round, update.manifest.model)
    return kit.anothers(stolen, update.manifest.mine)


OPENS = "test veil: too few capsules can open its envelopes"
"""Two of three are enough: so a lie to one of them changes nothing."""
NUMBERS = r"test (bias-unit|range|lattice)"
FROM_THE_FIRST: dict[str, tuple[Lie, str]] = {
    "a false kappa": (lambda update, a: kit.false_wraps(update, a.plan), NUMBERS),
    "a far kappa": (lambda update, a: kit.false_wraps(update, a.plan, by=1 << 40), NUMBERS),
    "much junk above the slots": (
        lambda update, a: kit.junk_above_slots(update, a.key, a.plan, 1 << 30),
        NUMBERS,
    ),
    "wraps of another length": (lambda update, a: update.veil_saying(wraps=b"0"), r"malformed: veil\.wraps"),
    "no veil": (lambda update, a: update.saying(veil=None), "malformed: veil: is missing"),
    "envelopes bad for two": (lambda update, a: kit.bad_envelope(kit.bad_envelope(update, 0), 1), OPENS),
    "false seeds for two": (
        lambda update, a: kit.false_seeds(kit.false_seeds(update, a.cover, 2), a.cover, 0),
        OPENS,
    ),
    "two swapped envelopes": (lambda update, a: kit.swapped_envelopes(update), OPENS),
    "three times the answer": (times(3), NUMBERS),
}
FROM_THE_SECOND: dict[str, tuple[Lie, str]] = {
    "new seeds": (lambda update, a: kit.reseeded(update, a.key, a.plan, a.cover), OPENS),
    "a replay": (lambda update, a: kit.replayed(a.made[0], 2, update.manifest.model), NUMBERS),
    "another's": (anothers, "copy: the same ciphertexts"),
    "three times the answer": (times(3), NUMBERS),
}
HARMLESS: dict[str, Lie] = {
    "an envelope bad for one": lambda update, a: kit.bad_envelope(update, 1),
    "false seeds for one": lambda update, a: kit.false_seeds(update, a.cover, 2),
    "a unit of junk above the slots": lambda update, a: kit.junk_above_slots(update, a.key, a.plan),
    "minus one above the slots": lambda update, a: kit.junk_above_slots(update, a.key, a.plan, -1),
}


def played(folder: Path, lie: Lie | None) -> tuple[CapsuleWorld, list[dict[str, Any]], Address]:
    """Two rounds of four honest mines and a liar, who stays away if there is no lie."""
    world = CapsuleWorld(folder, mines=MINES, settings={"rounds": ROUNDS})
    away = frozenset() if lie else frozenset(range(1, ROUNDS + 1))
    liar = Liar(world, 9, world.miners[0].account, absent=away, lie=lie or honestly)
    world.miners[0] = liar
    campaign = world.campaign()
    world.run(campaign)
    history = campaign.history()
    assert [line["ended"] for line in history] == ["settled"] * ROUNDS
    world.check_money()
    return world, history, liar.address


def honestly(update: kit.Update, _: Around) -> kit.Update:
    return update


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The losses of the honest mines alone."""
    _, history, _ = played(tmp_path_factory.mktemp("without"), None)
    return [line["loss"] for line in history]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The losses if the liar tells the truth."""
    _, history, _ = played(tmp_path_factory.mktemp("together"), honestly)
    return [line["loss"] for line in history]


@pytest.mark.parametrize("name", FROM_THE_FIRST)
def test_a_lie_in_every_round_leaves_the_liar_out_and_changes_no_model(
    tmp_path: Path, name: str, without: list[int]
) -> None:
    lie, told = FROM_THE_FIRST[name]
    world, history, liar = played(tmp_path, lie)
    for line in history:
        assert list(line["left_out"]) == [liar]
        assert re.search(told, line["left_out"][liar])
        assert line["shares_bps"][liar] == 0
    assert [line["loss"] for line in history] == without
    assert sum(event.reward_units for event in world.events(MinePaid) if event.mine == liar) == 0


@pytest.mark.parametrize("name", FROM_THE_SECOND)
def test_a_lie_in_the_second_round_leaves_the_liar_out_then(
    tmp_path: Path, name: str, together: list[int]
) -> None:
    """With it goes one mine by lot, which keeps its fee: else the two sums would differ by the liar alone."""
    lie, told = FROM_THE_SECOND[name]
    _, (first, second), liar = played(
        tmp_path, lambda update, a: lie(update, a) if len(a.made) > 1 else update
    )
    assert (first["left_out"], first["loss"]) == ({}, together[0])
    left_out = second["left_out"]
    assert re.search(told, left_out.pop(liar))
    assert second["shares_bps"][liar] == 0
    (spared,) = left_out
    assert left_out[spared] == SPARED
    assert second["shares_bps"][spared] <= 1
    assert second["loss"] < first["loss"]


@pytest.mark.parametrize("name", HARMLESS)
def test_a_lie_that_changes_nothing_stops_nobody(tmp_path: Path, name: str, together: list[int]) -> None:
    """Whoever tells it must not be able to end a campaign by it, since it risks nothing."""
    _, history, _ = played(tmp_path, HARMLESS[name])
    assert [line["left_out"] for line in history] == [{}] * ROUNDS
    assert [line["loss"] for line in history] == together
