"""A coalition's guess at an answer, on the real masks: right half of the time, unless a class is given away.

Two answers are given, and one of them was sent. The scientist chose both, sees X and K, has t - 1 capsules'
seeds, and was told bits of a functional that has the same value on both, so that these tell nothing. What is
missing is one class. For each answer she computes what that class's masks would have to be, and looks for any
sign of which are real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import pytest
from gmpy2 import mpz

from sonar.paillier.public import PublicKey
from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.protocol.ids import Digest
from sonar.veil.classes import Classes
from sonar.veil.functionals import class_value, spread, told
from sonar.veil.masks import class_masks, class_wraps, read_wraps, veiled
from sonar.veil.streams import Place

SHAPES = [Classes(3, 2), Classes(2, 2), Classes(5, 3)]
TRIES = 10_000
KEY = PublicKey((mpz(1) << 192) - 237)
PLAN = SlotPlan.make(
    key_bits=192,
    weights=3,
    bounds=Bounds(weight_max=4, a_row_l1_max=6, b_max=400),
    weight_frac=2,
    data_frac=0,
    mines_max=8,
    weight_rows=255,
    free_bits=VEIL_FREE_BITS,
)
SIZE = PLAN.slot_bits
VECTOR = spread(PLAN, [2, 5, 3])
ANSWERS = [PLAN.pack([3, 40, -7])[0], PLAN.pack([1500, 40, -1005])[0]]
"""2 x 3 + 5 x 40 - 3 x 7 = 2 x 1500 + 5 x 40 - 3 x 1005."""
TOLD_BITS = 8


@dataclass(frozen=True)
class Seen:
    """One answer: X and K; the sums of the masks and wraps of all classes but one; what that class told.

    What a coalition has not: the missing class's mask, and how often all masks wrap.
    """

    x: mpz
    wrap: int
    masks: mpz
    hidden: int
    told: int
    missing: mpz
    kappa: int

    def mask(self, plain: int) -> mpz:
        """What the missing mask is if this is the answer."""
        return (self.x - self.masks - plain) % KEY.n

    def wraps(self, plain: int) -> int:
        """How often the masks wrap if this is the answer."""
        return int((self.masks + self.mask(plain)) // KEY.n)

    def value(self, plain: int) -> int:
        """What the missing class would tell if this is the answer."""
        hidden = self.wrap - self.wraps(plain) - self.hidden
        value = class_value(PLAN, [KEY.n], [VECTOR], [[self.mask(plain)]], [[hidden]])
        return told(value, SIZE, TOLD_BITS)


def seen(classes: Classes, plain: int, seed: int) -> Seen:
    """A real veiled answer; which class is missing goes by the seed."""
    random = Random(f"{classes} {seed}")
    where = Place(Digest(random.randbytes(32)), random.randbytes(32), 1)
    seeds = [random.randbytes(32) for _ in range(classes.count)]
    missing = seed % classes.count
    [covered], text = veiled(KEY, PLAN, [1 + (plain % KEY.n) * KEY.n], seeds, where)
    masks = [class_masks(each, where, KEY.n, 1)[0] for each in seeds]
    wraps = [class_wraps(each, where, SIZE, 1)[0] for each in seeds]
    value = class_value(PLAN, [KEY.n], [VECTOR], [[masks[missing]]], [[wraps[missing]]])
    return Seen(
        x=(covered - 1) // KEY.n,
        wrap=read_wraps(PLAN, text)[0],
        masks=sum(masks, mpz(0)) - masks[missing],
        hidden=sum(wraps) - wraps[missing],
        told=told(value, SIZE, TOLD_BITS),
        missing=masks[missing],
        kappa=int(sum(masks) // KEY.n),
    )


Guess = Callable[[Seen, Sequence[int]], int | None]
"""Which of two answers it was; None for no idea."""


def only(fits: Sequence[bool]) -> int | None:
    return fits.index(True) if sum(fits) == 1 else None


GUESSES: dict[str, Guess] = {
    "what was told": lambda seen, plain: only([seen.value(p) == seen.told for p in plain]),
    "the smaller mask": lambda seen, plain: int(seen.mask(plain[0]) > seen.mask(plain[1])),
    "the larger masks in sum": lambda seen, plain: int(seen.wraps(plain[0]) < seen.wraps(plain[1])),
    "the mask's parity": lambda seen, plain: int(seen.mask(plain[0]) % 2),
    "the mask's top bit": lambda seen, plain: int(2 * seen.mask(plain[0]) > KEY.n),
    "K": lambda seen, plain: (seen.wrap - seen.hidden) >> 3 & 1,
    "the missing mask, given away": lambda seen, plain: only([seen.mask(p) == seen.missing for p in plain]),
    "kappa, given away": lambda seen, plain: only([seen.wraps(p) == seen.kappa for p in plain]),
}


def right(guesses: Sequence[str], classes: Classes, plain: Sequence[int], tries: int) -> dict[str, float]:
    """How often each guess is right; without an idea she tosses a coin."""
    count = dict.fromkeys(guesses, 0)
    for seed in range(tries):
        random = Random(seed)
        sent = random.randrange(2)
        what = seen(classes, plain[sent], seed)
        for name in guesses:
            guess = GUESSES[name](what, plain)
            count[name] += (random.randrange(2) if guess is None else guess) == sent
    return {name: times / tries for name, times in count.items()}


@pytest.mark.parametrize("classes", SHAPES, ids=str)
def test_a_coalition_can_only_guess(classes: Classes) -> None:
    honest = [name for name in GUESSES if "given away" not in name]
    shares = right(honest, classes, ANSWERS, TRIES)
    assert all(abs(share - 0.5) <= 0.015 for share in shares.values()), shares


@pytest.mark.parametrize("classes", SHAPES, ids=str)
def test_with_the_missing_class_she_always_knows(classes: Classes) -> None:
    assert right(["the missing mask, given away"], classes, ANSWERS, 500) == {
        "the missing mask, given away": 1.0
    }


@pytest.mark.parametrize("classes", SHAPES, ids=str)
def test_how_often_the_masks_wrap_would_tell(classes: Classes) -> None:
    """Why nobody gets kappa: weights out of all range put answers half of n apart, and it tells which."""
    far = [0, int(KEY.n) // 2]
    shares = right(["kappa, given away", "K", "the smaller mask"], classes, far, 2000)
    assert shares.pop("kappa, given away") > 0.65
    assert all(abs(share - 0.5) <= 0.034 for share in shares.values()), shares


def test_a_functional_that_differs_tells_which() -> None:
    """Bits of a functional are bits of the answer: this is what they are counted for."""
    plain = [ANSWERS[0], PLAN.pack([3 + (1 << SIZE - TOLD_BITS), 40, -7 + (1 << SIZE - TOLD_BITS)])[0]]
    assert right(["what was told"], SHAPES[0], plain, 500)["what was told"] > 0.95


def test_one_nonce_for_two_answers_gives_their_difference() -> None:
    """Why a nonce is fresh: the same place has the same masks."""
    for seed in range(20):
        one, other = (seen(SHAPES[0], plain, seed) for plain in ANSWERS)
        assert (one.x - other.x) % KEY.n == (ANSWERS[0] - ANSWERS[1]) % KEY.n
