"""Coalitions against answers in words: the same ranks, modulo 2^64, and a guess on the real masks.

Modulo 2^64 two is no unit, so a rank over a field could miss that 2 u_1 is known, which is 63 bits of u_1. So
ranks are taken twice: modulo a large prime, where a multiple of an answer counts as the answer, and modulo 2.
If both are equal, all that divides the rows is odd (their Smith form), and what is known modulo 2^64 is what
is known modulo 2, lifted. All weights are 1: an even one would break this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from random import Random

import numpy as np
import pytest

from sonar.protocol.ids import Digest
from sonar.veil.classes import Classes
from sonar.veil.functionals import told
from sonar.veil.masks import Words, class_words, veiled_words
from sonar.veil.streams import Place
from sonar.veil.words import WORD_BITS, class_word_value, to_words
from tests.attacks import test_coalitions as ranks
from tests.attacks.test_coalitions import LEAST, MINES, ROUNDS, SHAPES, Campaign, equal, played, unrelated

Question = Callable[[], ranks.Matrix]
ASKED: list[Question] = [unrelated, equal]
"""New parameters each round, and the same again: as after a round that failed."""


@pytest.fixture(params=[2, ranks.PRIME], ids=["modulo 2", "modulo a prime"])
def modulus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """What ranks are taken by."""
    monkeypatch.setattr(ranks, "PRIME", request.param)
    return int(request.param)


def alike(campaign: Campaign) -> Campaign:
    """The same campaign with the weights that answers in words have."""
    campaign.weights = [1] * MINES
    return campaign


@pytest.mark.usefixtures("modulus")
@pytest.mark.parametrize("classes", SHAPES, ids=str)
@pytest.mark.parametrize("question", ASKED)
def test_a_coalition_knows_the_opened_sums_and_nothing_else(classes: Classes, question: Question) -> None:
    opened = 0
    for seed in range(4):
        campaign = alike(played(classes, question(), seed))
        opened += len(campaign.sums)
        for coalition in combinations(range(classes.members), classes.threshold - 1):
            assert len(campaign.known(coalition)) == campaign.opened_sums()
            assert campaign.exposed(coalition) == []
    assert opened > 4 * ROUNDS


@pytest.mark.parametrize("classes", SHAPES, ids=str)
def test_ranks_modulo_two_and_a_prime_are_equal(classes: Classes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all rows that a coalition has, and of their part about masks: no multiple of an answer is missed."""
    seen: list[ranks.Matrix] = []
    reduced = ranks.reduced

    def noted(rows: ranks.Matrix) -> ranks.Matrix:
        seen.append(rows)
        return reduced(rows)

    monkeypatch.setattr(ranks, "reduced", noted)
    for seed in range(4):
        campaign = alike(played(classes, equal(), seed))
        for coalition in combinations(range(classes.members), classes.threshold - 1):
            campaign.known(coalition)
            rows = seen[-1]
            for part in (rows, rows[:, : rows.shape[1] - campaign.unknowns]):
                found = set()
                for modulus in (2, 3, 2**31 - 1):
                    monkeypatch.setattr(ranks, "PRIME", modulus)
                    found.add(len(reduced(part.copy())))
                assert len(found) == 1


@pytest.mark.usefixtures("modulus")
@pytest.mark.parametrize("classes", SHAPES, ids=str)
def test_one_capsule_more_knows_every_answer(classes: Classes) -> None:
    campaign = alike(played(classes, unrelated(), 0))
    for coalition in combinations(range(classes.members), classes.threshold):
        assert len(campaign.known(coalition)) == campaign.unknowns == MINES * ROUNDS


@pytest.mark.usefixtures("modulus")
def test_two_cohorts_that_differ_by_one_mine_expose_it() -> None:
    """What the atoms are for: two sums over different sets, under a question that is asked twice."""
    everyone = frozenset(range(MINES))
    for questions, groups in ((equal(), [(0,)]), (unrelated(), [])):
        campaign = Campaign(SHAPES[0], questions, [1] * MINES)
        campaign.sums = [((0, 1, 2), 0, everyone), ((0, 1, 2), 1, everyone - {0})]
        assert [group for group in campaign.exposed([0]) if len(group) == 1] == groups
    least = Campaign(SHAPES[0], equal(), [1] * MINES)  # what may be opened: a difference of LEAST mines
    least.sums = [((0, 1, 2), 0, everyone), ((0, 1, 2), 1, everyone - frozenset(range(LEAST)))]
    assert least.exposed([0]) == []


