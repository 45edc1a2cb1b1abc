"""The table [privacy] of a bounty: what may stand in it, what comes of it, and what a scientist is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.privacy import Deal
from pysonar.bounty.expected import simulated
from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from sonar.errors import ConfigError
from sonar.families.registry import family_of
from sonar.privacy.accounting import epsilon_of, rho_of


def bounty(privacy: dict[str, Any] | None = None, **fields: Any) -> Bounty:
    if privacy is not None:
        fields["privacy"] = privacy
    return Bounty.example("diabetes", **fields)


def told(one: Bounty) -> str:
    """The explanation on one line."""
    return " ".join(explain(one).split())


@pytest.mark.parametrize(("noise", "parts"), [("local", 1), ("shared", 3)])
def test_the_file_and_code_say_the_same(noise: str, parts: int, tmp_path: Path) -> None:
    path = tmp_path / "bounty.toml"
    path.write_text(
        'name = "diabetes"\n'
        f'[privacy]\nepsilon = 4\ndelta = 1e-6\nnoise = "{noise}"\n'
        '[capsules]\n[holdout]\nexample = "diabetes"\nrows = 42\n'
    )
    read = Bounty.from_toml(path)
    assert read == bounty({"epsilon": np.float64(4.0), "delta": 1e-6, "noise": noise}, capsules={})
    price = family_of(read.design.spec).price(read.design.spec)
    assert price is not None
    assert price.parts == parts
    assert 3.999 < epsilon_of(price.rho, 1e-6) <= 4.0


def test_without_the_table_there_is_no_noise_and_the_digest_is_another() -> None:
    plain, noisy = bounty(), bounty({"epsilon": 4.0})
    assert plain.design.spec.noise is None
    assert plain.digest != noisy.digest
    assert bounty({"epsilon": 4.0}).digest == noisy.digest
    assert "Noise" not in explain(plain)
    assert "of a column of 0 and 1, five rows of each" in told(plain)


@pytest.mark.parametrize(
    ("privacy", "words"),
    [
        ({"epsilon": 0}, r"privacy\.epsilon: is 0\.0; it must be from 0\.01 to 100"),
        ({"epsilon": -8.0}, r"privacy\.epsilon: is -8\.0; it must be from"),
        ({"epsilon": float("inf")}, r"privacy\.epsilon: is inf; it must be from"),
        ({"epsilon": float("nan")}, r"privacy\.epsilon: is nan; it must be from"),
        ({"epsilon": 101}, r"privacy\.epsilon: is 101\.0; it must be from"),
        ({"epsilon": "8"}, r"privacy\.epsilon: must be a number \(got '8'\)"),
        ({}, r"privacy\.epsilon: missing"),
        ({"epsilon": 8, "delta": 1}, r"privacy\.delta: 1\.0 is not from 1e-100 to below 1"),
        ({"epsilon": 8, "delta": 0}, r"privacy\.delta: 0\.0 is not from"),
        ({"epsilon": 8, "delta": float("nan")}, r"privacy\.delta: nan is not from"),
        ({"epsilon": 8, "noise": "global"}, r"privacy\.noise: must be 'local' or 'shared'"),
        ({"epsilon": 8, "noise": "shared"}, r"privacy\.noise: is 'shared', and only capsules"),
        ({"epsilon": 8, "epsilonn": 8}, r"privacy\.epsilonn: there is no such field"),
        (8, r"privacy: "),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(privacy: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        bounty(privacy)
    assert raised.value.hint


def test_noise_takes_one_local_step() -> None:
    with pytest.raises(ConfigError, match="local_steps: is 4, and noise is added"):
        bounty({"epsilon": 8}, local_steps=4)


def test_a_misspelt_table_is_told_the_right_name(tmp_path: Path) -> None:
    path = tmp_path / "bounty.toml"
    path.write_text('name = "d"\n[privcy]\nepsilon = 4\n[holdout]\nexample = "diabetes"\n')
    with pytest.raises(ConfigError) as raised:
        Bounty.from_toml(path)
    assert "[privacy]" in raised.value.hint


def test_local_noise_is_explained_with_its_price_and_what_it_costs_in_accuracy() -> None:
    text = told(bounty({"epsilon": 8.0}))
    assert f"(8, 1e-05)-differential privacy, a rho of {float(rho_of(8.0, 1e-5)):.4g} in zCDP" in text
    assert "each mine's own noise is enough. It holds against you" in text
    assert "uses the same release and costs it nothing more" in text
    assert "open each mine's A and b, with its noise" in text
    assert "with 10 mines of 33 rows, expect R²" in text
    assert "with 3 mines of 33 rows, R²" in text
    assert "without noise, R²" in text
    assert "five rows of each" not in text
    assert "warning" not in text


def test_shared_noise_is_explained_with_those_who_can_take_it_away() -> None:
    text = told(bounty({"epsilon": 8.0, "noise": "shared"}, capsules={}, min_mines=5))
    assert "the noise of 5 mines together is enough (min_mines), so each adds 1/5 of it" in text
    assert "of mines that do, or that are yours, that part is missing" in text
    alone = epsilon_of(5 * rho_of(8.0, 1e-5), 1e-5)
    assert f"all of it if 2 capsules help you. Its own noise leaves a row ({alone:.4g}, 1e-05)" in text


def test_a_target_that_noise_puts_out_of_reach_is_warned_of_with_numbers() -> None:
    text = told(bounty({"epsilon": 1.0}, r2=0.5))
    assert "warning: at this noise R² 0.5000" in text
    assert "is hardly reached; with 10 mines, expect R²" in text
    assert "warning" not in told(bounty({"epsilon": 8.0}, r2=0.2))


def test_a_delta_that_gives_rows_away_is_warned_of() -> None:
    assert "give a smaller privacy.delta" in told(bounty({"epsilon": 8.0, "delta": 0.1}))


def test_what_is_expected_falls_with_noise_and_with_fewer_mines_and_is_told_the_same_again() -> None:
    one, four = bounty({"epsilon": 1.0}), bounty({"epsilon": 4.0})
    plain = simulated(four, 10, noise=False).middle
    assert plain < simulated(four, 10).middle < simulated(four, 3).middle
    assert simulated(four, 10).middle < simulated(one, 10).middle
    simulated.cache_clear()
    assert simulated(bounty({"epsilon": 4.0}), 10) == simulated(four, 10)


@pytest.mark.parametrize("epsilon", [None, 8.0, 4.0])
def test_what_is_expected_comes_near_to_what_campaigns_reach(epsilon: float | None) -> None:
    """On the mean of eight deals of the diabetes rows."""
    off = []
    for seed in range(8):
        deal = Deal(seed)
        x, y = deal.table
        fields: dict[str, Any] = {} if epsilon is None else {"privacy": {"epsilon": epsilon}}
        names = [f"c{i}" for i in range(x.shape[1])]
        one = Bounty.of(x[:42], y[:42], target="y", features=names, name="d", **fields)
        expected = 1.0 - simulated(one, 10, noise=epsilon is not None).middle / 1e6
        off.append(expected - deal.r2(epsilon))
    assert abs(float(np.mean(off))) < 0.05
