"""What functionals lose against opened answers: the figures' quick form, and the laws of scores and twins."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import cheats
from benchmarks.functionals import judged, measure
from benchmarks.inspection import PLAIN, Honest, played, tables
from benchmarks.liars import CHEATS
from benchmarks.masked import answers_of
from sonar.errors import UsageError
from sonar.families.opened import Opened
from sonar.families.quadratic.veiled.base import empty_places
from sonar.families.quadratic.veiled.identities import junk_of
from sonar.families.quadratic.veiled.judging import MOST_BITS
from sonar.families.quadratic.veiled.scoring import SCORE_MAX, Scores, scores_of
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.settling.shares import shares_of
from sonar.veil.functionals import Measured


def test_nothing_is_lost_on_one_partition_of_each_table() -> None:
    for name, line in measure(0).items():
        assert not line["left out"], name
        assert not +line["missed"], name
        assert line["caught today"].total() > 40
        assert max(map(int, line["basis points off"])) <= 10, name
        assert max(line["bits"].values()) <= MOST_BITS


@pytest.mark.parametrize(
    ("name", "most", "model"),
    [
        ("x3", 0.0, 1.01),
        ("x-3 in round 4 only", 0.0, 1.05),
        ("one random slot", 0.0, 1.05),
        ("negated targets", 0.25, 1.1),
        ("3 twins", 1.1, 1.05),
        ("2 twins, jitter of 1%", 1.1, 1.05),
    ],
)
def test_a_cheat_earns_as_little_behind_capsules(name: str, most: float, model: float) -> None:
    found = cheats.measured(0, [name], capsules=True)[name]
    assert found.paid <= most * found.honest
    assert found.model <= model
    assert found.wrongly == 0


def test_who_goes_after_a_sum_takes_companions_along() -> None:
    """Else the next sum would show what one mine gave. They are paid their fee."""
    found = cheats.measured(0, ["x3 from round 3"], capsules=True)["x3 from round 3"]
    assert found.companions == 2 * len([n for n in CHEATS["x3 from round 3"].rounds if n <= cheats.ROUNDS])
    assert found.others > 0.9


@pytest.fixture(scope="module")
def honest() -> Honest:
    return played(*next(tables(0))[1:])


def changed(honest: Honest, updates: Mapping[str, tuple[int, ...]], number: int = 1) -> list[Opened]:
    """The campaign up to a round, in which some mines send something else."""
    *before, now = honest.opened[:number]
    return [*before, replace(now, updates={**now.updates, **updates})]


def own(honest: Honest, mine: str, number: int = 1) -> tuple[int, ...]:
    update = honest.opened[number - 1].updates[mine]
    assert update is not None
    return update


def test_equal_answers_are_twins_and_no_others(honest: Honest) -> None:
    for seed in range(20):
        opened = changed(honest, {"7": own(honest, "3"), "9": own(honest, "3")})
        failed, twins, _ = judged(honest, answers_of(honest.design.plan, seed), opened, 40)
        assert set(failed.values()) == {None}
        assert twins == {"3": "3", "7": "3", "9": "3"}


@pytest.mark.parametrize("rows", [40, 400, 4000])
def test_different_rows_are_no_twins(honest: Honest, rows: int) -> None:
    for seed in range(20):
        _, twins, _ = judged(honest, answers_of(honest.design.plan, seed), honest.opened[:1], rows)
        assert not twins


def test_who_repeats_its_first_answer_is_left_out(honest: Honest) -> None:
    for seed in range(10):
        opened = changed(honest, {"0": own(honest, "0")}, 2)
        failed, _, _ = judged(honest, answers_of(honest.design.plan, seed), opened, 40)
        assert failed["0"] in ("stale", "bias-unit")


def test_what_lies_far_off_is_seen_wherever_it_lands(honest: Honest) -> None:
    """However far: a value that leaves the range of a functional comes back into it somewhere."""
    missed = 0
    unit, frac = 1 << honest.design.plan.scale_bits, honest.design.plan.weight_frac
    for seed in range(40):
        lots = random.Random(seed)
        values = list(own(honest, "0"))
        for place in range(len(values) - 1):
            values[place] += int(unit * lots.uniform(2, 20) * lots.choice([-1, 1])) >> frac << frac
        opened = changed(honest, {"0": tuple(values)})
        failed, _, _ = judged(honest, answers_of(honest.design.plan, seed), opened, 40)
        missed += failed["0"] is None
    assert missed == 0


def test_after_several_local_steps_a_second_answer_is_seen_by_its_change() -> None:
    """Nothing is known of the bias there, and no identity binds two answers."""
    wish = replace(PLAIN, local_steps=4, local_rate=0.05)
    missed = 0
    for seed in range(6):
        honest = played(*next(tables(seed))[1:], wish)
        opened = changed(honest, {"0": tuple(10 * value for value in own(honest, "0", 2))}, 2)
        failed, _, _ = judged(honest, answers_of(honest.design.plan, seed), opened, 40)
        missed += failed["0"] is None
        others = {mine: test for mine, test in failed.items() if mine != "0" and test}
        assert not others
    assert missed <= 2


def test_junk_in_unused_slots_is_seen(honest: Honest) -> None:
    """It would spoil the sum. The mine adds it above its values."""
    for seed in range(10):
        answers = answers_of(honest.design.plan, seed)
        plan, lots = answers.plan, random.Random(seed)
        masked = answers.put(1, "0", own(honest, "0"))
        place = lots.randrange(plan.weights, plan.slots_per_ciphertext + 1)
        junk = lots.getrandbits(30) << (place * plan.slot_bits)
        answers.masked[1, "0", own(honest, "0")] = replace(
            masked, opened=((masked.opened[0] + junk) % answers.n, *masked.opened[1:])
        )
        failed, _, _ = judged(honest, answers, honest.opened[:1], 40)
        assert failed["0"] == "range"
        assert set(failed.values()) == {"range", None}


@pytest.mark.parametrize("junk", [1 << 28, -(1 << 28), 3 << 40])
def test_junk_is_hardly_ever_missed(honest: Honest, junk: int) -> None:
    """One miss would stop a round. Of 12 bits one in 1,365 draws misses it, so 15 of these would."""
    plan, lots = honest.design.plan, random.Random(7)
    (place, *_) = empty_places(plan)
    for _ in range(20_000):
        question = junk_of(plan, 1, lots.getrandbits)
        ((_, vector),) = question.asked.parts
        shift = plan.slot_bits - question.asked.bits
        carried = sum(abs(v) for v in vector)
        assert question.holds(Measured(0, 3 * ((1 << shift) // 2 + carried)))
        assert not question.holds(Measured(vector[place] * junk, 3 * ((1 << shift) // 2 + carried)))


# ---- scores


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(-(2**70), 2**70), min_size=1),
    st.integers(1, 1000),
)
def test_scores_keep_order_and_sign(values: dict[str, int], weight: int) -> None:
    heard = {mine: (Measured(value, 0), Measured(0, 0)) for mine, value in values.items()}
    scores = Scores({}, 5, 2**70).scored(heard, dict.fromkeys(values, weight))
    for a, value in values.items():
        assert (scores[a] > 0) == (value > 0)
        assert abs(scores[a]) <= SCORE_MAX
        assert all(scores[a] <= scores[b] for b, other in values.items() if value <= other)
    if any(values.values()):
        assert max(map(abs, scores.values())) == SCORE_MAX


def plan_of(weights: int) -> SlotPlan:
    return SlotPlan.make(
        key_bits=2048,
        weights=weights,
        bounds=Bounds(weight_max=8 << 31, a_row_l1_max=64 << 24, b_max=8 << 24),
        mines_max=10,
        weight_rows=33,
        weight_frac=31,
        data_frac=24,
    )


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 4))
def test_shares_follow_from_functionals_of_any_answers(seed: int, weights: int, rounds: int) -> None:
    rng, plan = np.random.default_rng(seed), plan_of(weights)
    answers, unit = answers_of(plan, seed), 2.0**-plan.scale_bits
    mines = [f"0x{i:040x}" for i in range(5)]
    vectors = {s: rng.normal(size=weights) * 10.0 ** rng.integers(-6, 3) for s in range(1, rounds + 1)}
    sent = {
        (s, mine): tuple(int(x) for x in rng.normal(size=weights) / unit) for s in vectors for mine in mines
    }
    sums = {s: (total(sent, s, mines), 33 * len(mines)) for s in vectors}
    wanted = scores_of(
        answers.plan, {s: v.tolist() for s, v in vectors.items()}, dict.fromkeys(vectors, mines), mines, sums
    )
    heard = {
        mine: tuple(answers.heard(ask, [sent[s, mine] for s, _ in ask.parts], mine) for ask in asks)
        for mine, asks in wanted.asks.items()
    }
    scores = wanted.scored(heard, dict.fromkeys(mines, 33))
    exact = {m: sum(float(np.array(sent[s, m], dtype=float) @ v) for s, v in vectors.items()) for m in mines}
    told, true = shares_of(scores, mines), shares_of(exact, mines)
    assert max(abs(told[m] - true[m]) for m in mines) <= 10


def total(sent: Mapping[tuple[int, str], Sequence[int]], number: int, mines: Sequence[str]) -> list[int]:
    """A sum in which the answers have something in common."""
    return [33 * sum(map(abs, column)) for column in zip(*(sent[number, m] for m in mines), strict=True)]


def test_who_counted_nowhere_is_not_asked() -> None:
    plan = plan_of(3)
    vectors = {1: [1.0, 2.0, 3.0], 2: [0.0, 0.0, 1.0]}
    wanted = scores_of(plan, vectors, {1: ["a"], 2: ["a", "b"]}, ["a", "b", "c"], {1: ([1, 1, 1], 1)})
    assert {mine: [n for n, _ in asks[0].parts] for mine, asks in wanted.asks.items()} == {
        "a": [1, 2],
        "b": [2],
    }


@pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, float("nan")], [1.0, 2.0, float("inf")]])
def test_coefficients_that_are_no_numbers_are_refused(vector: list[float]) -> None:
    with pytest.raises(UsageError, match="the coefficients of round 1 are not 3 finite numbers"):
        scores_of(plan_of(3), {1: vector}, {}, [], {})


def test_last_digits_of_floats_are_no_round_of_their_own() -> None:
    """Where a round's part of the step cancels, another machine has zeros or no vector at all."""
    plan, sums = plan_of(3), {1: ([3, 2, 1], 1), 2: ([1, 2, 3], 1)}
    sent = {1: ["a", "b"], 2: ["a", "b"]}
    step = [1.0, -0.5, 0.25]
    wanted = scores_of(plan, {2: step}, sent, ["a", "b"], sums)
    for digits in ([0.0, 0.0, 0.0], [1e-17, 0.0, -1e-16]):
        found = scores_of(plan, {1: digits, 2: step}, sent, ["a", "b"], sums)
        assert (found.asks, found.finer) == (wanted.asks, wanted.finer)
    assert scores_of(plan, {1: [0.0] * 3}, sent, ["a"], sums).asks == {}
