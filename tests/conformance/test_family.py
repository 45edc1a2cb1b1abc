"""One suite for every family of models. A new family is a subclass of FamilyContract with its one fixture."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys.key import Secret
from sonar.errors import CiphertextError, ConsentError, DataError, ManifestError
from sonar.families import question
from sonar.families.base import Family
from sonar.families.opened import Opened, Rounds
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.family import Quadratic
from sonar.families.quadratic.inspection import inspect
from sonar.families.quadratic.maps.standard import StandardWish
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.registry import WHY, AnyFamily, family_of
from sonar.families.sums.course import Inquiry
from sonar.families.sums.family import Sums
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import plan_of
from sonar.paillier.slots import SlotPlan
from tests.family_kit import design_like
from tests.sums_kit import number, spec_of

Matrix = NDArray[np.float64]


@cache
def secret() -> Secret:
    return Secret.generate(1024)


@dataclass(frozen=True)
class Job:
    """A job of a family: its model, an optimiser, and the mines' tables float64[rows, columns]."""

    design: Any
    optimiser: Any
    tables: list[Matrix]

    @property
    def family(self) -> AnyFamily:
        return family_of(self.design.spec)

    def prepared(self) -> list[Any]:
        return [self.family.prepare(self.design.spec, self.design.plan, [table]) for table in self.tables]


def opened(job: Job, prepared: Any, weights: tuple[int, ...]) -> list[int]:
    """What a mine answers to a question of these numbers, as the key opens it."""
    key, family = secret().public, job.family
    asked = [mpz(w) for w in weights] if family.visible else secret().encrypt(list(weights))
    sent = family.answer(key, job.design.plan, prepared, asked)
    return [int(value) for value in job.design.plan.unpack(secret().decrypt(sent), weight=1)]


