"""A scientist who names capsules of her own, or keys of her own for others': no mine of hers gives anything.

Each is refused by the model's manifest alone: no key is fetched, no data are read, no seed is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sonar.manifests.model import AuditSpec, CapsuleKey, ModelManifest, VeilCover
from sonar.protocol import codec
from sonar.protocol.ids import Cid, Digest
from sonar.protocol.round import RoundState
from sonar.store.memory import MemoryStore
from sonar.veil.envelopes import EnvelopeKey
from tests.integration.mine_kit import TinyScientist, World, run, terms
from tests.veil_kit import Capsule, Somewhere, cover_of, make_capsules


@dataclass
class Case:
    """Three capsules that the mine trusts, seven that are the scientist's, and where the bounty is."""

    trusted: tuple[Capsule, ...]
    site: Somewhere
    hers: tuple[Capsule, ...] = field(default_factory=lambda: make_capsules(7))

    def of(self, capsules: tuple[Capsule, ...], threshold: int) -> VeilCover:
        ascending = tuple(sorted(capsules, key=lambda one: int(one.address, 16)))
        return cover_of(ascending, threshold, self.site)

    def with_key(self, key: CapsuleKey) -> VeilCover:
        """The trusted capsules, of which the second has this key."""
        first, _, third = (capsule.signed(self.site) for capsule in self.trusted)
        return VeilCover(threshold=2, members=(first, key, third), bits=64)


Attack = Callable[[Case], VeilCover]
HOSTILE: dict[str, tuple[Attack, str]] = {
    "seven members that are all hers": (
        lambda case: case.of(case.hers, 4),
        "you trust 0 of the bounty's 7 capsules, and with its threshold of 4 it takes 4",
    ),
    "the trusted ones among many of hers": (
        lambda case: case.of((*case.trusted, *case.hers[:4]), 4),
        "you trust 3 of the bounty's 7 capsules, and with its threshold of 4 it takes 4",
    ),
    "two of three hers": (
        lambda case: case.of((case.trusted[0], *case.hers[:2]), 2),
        "you trust 1 of the bounty's 3 capsules, and with its threshold of 2 it takes 2",
    ),
    "a threshold of one, and one of three hers": (
        lambda case: case.of((*case.trusted[:2], case.hers[0]), 1),
        "you trust 2 of the bounty's 3 capsules, and with its threshold of 1 it takes 3",
    ),
    "her key under a trusted account": (
        lambda case: case.with_key(case.trusted[1].signed(case.site, hpke=EnvelopeKey.new().public)),
        "for epoch 1 is not signed by that account",
    ),
    "her key and her signature under a trusted account": (
        lambda case: case.with_key(
            case.hers[0]
            .signing(EnvelopeKey.new().public, case.site)
            .model_copy(update={"account": case.trusted[1].address})
        ),
        "for epoch 1 is not signed by that account",
    ),
    "a key of another chain": (
        lambda case: case.with_key(case.trusted[1].signed(Somewhere(1, case.site.address))),
        "for epoch 1 is not signed by that account",
    ),
    "a key of another contract": (
        lambda case: case.with_key(case.trusted[1].signed(Somewhere(case.site.chain_id))),
        "for epoch 1 is not signed by that account",
    ),
    "a key of another epoch than was signed": (
        lambda case: case.with_key(case.trusted[1].signed(case.site, epoch=2)),
        "for epoch 2 is not signed by that account",
    ),
    "a stranger's key that nothing can be sealed for": (
        lambda case: case.with_key(case.trusted[1].signing(bytes(1216), case.site)),
        "is no public key",
    ),
    "more bits than the mine allows": (
        lambda case: cover_of(case.trusted, 2, case.site, bits=513),
        "lets each capsule tell 513 bits of your answer in a round, above your limit of 512",
    ),
    "an audit that binds nobody": (
        lambda case: cover_of(case.trusted, 2, case.site, audit=AuditSpec(optimiser=Digest(b"o" * 32))),
        "terms.settler: the capsules are to audit, but 0x0000000000000000000000000000000000000000 is no",
    ),
}


class Asked(MemoryStore):
    """A store that knows what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Cid] = []

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        self.asked.append(cid)
        return super().get(cid, max_bytes)


def attacked(folder: Path) -> tuple[World, Asked, Case]:
    store = Asked()
    world = World(folder, store, mines=1)
    trusted = world.veil()
    return world, store, Case(trusted, Somewhere(world.market().chain_id, world.market().address))


def check_refused(world: World, model: ModelManifest, told: str, raw: bytes | None = None) -> None:
    """Refused once, with what to do, before anything was made; and a good bounty is worked on."""
    hostile = world.scientist.post(model=model, raw=raw)
    node, good = world.node(0), TinyScientist(world.market(), world.store, world.scientist.outbox)
    for _ in range(2):
        run([node], passes=2)
        world.advance(5)
    (problem,) = world.problems()
    assert told in problem.error
    assert problem.hint
    (refusal,) = world.book(0).refusals()
    assert (refusal.bounty, told in refusal.error) == (hostile, True)
    assert world.book(0).seeds(hostile) is None
    assert not [*world.home(0).glob("drafts/*"), *world.home(0).glob("sums/*")]
    good.cover = world.scientist.cover
    good.post(terms(rounds=1))
    run([node])
    assert world.book(0).part(good.bounty, 1).state is RoundState.COMMITTED


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_cover_is_refused_before_anything_is_computed(tmp_path: Path, name: str) -> None:
    attack, told = HOSTILE[name]
    world, store, case = attacked(tmp_path)
    model = world.scientist.manifest(cover=attack(case))
    key = world.scientist.key_manifest.cid()
    fetched = store.get

    def get(cid: Cid, max_bytes: int) -> bytes:
        if not world.book(0).refusals() and name != "an audit that binds nobody":  # its terms come last
            assert cid not in (key, *model.blobs)
        return fetched(cid, max_bytes)

    store.get = get  # type: ignore[method-assign]
    check_refused(world, model, told)
    assert model.cid() in store.asked


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda cover: cover["members"].insert(1, cover["members"][0]), "or one occurs twice"),
        (lambda cover: cover["members"].reverse(), "not ascending"),
        (lambda cover: cover.update(threshold=4), "is more than there are members"),
        (lambda cover: cover.update(threshold=0), "threshold"),
        (lambda cover: cover.update(kind="paillier"), "unknown field"),
        (lambda cover: cover.update(bits=1 << 20), "bits"),
        (lambda cover: cover["members"][0].update(hpke=b"short"), "hpke"),
        (lambda cover: cover["members"][0].update(epoch=0), "epoch"),
    ],
)
def test_a_cover_that_makes_no_sense_is_refused(
    tmp_path: Path, change: Callable[[dict[str, object]], object], told: str
) -> None:
    """Such as a capsule twice: it would count for two that are trusted."""
    world, _, _ = attacked(tmp_path)
    model = world.scientist.manifest()
    fields = codec.decode(model.to_bytes(), max_bytes=1 << 20)
    assert isinstance(fields, dict)
    cover = fields["cover"]
    assert isinstance(cover, dict)
    change(cover)
    check_refused(world, model, told, codec.encode(fields))
