"""Mines that lie under their veil, on a real chain: what of it reaches capsules; honest mines go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from mine.data.dataset import register_csv
from mine.work.trainer import Task
from sonar.chain.sending.outbox import Outbox
from sonar.errors import ManifestError
from sonar.home.journal import Journal
from sonar.manifests.model import VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.protocol.phase import Status
from sonar.protocol.round import RoundState
from tests import veil_kit as kit
from tests.attacks.hostile import HostileMine, Lie
from tests.integration.mine_kit import World, run, terms

PLACE = 1
ENVELOPES: dict[str, tuple[Lie, dict[int, str]]] = {
    "one that does not open": (
        lambda update, task: kit.bad_envelope(update, PLACE),
        {PLACE: "does not open"},
    ),
    "other seeds for one holder": (
        lambda update, task: kit.false_seeds(update, cover_in(task.model.cover), PLACE),
        {PLACE: "another hash"},
    ),
    "two that are swapped": (
        lambda update, task: kit.swapped_envelopes(update),
        {0: "does not open", 1: "does not open"},
    ),
}


def cover_in(cover: object) -> VeilCover:
    assert isinstance(cover, VeilCover)
    return cover


def played(folder: Path, lie: Lie, rounds: int = 1) -> tuple[World, tuple[kit.Capsule, ...], HostileMine]:
    """One or two rounds, in which the first mine lies."""
    world = World(folder)
    capsules = world.veil()
    world.scientist.post(terms(rounds=rounds))
    outbox = Outbox(world.market(), world.accounts[0], Journal(folder / "liar.sqlite"), sleep=lambda _: None)
    data = register_csv(world.home(0) / "data.csv")
    liar = HostileMine(world.market(), world.store, outbox, data, lie=lie)
    nodes = [world.node(1), world.node(2)]
    for number in range(1, rounds + 1):
        for _ in range(3):
            liar.tick()
            run(nodes, passes=2)
        assert world.status() is Status.SETTLE
        assert [world.part(index, number).state for index in (1, 2)] == [RoundState.REVEALED] * 2
        if number < rounds:
            world.scientist.settle()
    assert not liar.refusals
    return world, capsules, liar


def revealed(world: World, number: int = 1) -> UpdateManifest:
    return world.scientist.read_update(world.scientist.cohort(number)[world.address(0)])[0]


def veil_of(manifest: UpdateManifest) -> Veil:
    assert manifest.veil is not None
    return manifest.veil


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_that_is_a_lie_is_seen_by_whom_it_is_for(tmp_path: Path, name: str) -> None:
    lie, faults = ENVELOPES[name]
    world, capsules, _ = played(tmp_path, lie)
    manifest, cover = revealed(world), cover_in(world.scientist.cover)
    for place, capsule in enumerate(capsules):
        if fault := faults.get(place):
            with pytest.raises(ManifestError, match=fault):
                kit.opened(capsule, cover, manifest)
        else:
            assert len(kit.opened(capsule, cover, manifest)) == 2


def test_new_seeds_in_a_later_round_open_as_well_and_have_other_hashes(tmp_path: Path) -> None:
    """A capsule that keeps the first ones knows it; nothing in the update itself tells."""

    def lie(update: kit.Update, task: Task) -> kit.Update:
        if update.manifest.round == 1:
            return update
        return kit.reseeded(update, task.key, task.plan, cover_in(task.model.cover))

    world, capsules, _ = played(tmp_path, lie, rounds=2)
    first, second = (revealed(world, number) for number in (1, 2))
    assert not set(veil_of(first).seeds) & set(veil_of(second).seeds)
    for capsule in capsules:
        for manifest in (first, second):
            assert len(kit.opened(capsule, cover_in(world.scientist.cover), manifest)) == 2


def test_a_replay_of_the_first_round_has_its_nonce_and_names_another_model(tmp_path: Path) -> None:
    kept: list[kit.Update] = []

    def lie(update: kit.Update, task: Task) -> kit.Update:
        kept.append(update)
        return kit.replayed(kept[0], update.manifest.round, update.manifest.model)

    world, _, _ = played(tmp_path, lie, rounds=2)
    first, second = (revealed(world, number) for number in (1, 2))
    assert (veil_of(first), first.blobs) == (veil_of(second), second.blobs)
    assert first.model != second.model
