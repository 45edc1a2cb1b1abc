"""A mine that answers in words, on a real chain: what it sends, what its capsules can make of it, and that a
kill at any time changes no word that left it.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mine.consent import Policy
from sonar.data.fixed import to_q32
from sonar.data.schema import NumberColumn
from sonar.families.question import write_visible
from sonar.families.registry import family_of
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.totals import plan_of
from sonar.manifests.model import ModelManifest, PlanSpec, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.protocol.ids import Cid, Digest, joined
from sonar.protocol.round import RoundState
from sonar.store.mend import put_blob
from sonar.telling.progress import Done
from sonar.veil.masks import Words, class_words
from sonar.veil.streams import Place
from sonar.veil.words import read_words, to_words
from tests.integration.mine_kit import TinyScientist, World, run, terms
from tests.integration.test_mine_kill import Fuse, Killed, fresh, parts
from tests.veil_kit import opened

NAMES = ("a", "b", "y")
SPEC = SumsSpec(
    columns=tuple(NumberColumn(name=name, low_q32=to_q32(-20), high_q32=to_q32(20)) for name in NAMES),
    terms=(Moments(name="m", columns=NAMES),),
    rows_min=10,
    rows_max=1000,
)
PLAN = plan_of(SPEC, 1024, 10)
FAMILY: Any = family_of(SPEC)


class TinyStudy(TinyScientist):
    """Asks for sums of small tables."""

    def manifest(self, round_number: int = 1, **changes: Any) -> ModelManifest:
        model = super().manifest(round_number)
        asked = {
            "family": SPEC,
            "plan": PlanSpec(**PLAN.to_dict()),
            "blobs": put_blob(self.store, write_visible(())),
        }
        return ModelManifest.from_bytes(model.model_copy(update=asked | changes).to_bytes())

    def words(self, digest: Digest) -> tuple[UpdateManifest, Words]:
        manifest = UpdateManifest.from_bytes(self.store.get(Cid("dag-cbor", digest), 1 << 20))
        blob = joined(manifest.blobs, 8 * manifest.ciphertexts, self.store.get)
        return manifest, read_words(blob, PLAN.weights)


def study(folder: Path, mines: int = 3) -> World:
    world = World(folder, mines=mines)
    old = world.scientist
    world.capsules = world.veil(bits=24)  # type: ignore[attr-defined]
    world.scientist = TinyStudy(old.market, old.store, old.outbox)
    world.scientist.cover = old.cover
    return world


def asked(world: World) -> TinyStudy:
    assert isinstance(world.scientist, TinyStudy)
    return world.scientist


def clear(world: World, index: int) -> list[int]:
    """What the mine must send, by the family's own port from its file as numpy reads it."""
    table = np.loadtxt(world.home(index) / "data.csv", delimiter=",", skiprows=1, usecols=(0, 1, 3))
    values: list[int] = FAMILY.values(PLAN, FAMILY.prepare(SPEC, PLAN, [table]), [])
    return values


def bare(manifest: UpdateManifest, words: Words, seeds: dict[int, bytes]) -> Words:
    """The words without the masks of these classes."""
    assert manifest.veil is not None
    where = Place(manifest.model.digest, manifest.veil.nonce, manifest.round)
    for seed in seeds.values():
        words = words - class_words(seed, where, 0, len(words))
    return words


