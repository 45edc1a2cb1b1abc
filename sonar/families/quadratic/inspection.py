"""Yes/no tests of single updates: what each asks, and whether it holds. Whoever opens an update runs them.

An honest mine's updates are one fixed integer map u(w) = b 2^f - A w, with A symmetric, the same for every
output, and A[bias, bias] the same integer for every mine. Most tests below are identities or bounds that
follow from this, rounding included. So an honest mine passes them whatever its data are, and passing reveals
nothing about its data.

Some tests are no proof, and leave a mine out of one round only (`ROUND_ONLY`). The update is kept, and the
exact tests of later rounds, which also use it, tell an honest mine from a cheat:

- `unlike` and `against` compare what a mine sent with what the cohort and the holdout say
  (`comparison.py`), `unlike` also how it changed, and `curvature` the curvature with the cohort's median.
  They leave wide room. Data that are unlike everybody else's can still fail them.
- `copy` and `stale` fail honest data of rare kinds: two mines with the same sums, or a mine to whose data a
  step of the weights makes no difference. The exact tests of other updates find a mine whose answers do not
  come from one map.
- `newcomer`: a mine's first update cannot be compared with earlier ones. So after the first round it is kept
  for later comparisons but not aggregated: a cheat could otherwise send anything, under a new address every
  round. If fewer than `min_mines` updates would be left, newcomers are accepted.

After several local steps the map is still affine and symmetric, but A is a polynomial in the data's matrix,
and each mine has its own A[bias, bias]. `bias-unit`, `positive` and `spread` then say nothing, and are
skipped. Where mines add noise to their sums once, answers still come from one symmetric map, so all
identities stay. But A need not be a mean of squares then: `positive`, `spread` and `curvature` are skipped.

The tests check the map, not the truth of the data: the score prices false data.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from sonar.families.opened import Opened, Part, Past
from sonar.families.quadratic import comparison
from sonar.families.quadratic.answer import bias_unit
from sonar.families.quadratic.comparison import Reference
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.paillier.slots import SlotPlan

TESTS = {
    "range": "every value lies within what the declared bounds allow at this round's weights",
    "lattice": "the update and its change are multiples of what the weights and their steps share",
    "bounded-change": "no value changed by more than the declared bounds allow for the weights' step",
    "copy": "the update is not another mine's earlier one",
    "stale": "the update is not an earlier one of its own, made on other weights",
    "bias-unit": "the bias entry, and its change, are its own weight's, modulo what the other weights share",
    "positive": "the loss curves upwards along every step (A is a mean of squares)",
    "spread": "along every step, the square of the mean is at most the mean of the squares",
    "symmetry": "the changes since the first update come from one symmetric matrix",
    "curvature": "the curvature since the first update lies within [1/10, 10] of the cohort's median",
    "unlike": "it lies about where the cohort's updates and the holdout's lie",
    "against": "along the model, it pulls about as the cohort's updates and the holdout's do",
    "newcomer": "the mine has sent an update before, or nobody has, or too few others would be left",
}
"""Every test by name, and what holds for an update that passes."""

WHY = {
    "range": "a value is larger than the bounty's bounds allow",
    "lattice": "its last digits cannot come from this round's weights",
    "bounded-change": "it changed by more than the bounty's bounds allow",
    "copy": "it is what another mine sent in an earlier round",
    "stale": "it is what the mine itself sent in an earlier round, on other weights",
    "bias-unit": "its bias entry cannot come from any rows: the answer was changed after it was computed",
    "positive": "its changes cannot come from any rows: the loss would curve downwards",
    "spread": "its changes cannot come from any rows: a column's mean exceeds its mean square",
    "symmetry": "it does not come from the same rows as the mine's earlier answers",
    "curvature": "its columns vary far more, or far less, than the other mines'",
    "unlike": "it lies far from where the other mines' answers and the held-out rows are",
    "against": "it pulls the model unlike the other mines and the held-out rows, as false targets do",
    "newcomer": "a first answer after round 1 counts for nothing; the mine's next one can count",
}
"""Every test by name, and what to say about an update that fails it."""

ROUND_ONLY = frozenset({"copy", "stale", "unlike", "against", "curvature", "newcomer"})
"""The tests that honest data may fail. A failure is no proof, so it counts for its round only."""


@dataclass(frozen=True)
class Rules:
    """What the model says about honest updates.

    `unit`: A[bias, bias] as the integer that every honest mine has, None where it is the mine's own.
    `min_mines`: how many updates a sum takes at least. `noisy`: whether mines add noise to their sums.
    """

    plan: SlotPlan
    unit: int | None
    min_mines: int
    random_bits: Callable[[int], int]
    noisy: bool = False


def rules_of(spec: QuadraticSpec, plan: SlotPlan, min_mines: int, random_bits: Callable[[int], int]) -> Rules:
    """Return what a model's manifest says about honest updates."""
    return Rules(plan, bias_unit(spec, plan.data_frac), min_mines, random_bits, spec.noise is not None)


