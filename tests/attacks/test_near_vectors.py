"""A scientist who asks about scores by vectors near the true ones, so that shares shift to mines of hers.

A coefficient of a score's first functional has ten bits or more. If an auditor let each be off by a unit, she
could move some basis points: she knows what answers look like, and chooses each sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from capsule.audit.refusal import Refusal
from sonar.families.quadratic.family import Quadratic
from sonar.families.quadratic.veiled.scoring import Scores
from sonar.families.veiled import Asked
from tests.audit_kit.packet import request_of
from tests.audit_kit.world import World

Change = Callable[[int, int, int], tuple[int, int]]


def off_by_a_unit(whole: int, rest: int, _: int) -> tuple[int, int]:
    return whole + 1, rest


def off_in_the_rest(whole: int, rest: int, finer: int) -> tuple[int, int]:
    return whole, rest + (1 << finer)


def split_otherwise(whole: int, rest: int, finer: int) -> tuple[int, int]:
    """The same together, with so large a rest that a contribution exceeds its slot."""
    return whole + 1, rest - (1 << finer)


def rounded_elsewhere(whole: int, rest: int, _: int) -> tuple[int, int]:
    """As on a machine whose floats end otherwise."""
    return whole, rest + 1


@pytest.mark.parametrize("change", [off_by_a_unit, off_in_the_rest, split_otherwise, rounded_elsewhere])
def test_what_is_asked_about_scores_must_follow_to_the_last_digit_that_counts(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(mines=5)
    true = Quadratic.veiled_scores
    with monkeypatch.context() as hers:
        hers.setattr(Quadratic, "veiled_scores", lambda *a, **k: asked_by(true(*a, **k), change))
        request = request_of(world, world.play())
    if change is rounded_elsewhere:
        assert world.auditor(0).settle(request.to_bytes()).capsule == world.capsules[0].address
        return
    with pytest.raises(Refusal) as caught:
        world.auditor(0).settle(request.to_bytes())
    assert caught.value.code == "told-missing"


def asked_by(scores: Scores, change: Change) -> Scores:
    """The same scores, asked of the first mine by other vectors."""
    mine = min(scores.asks)
    whole, rest = scores.asks[mine]
    changed = [
        [change(x, y, scores.finer) for x, y in zip(a, b, strict=True)]
        for (_, a), (_, b) in zip(whole.parts, rest.parts, strict=True)
    ]
    asks = [
        with_vectors(one, [[pair[i] for pair in part] for part in changed])
        for i, one in enumerate((whole, rest))
    ]
    return replace(scores, asks={**scores.asks, mine: tuple(asks)})


def with_vectors(asked: Asked, vectors: Sequence[Sequence[int]]) -> Asked:
    parts = zip((number for number, _ in asked.parts), map(tuple, vectors), strict=True)
    return Asked(tuple(parts), asked.bits)
