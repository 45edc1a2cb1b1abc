"""The questions about one mine alone: identities and bounds, those of `inspection` as functionals.

**Identities modulo 2^S or a power of two.** Each is multiplied by a random odd factor that is known to nobody
before all answers are revealed. So what breaks it lies anywhere modulo 2^S, and is missed with a chance of
twice the error over 2^S, about 1 in 1,000 of 12 bits. Several identities share a functional, each with its
own factor. The factors are small enough that carries stay within the error.

**Junk.** What lies where an honest answer has nothing makes the sum none that can be told apart from a
capsule's lie, and so stops a round. So it is asked about alone, by more bits: of 2^28 units or more, one in
four million is missed. Less is let be, in the sum too (`sonar.settling.sums`).

**Remainders.** A change's bias entry is its weight's own step, modulo what the other steps share, in practice
127. Times about 2^S / 127, multiples of it become small, and each other remainder lies at a place of its own.
So large a coefficient goes to a fine place, where a carry is 1/256 of a digit's last unit. So do the last
four bits of a first answer's values, which they share with the weights (`lattice`).

What is lost: the last digits of later answers (`lattice`), of which the weights share a bit or two, beside
what `symmetry` sees; and of many outputs' biases, each change but one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sonar.families.quadratic.inspection import Rules
from sonar.families.quadratic.veiled.base import (
    Question,
    balanced,
    empty_places,
    minus,
    outputs_of,
    place_of,
)
from sonar.families.veiled import Asked, Sent
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import FINE_BITS, finely, places, spread

Draw = Callable[[int], int]

ZERO_BITS, BOUND_BITS, REMAINDER_BITS = 12, 8, 10
"""Told of an identity, of a bound, and of a remainder modulo 127."""
JUNK_BITS = 24
"""Told of what lies where nothing may be. A miss of any other question costs a share; this one, a round."""
AGAIN, AGAIN_BITS = 2, 5
"""How often a bound is asked about again, with other factors, and the bits of each: junk of half a slot,
at two places or in the wraps, meets even factors, or two odd ones, in one question of two.
"""
SPARE = 4
"""Bits by which the factors keep carries below the error of truncation."""
LEAST_FACTOR = 3
"""Bits: an identity that leaves less to its factor is not asked about."""
LEAST_SHARED = 32
"""What the weights' steps share at least, if a remainder is asked about."""
LATTICE = 16
"""How many values one question about their last digits takes."""
SMALL, CARRIED = 64, 10
"""How large a multiple is tried for a remainder, and about what carries of three classes make at fine places
of two answers.
"""


def questions_of(rules: Rules, before: Sequence[Sent], now: Sent, draw: Draw) -> list[Question]:
    """Return what to ask of a mine that sent answers in the rounds `before`, ascending, and in `now`."""
    junk = junk_of(rules.plan, now.round, draw)
    again = [_range(rules, now, draw, AGAIN_BITS) for _ in range(AGAIN)]
    if not before:
        bound = _range(rules, now, draw)
        return [*_of_first(rules, now, draw), junk, bound, *again, *_lattice(rules, now, draw)]
    found = [junk, *_symmetry(rules, [*_chosen(before, draw), now], draw)]
    alone = len(before) == 1
    found.append(_bounded_change(rules, before[0], now, draw) if alone else _range(rules, now, draw))
    return [*found, *again, *_remainder(rules, before[-1], now, draw)]


def _chosen(before: Sequence[Sent], draw: Draw) -> list[Sent]:
    """The first round, the last, and one between them by lot: a capsule makes each one's masks again."""
    between = before[1:-1]
    lot = [between[draw(32) % len(between)]] if between else []
    return [before[0], *lot, *before[1:][-1:]]


def _of_first(rules: Rules, now: Sent, draw: Draw) -> list[Question]:
    """Each bias's entry is -unit w_bias modulo a power of two that b's last digit and its weights share.

    A multiple of an honest answer is off by the same eighths in all outputs, which an even number of odd
    factors might cancel: so there are two questions then, with one even factor each.
    """
    plan, unit = rules.plan, rules.unit
    if unit is None:
        return []
    weights = outputs_of(plan, now.weights)
    found = []
    for even in (None,) if len(weights) % 2 else (0, len(weights) - 1):
        vector, known = [0] * places(plan), 0
        for output, w in enumerate(weights):
            shared = math.gcd(1 << plan.weight_frac, *w[:-1]).bit_length() - 1
            factor = _odd(shared - ZERO_BITS - SPARE - len(weights).bit_length(), draw)
            factor <<= (plan.slot_bits - shared) + (output == even)
            vector[place_of(plan, (output + 1) * plan.features - 1)] = factor
            known -= factor * unit * w[-1]
        found.append(_zero(plan, "bias-unit", {now.round: vector}, known))
    return found