def test_two_rounds_of_which_only_two_capsules_together_could_read_an_answer(tmp_path: Path) -> None:
    world = study(tmp_path)
    cover = world.scientist.cover
    assert isinstance(cover, VeilCover)
    asked(world).post()
    nodes = [world.node(i, claim=True) for i in range(3)]
    nonces: set[bytes] = set()
    for number in (1, 2):
        run(nodes)
        found = [asked(world).words(digest) for digest in asked(world).cohort(number).values()]
        assert len(found) == 3
        for manifest, words in found:
            index = [world.address(i) for i in range(3)].index(manifest.mine)
            assert (manifest.key, manifest.ciphertexts, manifest.rows) == (bytes(32), PLAN.weights, 30)
            assert manifest.veil is not None
            assert manifest.veil.wraps == b""
            nonces.add(manifest.veil.nonce)
            sent = to_words(clear(world, index))
            for two in combinations(world.capsules, 2):  # type: ignore[attr-defined]
                held = {c: s for one in two for c, s in opened(one, cover, manifest).items()}
                assert (bare(manifest, words, held) == sent).all()
            for one in world.capsules:  # type: ignore[attr-defined]
                alone = bare(manifest, words, opened(one, cover, manifest))
                assert not (alone == sent).any()
        asked(world).settle(loss=500_000 // number)
    assert len(nonces) == 6
    assert all(isinstance(result, Done) for result in run(nodes))
    assert [world.part(index, 2).state for index in range(3)] == [RoundState.PAID] * 3


def test_no_blinding_is_made_for_words(tmp_path: Path) -> None:
    world = study(tmp_path)
    asked(world).post()
    node = world.node(0)
    run([node])
    assert not node.fill_pool()
    assert node._workshop.pool.count(world.scientist.key.public) == 0


def test_a_mine_that_allows_fewer_bits_does_not_join(tmp_path: Path) -> None:
    world = study(tmp_path)
    world.policy = Policy(insecure_keys=True, max_bits=23).trusting(
        one.address
        for one in world.capsules  # type: ignore[attr-defined]
    )
    asked(world).post()
    run([world.node(0)])
    (refusal,) = world.book(0).refusals()
    assert "lets each capsule tell 24 bits of your answer in a round, above your limit of 23" in refusal.error


# ---- kills


class Heard:
    """What a mine lets out of its hands: the words and the veil of every draft, after how many effects."""

    def __init__(self) -> None:
        self.words: dict[bytes, set[bytes]] = defaultdict(set)
        self.veils: list[Veil] = []
        self.after: list[int] = []
        self._blob = b""

    def of(self, fuse: Fuse, thing: Any, name: str) -> Any:
        if name == "drafts":
            put_blob_, put_manifest_ = thing.put_blob, thing.put_manifest

            def put_blob(data: bytes) -> Any:
                self._blob = data
                return put_blob_(data)

            def put_manifest(data: bytes) -> Any:
                veil = UpdateManifest.from_bytes(data).veil
                assert veil is not None
                self.words[veil.nonce].add(self._blob)
                self.veils.append(veil)
                self.after.append(fuse.burned)
                return put_manifest_(data)

            thing.put_blob, thing.put_manifest = put_blob, put_manifest
        return fuse.wrap(fresh(thing, name), name)


def live(world: World, fuse: Fuse, heard: Heard) -> None:
    with suppress(Killed):
        run([world.node(0, claim=True, wrap=lambda thing, name: heard.of(fuse, thing, name))], passes=3)


def play(folder: Path, length: int) -> tuple[World, Fuse, Heard]:
    """Two rounds; the first mine is killed once, before its effect number `length`."""
    world = study(folder, mines=2)
    asked(world).post(terms(rounds=2, cohort_cap=2))
    fuse, other, heard = Fuse(length), world.node(1), Heard()
    for number in (1, 2):
        for _ in range(3):
            live(world, fuse, heard)
            run([other], passes=2)
        live(world, fuse, heard)
        check_revealed(world, number)
        asked(world).settle(loss=500_000 // number)
    for _ in range(2):
        live(world, fuse, heard)
    return world, fuse, heard


def check_revealed(world: World, number: int) -> None:
    """The mine's words of a round are in the store, and are its answer once the masks are off."""
    cover = world.scientist.cover
    assert isinstance(cover, VeilCover)
    manifest, words = asked(world).words(asked(world).cohort(number)[world.address(0)])
    two = world.capsules[:2]  # type: ignore[attr-defined]
    held = {c: s for one in two for c, s in opened(one, cover, manifest).items()}
    assert (bare(manifest, words, held) == to_words(clear(world, 0))).all()


@pytest.mark.parametrize("part", parts(4, each=4))
def test_killed_between_any_two_effects_a_mine_reveals_the_words_that_it_committed_to(
    tmp_path: Path, part: int
) -> None:
    """Around either round's update, from before the seeds are drawn until after the reveal.

    A nonce never covers two answers: what a kill left in the house may be found.
    """
    (tmp_path / "whole").mkdir()
    world, whole, heard = play(tmp_path / "whole", -1)
    assert [world.part(0, number).state for number in (1, 2)] == [RoundState.PAID] * 2
    assert len(heard.veils) == 2
    around = [length for after in heard.after for length in range(after - 6, after + 18)]
    for length in around[part::4]:
        (tmp_path / str(length)).mkdir()
        world, fuse, heard = play(tmp_path / str(length), length)
        where = f"killed at effect {length} of {whole.burned}"
        assert fuse.left <= 0, "the fuse never burned down"
        assert all(len(blobs) == 1 for blobs in heard.words.values()), where
        assert len({veil.nonce for veil in heard.veils}) == len(heard.veils), where
        assert len({(veil.seeds, veil.envelopes) for veil in heard.veils}) == 1, where
        assert [world.part(0, number).state for number in (1, 2)] == [RoundState.PAID] * 2, where
