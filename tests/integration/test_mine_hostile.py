"""What a hostile scientist or store can send a mine: each is told with its field, and nothing is lost."""

from collections.abc import Callable
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import gmpy2
import pytest

from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.chain.rpc import Head
from sonar.errors import ChainUnavailable, StoreUnavailable
from sonar.manifests.model import KeyManifest, ModelManifest, PlanSpec
from sonar.protocol import codec
from sonar.protocol.ids import BountyId, Cid, digest_of
from sonar.protocol.phase import BountyState, Status
from sonar.protocol.round import RoundState
from sonar.store.folder import FolderStore
from sonar.store.memory import MemoryStore
from sonar.store.mend import LOOK_S, put_blob
from tests.integration.mine_kit import SPEC, TinyScientist, World, run, slot_plan, terms

Sabotage = Callable[[TinyScientist], ModelManifest | bytes]


def unknown_field(scientist: TinyScientist) -> bytes:
    fields = codec.decode(scientist.manifest().to_bytes(), max_bytes=1 << 20)
    assert isinstance(fields, dict)
    return codec.encode(fields | {"backdoor": 1})


def not_canonical(scientist: TinyScientist) -> bytes:
    return scientist.manifest().to_bytes() + b"\0"


def too_large(scientist: TinyScientist) -> bytes:
    return b"\0" * ((1 << 20) + 1)


def ciphertext(value: Callable[[int], int]) -> Sabotage:
    def sabotage(scientist: TinyScientist) -> ModelManifest:
        public = scientist.key.public
        good = [int(c) for c in public.decode_blob(scientist.blob(), 3)]
        good[1] = value(int(public.n))
        width = public.ciphertext_bytes
        blob = b"".join(c.to_bytes(width, "big") for c in good)
        return scientist.manifest(blobs=put_blob(scientist.store, blob))

    return sabotage


def blob_too_long(scientist: TinyScientist) -> ModelManifest:
    return scientist.manifest(blobs=put_blob(scientist.store, scientist.blob() + b"\0"))


def blob_too_short(scientist: TinyScientist) -> ModelManifest:
    return scientist.manifest(blobs=put_blob(scientist.store, scientist.blob()[:-1]))


def key_of_another_bounty(scientist: TinyScientist) -> ModelManifest:
    manifest = LocalHolder(Key.generate(1024, insecure=True)).key()
    scientist.store.put(manifest.to_bytes(), "dag-cbor")
    return scientist.manifest(key=manifest.cid())


def key_manifest_with(change: Callable[[KeyManifest], dict[str, object]]) -> Sabotage:
    """A bounty posted with another key manifest than the sound one, and a model that links to it."""

    def sabotage(scientist: TinyScientist) -> ModelManifest:
        sound = scientist.key_manifest
        scientist.key_manifest = sound.model_copy(update=change(sound))
        return scientist.manifest()

    return sabotage


def square(sound: KeyManifest) -> dict[str, object]:
    root = isqrt(int.from_bytes(sound.n, "big"))
    prime = int(gmpy2.next_prime(root - (root >> 20)))
    return {"n": (prime * prime).to_bytes(128, "big")}


def plan_that_overflows(scientist: TinyScientist) -> ModelManifest:
    huge = slot_plan().to_dict() | {"weight_max": (1 << 63) - 1, "b_max": (1 << 63) - 1, "weight_frac": 48}
    huge |= {"a_row_l1_max": (1 << 63) - 1, "weight_rows": (1 << 32) - 1, "mines_max": 255, "key_bits": 64}
    return scientist.manifest(plan=PlanSpec(**huge))


def too_few_mines_in_the_plan(scientist: TinyScientist) -> ModelManifest:
    return scientist.manifest(plan=PlanSpec(**(slot_plan().to_dict() | {"mines_max": 2})))


def of_version_1(scientist: TinyScientist) -> bytes:
    fields: Any = codec.decode(scientist.manifest().to_bytes())
    return codec.encode({**fields, "v": 1})


