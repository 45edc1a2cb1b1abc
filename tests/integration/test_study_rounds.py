"""Statistics of several rounds on a real chain: what the mines' tables give here, and in as many rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pysonar.statistics.base import Statistic
from pysonar.statistics.evaluation.statistic import Evaluation
from pysonar.statistics.glm.statistic import Glm
from pysonar.statistics.local import compute
from pysonar.statistics.survival.cox import Cox
from pysonar.statistics.survival.kaplan_meier import KaplanMeier
from sonar.data.fixed import to_q32
from sonar.data.schema import NumberColumn, Rows, Schema
from sonar.errors import ConsentError
from sonar.families.sums.weighing import Weighing
from sonar.protocol.events import RoundSettled
from tests.integration import study_world
from tests.integration.study_world import Matrix, StudyWorld

SCHEMA: Schema = (
    NumberColumn(name="months", low_q32=0, high_q32=to_q32(24)),
    NumberColumn(name="died", low_q32=0, high_q32=to_q32(1)),
    NumberColumn(name="dose", low_q32=to_q32(-4), high_q32=to_q32(4)),
)
GRID = (6.0, 12.0, 18.0, 24.0)


def table(index: int, rows: int = 400) -> Matrix:
    """Months in half years until death, which a dose puts off."""
    rng = np.random.default_rng(index)
    dose = rng.uniform(-2, 2, rows)
    months = np.minimum(6 * np.ceil(rng.exponential(3 * np.exp(0.5 * dose))), 24)
    return np.column_stack([months, (rng.random(rows) < 0.8) & (months < 24), dose]).astype(np.float64)


COX = Cox(time="months", event="died", columns=("dose",), grid=GRID)
LOGISTIC = Glm(family="binomial", target="died", columns=("dose", "months"))
CURVE = KaplanMeier(time="months", event="died", grid=GRID)
MEASURED = Evaluation(
    task="logistic", target="died", columns=("dose",), coefficients=((-0.5,),), intercepts=(0.3,)
)


@pytest.mark.parametrize("statistic", [COX, LOGISTIC, CURVE, MEASURED], ids=lambda one: one.kind)
def test_a_network_finds_what_tables_here_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statistic: Statistic
) -> None:
    monkeypatch.setattr(study_world, "table", table)
    world = StudyWorld(tmp_path, statistic=statistic, schema=SCHEMA, study={"rounds": statistic.rounds})
    campaign = world.campaign()
    world.run_to_end(campaign)
    found: dict[str, Any] = campaign.result().to_dict()
    here = compute(statistic, SCHEMA, [table(miner.index) for miner in world.miners]).to_dict()
    rounds = int(here.get("rounds", 1))
    assert found.get("rounds", 1) == rounds
    assert [event.new_loss for event in world.events(RoundSettled)] == [1_000_000] * (rounds - 1) + [0]
    near(found, here)
    world.check_money()


def near(one: Any, other: Any) -> None:
    """Compare two documents, numbers as far as fixed point of another bounty lets them differ."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            near(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            near(*pair)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-8)
    else:
        assert one == other


def test_a_mine_does_not_tell_apart_the_few_rows_that_end_at_a_time() -> None:
    term, spec = COX.spec(SCHEMA, 10, 1000).terms[0], COX.spec(SCHEMA, 10, 1000)
    names = [column.name for column in SCHEMA]
    rows = table(1)[:, [names.index(column.name) for column in spec.columns]]
    months = rows[:, 0]
    asked = COX.start(spec)
    few = rows[(months != 6) | (np.cumsum(months == 6) <= 4)]
    for given, enough in ((rows, True), (few, False)):
        weighing = Weighing(spec, asked)
        weighing.see(Rows(spec.columns, given))
        if enough:
            weighing.check()
        else:
            with pytest.raises(ConsentError, match=f"term '{term.name}'"):
                weighing.check()