def inspect(
    rules: Rules,
    past: Past,
    now: Opened,
    trusted: Callable[[str], bool],
    reference: Reference | None = None,
) -> dict[str, str | None]:
    """For each mine in the round `now`, after the `past` ones: the first failed test, or None.

    `reference`: what the holdout says of this round's answers; None leaves the cohort alone to compare with.
    Mines that are not `trusted` (left out for good) count neither towards medians nor towards `min_mines`.
    """
    failed = {mine: _alone(rules, past, now, mine) for mine in now.updates}
    comparable = {mine for mine, test in failed.items() if test is None and trusted(mine)}
    compares = [_curvature, _unlike, _newcomer]
    if reference is not None:
        compares = [_curvature, _unlike_second, _newcomer, partial(_beside, reference)]
    for compare in compares:
        failed |= compare(rules, past, now, comparable)
        comparable = {mine for mine in comparable if failed[mine] is None}
    return failed


def same(
    rules: Rules, now: Opened, rows: Mapping[str, int], reference: Reference | None = None
) -> dict[str, str]:
    """Tell whose answers are of the same data: by mine the first address of its group, for groups of two and
    more.

    `rows`: those who are looked at, with the rows that they say they have. Two answers are the same if they
    are equal, or, with a `reference`, if they differ by so little that rows of their own differ by more but
    once in a million pairs.
    """
    sent = {mine: _sent(now, mine) for mine in sorted(rows)}
    pairs = [(a, b) for a, b in combinations(sent, 2) if sent[a] == sent[b]]
    if reference is not None:
        unit = 2.0**-rules.plan.scale_bits
        real = {mine: np.array(update, dtype=np.float64) * unit for mine, update in sent.items()}
        pairs += comparison.close(reference, real, rows)
    first = {mine: mine for mine in sent}
    for a, b in sorted(pairs):
        old, new = sorted((first[a], first[b]), reverse=True)
        first = {mine: new if head == old else head for mine, head in first.items()}
    heads = Counter(first.values())
    return {mine: head for mine, head in first.items() if heads[head] > 1}


def _alone(rules: Rules, past: Past, opened: Opened, mine: str) -> str | None:
    """The tests that need no other mine, except for copies of earlier updates."""
    weights, update = opened.weights, opened.updates[mine]
    if update is None or not _in_range(rules, weights, update):
        return "range"
    if (senders := past.senders(update)) and mine not in senders:
        return "copy"  # of two equal ones in the same round neither is: it can be copied once it is revealed
    shared = math.gcd(1 << rules.plan.weight_frac, *weights)
    if any(value % shared for value in update):
        return "lattice"
    if not _bias_stands(rules, weights, update):
        return "bias-unit"
    before, now = past.parts(mine), (weights, update)
    for then in before:
        test = _pair(rules, then, now)
        if test is not None:
            return test
    return None if _symmetric(rules, [*before, now]) else "symmetry"


def _bias_stands(rules: Rules, weights: Sequence[int], update: Sequence[int]) -> bool:
    """Whether each bias's entry is -unit w_bias, but for multiples of b's last digit and of what the other
    weights share: b - A w with A[bias, bias] = unit.
    """
    if rules.unit is None:
        return True
    pairs = zip(_outputs(rules, weights), _outputs(rules, update), strict=True)
    return all(
        (u[-1] + rules.unit * w[-1]) % math.gcd(1 << rules.plan.weight_frac, *w[:-1]) == 0 for w, u in pairs
    )


def _pair(rules: Rules, then: Part, now: Part) -> str | None:
    """The tests of two updates of one mine. Let D be the step of the weights; A D is the change u_s - u_t."""
    step = [t - s for s, t in zip(then[0], now[0], strict=True)]
    change = [s - t for s, t in zip(then[1], now[1], strict=True)]
    if _all_zero(step):
        return None if _all_zero(change) else "bounded-change"
    largest = rules.plan.bounds.a_row_l1_max * max(abs(x) for x in step)
    if any(abs(value) > largest for value in change):
        return "bounded-change"
    if _all_zero(change):
        return "stale"
    shared = math.gcd(*step)
    if any(value % shared for value in change):
        return "lattice"
    if rules.unit is not None:
        for one_step, one_change in zip(_outputs(rules, step), _outputs(rules, change), strict=True):
            if (test := _curved(rules, rules.unit, one_step, one_change)) is not None:
                return test
    return None


def _curved(rules: Rules, unit: int, step: Sequence[int], change: Sequence[int]) -> str | None:
    """What A being a mean of squares, with A[bias, bias] = unit, says of a step D and A D in one output.

    (A D)_bias is unit D_bias, but for multiples of what the other D_j share: weights are rounded so that they
    share something. Its square is at most unit x D A D (Cauchy and Schwarz).
    """
    off, shared = change[-1] - unit * step[-1], math.gcd(*step[:-1])
    if off % shared if shared else off:
        return "bias-unit"
    if rules.noisy:
        return None
    # An entry of A is off by `error` at most (half for the rounding, the rest for the floats before it), so
    # D A D is off by error x length^2, and (A D)_bias by error x length.
    error = 1 + (rules.plan.bounds.a_row_l1_max >> 40)
    length = sum(abs(x) for x in step)
    curvature = _dot(step, change) + error * length**2
    if curvature < 0:
        return "positive"
    if max(abs(change[-1]) - error * length, 0) ** 2 > unit * curvature:
        return "spread"
    return None


