"""A mine under a veil, on a real chain: its seeds outlive it, its nonces are fresh, no answer is read."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from mine import setup
from mine.hands import Hand
from mine.node import Node
from mine.show import views
from mine.work import trainer
from mine.work.state import Seeds
from sonar.chain.contract.committee import is_committee
from sonar.chain.deploying.committee import ensure_committee
from sonar.errors import ManifestError
from sonar.manifests.model import AuditSpec, PaillierCover, VeilCover
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.slots import VEIL_FREE_BITS, SlotPlan
from sonar.protocol.ids import Digest, hex32
from sonar.protocol.phase import BountyState
from sonar.protocol.round import RoundState
from sonar.telling.progress import Done
from sonar.veil.envelopes import EnvelopeKey
from sonar.veil.functionals import class_value, measured, spread, told
from sonar.veil.masks import class_masks, class_wraps, read_wraps
from sonar.veil.streams import Place, seed_hash
from sonar.veil.sums import unveiled
from tests.integration.mine_kit import World, clear_update, run, slot_plan, terms
from tests.token_kit import deploy_token
from tests.veil_kit import cover_of, opened

AUDIT = AuditSpec(optimiser=Digest(b"o" * 32))

PLAN = SlotPlan.from_dict(slot_plan().to_dict(), free_bits=VEIL_FREE_BITS)


def hand_of(node: Node) -> Hand:
    """What works with the node's one account."""
    (hand,) = node._hands
    return hand


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def updates(world: World, round_number: int) -> dict[int, tuple[UpdateManifest, list[int]]]:
    """What the mines have revealed in a round, by their index, with what the scientist decrypts."""
    found = {}
    for digest in world.scientist.cohort(round_number).values():
        manifest, update = world.scientist.read_update(digest)
        index = [world.address(i) for i in range(3)].index(manifest.mine)
        found[index] = manifest, world.scientist.key.unsafe_decrypt(update.ciphertexts)
    return found


def veil_of(manifest: UpdateManifest) -> Veil:
    assert manifest.veil is not None
    return manifest.veil


def cover_in(world: World) -> VeilCover:
    assert isinstance(world.scientist.cover, VeilCover)
    return world.scientist.cover


def place_of(manifest: UpdateManifest) -> Place:
    return Place(manifest.model.digest, veil_of(manifest).nonce, manifest.round)


def read(world: World, manifest: UpdateManifest, masked: list[int], seeds: dict[int, bytes]) -> list[int]:
    """What they read who have these seeds: the answer, if they are all."""
    n = world.scientist.key.public.n
    classes = [class_masks(seed, place_of(manifest), n, len(masked)) for _, seed in sorted(seeds.items())]
    return unveiled(n, [each % n for each in masked], classes)


def seeds_of(world: World, index: int) -> Seeds:
    seeds = world.book(index).seeds(world.scientist.bounty)
    assert seeds is not None
    return seeds