class MineContract:
    """What mines rely on, whatever is computed."""

    @pytest.fixture
    def job(self) -> Job:
        raise NotImplementedError

    def test_a_spec_finds_its_family_by_its_kind(self, job: Job) -> None:
        assert job.family is family_of(type(job.design.spec).parse(job.design.spec.model_dump()))

    def test_it_names_its_columns_once_each(self, job: Job) -> None:
        columns = job.family.columns(job.design.spec)
        assert len(set(columns)) == len(columns) == job.tables[0].shape[1]
        assert job.family.in_words(job.design.spec)

    def test_what_is_prepared_does_not_depend_on_batches(self, job: Job) -> None:
        def split(table: Matrix) -> Iterator[Matrix]:
            yield from np.array_split(table, 7)

        spec, plan, table = job.design.spec, job.design.plan, job.tables[0]
        whole = job.family.prepare(spec, plan, [table])
        parts = job.family.prepare(spec, plan, split(table))
        assert whole.digest() == parts.digest()
        assert whole.rows == parts.rows == len(table)
        assert len(whole.digest()) == 64

    def test_one_other_value_is_another_digest(self, job: Job) -> None:
        table = job.tables[0].copy()
        table[3, 0] += 1.0
        spec, plan = job.design.spec, job.design.plan
        assert job.family.prepare(spec, plan, [table]).digest() != job.prepared()[0].digest()

    def test_too_few_rows_are_refused_by_number_and_by_table(self, job: Job) -> None:
        spec, plan = job.design.spec, job.design.plan
        for rows in (0, 1, 9):
            with pytest.raises(ConsentError, match="rows: the data set has"):
                job.family.check_rows(spec, rows)
        with pytest.raises(ConsentError):
            job.family.prepare(spec, plan, [job.tables[0][:9]])

    def test_a_table_of_another_shape_is_refused(self, job: Job) -> None:
        with pytest.raises(DataError):
            job.family.prepare(job.design.spec, job.design.plan, [job.tables[0][:, :-1]])

    def test_a_rare_value_is_refused(self, job: Job) -> None:
        table = job.tables[0].copy()
        table[:, 0] = table[0, 0]
        table[5, 0] += 1.0
        with pytest.raises(ConsentError, match=r"differs? from the value of all others"):
            job.family.prepare(job.design.spec, job.design.plan, [table])

    def test_an_answer_keeps_to_the_plan_and_is_what_the_values_say(self, job: Job) -> None:
        one, start = job.prepared()[0], job.family.start(job.design).current.weights_int
        first = opened(job, one, start)
        assert len(first) == job.design.plan.weights
        assert first == opened(job, one, start) == job.family.values(job.design.plan, one, start)

    def test_what_is_prepared_is_restored_and_nothing_else(self, job: Job) -> None:
        one, spec, plan = job.prepared()[0], job.design.spec, job.design.plan
        again = job.family.restored(spec, plan, one.to_bytes())
        assert (again.digest(), again.rows) == (one.digest(), one.rows)
        for junk in (b"", b"1", one.to_bytes() + b"\0"):
            with pytest.raises(DataError):
                job.family.restored(spec, plan, junk)

    def test_a_question_is_read_as_it_was_written(self, job: Job) -> None:
        family, spec, key = job.family, job.design.spec, secret().public
        start = family.start(job.design).current.weights_int
        assert len(start) == family.numbers(spec)
        if family.visible:
            blob = question.write_visible(start)
        else:
            blob = key.encode_blob(secret().encrypt(list(start)))
        assert len(blob) == question.bytes_of(family, spec, key)
        read = question.read_question(family, spec, key, blob)
        found = read if family.visible else [key.signed(m) for m in secret().decrypt(read)]
        assert tuple(int(x) for x in found) == tuple(start)
        for bad in (b"", blob[:-1], blob + b"\0"):
            with pytest.raises((CiphertextError, ManifestError)):
                question.read_question(family, spec, key, bad)

    def test_tables_that_are_the_same_are_told_and_others_are_not(self, job: Job) -> None:
        family, design, one = job.family, job.design, job.prepared()
        rules = family.tests(design.spec, design.plan, 2, secrets.randbits)
        start = family.start(design).current.weights_int
        sent = {
            name: tuple(opened(job, each, start))
            for name, each in zip("abc", [one[0], one[1], one[0]], strict=True)
        }
        rows = dict(zip("abc", (one[0].rows, one[1].rows, one[0].rows), strict=True))
        now = Opened(tuple(start), sent, rows)
        assert family.same(rules, now, rows) == {"a": "a", "c": "a"}
        assert family.inspect(rules, Rounds([]), now, lambda _: True) == dict.fromkeys("abc")

    def test_every_test_says_why(self, job: Job) -> None:
        assert job.family.round_only <= job.family.why.keys()
        assert WHY.items() >= job.family.why.items()

    def test_a_point_is_made_again_from_a_journal(self, job: Job) -> None:
        family, design = job.family, job.design
        course, one = family.start(design), job.prepared()
        answers = [opened(job, each, course.current.weights_int) for each in one]
        sums = [sum(column) for column in zip(*answers, strict=True)]
        assert not course.begun
        seen = family.seen(design, course, 1, sums, len(one), [str(i) for i in range(len(one))])
        point = family.step(design, job.optimiser, seen)
        listed = json.loads(json.dumps(point.listed()))
        again = family.replayed(list(point.weights_int), listed, point.loss)
        assert seen.begun
        assert (again.weights_int, again.loss) == (point.weights_int, point.loss)
        assert seen.moved(again).current.weights_int == point.weights_int
        assert json.loads(json.dumps(again.listed())) == listed


