"""Mines as they run, asked for sums under a key: what they send, and what a hostile scientist is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mine.consent import Policy
from sonar.families.question import write_visible
from sonar.families.registry import family_of
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import plan_of
from sonar.manifests.model import ModelManifest, PlanSpec
from sonar.manifests.update import UpdateManifest
from sonar.protocol.ids import Cid, Digest, joined
from sonar.protocol.round import RoundState
from sonar.store.mend import put_blob
from sonar.telling.progress import Done
from tests.integration.mine_kit import TinyScientist, World, run, terms
from tests.sums_kit import number, spec_of

NAMES = ("a", "b", "y")
SPEC = spec_of(
    [number(name, -20, 20) for name in NAMES],
    {"kind": "moments", "columns": NAMES},
    parameters=1,
    rows_max=1000,
)
PLAN = plan_of(SPEC, 1024, 10)
FAMILY: Any = family_of(SPEC)
ASKED = (5 << 32, -(7 << 32))
"""The one number of round 1, and of round 2."""


class TinyStudy(TinyScientist):
    """Asks for sums of small tables; `changed` is what its later manifests say otherwise."""

    changed: dict[str, Any]

    def manifest(self, round_number: int = 1, **changes: Any) -> ModelManifest:
        asked = {
            "family": SPEC,
            "plan": PlanSpec(**PLAN.to_dict()),
            "blobs": put_blob(self.store, write_visible(ASKED[round_number - 1 : round_number] or (0,))),
        }
        later = self.changed if round_number > 1 else {}
        return super().manifest(round_number).model_copy(update=asked | changes | later)

    def sums(self, digest: Digest) -> list[int]:
        manifest = UpdateManifest.from_bytes(self.store.get(Cid("dag-cbor", digest), 1 << 20))
        public = self.key.public
        blob = joined(manifest.blobs, manifest.ciphertexts * public.ciphertext_bytes, self.store.get)
        plain = self.key.unsafe_decrypt(public.decode_blob(blob, manifest.ciphertexts))
        return PLAN.unpack(plain, weight=1)


def study(folder: Path, mines: int = 2, **changed: Any) -> World:
    world = World(folder, mines=mines)
    old = world.scientist
    world.scientist = TinyStudy(old.market, old.store, old.outbox)
    world.scientist.changed = changed
    return world


def asked(world: World) -> TinyStudy:
    assert isinstance(world.scientist, TinyStudy)
    return world.scientist


def clear(world: World, index: int, question: int) -> list[int]:
    """What the mine must send, by the family's own port from its file as numpy reads it."""
    table = np.loadtxt(world.home(index) / "data.csv", delimiter=",", skiprows=1, usecols=(0, 1, 3))
    prepared = FAMILY.prepare(SPEC, PLAN, [table])
    values: list[int] = FAMILY.values(PLAN, prepared, [question], lambda: [table])
    return values


def test_two_rounds_of_sums_at_two_numbers_are_what_the_files_hold(tmp_path: Path) -> None:
    world = study(tmp_path)
    asked(world).post(terms(cohort_cap=2, reward_units=0, target_loss=0))
    nodes = [world.node(i, claim=True) for i in range(2)]
    for turn in (1, 2):
        run(nodes)
        cohort = asked(world).cohort(turn)
        for index in range(2):
            assert asked(world).sums(cohort[world.address(index)]) == clear(world, index, ASKED[turn - 1])
        asked(world).settle(loss=(1_000_000, 0)[turn - 1])
    assert all(isinstance(result, Done) for result in run(nodes))
    assert [world.part(index, 2).state for index in range(2)] == [RoundState.PAID] * 2


def test_a_mine_that_starts_anew_sends_the_same_sums(tmp_path: Path) -> None:
    world = study(tmp_path, mines=2)
    asked(world).post(terms(cohort_cap=2, reward_units=0, target_loss=0))
    run([world.node(i) for i in range(2)])
    asked(world).settle(loss=1_000_000)
    again = [world.node(i) for i in range(2)]
    run(again)
    cohort = asked(world).cohort(2)
    assert [asked(world).sums(cohort[world.address(i)]) for i in range(2)] == [
        clear(world, i, ASKED[1]) for i in range(2)
    ]


def other_spec() -> SumsSpec:
    return SPEC.model_copy(update={"columns": (number("a", 0, 1), *SPEC.columns[1:])})


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (lambda world: {"family": other_spec()}, "model.family"),
        (lambda world: {"plan": PlanSpec(**(PLAN.to_dict() | {"data_frac": 30}))}, "model.plan"),
        (lambda world: {"blobs": put_blob(world.store, bytes(7))}, "has 7 bytes, not 8"),
        (lambda world: {"blobs": put_blob(world.store, bytes(16))}, "the limit is"),
        (lambda world: {"blobs": put_blob(world.store, b"")}, "blob"),
    ],
)
def test_a_second_question_that_is_another_is_not_answered(
    tmp_path: Path, changed: Callable[[World], dict[str, Any]], field: str
) -> None:
    world = study(tmp_path)
    asked(world).post(terms(cohort_cap=2, reward_units=0, target_loss=0))
    nodes = [world.node(i) for i in range(2)]
    run(nodes)
    asked(world).changed = changed(world)
    asked(world).settle(loss=1_000_000)
    run(nodes)
    assert any(field in problem.error for problem in world.problems()), world.problems()
    assert not asked(world).cohort(2)
    assert world.part(1, 2).state in (RoundState.IDLE, RoundState.SKIPPED)


@pytest.mark.parametrize(
    ("policy", "changes", "field"),
    [
        ({"max_sums": 20}, {}, "model.sums: is 21, above your limit of 20"),
        ({"max_blob_bytes": 7}, {}, "model.sums: takes 8 bytes, above your limit of 7"),
        ({"max_weights": 1}, {}, ""),
        ({}, {"rounds": 9}, "terms.rounds: is 9"),
        ({"min_fee_wei": 10**16}, {}, "terms.fee_units"),
    ],
)
def test_what_an_operator_does_not_allow_is_named(
    tmp_path: Path, policy: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    world = study(tmp_path, mines=1)
    world.policy = Policy(insecure_keys=True, **policy)
    asked(world).post(terms(**({"reward_units": 0, "target_loss": 0} | changes)))
    run([world.node(0)])
    if not field:
        assert world.part(0, 1).state is RoundState.COMMITTED
        return
    (problem,) = world.problems()
    assert field in problem.error
    assert problem.hint
    assert world.part(0, 1).state is RoundState.IDLE


def test_rows_that_changed_are_not_answered_about(tmp_path: Path) -> None:
    world = study(tmp_path)
    asked(world).post(terms(cohort_cap=2, reward_units=0, target_loss=0))
    nodes = [world.node(i) for i in range(2)]
    run(nodes)
    path = world.home(1) / "data.csv"
    path.write_text(path.read_text().replace("note", "text", 1))
    asked(world).settle(loss=1_000_000)
    run(nodes)
    assert any("has changed since it was registered" in problem.error for problem in world.problems())
    assert set(asked(world).cohort(2)) <= {world.address(0)}
