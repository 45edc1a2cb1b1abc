"""A scientist's key that changes between rounds: mines take a sound one, and lose nothing by any other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import gmpy2
import pytest

from pysonar.keys.key import Key, Secret
from pysonar.keys.local import LocalHolder
from sonar.manifests.model import KeyManifest
from sonar.protocol.round import RoundState
from tests.integration.mine_kit import TinyScientist, World, run, scientist_key, slot_plan, terms


@cache
def other(number: int = 1, bits: int = 1024) -> Key:
    return Key(*Secret.generate(bits).primes())


@cache
def related() -> Key:
    """A key that has a prime of the first one's, with a sound proof."""
    p, _ = scientist_key().unsafe_primes()
    _, q = other().unsafe_primes()
    return Key(p, q)


def take(scientist: TinyScientist, key: Key, manifest: KeyManifest | None = None) -> None:
    """Go on under this key, which is described so."""
    scientist.key = key
    scientist.key_manifest = manifest or LocalHolder(key).key()
    scientist.store.put(scientist.key_manifest.to_bytes(), "dag-cbor")


def changed(key: Key, **fields: object) -> KeyManifest:
    return LocalHolder(key).key().model_copy(update=fields)


def square(key: Key) -> bytes:
    root = int(gmpy2.isqrt(key.public.n))
    prime = int(gmpy2.next_prime(root - (root >> 20)))
    return (prime * prime).to_bytes(128, "big")


HOSTILE: dict[str, tuple[Callable[[], tuple[Key, KeyManifest | None]], str]] = {
    "no proof": (lambda: (other(), changed(other(), proof=b"")), "proof has 0 bytes"),
    "another key's proof": (lambda: (other(), changed(other(), proof=scientist_key().proof)), "proof fails"),
    "an even modulus": (
        lambda: (other(), changed(other(), n=other().public.to_bytes()[:-1] + b"\0")),
        "even",
    ),
    "a square": (lambda: (other(), changed(other(), n=square(other()))), "perfect power"),
    "fewer bits": (lambda: (other(2, 960), None), "the key has 960 bits"),
    "more bits": (lambda: (other(2, 2048), None), "the key has 2048 bits"),
    "a prime of the first key": (lambda: (related(), None), "factor in common with another key"),
}


def settled(world: World, nodes: list, rounds: int) -> None:  # type: ignore[type-arg]
    for _ in range(rounds):
        run(nodes)
        world.scientist.settle()
        world.advance(1)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_key_in_round_3_is_refused_and_costs_no_stake(tmp_path: Path, name: str) -> None:
    make, said = HOSTILE[name]
    world = World(tmp_path, mines=2)
    world.scientist.post(terms(rounds=4, cohort_cap=2))
    nodes = [world.node(0), world.node(1)]
    settled(world, nodes, 1)
    run(nodes)
    sound = world.scientist.key, world.scientist.key_manifest
    key, manifest = make()
    take(world.scientist, key, manifest)
    if manifest is not None:
        world.scientist.key = sound[0]  # whatever it encrypts under, the key is looked at first
    world.scientist.settle()
    world.advance(1)
    run(nodes)
    assert world.state().round == 3
    assert world.state().committed == 0
    assert {world.part(i, 3).state for i in range(2)} == {RoundState.IDLE}
    problems = [problem for problem in world.problems() if said in problem.error]
    assert problems, world.problems()
    assert problems[0].hint
    # Nothing is owed to the contract: all stakes are back.
    staked = sum(world.market().entry(world.scientist.bounty, world.address(i)).round == 3 for i in range(2))
    assert staked == 0


def test_a_sound_key_is_taken_by_who_was_there_and_by_who_comes_later(tmp_path: Path) -> None:
    world = World(tmp_path, mines=3)
    world.scientist.post(terms(rounds=3, cohort_cap=3, min_mines=2))
    nodes = [world.node(0), world.node(1)]
    run(nodes)
    world.advance(61)
    run(nodes)
    take(world.scientist, other())
    world.scientist.settle()
    world.advance(1)
    late = world.node(2)
    run([*nodes, late])
    cohort = world.scientist.cohort(2)
    assert len(cohort) == 3
    assert any("round 2 is under another key" in str(event) for event in world.progress.events)
    for digest in cohort.values():
        manifest, update = world.scientist.read_update(digest)
        assert manifest.key == other().public.fingerprint
        values = slot_plan().unpack(other().unsafe_decrypt(update.ciphertexts), weight=1)
        assert any(values)
    pool = nodes[0]._workshop.pool
    assert nodes[0].fill_pool()  # for the key that the next round has, as far as anybody knows
    assert pool.count(other().public) > 0


def test_back_to_an_old_key_is_harmless(tmp_path: Path) -> None:
    """The answers are under a key that the mine has checked, with blindings of their own."""
    world = World(tmp_path, mines=2)
    world.scientist.post(terms(rounds=3, cohort_cap=2))
    nodes = [world.node(0), world.node(1)]
    run(nodes)
    take(world.scientist, other())
    world.scientist.settle()
    world.advance(1)
    run(nodes)
    take(world.scientist, scientist_key())
    world.scientist.settle()
    world.advance(1)
    run(nodes)
    names = [
        [world.scientist.read_update(digest)[0].key for digest in world.scientist.cohort(number).values()]
        for number in (1, 3)
    ]
    assert names == [[scientist_key().public.fingerprint] * 2] * 2


def test_a_key_that_is_nowhere_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path, mines=2)
    world.scientist.post(terms(rounds=3, cohort_cap=2))
    nodes = [world.node(0), world.node(1)]
    run(nodes)
    world.scientist.key, world.scientist.key_manifest = other(), LocalHolder(other()).key()
    world.scientist.settle()
    world.advance(1)
    run(nodes)
    assert world.part(0, 2).state is RoundState.IDLE
    world.store.put(world.scientist.key_manifest.to_bytes(), "dag-cbor")
    world.advance(5)
    run(nodes)
    assert world.part(0, 2).state in (RoundState.COMMITTED, RoundState.REVEALED)