def test_an_even_weight_would_tell_the_other_answers_parity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why words all weigh 1: u_0 + 2 (all others) is u_0 modulo 2."""
    monkeypatch.setattr(ranks, "PRIME", 2)
    campaign = Campaign(SHAPES[0], unrelated(), [1] + [2] * (MINES - 1))
    campaign.sums = [((0, 1, 2), 0, frozenset(range(MINES)))]
    assert (0,) in campaign.exposed([0])


# ---- a guess at an answer, on the real masks

TRIES = 10_000
TOLD_BITS = 8
VECTOR = to_words([2, 5, 3])
ANSWERS = [to_words([3, 40, -7]), to_words([3 + 3 * 2**60, 40, -7 - 2**61])]
"""The functional has the same value on both, so that what it tells says nothing."""


@dataclass(frozen=True)
class Seen:
    """An answer x; the masks of all classes but one, in sum; what that class told. Not: its masks."""

    x: Words
    masks: Words
    told: int
    missing: Words

    def mask(self, answer: Words) -> Words:
        """What the missing masks are if this is the answer."""
        return self.x - self.masks - answer

    def would_tell(self, answer: Words) -> int:
        """What the missing class tells if this is the answer."""
        value = int((VECTOR * self.mask(answer)).sum(dtype=np.uint64))
        return told(value, WORD_BITS, TOLD_BITS)


def seen(classes: Classes, answer: Words, seed: int) -> Seen:
    random = Random(f"{classes} {seed}")
    where = Place(Digest(random.randbytes(32)), random.randbytes(32), 1)
    seeds = [random.randbytes(32) for _ in range(classes.count)]
    missing = seed % classes.count
    masks = [class_words(each, where, 0, 3) for each in seeds]
    value = class_word_value([(VECTOR, seeds[missing], where)])
    return Seen(
        x=veiled_words(answer, seeds, where),
        masks=np.sum(masks, axis=0, dtype=np.uint64) - masks[missing],
        told=told(value, WORD_BITS, TOLD_BITS),
        missing=masks[missing],
    )


def only(fits: list[bool]) -> int | None:
    return fits.index(True) if sum(fits) == 1 else None


GUESSES: dict[str, Callable[[Seen], int | None]] = {
    "what was told": lambda seen: only([seen.would_tell(a) == seen.told for a in ANSWERS]),
    "the smaller mask": lambda seen: int(seen.mask(ANSWERS[0])[0] > seen.mask(ANSWERS[1])[0]),
    "the mask's parity": lambda seen: int(seen.mask(ANSWERS[0])[0]) % 2,
    "the mask's top bit": lambda seen: int(seen.mask(ANSWERS[0])[2]) >> 63,
    "the word's top bits": lambda seen: int(seen.x[0]) >> 62 & 1,
    "the missing masks, given away": lambda seen: only(
        [bool((seen.mask(a) == seen.missing).all()) for a in ANSWERS]
    ),
}


def right(classes: Classes, names: list[str], tries: int) -> dict[str, float]:
    """How often each guess is right; without an idea she tosses a coin."""
    count = dict.fromkeys(names, 0)
    for seed in range(tries):
        random = Random(seed)
        sent = random.randrange(2)
        what = seen(classes, ANSWERS[sent], seed)
        for name in names:
            guess = GUESSES[name](what)
            count[name] += (random.randrange(2) if guess is None else guess) == sent
    return {name: times / tries for name, times in count.items()}


@pytest.mark.parametrize("classes", SHAPES, ids=str)
def test_a_coalition_can_only_guess(classes: Classes) -> None:
    honest = [name for name in GUESSES if "given away" not in name]
    shares = right(classes, honest, TRIES)
    assert all(abs(share - 0.5) <= 0.015 for share in shares.values()), shares


@pytest.mark.parametrize("classes", SHAPES, ids=str)
def test_with_the_missing_class_she_always_knows(classes: Classes) -> None:
    name = "the missing masks, given away"
    assert right(classes, [name], 500) == {name: 1.0}


def test_whatever_the_answer_is_each_masked_word_is_equally_likely() -> None:
    """Exactly: for a masked word and any answer there is one mask of the missing class that makes it."""
    what = seen(SHAPES[0], ANSWERS[0], 1)
    for answer in (*ANSWERS, to_words([0, 0, 0]), to_words([2**63 - 1, -(2**63), 1])):
        assert (answer + what.masks + what.mask(answer) == what.x).all()


def test_one_nonce_for_two_answers_gives_their_difference() -> None:
    """Why a nonce is fresh: the same place has the same masks."""
    one, other = (seen(SHAPES[0], answer, 1) for answer in ANSWERS)
    assert (one.x - other.x == ANSWERS[0] - ANSWERS[1]).all()