def test_two_rounds_of_which_only_two_capsules_together_could_read_an_answer(world: World) -> None:
    capsules = world.veil()
    cover = cover_in(world)
    world.scientist.post()
    nodes = [world.node(i, claim=True) for i in range(3)]
    veils: dict[int, list[Veil]] = {0: [], 1: [], 2: []}
    for number in (1, 2):
        run(nodes)
        found = updates(world, number)
        assert sorted(found) == [0, 1, 2]
        for index, (manifest, masked) in found.items():
            clear = PLAN.pack(clear_update(world.home(index) / "data.csv"))
            for two in combinations(capsules, 2):
                held = {c: s for one in two for c, s in opened(one, cover, manifest).items()}
                assert read(world, manifest, masked, held) == clear
            for one in capsules:
                alone = read(world, manifest, masked, opened(one, cover, manifest))
                assert abs(alone[0]) >> (PLAN.key_bits - 60), "what is left is as large as n"
            veils[index].append(veil_of(manifest))
            assert tuple(map(seed_hash, seeds_of(world, index).seeds)) == veil_of(manifest).seeds
        world.scientist.settle(loss=500_000 // number)
    for first, second in veils.values():
        assert first.nonce != second.nonce
        assert (first.seeds, first.envelopes) == (second.seeds, second.envelopes)
    assert len({seed for both in veils.values() for seed in both[0].seeds}) == 9
    assert all(isinstance(result, Done) for result in run(nodes))
    for index in range(3):
        assert world.part(index, 2).state is RoundState.PAID
        assert world.book(index).seeds(world.scientist.bounty) is None, "they are of no more use here"


def test_functionals_of_an_answer_are_what_its_manifest_lets_them_be(world: World) -> None:
    """The wraps are right: from what two capsules tell follows <v, answer> within its bound."""
    world.veil()
    world.scientist.post(terms(rounds=1))
    run([world.node(i) for i in range(3)])
    n, vector, bits = world.scientist.key.public.n, spread(PLAN, [3, -1, 2]), 28
    for index, (manifest, masked) in updates(world, 1).items():
        answers = []
        for seed in seeds_of(world, index).seeds:
            masks = class_masks(seed, place_of(manifest), n, len(masked))
            wraps = class_wraps(seed, place_of(manifest), PLAN.slot_bits, len(masked))
            answers.append(told(class_value(PLAN, [n], [vector], [masks], [wraps]), PLAN.slot_bits, bits))
        wraps = read_wraps(PLAN, veil_of(manifest).wraps)
        found = measured(PLAN, [n], [vector], [[each % n for each in masked]], [wraps], answers, bits)
        u = clear_update(world.home(index) / "data.csv")
        assert abs(found.value - (3 * u[0] - u[1] + 2 * u[2])) <= found.error


def test_an_update_that_is_made_again_has_the_same_seeds_and_a_fresh_nonce(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node lied about the round's model when the first one was made; that one may be known to it."""
    world.veil()
    world.scientist.post(terms(cohort_cap=2))
    node = world.node(0)
    market, lie = node._market, world.scientist.store.put(world.scientist.manifest().to_bytes(), "dag-cbor")
    honest = market.bounty

    def lying(*args: Any, **options: Any) -> BountyState:
        state: BountyState = honest(*args, **options)
        return state.__class__(**{**vars(state), "model_digest": lie.digest})

    manifests: list[UpdateManifest] = []
    put = node._workshop.drafts.put_manifest

    def kept(data: bytes) -> Any:
        manifests.append(UpdateManifest.from_bytes(data))
        return put(data)

    monkeypatch.setattr(node._workshop.drafts, "put_manifest", kept)
    with monkeypatch.context() as patch:
        patch.setattr(market, "bounty", lying)
        patch.setattr(hand_of(node).sender, "mined", lambda *_: False)
        node.tick()
    world.advance(1)
    run([node])
    first, second = manifests
    assert (first.model.digest, second.model.digest) == (lie.digest, world.state().model_digest)
    assert veil_of(first).seeds == veil_of(second).seeds
    assert veil_of(first).nonce != veil_of(second).nonce


def test_a_mine_that_starts_again_or_joins_again_has_the_same_seeds(world: World) -> None:
    world.veil()
    bounty = world.scientist.post()
    run([world.node(i) for i in range(3)])
    before = seeds_of(world, 0)
    world.scientist.settle()
    setup.leave(world.book(0), hex32(bounty))
    assert seeds_of(world, 0) == before
    (left,) = views._left(world.book(0))
    assert (left.revealed.updates, left.revealed.capsule_bits, left.revealed.bits) == (1, 1024, 1024)
    run([world.node(i) for i in range(3)])  # new processes; mine 0 joins the bounty again
    assert veil_of(updates(world, 2)[0][0]).seeds == before.hashes
    assert seeds_of(world, 0) == before


def second_home(world: World, index: int) -> int:
    """Give the account of a mine another, empty home; return its number."""
    world.accounts.append(world.accounts[index])
    (world.folder / f"mine-{len(world.accounts) - 1}").mkdir()
    shutil.copy(world.home(index) / "data.csv", world.folder / f"mine-{len(world.accounts) - 1}")
    return len(world.accounts) - 1


def test_a_second_home_of_an_account_does_not_draw_other_seeds(world: World) -> None:
    world.veil()
    bounty = world.scientist.post()
    run([world.node(i) for i in range(3)])
    world.scientist.settle()
    other = second_home(world, 0)
    run([world.node(other)])
    (told,) = world.problems()
    assert "has answered in round 1" in told.error
    assert "from another home folder, with seeds that this one does not have" in told.error
    assert "run the mine with that home" in told.hint
    assert world.book(other).seeds(bounty) is None
    assert not list(world.home(other).glob("drafts/*"))
    run([world.node(0)])  # the first home goes on
    assert world.part(0, 2).state is RoundState.COMMITTED


def test_two_homes_that_began_at_once_do_not_both_go_on(world: World) -> None:
    """Each had drawn seeds before either had answered."""
    world.veil()
    world.scientist.post()
    other = second_home(world, 0)
    late = world.node(other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hand_of(late).sender, "mined", lambda *_: False)
        late.tick()
    run([world.node(i) for i in range(3)])
    assert seeds_of(world, other).hashes != seeds_of(world, 0).hashes
    world.scientist.settle()
    run([world.node(other)])
    assert any("with seeds that this one does not have" in problem.error for problem in world.problems())
    assert world.part(other, 2).state is RoundState.IDLE


def test_a_home_restored_from_a_copy_of_this_bounty_goes_on(world: World) -> None:
    """The copy has the seeds, and no record of the second round, which it has answered."""
    world.veil()
    world.scientist.post(terms(rounds=3))
    run([world.node(i) for i in range(3)])
    world.scientist.settle()
    saved = world.folder / "copy"
    world.book(0).journal.close()
    shutil.copytree(world.home(0), saved)
    run([world.node(i) for i in range(3)])
    world.scientist.settle(loss=400_000)
    shutil.rmtree(world.home(0))
    saved.rename(world.folder / "mine-0")
    (world.home(0) / "pool.sqlite").unlink()
    node = world.node(0)
    run([node, world.node(1), world.node(2)])
    first, third = (veil_of(updates(world, number)[0][0]) for number in (1, 3))
    assert first.seeds == third.seeds


def test_a_later_round_with_other_capsules_is_refused(world: World) -> None:
    capsules = world.veil(5, 2)
    world.scientist.post()
    nodes = [world.node(i) for i in range(3)]
    run(nodes)
    (task,) = hand_of(nodes[0]).updates.tasks()
    for cover in (
        cover_of(capsules[:3], 2, world.market()),
        cover_of(capsules, 3, world.market()),
        cover_of(capsules, 2, world.market(), bits=511),
        cover_of(capsules, 2, world.market(), audit=AUDIT),
        PaillierCover(),
    ):
        with pytest.raises(ManifestError, match=r"model\.cover: has changed since round 1"):
            trainer.check_frozen(task, world.scientist.manifest(2, cover=cover))
    world.scientist.cover = cover_of(capsules, 3, world.market())
    world.scientist.settle()
    run(nodes[:1])
    assert world.part(0, 2).state is RoundState.IDLE
    (refusal,) = world.book(0).refusals()
    assert "model.cover: has changed since round 1" in refusal.error


def test_an_audit_is_believed_if_the_settler_is_the_committee_of_the_capsules(world: World) -> None:
    capsules = world.veil(audit=AUDIT)
    accounts, chain = [one.address for one in capsules], world.market()
    right, other = (
        ensure_committee(chain, world.scientist.outbox, accounts, threshold).address for threshold in (2, 3)
    )
    assert not is_committee(chain, right, accounts, 2)
    token, node = deploy_token(world.scientist.outbox, "plain"), world.node(0)
    for settler, fault in (
        (world.address(1), "is no contract, so it is not a committee of 2 of"),
        (other, "is the committee of 3 of"),
        (token, "has other code than the committee"),
    ):
        bounty = world.scientist.post(terms(settler=settler))
        run([node])
        (told,) = [one for one in world.book(0).refusals() if one.bounty == bounty]
        assert told.error.startswith("terms.settler: the capsules are to audit, but ")
        assert f"{settler} {fault}" in told.error
        assert "do not join" in told.hint
    good = world.scientist.post(terms(settler=right))
    run([node])
    assert [joined.bounty for joined in world.book(0).joined()] == [good]
    assert world.part(0, 1).state is RoundState.COMMITTED


def test_a_key_that_a_capsule_has_replaced_is_not_taken_again(world: World) -> None:
    """It may be in other hands by then, and nothing takes its signature back."""
    old = world.veil()
    first = world.scientist.post(terms(rounds=2))
    run([world.node(i) for i in range(3)])
    renewed = (replace(old[0], key=EnvelopeKey.new(), epoch=2), *old[1:])
    world.scientist.cover = cover_of(renewed, 2, world.market())
    second = world.scientist.post(terms(rounds=1))
    node = world.node(0)
    run([node])
    world.scientist.cover = cover_of(old, 2, world.market())
    third = world.scientist.post(terms(rounds=1, quiet_s=20))
    run([node])
    assert {joined.bounty for joined in world.book(0).joined()} == {first, second}
    (refusal,) = world.book(0).refusals()
    assert refusal.bounty == third
    assert f"the key of capsule {old[0].address} is of epoch 1, which it has replaced" in refusal.error
    assert "with its key of epoch 2" in refusal.error
    run([world.node(0), world.node(1), world.node(2)])  # what was joined before goes on, in a new process too
    assert world.book(0).part(first, 1).state is RoundState.REVEALED
    assert world.book(0).part(second, 1).state is RoundState.REVEALED


def test_seeds_show_themselves_to_nobody(world: World) -> None:
    world.veil()
    world.scientist.post()
    run([world.node(0)])
    seeds = seeds_of(world, 0)
    shown = repr(seeds) + repr(world.progress.events)
    for seed in seeds.seeds:
        assert repr(seed)[2:-1] not in shown
        assert seed.hex() not in shown
    assert stat.S_IMODE((world.home(0) / "journal.sqlite").stat().st_mode) == 0o600
