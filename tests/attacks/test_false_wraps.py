"""A mine that lies about how often its masks wrap: by 2^(S - k), which even factors hide.

Functionals take K times L, the sum of a vector's products with digits of n, modulo 2^S. The mine knows n, and
the factors of the identities at a ciphertext's only empty place are odd. So if that place's digit of n is a
multiple of 2^k, no identity ever sees 2^(S - k) too many, while a score, whose vector is another, moves by as
much as a slot holds: to all of the reward, or so far down that all others are paid alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from benchmarks.masked import Answers, Masked
from sonar.families.quadratic.veiled.scoring import Scores, scores_of
from tests.unit.test_veiled_tests import FIRST, Bounty

RUNS = 40


def lying(answers: Answers, number: int, values: tuple[int, ...], amount: int) -> Masked:
    """Put the first mine's answer under masks, with a false K of its first ciphertext."""
    honest = answers.put(number, FIRST, values)
    first, *others = honest.wraps
    false = replace(honest, wraps=((first + amount) % (1 << answers.plan.slot_bits), *others))
    answers.masked[number, FIRST, values] = false
    answers.known.clear()
    return honest


def scored(scores: Scores, answers: Answers, sent: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    heard = {
        mine: tuple(answers.heard(asked, [sent[mine]], mine) for asked in asks)
        for mine, asks in scores.asks.items()
    }
    return scores.scored(heard, dict.fromkeys(sent, 1))


@pytest.mark.parametrize("rounds", [1, 4])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_false_wraps_are_seen_by_each_of_three_bounds_but_for_one_time_in_two_to_the_k(
    k: int, rounds: int
) -> None:
    """By `range`, whatever the identities see: in each round anew."""
    missed = 0
    for seed in range(RUNS):
        bounty = Bounty(seed, 5, 1)
        for _ in range(rounds - 1):
            bounty.round()
        tests = bounty.round()
        lying(bounty.answers, rounds, bounty.sent[rounds, FIRST], 1 << (bounty.plan.slot_bits - k))
        missed += bounty.failed(tests)[FIRST] is None
    assert missed <= RUNS * (8.0**-k + 0.1)


@pytest.mark.parametrize("k", [1, 2])
def test_false_wraps_bring_nothing_and_cost_the_others_nothing(k: int) -> None:
    """Even where no test has seen them."""
    for seed in range(RUNS):
        bounty = Bounty(seed, 5, 1)
        bounty.round()
        plan, sent = bounty.plan, {mine: bounty.sent[1, mine] for mine in bounty.maps}
        total = [sum(column) for column in zip(*sent.values(), strict=True)]
        length = sum(x * x for x in total) ** 0.5
        vector = [x / length for x in total]
        scores = scores_of(plan, {1: vector}, {1: list(sent)}, list(sent), {1: (total, len(sent))})
        honest = scored(scores, bounty.answers, sent)
        lying(bounty.answers, 1, sent[FIRST], 1 << (plan.slot_bits - k))
        false = scored(scores, bounty.answers, sent)
        assert false[FIRST] == 0 or false == honest
        others = sorted(sent.keys() - {FIRST})
        most, now = (max(abs(each[mine]) for mine in others) for each in (honest, false))
        assert all(abs(false[mine] * most - honest[mine] * now) <= 2 * 32767 for mine in others)
