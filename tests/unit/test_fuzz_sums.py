"""Hostile questions of sums, and hostile rows for those that are taken for sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sonar.errors import ConsentError, DataError, SonarError
from sonar.families.sums.family import Sums
from sonar.families.sums.inspection import Rules, failed
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import parameters_from_integers, plan_of, to_integers, totals
from sonar.manifests.model import ModelManifest, PaillierCover, PlanSpec
from sonar.protocol import codec
from sonar.protocol.ids import Cid, Digest
from tests.sums_kit import COLUMNS, hostile_parameters, hostile_rows, known_terms, spec_of
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, changed_value, fuzz

KEY_BITS, ROWS = 2048, 12
SPECS = [spec_of(COLUMNS, term, parameters=count).model_dump() for count, term in known_terms()]
TOGETHER = spec_of(COLUMNS, *(term for count, term in known_terms() if not count)).model_dump()


def hostile(rng: Rng) -> Any:
    fields = changed_value(rng, rng.choice((*SPECS, TOGETHER)))
    return changed_value(rng, fields) if rng.random() < 0.3 else fields


def as_spec(fields: Any) -> SumsSpec:
    return SumsSpec.parse(fields if isinstance(fields, dict) else {"columns": fields})


def manifest(spec: SumsSpec) -> ModelManifest:
    return ModelManifest(
        name="sums",
        round=1,
        family=spec,
        cover=PaillierCover(),
        plan=PlanSpec(**plan_of(spec, KEY_BITS, 255).to_dict()),
        key=Cid("dag-cbor", Digest(bytes(32))),
        blobs=(Cid("raw", Digest(bytes(32))),),
        zero_start=True,
        holdout=Digest(bytes(32)),
    )


@pytest.mark.parametrize("fields", [*SPECS, TOGETHER], ids=lambda fields: fields["terms"][0]["kind"])
def test_a_question_comes_back_from_its_manifest(fields: dict[str, Any]) -> None:
    spec = SumsSpec.parse(fields)
    data = manifest(spec).to_bytes()
    assert ModelManifest.from_bytes(data).family == spec


def test_manifests_of_questions() -> None:
    blocks = [manifest(SumsSpec.parse(fields)).to_bytes() for fields in (*SPECS, TOGETHER)]
    trees: list[Any] = [codec.decode(block) for block in blocks]

    def make(rng: Rng) -> bytes:
        if rng.random() < 0.5:
            return changed_bytes(rng, rng.choice(blocks))
        tree = rng.choice(trees)
        try:
            return codec.encode({**tree, "family": changed_value(rng, tree["family"])})
        except SonarError:  # the change has no encoding
            return blocks[0][:-1]

    def decode(data: bytes) -> None:
        found = ModelManifest.from_bytes(data)
        assert found.to_bytes() == data
        assert found.slot_plan.weights == found.family.weights

    assert fuzz(make, decode, INPUTS // 2) > INPUTS // 10_000


def test_questions() -> None:
    """One that is taken has finite bounds, a plan of its own, and words for people."""

    def decode(fields: Any) -> None:
        spec = as_spec(fields)
        assert spec.values == len(spec.bounds) <= 4096
        assert np.isfinite(spec.bounds).all()
        assert (spec.bounds > 0).all()
        assert plan_of(spec, KEY_BITS, 255).weights == spec.values
        assert Sums().in_words(spec).isprintable()

    assert fuzz(hostile, decode, INPUTS // 2) > INPUTS // 200


def test_what_questions_make_of_hostile_rows() -> None:
    """An answer to one that is taken is within its bounds, and passes the tests of single answers."""
    rng = np.random.default_rng(INPUTS)

    def decode(fields: Any) -> None:
        spec, seed = as_spec(fields), int(rng.integers(1 << 31))
        plan = plan_of(spec, KEY_BITS, 255)
        try:
            rows = hostile_rows(ROWS, seed)[:, : len(spec.columns)]
            question = hostile_parameters(spec.parameters, seed)
            found = totals(spec, [rows], parameters_from_integers(question))
        except DataError:  # other columns than the rows have
            return
        if spec.rows_max >= ROWS:
            assert failed(Rules(spec, plan), to_integers(spec, plan, found), ROWS) is None
        try:
            Sums().prepare(spec, plan, [rows])
        except ConsentError:
            return

    assert fuzz(hostile, decode, INPUTS // 10) > INPUTS // 1000
