"""A data set is read once per bounty: at joining. What it came to is kept, and held against its digest."""

from pathlib import Path

import pytest

from mine.data.dataset import DataSet
from mine.work import trainer
from sonar.protocol.round import RoundState
from tests.integration.mine_kit import World, run, terms


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, mines=2)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the data sets that were read, once for each reading."""
    made = trainer.prepare
    read: list[str] = []

    def count(task: trainer.Task, dataset: DataSet) -> object:
        read.append(dataset.name)
        return made(task, dataset)

    monkeypatch.setattr(trainer, "prepare", count)
    return read


def test_the_data_are_read_once_whatever_the_rounds_and_restarts(world: World, readings: list[str]) -> None:
    world.scientist.post(terms(cohort_cap=2, rounds=3))
    for _ in range(2):
        run([world.node(0), world.node(1)])  # new processes
        world.scientist.settle()
    run([world.node(0), world.node(1)])
    assert world.part(0, 3).state is RoundState.REVEALED
    assert len(readings) == 2  # each mine's


@pytest.mark.parametrize("junk", [None, b"", b"3,1,2"])
def test_sums_that_are_lost_or_damaged_are_made_again(
    world: World, readings: list[str], junk: bytes | None
) -> None:
    world.scientist.post(terms(cohort_cap=2))
    run([world.node(0), world.node(1)])
    (kept,) = world.home(0).glob("sums/*")
    content = kept.read_bytes()
    kept.unlink() if junk is None else kept.write_bytes(junk)
    world.scientist.settle()
    run([world.node(0), world.node(1)])
    assert world.part(0, 2).state is RoundState.REVEALED
    assert len(readings) == 3
    assert kept.read_bytes() == content


def test_other_data_are_noticed_though_the_sums_are_kept(world: World) -> None:
    world.scientist.post(terms(cohort_cap=2))
    run([world.node(0), world.node(1)])
    world.scientist.settle()
    with (world.home(0) / "data.csv").open("a") as file:
        file.write("1,1,new,2\n")
    run([world.node(0)])
    assert world.part(0, 2).state is RoundState.IDLE
    assert "has changed since it was registered" in world.book(0).refusals()[0].error


def test_an_update_whose_bytes_are_lost_is_revealed_all_the_same(world: World) -> None:
    """It may earn nothing, and its stake comes back."""
    world.scientist.post(terms(cohort_cap=2))
    run([world.node(0), world.node(1)], passes=1)
    for draft in world.home(0).glob("drafts/*"):
        draft.unlink()
    node = world.node(0)
    while world.part(0, 1).state is not RoundState.REVEALED:
        node.tick()
        world.advance(5)
    told = [(problem.error, problem.hint) for problem in world.problems()]
    assert any("of an update is lost" in error and "to save the stake" in hint for error, hint in told)
