from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz

from mine.consent import Policy
from mine.data import dataset as data
from mine.work import trainer
from mine.work.pool import Pool
from mine.work.trainer import Task
from sonar.data.fixed import to_q32
from sonar.errors import BoundsError, ConsentError, DataError, ManifestError
from sonar.families.quadratic.answer import LocalMap
from sonar.manifests.model import PlanSpec
from sonar.paillier.slots import SlotPlan, encode_weights
from sonar.protocol.ids import ETHER, BountyId, Digest
from sonar.protocol.phase import BountyState
from sonar.store.memory import MemoryStore
from sonar.store.mend import put_blob
from tests.integration.mine_kit import (
    SPEC,
    TERMS,
    TinyModels,
    clear_update,
    scientist_key,
    slot_plan,
    write_csv,
)
from tests.veil_kit import HERE, Somewhere

POLICY = Policy(insecure_keys=True)
STATE = BountyState(
    BountyId(b"b" * 32), ETHER, 0, 1, 0, 0, False, TERMS, 0, TERMS.initial_loss, Digest(b"m" * 32)
)


@pytest.fixture
def scientist() -> TinyModels:
    return TinyModels(MemoryStore())


def read(scientist: TinyModels, **changes: Any) -> Task:
    model = scientist.manifest(**changes)
    scientist.store.put(scientist.key_manifest.to_bytes(), "dag-cbor")
    digest = scientist.store.put(model.to_bytes(), "dag-cbor").digest
    return trainer.read_task(HERE, scientist.store, STATE, digest, scientist.key_manifest.digest(), POLICY)


@pytest.mark.parametrize(("parts", "again"), [(1, True), (3, False)])
def test_shared_noise_is_known_by_its_bounty(scientist: TinyModels, parts: int, again: bool) -> None:
    """Two bounties that ask the same: local noise serves both, and shared noise is drawn for each."""
    noise = {
        "frac": 12,
        "row_max": 8192,
        "constant": 4096,
        "target_unit": 4096,
        "deviation": 1 << 26,
        "parts": parts,
    }
    task = read(scientist, family=type(SPEC).parse(SPEC.model_dump() | {"noise": noise}))
    model, key = (
        scientist.store.put(task.model.to_bytes(), "dag-cbor").digest,
        scientist.key_manifest.digest(),
    )
    elsewhere = Somewhere(HERE.chain_id + 1), STATE
    found = [
        trainer.read_task(site, scientist.store, state, model, key, POLICY).asked(3).sums
        for site, state in (
            (HERE, STATE),
            (HERE, STATE),
            (HERE, replace(STATE, bounty=BountyId(b"c" * 32))),
            elsewhere,
        )
    ]
    assert found[0] == found[1]
    assert len(set(found)) == (1 if again else 3)


def prepared(task: Task, dataset: data.DataSet) -> LocalMap:
    made = trainer.prepare(task, dataset)
    assert isinstance(made, LocalMap)
    return made


def test_an_update_decrypts_to_what_numpy_computes_in_the_clear(
    scientist: TinyModels, tmp_path: Path
) -> None:
    path, pool = write_csv(tmp_path / "d.csv"), Pool(tmp_path / "pool.sqlite")
    task = read(scientist)
    weights = trainer.read_question(scientist.store, task, task.model)
    dataset = data.register_csv(path)
    mapped = trainer.prepare(task, dataset)
    first = trainer.make_update(task, mapped, weights, pool, dataset)
    second = trainer.make_update(task, mapped, weights, pool, dataset)
    assert first != second
    for update in (first, second):
        plain = scientist_key().unsafe_decrypt(update)
        assert slot_plan().unpack(plain, weight=1) == clear_update(path)


def test_the_digest_of_the_map_tells_data_apart(scientist: TinyModels, tmp_path: Path) -> None:
    task = read(scientist)
    one = trainer.prepare(task, data.register_csv(write_csv(tmp_path / "1.csv", seed=1)))
    two = trainer.prepare(task, data.register_csv(write_csv(tmp_path / "2.csv", seed=2)))
    trainer.check_map(one, one.digest())
    with pytest.raises(ConsentError, match="other sums"):
        trainer.check_map(two, one.digest())


def test_a_clip_below_the_largest_value_cannot_single_out_a_row(
    scientist: TinyModels, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "d.csv")
    x = np.sort(np.loadtxt(path, delimiter=",", skiprows=1, usecols=0))
    middle, narrow = to_q32(float(x[-1] + x[-2]) / 2), to_q32(1e-6)
    spec = SPEC.model_dump() | {
        "stages": (
            {"kind": "standard", "mean_q32": (middle, 0), "std_q32": (narrow, 1 << 32), "clip_q32": 1 << 32},
        )
    }
    task = read(scientist, family=type(SPEC).parse(spec))
    with pytest.raises(ConsentError, match="only 1 row differs"):
        trainer.prepare(task, data.register_csv(path))


