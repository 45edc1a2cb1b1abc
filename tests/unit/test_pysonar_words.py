"""What a bounty is refused for, and what its terms cost, in words that say what to write."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pysonar
from mine.consent import Policy
from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from pysonar.bounty.start import look_up
from pysonar.bounty.told.offered import MINES_ASK_BPS
from pysonar.campaign.opening import job_of, prepare
from pysonar.campaign.records import Posting
from pysonar.cli import main
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from pysonar.models.linear import LinearModel
from pysonar.wiring import Scientist
from sonar.errors import ConfigError, SonarError, UsageError
from sonar.families.quadratic.holdout import LEAST_GAIN
from sonar.protocol.phase import WHOLE_BPS
from sonar.store.memory import MemoryStore
from sonar.telling.text import span
from tests.family_kit import map_of, weight_of
from tests.integration.campaign_kit import scientist_key_file_secret
from tests.unit.network_file import write_network

RNG = np.random.default_rng(5)
X = RNG.normal(size=(200, 3))
Y = 0.30 + 0.018 * X[:, 0] + 0.009 * X[:, 1] + 0.002 * RNG.normal(size=200)
LABELS = np.where(X @ [1.0, -1.0, 0.5] + RNG.normal(size=200) > 0, 1.0, -1.0)


def bounty(y: Any = Y, **settings: Any) -> Bounty:
    return Bounty.of(X, y, target="y", features=["a", "b", "c"], **{"name": "d", **settings})


def refusal(**settings: Any) -> tuple[str, str, str]:
    y = settings.pop("y", Y)
    with pytest.raises(ConfigError) as caught:
        bounty(y, **settings)
    return caught.value.field, caught.value.problem, caught.value.hint


# ---- Targets


@pytest.mark.parametrize("field", ["target_loss", "rows_factor"])
def test_a_field_of_old_is_refused_with_what_to_write(field: str) -> None:
    name, problem, hint = refusal(**{field: 0.00001})
    assert (name, problem) == (field, "is no longer a field")
    assert {"target_loss": "mse = 1e-05, or r2", "rows_factor": "weight_rows"}[field] in hint


@pytest.mark.parametrize("said", [{"r2": 0.9999999}, {"r2": 0.9999995}, {"mse": 1e-12}, {"mse": 1e-300}])
def test_a_target_that_is_finer_than_the_chain_is_refused_with_the_finest(said: dict[str, float]) -> None:
    (name,) = said
    field, problem, hint = refusal(**said)
    assert field == name
    assert "finer than the chain can hold: the finest is " in problem
    assert "the best that is possible on these rows" in hint
    finest = float(problem.split("the finest is ")[1].split(",")[0])
    assert bounty().design.holdout.loss_of(name, finest) == 1


@given(loss=st.integers(1, 1_000_000 - LEAST_GAIN), metric=st.sampled_from(["r2", "mse"]))
def test_every_target_that_is_taken_is_held_to_half_a_millionth(loss: int, metric: str) -> None:
    holdout = HOLDOUT
    value = holdout.said(metric, loss)
    assert holdout.loss_of(metric, value) == loss


HOLDOUT = bounty().design.holdout


@pytest.mark.parametrize("r2", [0.0, -3.0, 1e-7, 0.00005])
def test_a_target_that_is_hardly_better_than_the_null_model_says_the_least(r2: float) -> None:
    field, problem, _ = refusal(r2=r2)
    assert field == "r2"
    assert ("no better" if r2 <= 0 else "hardly better") in problem
    assert "0.0001 is the least that can be asked for" in problem
    assert bounty(r2=0.0001).target_loss == 999_900


def test_an_auc_that_nothing_reaches_says_what_can_be_reached() -> None:
    _, problem, hint = refusal(y=LABELS, loss="logistic-taylor", auc=1)
    assert "auc = 1 would be a perfect model" in problem
    told = float(hint.split("about ")[1])
    scores = X @ np.linalg.lstsq(X, LABELS, rcond=None)[0]
    ones, others = scores[LABELS > 0], scores[LABELS < 0]
    linear = np.mean(ones[:, None] > others[None, :])
    assert told == pytest.approx(linear, abs=0.01)
    text = explain(bounty(LABELS, loss="logistic-taylor", auc=0.999999)).replace("\n    ", " ")
    assert f"hard to reach: the best weights of this map have about AUC {told:.4f}" in text


def test_explain_says_losses_in_peoples_units() -> None:
    text = explain(Bounty.example("diabetes", mse=2620.0)).replace("\n    ", " ")
    assert "MSE 5,572.3" in text
    assert "MSE 2,620.0, typically 51.19 off" in text


def test_explain_says_large_numbers_as_people_write_them() -> None:
    text = explain(bounty(Y * 1e6, cohort=3, min_mines=3)).replace("\n    ", " ")
    assert not re.search(r"\de\+\d", text)
    assert "  3 mines train " in text


# ---- Row weights and time


def test_all_mines_weigh_the_same_unless_the_scientist_says_otherwise() -> None:
    for settings, weights in (({}, {12}), ({"weight_rows": 50}, {12, 40, 50}), ({"rows_min": 20}, {20})):
        design = bounty(**settings).design
        sizes = [max(size, design.spec.rows_min) for size in (12, 40, 90)]
        maps = [map_of(design.spec, X[:size], Y[:size], design.plan.data_frac) for size in sizes]
        assert {weight_of(one, design) for one in maps} == weights
    assert "weigh the same" in explain(bounty()).replace("\n    ", " ")


def test_outside_development_networks_there_is_a_day_to_settle() -> None:
    asked = bounty()
    assert asked.offer.terms.settle_window_s == 86_400
    assert asked.on(dev=True).offer.terms.settle_window_s == 120 + 6 * 10
    assert asked.on(dev=True).on(dev=False).offer.terms == asked.offer.terms
    assert asked.on(dev=True) == asked  # the same bounty: only the network is another
    assert bounty(settle_window_s=900).on(dev=True).offer.terms.settle_window_s == 900
    assert Policy().max_window_s >= 86_400


@pytest.mark.parametrize("dev", [False, True])
def test_a_posting_keeps_its_settle_window_whatever_the_network_file_says_later(dev: bool) -> None:
    asked = bounty(key_bits=1024, insecure_key=True).on(dev=dev)
    posting = prepare(asked, LocalHolder(Key(*scientist_key_file_secret())), MemoryStore())

    def window_s(of: Posting, on_dev: bool) -> int:
        market: Any = type("Market", (), {"chain_id": 1, "address": "0x" + "11" * 20})
        return job_of(of, asked.on(dev=on_dev), market, market.address).terms.settle_window_s

    assert window_s(posting, True) == window_s(posting, False) == (180 if dev else 86_400)
    before = replace(posting, settle_window_s=0)  # as a record from before it was kept
    assert window_s(before, True) == window_s(before, False) == 180


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"reward": "3 ether"},
            ["100% of the reward", "is 3 ether, 24.1 h after posting", "less than 1 day"],
        ),
        ({"overdue_bps": 2500, "reward": "4 ether"}, ["25% of the reward", "1 ether", "mines ask for 50%"]),
        ({"settle_window_s": 600}, ["1 ether, 14 min after posting", "less than 10 min"]),
    ],
)
def test_explain_says_what_being_away_costs_and_when(settings: dict[str, Any], told: list[str]) -> None:
    text = explain(bounty(**settings)).replace("\n    ", " ")
    for part in told:
        assert part in text
    assert Policy().min_overdue_bps == MINES_ASK_BPS < WHOLE_BPS
    assert bounty().offer.terms.overdue_bps == WHOLE_BPS
    assert ("on a development network" in text) == ("settle_window_s" not in settings)


def test_explain_of_a_home_knows_its_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, home = tmp_path / "bounty.toml", tmp_path / "home"
    path.write_text('name = "d"\n[holdout]\nexample = "diabetes"\n')
    home.mkdir()
    write_network(home)
    for options, window in (([], "1 day to settle"), (["--home", str(home)], "3 min to settle")):
        assert main(["explain", str(path), *options]) == 0
        assert window in capsys.readouterr().out.replace("\n    ", " ")
    assert main(["explain", str(path), "--home", str(tmp_path / "none")]) == 2


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (90, "90 s"),
        (120, "2 min"),
        (60, "1 min"),
        (5400, "90 min"),
        (3600, "1 h"),
        (86_400, "1 day"),
    ],
)
def test_spans_are_told_in_a_unit_that_fits(seconds: float, told: str) -> None:
    assert span(seconds) == told


# ---- Settings


@pytest.mark.parametrize(
    ("settings", "field", "problem", "hint"),
    [
        ({"rounds": 0}, "rounds", "must be at least 1 (got 0)", "7, the default"),
        ({"rounds": 2.5}, "rounds", "must be a whole number", ""),
        ({"cohort": 300}, "cohort", "must be at most 255", ""),
        ({"commit_window_s": 1 << 24}, "commit_window_s", "must be at most 16,777,215", ""),
        ({"weight_max": -1}, "weight_max", "must be more than 0", ""),
        ({"r2": "0.5"}, "r2", "must be a number (got '0.5')", ""),
        ({"r2": float("nan")}, "r2", "must be a finite number", ""),
        ({"insecure_key": 1}, "insecure_key", "must be true or false", "leave it out for false"),
        ({"key_bits": 3000}, "key_bits", "must be a multiple of 256", "3072"),
        ({"allow": [1]}, "allow.0", "must be a text, in quotes", ""),
        ({"reward": 1}, "reward", "must be a text, in quotes", 'reward = "1 ether"'),
        ({"feature_map": "polynomail"}, "feature_map", "did you mean polynomial?", ""),
        (
            {"feature_map": {"kind": "polynomial", "degre": 2}},
            "feature_map.degre",
            "there is no such field",
            "did you mean degree?",
        ),
        ({"feature_map": {"kind": "polynomial", "degree": 9}}, "feature_map.degree", "must be at most 3", ""),
        ({"optimiser": {"kind": "gradient-descent", "rte": 1}}, "optimiser.rte", "", "did you mean rate?"),
        ({"ruonds": 3}, "ruonds", "there is no such field", "did you mean rounds?"),
        ({"token": "0x12"}, "token", "there is no such field", "did you mean asset?"),
        ({"target_r2": 0.5}, "target_r2", "there is no such field", "did you mean r2?"),
        ({"epochs": 3}, "epochs", "there is no such field", "did you mean rounds?"),
        ({"name": "a b"}, "name", "must be 1 to 64 letters", 'name = "my-model"'),
    ],
)
def test_a_setting_that_cannot_be_is_told_plainly(
    settings: dict[str, Any], field: str, problem: str, hint: str
) -> None:
    told = refusal(**settings)
    assert told[0] == field
    assert problem in told[1]
    assert hint in told[2]
    assert "Input should" not in told[1]


# ---- The library


@pytest.mark.parametrize(
    "given_as",
    [
        {"mines": "a"},
        {"mines": 1.5},
        {"mines": True},
        {"home": 3},
        {"network": 3},
        {"embedded": 1},
        {"password": 5},
    ],
    ids=str,
)
def test_connect_names_an_argument_of_a_wrong_type(given_as: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        pysonar.connect(**given_as)
    assert caught.value.field in given_as
    assert "must be of type" in caught.value.problem
    assert caught.value.hint


def test_what_is_no_bounty_file_or_path_is_told(tmp_path: Path) -> None:
    model = LinearModel.at(bounty().design, np.zeros(4), 1)
    wrong: Any = 3
    for use in (
        lambda: explain(wrong),
        lambda: Bounty.from_toml(wrong),
        lambda: LinearModel.load(wrong),
        lambda: model.save(wrong),
        lambda: model.read_csv(wrong),
        lambda: Bounty.of(X, Y, target=wrong, features=["a", "b", "c"], name="d"),
        lambda: Bounty.of(X, Y, target="y", features=wrong, name="d"),
        lambda: Bounty.of(X, Y, target="y", features=["a", "b", "c"]),
    ):
        with pytest.raises(UsageError) as caught:
            use()
        assert caught.value.hint
    with pytest.raises(ConfigError, match="is not a model: it has no kind, and 'sonar-linear-model' is exp"):
        LinearModel.from_bytes(b"{}", "model.json")
    write_network(tmp_path)
    with pysonar.connect(tmp_path / "h", tmp_path / "network.toml", password="secret") as session:
        with pytest.raises(ConfigError, match="bounty: must be of type Bounty or Study or str"):
            session.campaign(wrong)
        with pytest.raises(ConfigError, match="bounty: must be of type Bounty"):
            session.key(wrong)


def test_a_bounty_of_code_may_start_from_an_earlier_one_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = LinearModel.at(bounty().design, np.array([0.5, 0.2, 0.0, 0.0]), 300_000)
    with pytest.raises(ConfigError, match="no file is named 'first'") as none:
        bounty(start="first")
    assert "no session is open" in none.value.hint
    monkeypatch.setattr(Scientist, "model", lambda _self, name, ridge=False: {"first": model}[name])
    write_network(tmp_path)
    with pysonar.connect(tmp_path / "h", tmp_path / "network.toml", password="secret"):
        assert bounty(start="first") == bounty(start=model)
        look_up(tmp_path / "other", lambda name: model)
        with pytest.raises(ConfigError) as two:
            bounty(start="first")
        assert "2 sessions are open" in two.value.hint
        look_up(tmp_path / "other", None)
        model.save("first")
        assert bounty(start="first") == bounty(start=model)  # a file of that name comes first
    (tmp_path / "first").unlink()
    with pytest.raises(ConfigError, match="no file is named"):
        bounty(start="first")


def test_predictions_are_printed_to_their_last_digit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    y = 2_089_345.678 + 1e6 * X[:, 0] + 1e4 * RNG.normal(size=200)
    model = LinearModel.at(bounty(y).design, np.array([0.7, 0.1, 0.0, 0.0]), 1)
    monkeypatch.setattr(Scientist, "model", lambda _self, _name, ridge=False: model)
    home, rows = tmp_path / "home", tmp_path / "rows.csv"
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    network = str(write_network(tmp_path))
    assert main(["init", "--home", str(home), "--network", network, "--dev", "--json"]) == 0
    rows.write_text("a,b,c\n" + "".join(",".join(map(repr, row)) + "\n" for row in X[:20].tolist()))
    capsys.readouterr()
    assert main(["predict", "--csv", str(rows), "--home", str(home)]) == 0
    printed = [float(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == model.predict(X[:20]).tolist()
    assert main(["predict", "--csv", str(rows), "--home", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"] == printed


@pytest.mark.parametrize(
    ("text", "field", "problem", "hint"),
    [
        ('[holdot]\ncsv = "h.csv"\n', "holdot", "there is no such table", "did you mean [holdout]?"),
        ('[holdout]\ncvs = "h.csv"\n', "holdout.cvs", "there is no such field", "did you mean holdout.csv?"),
        ('[holdout]\ncsv = "h.csv"\ntarget = 3\n', "holdout.target", "must be a text, in quotes (got 3)", ""),
        ('r2 = "50%"\n[holdout]\nexample = "diabetes"\n', "r2", "must be a number (got '50%')", ""),
        ('feature_map = { kind = ["x"] }\n[holdout]\n', "feature_map", "must be one of standard", ""),
        ('allow = ["0x1"]\n[holdout]\nexample = "diabetes"\n', "allow", "is not an address", "copy it whole"),
    ],
)
def test_a_file_that_is_written_wrong_is_told_by_the_field(
    tmp_path: Path, text: str, field: str, problem: str, hint: str
) -> None:
    (tmp_path / "bounty.toml").write_text(f'name = "d"\n{text}')
    with pytest.raises(ConfigError) as caught:
        Bounty.from_toml(tmp_path / "bounty.toml")
    assert caught.value.field == field
    assert problem in caught.value.problem
    assert hint in caught.value.hint


def test_every_refusal_of_a_bounty_says_what_to_do() -> None:
    for settings in ({"r2": 7}, {"min_mines": 11}, {"quiet_s": 500}, {"local_rate": 0.1}, {"key_bits": 1024}):
        with pytest.raises(SonarError) as caught:
            bounty(**settings)
        assert caught.value.hint