class FamilyContract(MineContract):
    """What scientists rely on where held-out rows judge a model."""

    def test_an_answer_depends_on_the_weights(self, job: Job) -> None:
        one, start = job.prepared()[0], job.family.start(job.design).current.weights_int
        assert opened(job, one, start) != opened(job, one, tuple(w + 1 for w in start))

    def test_a_campaign_gets_better_and_its_scores_add_up_to_what_was_gained(self, job: Job) -> None:
        family, design = job.family, job.design
        prepared = job.prepared()
        course = family.start(design)
        for turn in (1, 2, 3):
            answers = [opened(job, one, course.current.weights_int) for one in prepared]
            rows = [one.rows for one in prepared]
            sums = [sum(n * v for n, v in zip(rows, col, strict=True)) for col in zip(*answers, strict=True)]
            course = course.seen(turn, sums, sum(rows), [str(i) for i in range(len(rows))], design.plan)
            point = family.step(design, job.optimiser, course)
            if turn == 1:
                (vector,) = family.score_vectors(design, job.optimiser, course, point).values()
                scale = 1 << design.plan.scale_bits
                scores = [n * float(vector @ np.array(u)) / scale for n, u in zip(rows, answers, strict=True)]
                gained = (course.best.loss - point.loss) / 1e6
                assert sum(scores) == pytest.approx(gained, abs=2e-6)
            course = course.moved(point)
        assert course.best.loss < 0.8 * course.points[0].loss

    def test_no_honest_answer_fails_and_a_forged_one_does(self, job: Job) -> None:
        family, design = job.family, job.design
        rules = family.tests(design.spec, design.plan, 2, secrets.randbits)
        start = family.start(design).current.weights_int
        other = design.rounded(np.linspace(-0.5, 0.7, design.plan.weights))
        history = []
        for weights in (start, other):
            sent = {str(i): tuple(opened(job, one, weights)) for i, one in enumerate(job.prepared())}
            history.append(Opened(weights, sent))
        (first, second), honest = history, dict.fromkeys(history[0].updates)
        assert inspect(rules, Rounds([]), first, lambda _: True) == honest
        assert inspect(rules, Rounds([first]), second, lambda _: True) == honest
        forged = dict(second.updates) | {"0": tuple(2 * x for x in second.updates["0"] or ())}
        assert inspect(rules, Rounds([first]), replace(second, updates=forged), lambda _: True)["0"]


class NoisyFamilyContract:
    """What is relied on of a spec that asks mines to add noise to their sums."""

    @pytest.fixture
    def job(self) -> Job:
        raise NotImplementedError

    def test_sums_have_a_value_a_variance_and_a_price(self, job: Job) -> None:
        sums, price = job.family.sums(job.design.spec, [job.tables[0]]), job.family.price(job.design.spec)
        assert price is not None
        assert price.rho > 0
        assert sums.rows == len(job.tables[0])
        assert len(sums.values) == len(sums.variances)
        assert all(type(value) is int for value in sums.values)
        assert all(variance > 0 for variance in sums.variances)

    def test_noise_that_rounding_leaves_is_taken_and_other_is_refused(self, job: Job) -> None:
        family, spec, plan = job.family, job.design.spec, job.design.plan
        family.check_noise(spec, plan)
        shared = spec.model_copy(update={"noise": spec.noise.model_copy(update={"parts": 200})})
        with pytest.raises(ConsentError, match="noise"):
            family.check_noise(shared.model_copy(update={"rows_min": 1 << 31}), plan)

    def test_sums_depend_on_no_batches_and_no_order(self, job: Job) -> None:
        spec, table = job.design.spec, job.tables[0]
        whole = job.family.sums(spec, [table])
        assert job.family.sums(spec, iter(np.array_split(table, 7))) == whole
        assert job.family.sums(spec, [table[::-1]]) == whole

    def test_another_row_changes_sums_by_no_more_than_is_paid_for(self, job: Job) -> None:
        spec, price = job.design.spec, job.family.price(job.design.spec)
        table, most = job.tables[0].copy(), 0.0
        before = job.family.sums(spec, [table])
        for far in (1.0, 1e3, -1e6):
            table[0] = far
            after = job.family.sums(spec, [table])
            moved = zip(before.values, after.values, after.variances, strict=True)
            most = max(most, float(sum((a - b) ** 2 / (2 * v) for a, b, v in moved)))
        assert price is not None
        assert 0 < most <= price.rho

    def test_what_is_released_answers_and_is_restored(self, job: Job) -> None:
        family, spec, plan = job.family, job.design.spec, job.design.plan
        sums = family.sums(spec, [job.tables[0]])
        one = family.released(spec, plan, sums.values, sums.rows)
        assert one.rows == sums.rows
        assert family.restored(spec, plan, one.to_bytes()).digest() == one.digest()
        assert len(opened(job, one, family.start(job.design).current.weights_int)) == plan.weights
        moved = [value + (1 << 20) for value in sums.values]
        assert family.released(spec, plan, moved, sums.rows).digest() != one.digest()

    def test_the_id_is_stable_and_sums_without_noise_are_refused(self, job: Job) -> None:
        family, spec = job.family, job.design.spec
        assert family.sums_id(spec) == family.sums_id(type(spec).parse(spec.model_dump()))
        with pytest.raises(ConsentError):
            family.prepare(spec, job.design.plan, [job.tables[0]])
        with pytest.raises(ConsentError, match="rows: the data set has"):
            family.sums(spec, [job.tables[0][:9]])


