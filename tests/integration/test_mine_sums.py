"""A mine's work on a question of sums: from a file as people write it to an answer that the key opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gmpy2 import mpz

from mine.consent import Policy
from mine.data import dataset as data
from mine.data.dataset import DataSet
from mine.work import trainer
from mine.work.pool import Pool
from mine.work.trainer import Task
from sonar.errors import ConsentError, DataError, RemoteError
from sonar.families.question import write_visible
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import from_integers, plan_of
from sonar.manifests.model import PlanSpec
from sonar.protocol.ids import ETHER, BountyId, Digest
from sonar.protocol.phase import BountyState
from sonar.store.memory import MemoryStore
from sonar.store.mend import put_blob
from tests.integration.mine_kit import TERMS, TinyModels, scientist_key
from tests.sums_kit import category, number, spec_of
from tests.veil_kit import HERE

POLICY = Policy(insecure_keys=True)
STATE = BountyState(
    BountyId(b"b" * 32), ETHER, 0, 1, 0, 0, False, TERMS, 0, TERMS.initial_loss, Digest(b"m" * 32)
)
COLUMNS = (number("age", 0, 100), category("sex", ("f", "m")), number("bmi", 10, 60, missing=True))
SPEC = spec_of(
    COLUMNS,
    {"kind": "moments", "columns": ("age", "sex")},
    {"kind": "outside", "columns": ("age", "bmi")},
)


def task_of(spec: SumsSpec, blob: bytes | None = None) -> Task:
    models = TinyModels(MemoryStore())
    plan = PlanSpec(**plan_of(spec, 1024, TERMS.cohort_cap).to_dict())
    asked = put_blob(models.store, write_visible([0] * spec.parameters) if blob is None else blob)
    models.store.put(models.key_manifest.to_bytes(), "dag-cbor")
    model = models.manifest(family=spec, plan=plan, blobs=asked)
    digest = models.store.put(model.to_bytes(), "dag-cbor").digest
    key_digest = models.key_manifest.digest()
    task = trainer.read_task(HERE, models.store, STATE, digest, key_digest, POLICY)
    trainer.read_question(models.store, task, task.model)
    return task


def people(path: Path, rows: int = 40, *, women: int = 20) -> DataSet:
    lines = ["name,sex,bmi,age"]
    for i in range(rows):
        lines.append(f"P{i},{'f' if i < women else ' m'},{'NA' if i % 4 == 0 else 20 + i % 7},{30 + i}")
    (path / "people.csv").write_text("\n".join(lines))
    return data.register_csv(path / "people.csv")


@pytest.mark.parametrize("parameters", [0, 3])
def test_text_and_missing_cells_become_sums_that_the_key_opens(tmp_path: Path, parameters: int) -> None:
    spec = SPEC.model_copy(update={"parameters": parameters})
    task, dataset = task_of(spec), people(tmp_path)
    trainer.fits(task, dataset)
    prepared = trainer.prepare(task, dataset)
    asked = [mpz(0)] * parameters
    update = trainer.make_update(task, prepared, asked, Pool(tmp_path / "pool.sqlite"), dataset)
    opened = task.plan.unpack(scientist_key().unsafe_decrypt(update), weight=1)
    found = from_integers(spec, task.plan, opened)
    ages = np.arange(30, 70)
    triangle = found["t0"].sum(axis=0).ravel()
    assert found.rows == triangle[0] == 40
    assert triangle[1] == pytest.approx((ages / 50 - 1).sum(), abs=1e-6)
    assert triangle[2] == 20  # men
    assert triangle[4] == pytest.approx((ages[20:] / 50 - 1).sum(), abs=1e-6)
    assert found["t1"].tolist() == [[0, 0, 0], [10, 0, 0]]


def test_a_group_of_four_is_refused_at_joining(tmp_path: Path) -> None:
    with pytest.raises(ConsentError, match="column 'sex' has a category with 1 to 4 rows"):
        trainer.prepare(task_of(SPEC), people(tmp_path, women=4))


def test_too_few_rows_are_refused_before_any_is_read(tmp_path: Path) -> None:
    dataset = people(tmp_path, 9)
    (tmp_path / "people.csv").unlink()
    with pytest.raises(ConsentError, match="the data set has 9"):
        trainer.fits(task_of(SPEC), dataset)


def test_a_column_left_out_by_name_is_named(tmp_path: Path) -> None:
    people(tmp_path)
    dataset = data.register_csv(tmp_path / "people.csv", without=["sex"])
    with pytest.raises(DataError, match=r"has no column 'sex'.*you left it out"):
        trainer.fits(task_of(SPEC), dataset)


def test_a_category_that_the_bounty_does_not_know_is_told_with_its_line(tmp_path: Path) -> None:
    dataset = people(tmp_path)
    spec = spec_of((COLUMNS[0], category("sex", ("f", "w"))), {"kind": "moments", "columns": ("age", "sex")})
    with pytest.raises(DataError, match=r"line 22: column 'sex': 'm' is none of the bounty's categories"):
        trainer.prepare(task_of(spec), dataset)


@pytest.mark.parametrize("blob", [bytes(7), bytes(16), b"\1" + bytes(7)])
def test_a_question_that_is_none_is_refused(blob: bytes) -> None:
    with pytest.raises(RemoteError):
        task_of(SPEC, blob)