def _lattice(rules: Rules, now: Sent, draw: Draw) -> list[Question]:
    """Every value is a multiple of the power of two that b's last digit and the weights share: some, by lot.

    More at once would be lost in carries.
    """
    plan = rules.plan
    shared = math.gcd(1 << plan.weight_frac, *now.weights).bit_length() - 1
    if not 0 < shared < plan.slot_bits - FINE_BITS:
        return []
    count = min(plan.weights, LATTICE)
    first, values = draw(32) % plan.weights, [0] * plan.weights
    for i in range(count):
        values[(first + i) % plan.weights] = (1 - 2 * draw(1)) << (plan.slot_bits - FINE_BITS - shared)
    asked = Asked(((now.round, tuple(finely(plan, values))),), BOUND_BITS)
    return [Question("lattice", asked, plan.slot_bits)]


def _symmetry(rules: Rules, rounds: Sequence[Sent], draw: Draw) -> list[Question]:
    """<D, A D'> = <D', A D>: see `inspection`. One random combination against one of the last round's.

    None if one change is all there is, or if the steps leave no room for factors.
    """
    plan = rules.plan
    base, *others = rounds
    steps = [outputs_of(plan, minus(each.weights, base.weights)) for each in others]
    room = _factor_bits(plan, steps)
    if len(others) * plan.outputs == 1 or room < LEAST_FACTOR:
        return []
    mirrored = _mirrored(plan, rounds, steps, room, draw)
    return [_zero(plan, "symmetry", {n: spread(plan, vector) for n, vector in mirrored.items()}, 0)]


def _factor_bits(plan: SlotPlan, steps: Sequence[Sequence[Sequence[int]]]) -> int:
    """How many bits the factors may have together."""
    largest = max(abs(x) for outputs in steps for step in outputs for x in step)
    terms = 4 * len(steps) ** 2 * plan.outputs * plan.weights
    return plan.slot_bits - ZERO_BITS - SPARE - (largest * terms).bit_length()