class TestNoisyQuadratic(NoisyFamilyContract):
    @pytest.fixture
    def job(self) -> Job:
        return noisy_job(1)


class TestNoisyQuadraticOfSeveralTargets(NoisyFamilyContract):
    @pytest.fixture
    def job(self) -> Job:
        return noisy_job(3)


class TestQuadratic(FamilyContract):
    @pytest.fixture
    def job(self) -> Job:
        return quadratic_job(1)

    def test_it_fits_the_port(self) -> None:
        port: Family[Any, Any, Any, Any, Design, Any, Any, Any] = Quadratic()
        assert port.columns(quadratic_job(1).design.spec) == ("a", "b", "c", "y0")


class TestSums(MineContract):
    @pytest.fixture
    def job(self) -> Job:
        return sums_job(0)

    def test_it_fits_the_port(self) -> None:
        port: Family[SumsSpec, Any, Any, Any, Inquiry, Any, Any, Any] = Sums()
        assert port.columns(sums_job(0).design.spec) == ("x", "y")
        assert not port.scored


class TestSumsWithParameters(MineContract):
    @pytest.fixture
    def job(self) -> Job:
        return sums_job(2)


class TestQuadraticOfSeveralTargets(FamilyContract):
    @pytest.fixture
    def job(self) -> Job:
        return quadratic_job(3)


def noisy_job(outputs: int) -> Job:
    job = quadratic_job(outputs)
    noise = {
        "frac": 12,
        "row_max": 3 << 12,
        "constant": 1 << 12,
        "target_unit": 1 << 12,
        "deviation": 1 << 26,
    }
    spec = QuadraticSpec.parse(job.design.spec.model_dump() | {"noise": noise})
    design = replace(job.design, spec=spec, holdout=replace(job.design.holdout, spec=spec))
    return replace(job, design=design)


def sums_job(parameters: int) -> Job:
    columns = (number("x", -4, 4), number("y", 0, 10))
    terms = ({"kind": "moments", "columns": ("x", "y")}, {"kind": "outside", "columns": ("x", "y")})
    spec = spec_of(columns, *terms, parameters=parameters)
    rng = np.random.default_rng(0)
    tables = [np.column_stack([rng.normal(size=50), rng.uniform(0, 10, 50)]) for _ in range(3)]
    plan = plan_of(spec, secret().public.bits, 3)
    start = tuple(range(parameters))
    return Job(Inquiry(spec, plan, start, lambda visited: start if len(visited) < 2 else None), None, tables)


def quadratic_job(outputs: int) -> Job:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x @ rng.normal(size=(3, outputs)) + 0.3 * rng.normal(size=(200, outputs)) + 5
    names = [f"y{i}" for i in range(outputs)]
    design = design_like(
        x[:50], y[:50], list("abc"), names, feature_map=StandardWish(), key_bits=secret().public.bits
    )
    from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish

    tables = [np.column_stack([x[rows], y[rows]]) for rows in np.array_split(np.arange(50, 200), 3)]
    assert isinstance(design.plan, SlotPlan)
    return Job(design, GradientMemoryWish().optimiser(design.ground), tables)
