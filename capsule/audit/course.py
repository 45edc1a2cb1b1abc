"""Where a bounty's weights have been, and where the newest sum leads: the optimiser's steps, taken again.

What comes from floats may differ between machines by its last digits, and rounding may make one unit of it.
So a weight counts if it is the recomputed one or a neighbour of it in fixed point, and everything later
follows from the weights that were said. A loss is one number of all held-out rows: it counts if it is the
nearest millionth, ties to within 2^-30. All that decides who is paid what is integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gmpy2 import mpz

from capsule.audit.memory import Summed
from capsule.audit.opened import OpenedRound
from capsule.audit.public import PublicBounty
from capsule.audit.refusal import Refusal, expect, refuse, spec_of
from capsule.audit.told import Place, check_witnessed, class_sums
from sonar.errors import ManifestError, SonarError, UpdateOutOfRange
from sonar.families.quadratic.course import Course, Point
from sonar.families.quadratic.design import STRIDE, Design
from sonar.families.quadratic.holdout import Holdout
from sonar.families.quadratic.optimisers.base import Optimiser, OptimiserWish
from sonar.families.quadratic.optimisers.registry import read
from sonar.families.registry import family_of
from sonar.manifests.audit import Heard, SettlementRequest
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.model import ModelManifest, VeilCover, commitment
from sonar.protocol.ids import digest_of
from sonar.settling.sums import values_of
from sonar.veil.sums import unveiled


def design_of(first: ModelManifest, request: SettlementRequest, start: tuple[int, ...]) -> Design:
    """Return the model with the holdout that the first manifest commits to.

    `start` int[d k]: the first round's weights. Raises Refusal.
    """
    rows, spec = request.holdout, spec_of(first)
    values = rows.matrix()
    made = commitment(rows.salt, rows.columns, values)
    expect("holdout", "the commitment to these rows", made, first.holdout)
    expect("holdout", "the columns", rows.columns, spec.columns)
    features = len(spec.features)
    metric, _ = _settings(first, request.optimiser)
    try:
        holdout = Holdout.of(spec, values[:, :features], values[:, features:])
        design = Design(spec, first.slot_plan, holdout, holdout.metric(metric).name, start)
        if first.zero_start:
            expect("weights", "the first round's weights", start, design.null)
        _ = design.initial_loss
    except SonarError as error:
        if isinstance(error, Refusal):
            raise
        refuse("holdout", f"no model can be judged by these rows: {error}")
    return design


def optimiser_of(first: ModelManifest, request: SettlementRequest, design: Design) -> Optimiser:
    """Return the optimiser that the first manifest names. Raises Refusal."""
    _, wish = _settings(first, request.optimiser)
    return wish.optimiser(design.ground)


def _settings(first: ModelManifest, data: bytes) -> tuple[str, OptimiserWish]:
    cover = first.cover
    assert isinstance(cover, VeilCover)
    assert cover.audit is not None
    expect("optimiser", "the digest of its settings", digest_of(data), cover.audit.optimiser)
    try:
        return read(data)
    except ManifestError as error:
        refuse("optimiser", str(error))


def summed(place: Place, opened: OpenedRound, heard: Heard, cohort: CohortManifest) -> Summed:
    """Return what the set fixed on the chain adds up to: what was opened, without the masks.

    Raises Refusal.
    """
    try:
        return _summed(place, opened, heard, cohort)
    except UpdateOutOfRange as error:
        refuse("sum", f"the sum of round {opened.number} is out of range without its masks: {error}")


def is_out_of_range(place: Place, opened: OpenedRound, heard: Heard, cohort: CohortManifest) -> bool:
    """Tell whether the sum of the set fixed on the chain is out of range, even if one capsule lies.

    Raises Refusal, also where it may be out of range because of one capsule's lie.
    """
    try:
        _summed(place, opened, heard, cohort)
    except UpdateOutOfRange:
        check_witnessed(place, heard)
        return True
    return False


def _summed(place: Place, opened: OpenedRound, heard: Heard, cohort: CohortManifest) -> Summed:
    """See `summed`. Raises Refusal, UpdateOutOfRange."""
    classes = class_sums(place, opened.number, heard, cohort.digest())
    totals = [mpz(0)] * place.plan.ciphertexts
    for addend in cohort.addends:
        update = opened.updates.get(addend.mine)
        expect("cohort", f"the update of {addend.mine}", addend.update, update and update.digest)
        plain = opened.plain[addend.mine]
        totals = [total + addend.weight * x for total, x in zip(totals, plain, strict=True)]
    rows = sum(addend.weight for addend in cohort.addends)
    n = place.modulus(opened.number)
    signed = unveiled(n, [total % n for total in totals], classes)
    return Summed(values_of(place.plan, signed, rows), rows, cohort)


def course_before(
    public: PublicBounty,
    design: Design,
    optimiser: Optimiser,
    sums: Mapping[int, Summed],
    weights: Mapping[int, Sequence[int]],
) -> Course:
    """Return where the weights were before the round that is settled.

    `sums`: of the earlier rounds, `weights` int[d k] of all, by round. Each step is taken again, and must
    lead from the sum that was told to the weights that came next. Raises Refusal.
    """
    family = family_of(design.spec)
    course: Course = family.start(design)
    for number, found in sorted(sums.items()):
        course = course.seen(number, found.sums, found.rows, found.mines, design.plan)
        settled = public.chain.rounds[number].settled
        assert settled is not None
        after = min(each for each in weights if each > number)
        told = Point(tuple(weights[after]), course.current.coefficients, settled.new_loss)
        course = course.moved(check_step(design, optimiser, course, told))
    return course


def check_step(design: Design, optimiser: Optimiser, seen: Course, told: Point) -> Point:
    """Return the point that was told, with how it came about as computed here; refuse one that does not
    follow from the sums.
    """
    own: Point = family_of(design.spec).step(design, optimiser, seen)
    room = np.full((design.spec.outputs, design.spec.width), STRIDE)
    room[:, -1] = 1
    names, near = design.spec.weight_names, room.ravel().tolist()
    for name, wanted, found, unit in zip(names, own.weights_int, told.weights_int, near, strict=True):
        if abs(found - wanted) > unit:
            refuse("step", f"the new weight of {name} is {found}; the optimiser's step leads to {wanted}")
    if not design.is_loss(told.weights_int, told.loss):
        computed = design.loss_at(told.weights_int)
        refuse("loss", f"the loss is said to be {told.loss}; on the committed holdout it is {computed}")
    return Point(told.weights_int, own.coefficients, told.loss)
