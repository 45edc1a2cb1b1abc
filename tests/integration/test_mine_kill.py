"""A mine that is killed between any two effects ends with exactly one commit and one reveal."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sonar.chain.contract.token import allowance, held
from sonar.manifests.update import UpdateManifest, Veil
from sonar.protocol.events import Committed, Revealed
from sonar.protocol.round import RoundState
from sonar.telling.progress import Done
from tests.integration.mine_kit import TOKENS_EACH, World, run, terms

EFFECTS = {
    "journal": ("put", "delete", "transaction", "log"),
    "store": ("put", "pin", "get", "unpin"),
    "outbox": ("submit", "outcome"),
    "pool": ("take",),
    "drafts": ("_put", "get", "keep_only"),
    "sums": ("make", "of", "keep_only"),
}


class Killed(BaseException):
    """Stands for kill -9: nothing below catches it."""


class Fuse:
    """Burns down by one before each effect, and kills at zero."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.burned = 0

    def burn(self) -> None:
        self.burned += 1
        self.left -= 1
        if self.left == 0:
            raise Killed

    def wrap(self, thing: Any, name: str) -> Any:
        for method in EFFECTS.get(name, ()):
            setattr(thing, method, self._fused(getattr(thing, method)))
        return thing

    def _fused(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.burn()
            return method(*args, **kwargs)

        return call


class Shell:
    """A store that can be wrapped anew for each life of a mine."""

    def __init__(self, store: Any) -> None:
        self.put, self.get, self.has = store.put, store.get, store.has
        self.pin, self.unpin = store.pin, store.unpin


def live(world: World, fuse: Fuse) -> bool:
    """One life of mine 0: a few passes; tells whether it was killed in it."""
    try:
        node = world.node(0, claim=True, wrap=lambda thing, name: fuse.wrap(fresh(thing, name), name))
        run([node], passes=3)
    except Killed:
        return True
    return False


def fresh(thing: Any, name: str) -> Any:
    return Shell(thing) if name == "store" else thing


def play(folder: Path, length: int, token: str = "") -> tuple[World, Fuse]:
    """One round with two mines, of which the first is killed once, before its effect number `length`."""
    world = World(folder, mines=2, token=token)
    make_terms = world.terms if token else terms
    world.scientist.post(make_terms(rounds=1, cohort_cap=2))
    fuse, other = Fuse(length), world.node(1)
    for _ in range(3):
        live(world, fuse)
        run([other], passes=2)
    live(world, fuse)
    world.scientist.settle()
    for _ in range(2):
        live(world, fuse)
    return world, fuse


def check(world: World) -> None:
    events = world.market().events(0, bounty=world.scientist.bounty)
    mine = [event for event in events if getattr(event, "mine", None) == world.address(0)]
    assert sum(isinstance(event, Committed) for event in mine) == 1
    assert sum(isinstance(event, Revealed) for event in mine) == 1
    digest = next(event.update_digest for event in mine if isinstance(event, Revealed))
    manifest, _ = world.scientist.read_update(digest)
    assert manifest.mine == world.address(0)
    assert world.part(0, 1).state is RoundState.PAID
    assert not [*world.home(0).glob("drafts/*"), *world.home(0).glob("sums/*")]
    assert world.market().withdrawable(world.address(0), asset=world.state().terms.asset) == 0
    assert isinstance(run([world.node(0, claim=True)])[0], Done)


def test_no_kill_at_all(tmp_path: Path) -> None:
    world, fuse = play(tmp_path, -1)
    check(world)
    assert fuse.burned > 30


def parts(of: int, each: int) -> list[Any]:
    """Numbers below `of`, of which `make test` takes each so many-th, and `make deep` the others."""
    return [part if part % each == 0 else pytest.param(part, marks=pytest.mark.deep) for part in range(of)]


@pytest.mark.parametrize("part", parts(12, each=4))
def test_killed_between_any_two_effects(tmp_path: Path, part: int) -> None:
    """The whole range of effects of an undisturbed run, in parts so that a failure names its own."""
    (tmp_path / "whole").mkdir()
    _, whole = play(tmp_path / "whole", -1)
    for length in range(1 + part, whole.burned + 1, 12):
        (tmp_path / str(length)).mkdir()
        world, fuse = play(tmp_path / str(length), length)
        assert fuse.left <= 0, "the fuse never burned down"
        try:
            check(world)
        except AssertionError as error:
            raise AssertionError(f"killed at effect {length} of {whole.burned}") from error


class Heard:
    """What a mine lets out of its hands: the veil in every draft that it makes, after how many effects."""

    def __init__(self) -> None:
        self.veils: list[Veil] = []
        self.after: list[int] = []

    def of(self, fuse: Fuse, thing: Any, name: str) -> Any:
        if name == "drafts":
            put = thing.put_manifest

            def put_manifest(data: bytes) -> Any:
                veil = UpdateManifest.from_bytes(data).veil
                assert veil is not None
                self.veils.append(veil)
                self.after.append(fuse.burned)
                return put(data)

            thing.put_manifest = put_manifest
        return fuse.wrap(fresh(thing, name), name)


def live_veiled(world: World, fuse: Fuse, heard: Heard) -> None:
    with suppress(Killed):
        run([world.node(0, claim=True, wrap=lambda thing, name: heard.of(fuse, thing, name))], passes=3)


def play_veiled(folder: Path, length: int) -> tuple[World, Fuse, Heard]:
    """Two rounds under a veil; the first mine is killed once, before its effect number `length`."""
    world = World(folder, mines=2)
    world.veil()
    world.scientist.post(terms(rounds=2, cohort_cap=2))
    fuse, other, heard = Fuse(length), world.node(1), Heard()
    for number in (1, 2):
        for _ in range(3):
            live_veiled(world, fuse, heard)
            run([other], passes=2)
        live_veiled(world, fuse, heard)
        world.scientist.settle(loss=500_000 // number)
    for _ in range(2):
        live_veiled(world, fuse, heard)
    return world, fuse, heard


@pytest.mark.parametrize("part", parts(2, each=2))
def test_killed_around_an_update_a_mine_has_one_set_of_seeds_and_no_nonce_twice(
    tmp_path: Path, part: int
) -> None:
    """Every effect around either round's update, from before the seeds are drawn until after the commit.

    What a kill left in the house may be found, so updates that never left it count.
    """
    (tmp_path / "whole").mkdir()
    world, whole, heard = play_veiled(tmp_path / "whole", -1)
    assert [world.part(0, number).state for number in (1, 2)] == [RoundState.PAID] * 2
    assert len(heard.veils) == 2
    around = [length for after in heard.after for length in range(after - 8, after + 8)]
    made_again = 0
    for length in around[part::2]:
        (tmp_path / str(length)).mkdir()
        world, fuse, heard = play_veiled(tmp_path / str(length), length)
        where = f"killed at effect {length} of {whole.burned}"
        assert fuse.left <= 0, "the fuse never burned down"
        assert len({(veil.seeds, veil.envelopes) for veil in heard.veils}) == 1, where
        assert len({veil.nonce for veil in heard.veils}) == len(heard.veils), where
        assert [world.part(0, number).state for number in (1, 2)] == [RoundState.PAID] * 2, where
        assert world.book(0).seeds(world.scientist.bounty) is None, where
        made_again += len(heard.veils) == 3
    assert made_again >= 2, "no kill fell between an update's draft and its record"


def approvals(world: World) -> int:
    """How many approvals of mine 0 were mined."""
    lines = world.book(0).journal.events("transaction")
    return sum(line.data["name"] == "approve" for line in lines)


@pytest.mark.parametrize("part", parts(3, each=3))
def test_killed_between_any_two_effects_with_a_stake_in_a_token(tmp_path: Path, part: int) -> None:
    """Every fourth effect. It approves once, exactly the stake, and gets back what it staked and earned."""
    (tmp_path / "whole").mkdir()
    world, whole = play(tmp_path / "whole", -1, "old")
    check(world)
    assert approvals(world) == 1
    earned = held(world.market(), world.token, world.address(0)) - TOKENS_EACH
    assert earned > 0
    for length in range(1 + 4 * part, whole.burned + 1, 12):
        (tmp_path / str(length)).mkdir()
        world, fuse = play(tmp_path / str(length), length, "old")
        assert fuse.left <= 0, "the fuse never burned down"
        check(world)
        market, token = world.market(), world.token
        assert approvals(world) == 1, f"killed at effect {length}"
        assert allowance(market, token, world.address(0), market.address) == 0
        assert held(market, token, world.address(0)) == TOKENS_EACH + earned