def _mirrored(
    plan: SlotPlan,
    rounds: Sequence[Sent],
    steps: Sequence[Sequence[Sequence[int]]],
    room: int,
    draw: Draw,
) -> dict[int, list[int]]:
    """The coefficients of each round's answer, [d k]."""
    one = plan.outputs == 1
    firsts = [[_odd(room if one else room // 2, draw) for _ in outputs] for outputs in steps]
    lasts = [_odd(1 if one else room // 2, draw) for _ in range(plan.outputs)]
    all_steps = _combined([f for each in firsts for f in each], [s for each in steps for s in each])
    step = _combined(lasts, steps[-1])
    base, *others = (each.round for each in rounds)
    vectors = {number: [0] * plan.weights for number in (base, *others)}
    for output in range(plan.outputs):
        terms = [(others[-1], [-lasts[output] * x for x in all_steps])]
        terms += [
            (number, [each[output] * x for x in step]) for number, each in zip(others, firsts, strict=True)
        ]
        for number, term in terms:
            for i, x in enumerate(term, output * plan.features):
                vectors[number][i] += x
                vectors[base][i] -= x
    return vectors


def _combined(factors: Sequence[int], vectors: Sequence[Sequence[int]]) -> list[int]:
    return [sum(f * x for f, x in zip(factors, column, strict=True)) for column in zip(*vectors, strict=True)]


def _range(rules: Rules, now: Sent, draw: Draw, bits: int = BOUND_BITS) -> Question:
    bounds = rules.plan.bounds
    largest = bounds.a_row_l1_max * max(abs(w) for w in now.weights)
    limit = (bounds.b_max << rules.plan.weight_frac) + largest
    return _signs(rules.plan, "range", {now.round: 1}, limit, draw, bits)


def _bounded_change(rules: Rules, then: Sent, now: Sent, draw: Draw) -> Question:
    step = minus(now.weights, then.weights)
    limit = rules.plan.bounds.a_row_l1_max * max(abs(x) for x in step)
    return _signs(rules.plan, "bounded-change", {then.round: 1, now.round: -1}, limit, draw)


def _signs(
    plan: SlotPlan, test: str, signs: dict[int, int], limit: int, draw: Draw, bits: int = BOUND_BITS
) -> Question:
    """No value above `limit`, by a sum with random signs over as many values as the slot has room for, of all
    ciphertexts if there are enough.

    The factors are odd and even alike: so a mine that tells of one ciphertext too many wraps, by 2^(S - k),
    is seen but for one time in 2^k by each. The identities might not see it, whose factors meet digits of n.
    """
    fit = (1 << (plan.slot_bits - 4)) // max(limit, 1)
    count = max(min(plan.weights, fit), 1)
    first = draw(32) % plan.weights
    most = plan.slot_bits - BOUND_BITS - SPARE - count.bit_length()
    shift = max(min((fit // count).bit_length() - 1, most), 0)
    values = [0] * plan.weights
    for i in range(count):
        factor = (1 << shift) - (draw(max(shift - 1, 1)) if shift else 0)
        values[(first + i * plan.weights // count) % plan.weights] = factor * (1 - 2 * draw(1))
    parts = tuple((n, tuple(spread(plan, [s * v for v in values]))) for n, s in signs.items())
    room = limit * sum(map(abs, values))
    return Question(test, Asked(parts, bits), plan.slot_bits, room=room)


def _remainder(rules: Rules, then: Sent, now: Sent, draw: Draw) -> list[Question]:
    """The change of one output's bias entry, by lot, modulo what the other weights' steps share.

    None if they share too little for a remainder to be told.
    """
    plan, unit = rules.plan, rules.unit
    if unit is None:
        return []
    output = draw(32) % plan.outputs
    step = outputs_of(plan, minus(now.weights, then.weights))[output]
    shared = math.gcd(*step[:-1])
    shared >>= (shared & -shared).bit_length() - 1 if shared else 0
    if 0 < shared < LEAST_SHARED:
        return []
    factor, room = _odd(plan.slot_bits - REMAINDER_BITS - SPARE, draw), 0
    if shared:
        times = 2 * plan.bounds.a_row_l1_max * max(abs(x) for x in step) // shared
        factor, room = _inverse(plan, shared, times << FINE_BITS)
        if room >> (plan.slot_bits - 3):
            return []
    values = [0] * plan.weights
    values[(output + 1) * plan.features - 1] = factor
    parts = (
        (then.round, tuple(finely(plan, values))),
        (now.round, tuple(finely(plan, [-v for v in values]))),
    )
    known = (factor * unit * step[-1]) << FINE_BITS
    return [Question("bias-unit", Asked(parts, REMAINDER_BITS), plan.slot_bits, known, room)]


def _inverse(plan: SlotPlan, shared: int, times: int) -> tuple[int, int]:
    """Return (v, room): v is nearly a small multiple of 2^(S - F) / shared, for S bits and F finer ones.

    A multiple of `shared`, at most `times` 2^-F of it, then makes at most `room` of all 2^S. Of all v the one
    is taken with which room and carries are least.
    """
    size, found = plan.slot_bits - FINE_BITS, []
    for number in range(1, SMALL + 1):
        factor = ((number << size) + shared // 2) // shared
        room = abs(balanced(factor * shared, size)) * times
        found.append((room + CARRIED * factor, factor, room))
    _, factor, room = min(found)
    return factor, room


def junk_of(plan: SlotPlan, round: int, draw: Draw) -> Question:
    """Random odd factors at the places where nothing may be; fewer bits where slots are narrow."""
    empty, vector = empty_places(plan), [0] * places(plan)
    over = SPARE + len(empty).bit_length()
    bits = min(JUNK_BITS, max(plan.slot_bits - over - LEAST_FACTOR, 1))
    for place in empty:
        vector[place] = _odd(plan.slot_bits - bits - over, draw)
    return _zero(plan, "range", {round: vector}, 0, bits)


def _zero(
    plan: SlotPlan, test: str, vectors: dict[int, list[int]], known: int, bits: int = ZERO_BITS
) -> Question:
    parts = tuple((number, tuple(vector)) for number, vector in sorted(vectors.items()))
    return Question(test, Asked(parts, bits), plan.slot_bits, known)


def _odd(bits: int, draw: Draw) -> int:
    """A random odd number of at most so many bits; 0 if there are too few for one that nobody foresees."""
    return draw(bits) | 1 if bits >= LEAST_FACTOR or bits == 1 else 0