def mapped(scientist: TinyModels, **stage: object) -> Task:
    spec = type(SPEC).parse(SPEC.model_dump() | {"stages": (stage,)})
    return read(scientist, family=spec, plan=PlanSpec(**slot_plan().to_dict() | {"weights": spec.weights}))


def test_the_least_rows_are_for_the_weights_that_the_map_makes(scientist: TinyModels, tmp_path: Path) -> None:
    task = mapped(scientist, kind="polynomial", degree=3)
    few = data.register_csv(write_csv(tmp_path / "few.csv", rows=29))
    for check in (trainer.fits, trainer.prepare):
        with pytest.raises(ConsentError, match="10 weights of 2 columns need at least 30"):
            check(task, few)
    enough = data.register_csv(write_csv(tmp_path / "enough.csv", rows=30))
    trainer.fits(task, enough)
    assert prepared(task, enough).a_int.shape == (10, 10)


def test_no_map_makes_a_mine_look_at_combinations_without_end(scientist: TinyModels, tmp_path: Path) -> None:
    """A cosine makes one column of many, and products after it are not of the columns."""
    names = [f"c{i}" for i in range(60)]
    one = {"kind": "fourier", "weights_q32": [[1 << 32] * 60], "phases_q32": [0]}
    narrow, cube = {"kind": "clip", "clip_q32": 1 << 32}, {"kind": "polynomial", "degree": 3}
    spec = type(SPEC).parse(SPEC.model_dump() | {"features": names, "stages": (one, narrow, cube, cube)})
    task = read(scientist, family=spec, plan=PlanSpec(**slot_plan().to_dict() | {"weights": spec.weights}))
    table = np.random.default_rng(0).integers(0, 2, (80, 61)).tolist()
    (tmp_path / "d.csv").write_text("\n".join(",".join(map(str, row)) for row in [[*names, "y"], *table]))
    mapped = prepared(task, data.register_csv(tmp_path / "d.csv"))
    assert mapped.a_int.shape == (20, 20)


def test_a_product_that_singles_out_rows_is_named(scientist: TinyModels, tmp_path: Path) -> None:
    rows = [(0, 0)] * 14 + [(1, 0)] * 7 + [(0, 1)] * 7 + [(1, 1)] * 2
    (tmp_path / "d.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{a + b}\n" for a, b in rows))
    flags = data.register_csv(tmp_path / "d.csv")
    trainer.prepare(read(scientist), flags)
    with pytest.raises(ConsentError, match="'a b': only 2 rows differ"):
        trainer.prepare(mapped(scientist, kind="polynomial", degree=2), flags)
    (tmp_path / "e.csv").write_text("a,b,y\n" + "".join(f"{2 * a - 1},{b + 1},{a}\n" for a, b in rows))
    with pytest.raises(ConsentError, match="columns 'a', 'b': have a combination of values"):
        trainer.prepare(mapped(scientist, kind="polynomial", degree=2), data.register_csv(tmp_path / "e.csv"))


def test_a_target_beyond_the_bounty_s_limit_is_refused(scientist: TinyModels, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "d.csv")
    few, many = "1,1,x,101\n" * 3, "1,1,x,-101\n"  # of 33 rows, 34: up to one of ten may be clipped
    path.write_text(path.read_text() + few)
    trainer.prepare(read(scientist), data.register_csv(path))
    path.write_text(path.read_text() + many)
    with pytest.raises(BoundsError, match="column 'y': more than 10% of the values lie more than 100"):
        trainer.prepare(read(scientist), data.register_csv(path))


def test_data_beyond_the_plan_s_bounds_are_refused(scientist: TinyModels, tmp_path: Path) -> None:
    plan = slot_plan().to_dict() | {"b_max": 1 << 20}
    task = read(scientist, plan=PlanSpec(**plan))
    with pytest.raises(BoundsError, match="b_max"):
        trainer.prepare(task, data.register_csv(write_csv(tmp_path / "d.csv")))


def test_a_column_in_other_units_is_named(scientist: TinyModels, tmp_path: Path) -> None:
    """Its own mean stays where it is: the refusal goes into logs."""
    stage = {
        "kind": "standard",
        "mean_q32": (0, to_q32(37.5)),
        "std_q32": (1 << 32,) * 2,
        "clip_q32": 8 << 32,
    }
    spec = type(SPEC).parse(SPEC.model_dump() | {"stages": (stage,)})
    task = read(scientist, family=spec, plan=PlanSpec(**slot_plan().to_dict() | {"a_row_l1_max": 1 << 21}))
    with pytest.raises(BoundsError, match="a_row_l1_max") as caught:
        trainer.prepare(task, data.register_csv(write_csv(tmp_path / "d.csv")))
    assert caught.value.hint.endswith("Farthest from their means in the bounty are 'b' (37.5).")