SABOTAGES: dict[str, tuple[Sabotage, str]] = {
    "unknown field": (unknown_field, "backdoor"),
    "an older program's": (of_version_1, "this ModelManifest has version 1, from an older Sonar"),
    "bytes after the end": (not_canonical, "after the end"),
    "manifest too large": (too_large, "the limit is 1048576"),
    "ciphertext 0": (ciphertext(lambda n: 0), "ciphertext 1"),
    "ciphertext n": (ciphertext(lambda n: n), "ciphertext 1"),
    "ciphertext n^2": (ciphertext(lambda n: n * n), "ciphertext 1"),
    "ciphertext sharing a factor": (ciphertext(lambda n: 5 * n), "ciphertext 1"),
    "blob too long": (blob_too_long, "the limit is"),
    "blob too short": (blob_too_short, "has 767 bytes"),
    "no proof of the key": (key_manifest_with(lambda sound: {"proof": b""}), "proof has 0 bytes"),
    "a changed proof": (
        key_manifest_with(lambda sound: {"proof": sound.proof[:-1] + bytes([sound.proof[-1] ^ 1])}),
        "proof fails: root 10",
    ),
    "another key's proof": (
        key_manifest_with(lambda _: {"proof": Key.generate(1024, insecure=True).proof}),
        "proof",
    ),
    "an even key": (key_manifest_with(lambda sound: {"n": sound.n[:-1] + b"\0"}), "is even"),
    "a square": (key_manifest_with(square), "perfect power"),
    "another key": (key_of_another_bounty, "model.key"),
    "plan that overflows": (plan_that_overflows, "key"),
    "plan for fewer mines": (too_few_mines_in_the_plan, "mines_max"),
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_hostile_bounty_is_told_once_and_does_not_stop_a_good_one(tmp_path: Path, name: str) -> None:
    sabotage, field = SABOTAGES[name]
    world = World(tmp_path, mines=1)
    made = sabotage(world.scientist)
    model, raw = (None, made) if isinstance(made, bytes) else (made, None)
    hostile = world.scientist.post(model=model, raw=raw)
    good = TinyScientist(world.market(), world.store, world.scientist.outbox)
    good.post(terms(rounds=1))
    node = world.node(0)
    for _ in range(3):
        run([node], passes=2)
        world.advance(5)
    told = [problem for problem in world.problems() if field in problem.error]
    assert len(told) == 1, world.problems()
    assert told[0].hint
    (refusal,) = [one for one in world.book(0).refusals() if one.bounty == hostile]
    assert field in refusal.error
    assert world.book(0).part(hostile, 1).state in (RoundState.IDLE, RoundState.SKIPPED)
    assert world.book(0).part(good.bounty, 1).state is RoundState.COMMITTED


def test_bytes_with_another_digest_are_told(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    world = World(tmp_path, store, mines=1)
    world.scientist.post()
    model = world.state().model_digest.hex()
    path = tmp_path / "store" / "blocks" / model[:2] / model
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\xff")
    node = world.node(0)
    run([node])
    (problem,) = world.problems()
    assert "expected digest" in problem.error
    path.write_bytes(content)
    world.advance(2)
    run([node])
    assert world.part(0, 1).state is RoundState.COMMITTED


def test_a_manifest_that_is_nowhere_does_not_stop_a_good_bounty(tmp_path: Path) -> None:
    world = World(tmp_path, mines=1)
    missing = world.scientist.manifest().to_bytes()
    world.scientist.post(raw=missing)
    del world.store._blobs[Cid.of_manifest(missing).digest]  # type: ignore[attr-defined]
    good = TinyScientist(world.market(), world.store, world.scientist.outbox)
    good.post(terms(rounds=1), model=good.manifest(name="good"))
    node = world.node(0)
    run([node])
    assert world.book(0).part(good.bounty, 1).state is RoundState.COMMITTED
    assert ["is not in the store" in problem.error for problem in world.problems()] == [True]
    world.store.put(missing, "dag-cbor")
    world.advance(2)
    run([node])
    assert world.part(0, 1).state is RoundState.COMMITTED


class MoodyStore(MemoryStore):
    """A store that can be switched off."""

    off = False

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        if self.off:
            raise StoreUnavailable("the store does not answer")
        return super().get(cid, max_bytes)


def test_a_store_that_fails_during_the_reveal_is_tried_again(tmp_path: Path) -> None:
    store = MoodyStore()
    world = World(tmp_path, store, mines=2)
    world.scientist.post(terms(cohort_cap=2))
    nodes = [world.node(0), world.node(1)]
    run(nodes[:1])
    run(nodes[1:], passes=1)
    store.off = True
    run(nodes)
    assert {world.part(i, 1).state for i in range(2)} == {RoundState.COMMITTED}
    assert [p.error for p in world.problems()] == ["the store does not answer"]
    store.off = False
    world.advance(5)
    run(nodes)
    assert {world.part(i, 1).state for i in range(2)} == {RoundState.REVEALED}


def test_a_store_that_stays_down_costs_no_stake(tmp_path: Path) -> None:
    """The reveal goes out before its window ends, and the update into the store once it is back."""
    store = MoodyStore()
    world = World(tmp_path, store, mines=2)
    world.scientist.post(terms(cohort_cap=2))
    nodes = [world.node(0), world.node(1)]
    run(nodes[:1])
    run(nodes[1:], passes=1)
    store.off = True
    world.advance(90)  # of 60 s to commit and 60 s to reveal
    run(nodes)
    assert {world.part(i, 1).state for i in range(2)} == {RoundState.COMMITTED}
    world.advance(15)
    run(nodes)
    assert {world.part(i, 1).state for i in range(2)} == {RoundState.REVEALED}
    assert "to save the stake" in world.problems()[-1].hint
    store.off = False
    lost = [cid.digest for cid in world.part(0, 1).links]
    store._blobs = {key: data for key, data in store._blobs.items() if digest_of(data) not in lost}
    world.advance(5)
    run(nodes)
    for digest in world.scientist.cohort(1).values():
        world.scientist.read_update(digest)
    world.scientist.settle()
    world.advance(1)
    run(nodes, passes=1)
    assert world.part(0, 1).state is RoundState.PAID


@pytest.mark.parametrize("status", [Status.REVEAL, Status.SETTLE])
@pytest.mark.parametrize("junk", [b"", b"junk", None])
def test_what_the_store_loses_or_spoils_after_the_reveal_is_put_again(
    tmp_path: Path, status: Status, junk: bytes | None
) -> None:
    store = FolderStore(tmp_path / "store")
    world = World(tmp_path, store, mines=2)
    world.scientist.post(terms(cohort_cap=2))
    nodes = [world.node(0), world.node(1)]
    run(nodes, passes=1)
    run(nodes[:1] if status is Status.REVEAL else nodes)
    assert world.status() is status
    part = world.part(0, 1)
    assert part.state is RoundState.REVEALED
    before = [store.get(cid, 1 << 20) for cid in part.cids]
    for cid in part.cids:
        (path,) = store.path.glob(f"blocks/*/{cid.digest.hex()}")
        path.unlink() if junk is None else path.write_bytes(junk)
    world.advance(LOOK_S)
    run(nodes[:1])
    assert [store.get(cid, 1 << 20) for cid in part.cids] == before


def test_many_bad_offers_do_not_keep_a_mine_from_its_rounds(tmp_path: Path) -> None:
    """Each look at an offer takes half a second here: a pass looks at a few, after its own bounties."""
    world = World(tmp_path, mines=1)
    good = world.scientist
    good.post()
    node = world.node(0)
    run([node])
    assert world.part(0, 1).state is RoundState.COMMITTED
    for number in range(12):
        raw = world.scientist.manifest(name=f"spam {number}").to_bytes()
        spammer = TinyScientist(world.market(), world.store, world.scientist.outbox)
        spammer.post(raw=raw)
        del world.store._blobs[Cid.of_manifest(raw).digest]  # type: ignore[attr-defined]
    looked: list[str] = []
    get, ask = world.store.get, node._market.bounty

    def slow_get(cid: Cid, max_bytes: int) -> bytes:
        world.monotonic.now_s += 0.5
        looked.append("offer")
        return get(cid, max_bytes)

    def tell_bounty(bounty: BountyId, at: Head | None = None) -> BountyState:
        if bounty == good.bounty:
            looked.append("own")
        return ask(bounty, at)

    world.store.get = slow_get  # type: ignore[method-assign]
    node._market.bounty = tell_bounty  # type: ignore[method-assign]
    for _ in range(8):
        node.tick()
    assert looked[0] == "own"
    assert looked.count("offer") >= 12  # all of them are looked at in the end
    longest = max(len(part) for part in " ".join(looked).split("own"))
    assert longest <= len(" offer offer ")


def test_an_offer_is_not_lost_when_the_chain_goes_away_while_it_is_looked_at(tmp_path: Path) -> None:
    world = World(tmp_path, mines=1)
    world.scientist.post()
    node = world.node(0)
    ask = node._market.bounty

    def gone(bounty: BountyId, at: Head | None = None) -> BountyState:
        raise ChainUnavailable("gone")

    node._market.bounty = gone  # type: ignore[method-assign]
    with pytest.raises(ChainUnavailable):
        node.tick()
    node._market.bounty = ask  # type: ignore[method-assign]
    run([node])
    assert world.part(0, 1).state is RoundState.COMMITTED


def test_an_update_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    names = tuple(f"c{i}" for i in range(899))
    spec = SPEC.model_copy(update={"features": names})
    plan = PlanSpec(**(slot_plan().to_dict() | {"weights": 900, "key_bits": 8192}))
    world = World(tmp_path, mines=1)
    world.scientist.post(model=world.scientist.manifest(family=spec, plan=plan))
    run([world.node(0)])
    (problem,) = world.problems()
    assert "estimated to take" in problem.error
    assert "max_train_s" in problem.hint


def test_rules_that_change_in_a_later_round_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path, mines=2)
    scientist = world.scientist
    scientist.post(terms(cohort_cap=2))
    nodes = [world.node(i) for i in range(2)]
    run(nodes)
    honest = scientist.manifest
    wider = PlanSpec(**(slot_plan().to_dict() | {"b_max": 900 << 20}))
    scientist.manifest = partial(honest, plan=wider)  # type: ignore[method-assign]
    scientist.settle()
    run(nodes)
    assert any(
        "model.plan: has changed since round 1" in refusal.error for refusal in world.book(0).refusals()
    )
    assert world.part(0, 2).state is RoundState.IDLE
    assert world.market().entry(scientist.bounty, world.address(0)).round == 1