def _in_range(rules: Rules, weights: Sequence[int], update: Sequence[int]) -> bool:
    bounds = rules.plan.bounds
    largest = bounds.a_row_l1_max * max(abs(w) for w in weights)
    limit = (bounds.b_max << rules.plan.weight_frac) + largest
    return all(abs(value) <= limit for value in update)


def _symmetric(rules: Rules, parts: Sequence[Part]) -> bool:
    """<D, A D'> = <D', A D> for the steps D since the first update, in every output, and the last round's D'.

    Of all steps, those of the last round too, one random combination is held against one of the last round's.
    """
    (w_0, u_0), *others = parts
    if len(others) * rules.plan.outputs < 2:
        return True
    steps = [_outputs(rules, _minus(w, w_0)) for w, _ in others]
    changes = [_outputs(rules, _minus(u, u_0)) for _, u in others]
    weights = [[rules.random_bits(64) for _ in outputs] for outputs in steps]
    last = [rules.random_bits(64) for _ in steps[-1]]
    all_steps, all_changes = _combined(weights, steps), _combined(weights, changes)
    step, change = _combined([last], steps[-1:]), _combined([last], changes[-1:])
    return _dot(all_steps, change) == _dot(step, all_changes)


def _combined(factors: Sequence[Sequence[int]], vectors: Sequence[Sequence[Sequence[int]]]) -> list[int]:
    pairs = [pair for each in zip(factors, vectors, strict=True) for pair in zip(*each, strict=True)]
    return [sum(f * v[j] for f, v in pairs) for j in range(len(pairs[0][1]))]


def _unlike(rules: Rules, past: Past, now: Opened, mines: set[str]) -> dict[str, str]:
    """Updates that no identity checks, compared with the cohort alone: those of the first round, and a second
    one.
    """
    far = set() if past.begun() else comparison.far_from_most({mine: _sent(now, mine) for mine in mines})
    return dict.fromkeys(far, "unlike") | _unlike_second(rules, past, now, mines)


def _unlike_second(rules: Rules, past: Past, now: Opened, mines: set[str]) -> dict[str, str]:
    """Where the unit is not known, a mine's second update by its change; later ones have `symmetry`."""
    far: set[str] = set()
    second = {mine for mine in mines if rules.unit is None and len(past.parts(mine)) == 1}
    for then in past.bases(mines) if second else ():
        both = {mine for mine in mines if then.updates.get(mine) is not None}
        if second & both:
            moved = {mine: _minus(_sent(then, mine), _sent(now, mine)) for mine in both}
            far |= second & comparison.far_from_most(moved)
    return dict.fromkeys(far, "unlike")


def _beside(reference: Reference, rules: Rules, _past: Past, now: Opened, mines: set[str]) -> dict[str, str]:
    """Updates that lie far from where the cohort and the holdout are, whole or along the model."""
    unit = 2.0**-rules.plan.scale_bits
    sent = {mine: np.array(_sent(now, mine), dtype=np.float64) * unit for mine in sorted(mines)}
    return {
        **dict.fromkeys(comparison.against(reference, sent), "against"),
        **dict.fromkeys(comparison.unlike(reference, sent), "unlike"),
    }


def _curvature(rules: Rules, past: Past, now: Opened, mines: set[str]) -> dict[str, str]:
    """From a mine's second update on: the curvature since its first, among all that sent one then as well."""
    if rules.noisy:
        return {}
    unseen, far = set(mines), set()
    for then in past.bases(mines):
        both = {mine for mine in mines if then.updates.get(mine) is not None}
        step = _minus(now.weights, then.weights)
        curvatures = {mine: _dot(step, _minus(_sent(then, mine), _sent(now, mine))) for mine in both}
        far |= comparison.far_from_median(curvatures, comparison.CURVED) & unseen
        unseen -= both
    return dict.fromkeys(far, "curvature")


def _newcomer(rules: Rules, past: Past, now: Opened, mines: set[str]) -> dict[str, str]:
    """First updates, unless they come in the first round, or fewer than `min_mines` are left without them."""
    new = {mine for mine in mines if not past.parts(mine)}
    return dict.fromkeys(new, "newcomer") if past.begun() and len(mines - new) >= rules.min_mines else {}


def _outputs(rules: Rules, flat: Sequence[int]) -> list[Sequence[int]]:
    """Return each output's part of a vector [d k]."""
    d = rules.plan.features
    return [flat[start : start + d] for start in range(0, len(flat), d)]


def _sent(opened: Opened, mine: str) -> tuple[int, ...]:
    update = opened.updates[mine]
    assert update is not None
    return update


def _minus(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [x - y for x, y in zip(a, b, strict=True)]


def _dot(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _all_zero(values: Sequence[int]) -> bool:
    return not any(values)
