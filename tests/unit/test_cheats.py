"""The measured cheats: ARCHITECTURE has the table of all, and a few are played here on one partition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import cheats
from benchmarks.cheats import HOLDOUT, MINES, Campaign, Partition, measured
from benchmarks.liars import CHEATS, Mine
from sonar.families.quadratic.design import Wish, design_of

REPOSITORY = Path(__file__).parents[2]


def rows_of_the_table() -> dict[str, list[str]]:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text()
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    start = next(i for i, line in enumerate(lines) if line[0] == "cheat")
    table = lines[start + 2 : start + 2 + len(CHEATS)]
    return {name: cells for name, *cells in table}


def test_the_table_in_architecture_has_the_cheats_that_there_are() -> None:
    assert list(rows_of_the_table()) == list(CHEATS)


def test_its_figures_keep_what_is_promised() -> None:
    for name, (pay, _others, model, *_) in rows_of_the_table().items():
        known = name in cheats.KNOWN
        assert int(pay.rstrip("%")) <= (110 if CHEATS[name].against_itself else 25) or known, name
        assert float(model) <= (1.10 if "targets" in name else 1.05) or known, name


@pytest.mark.parametrize(
    ("name", "most", "model"),
    [
        ("x3", 0.0, 1.01),
        ("x-3 in round 4 only", 0.0, 1.05),
        ("replay of another's answer, re-randomised", 0.0, 1.05),
        ("one random slot", 0.0, 1.05),
        ("no data: the mean in the bias", 0.0, 1.01),
        ("no data: A = I, b = 0", 0.25, 1.1),
        ("negated targets", 0.25, 1.1),
        ("rows overstated 1,000 times", 1.1, 1.05),
        ("3 twins", 1.1, 1.05),
    ],
)
def test_a_cheat_earns_little(name: str, most: float, model: float) -> None:
    found = measured(0, [name])[name]
    assert found.paid <= most * found.honest
    assert found.model <= model
    assert found.wrongly == 0


@pytest.mark.parametrize("name", ["x3", "x-3 in round 4 only", "one random slot", "no data: A = I, b = 1"])
def test_under_noise_an_answer_that_was_changed_or_made_up_earns_nothing(name: str) -> None:
    found = measured(0, [name], epsilon=4.0)[name]
    assert found.paid == 0.0
    assert found.wrongly == 0


def test_under_noise_twins_are_paid_twice() -> None:
    """Known, and said in docs/left-out.md: each has noise of its own."""
    found = measured(0, ["2 twins"], epsilon=4.0)["2 twins"]
    assert found.counted == 1.0
    assert found.paid > 1.2 * found.honest


def test_a_model_made_without_data_earns_nothing(tmp_path: Path) -> None:
    """All mines guess, so that nobody's data are in it: only fees are paid."""
    partition = Partition(0)
    bounty = partition.bounty(MINES)
    shard, rng = partition.shards(bounty)[0], cheats.seeded(0)
    for name in ("no data: zeros", "no data: A = I, b = 0", "no data: the published means as rows"):
        mines: list[Mine] = []
        for i in range(1, MINES + 1):
            mines += CHEATS[name].mines([f"0x{i:040x}"], shard, rng)
        folder = tmp_path / name.replace(":", "")
        folder.mkdir()
        rounds = Campaign(folder, bounty, mines).run()
        fees = bounty.terms.fee_units * MINES * len(rounds)
        paid = sum(sum(each.paid.values()) for each in rounds)
        assert paid - fees <= bounty.terms.reward_units // 100


def test_all_answers_weigh_the_same_by_default() -> None:
    x, y = Partition(0).rows
    names = [f"c{i}" for i in range(x.shape[1])]
    for rows in (None, 50):
        wish = Wish(key_bits=2048, rows_min=rows)
        design = design_of(wish, x[:HOLDOUT], y[:HOLDOUT, None], names, ["y"], np.random.RandomState)
        assert design.plan.weight_rows == design.spec.rows_min  # and nobody may have fewer rows than these