def test_a_missing_column_is_named_before_anything_is_read(scientist: TinyModels, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,y\n" + "1,2\n" * 30)
    with pytest.raises(DataError, match="no column 'b'"):
        trainer.fits(read(scientist), data.register_csv(tmp_path / "d.csv"))
    (tmp_path / "t.csv").write_text("a,b,y\n" + "1,no,2\n" * 30)
    with pytest.raises(DataError, match=r"no column 'b'.*left out when it was registered: line 2: 'no'"):
        trainer.fits(read(scientist), data.register_csv(tmp_path / "t.csv"))


def test_a_column_that_a_bounty_names_in_two_spellings_is_refused(
    scientist: TinyModels, tmp_path: Path
) -> None:
    """It would be a feature and the target, or twice a feature."""
    task = read(scientist)
    family = task.model.family.model_copy(update={"features": ("a", " y")})
    hostile = replace(task, model=task.model.model_copy(update={"family": family}))
    with pytest.raises(DataError, match="column 'y': is the name of two columns of the bounty"):
        trainer.fits(hostile, data.register_csv(write_csv(tmp_path / "d.csv")))


def test_weights_of_another_key_do_not_pass(scientist: TinyModels) -> None:
    n = int(scientist.key.public.n)
    task = read(scientist)
    width = scientist.key.public.ciphertext_bytes
    for bad in (0, n, n * n):
        blob = b"".join(int(mpz(c)).to_bytes(width, "big") for c in (5, bad, 7))
        model = task.model.model_copy(update={"blobs": put_blob(scientist.store, blob)})
        with pytest.raises(Exception, match="ciphertext 1"):
            trainer.read_question(scientist.store, task, model)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"plan": PlanSpec(**(slot_plan().to_dict() | {"key_bits": 2048}))}, "key_bits"),
        ({"plan": PlanSpec(**(slot_plan().to_dict() | {"mines_max": 2}))}, "mines_max"),
        ({"round_number": 2}, "model.round"),
    ],
)
def test_a_task_that_contradicts_itself_is_refused(
    scientist: TinyModels, changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ManifestError, match=problem):
        read(scientist, **changes)


def test_nothing_but_the_weights_may_change_between_rounds(scientist: TinyModels) -> None:
    task = read(scientist)
    trainer.check_frozen(task, scientist.manifest(2))
    other = PlanSpec(**(slot_plan().to_dict() | {"b_max": 5 << 20}))
    for changes, field in (
        ({"plan": other}, "plan"),
        ({"name": "x"}, "name"),
        ({"zero_start": True}, "zero_start"),
    ):
        with pytest.raises(ManifestError, match=f"model.{field}"):
            trainer.check_frozen(task, scientist.manifest(2, **changes))


def test_a_mine_answers_for_several_targets_at_once(scientist: TinyModels, tmp_path: Path) -> None:
    """A is shared by the outputs, and each has its own weights and its own b."""
    targets = tuple(SPEC.targets[0].model_copy(update={"name": name}) for name in ("y", "z"))
    spec = SPEC.model_copy(update={"targets": targets})
    plan = SlotPlan.from_dict(slot_plan().to_dict() | {"weights": 6, "outputs": 2})
    weights = np.array([0.5, -0.25, 2.0, -1.0, 0.75, 0.125])
    enc = scientist.key.encrypt_weights(encode_weights(weights.reshape(2, 3).T, plan))
    blobs = put_blob(scientist.store, scientist.key.public.encode_blob(enc))
    task = read(scientist, family=spec, plan=PlanSpec(**plan.to_dict()), blobs=blobs)
    assert task.columns == ("a", "b", "y", "z")

    x = np.random.default_rng(3).normal(size=(40, 2))
    y = np.column_stack([x @ [3.0, -1.0] + 5, x @ [-2.0, 0.5] - 1])
    rows = np.column_stack([x, y]).tolist()
    (tmp_path / "d.csv").write_text("a,b,y,z\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows))
    dataset = data.register_csv(tmp_path / "d.csv")
    trainer.fits(task, dataset)
    prepared = trainer.prepare(task, dataset)
    assert trainer.restored(task, prepared.to_bytes()).digest() == prepared.digest()
    pool = Pool(tmp_path / "pool.sqlite")
    update = trainer.make_update(
        task, prepared, trainer.read_question(scientist.store, task, task.model), pool, dataset
    )

    phi = np.column_stack([x, np.ones(40)])
    a, b = (np.rint(phi.T @ each / 40 * 2**20) for each in (phi, y))
    w = [round(one * 2**16) for one in weights]
    clear = [
        int(b[i, o]) * 2**16 - sum(int(a[i, j]) * w[3 * o + j] for j in range(3))
        for o in range(2)
        for i in range(3)
    ]
    opened = plan.unpack(scientist.key.unsafe_decrypt(update), weight=1)
    assert opened == clear


@pytest.mark.parametrize("junk", [b"", b"1,2", b"1,x", b"30," + b"1," * 11 + b"1", b"\xff"])
def test_sums_that_are_none_are_refused(scientist: TinyModels, junk: bytes) -> None:
    if junk.count(b",") == 12:  # as many as there should be: 3 x 3 and 3
        assert trainer.restored(read(scientist), junk).rows == 30
    else:
        with pytest.raises(DataError, match="sums: are not the 12 numbers"):
            trainer.restored(read(scientist), junk)
