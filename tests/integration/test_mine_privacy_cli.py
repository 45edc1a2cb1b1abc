"""`mine privacy`, `mine data budget` and what other commands say of them, on a real node over HTTP."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mine.privacy.policy import Budget
from sonar.families.quadratic.noise import QuadraticNoise
from sonar.privacy.accounting import epsilon_of
from tests.integration.mine_kit import SPEC, terms, write_csv
from tests.integration.test_mine_cli import Cli, Net
from tests.integration.test_mine_cli import cli as cli  # noqa: PLC0414 - a fixture
from tests.integration.test_mine_cli import net as net  # noqa: PLC0414 - a fixture
from tests.integration.test_mine_privacy import NOISE, PRICE

PNG = b"\x89PNG\r\n"


def noise(**changes: int) -> QuadraticNoise:
    return NOISE.model_copy(update=changes)


def post(net: Net, with_noise: QuadraticNoise | None) -> str:
    scientist = net.scientist
    scientist.family = SPEC.model_copy(update={"noise": with_noise})
    return "0x" + scientist.post(terms(commit_window_s=3600)).hex()


@pytest.fixture
def home(cli: Cli, net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    net.fund(cli.init(net)["address"])
    path = str(write_csv(tmp_path / "patients.csv", seed=len(str(tmp_path))))
    cli("data", "add", "--csv", path, "--epsilon", "12")
    return cli


def test_from_a_budget_to_what_was_revealed(home: Cli, net: Net, tmp_path: Path) -> None:
    first, same, other = post(net, noise()), post(net, noise(ridge_q32=7)), post(net, noise(target_unit=200))
    price, both = (epsilon_of(n * PRICE, 1e-5) for n in (1, 2))
    (offer,) = [one for one in home("bounties")[1] if one["bounty"] == first]
    assert offer["price"] == {"epsilon": price, "delta": 1e-5, "parts": 1, "alone": price}
    (cost,) = offer["costs"]
    assert (cost["data"], cost["epsilon"], cost["free"]) == ("patients", price, False)
    assert cost["left"] == epsilon_of(Budget(12.0).rho - PRICE, 1e-5)
    for bounty in (first, same):
        assert home("join", bounty)[0] == 0
    (offer,) = [one for one in home("bounties")[1] if one["bounty"] == same]
    assert offer["costs"][0]["free"]
    text = home.text("bounties")[1]
    assert f"a release costs epsilon {price:.4g} at delta 1e-05, once" in text
    assert "patients: free, since the same release was made before" in text

    picture = tmp_path / "spent.png"
    code, (facts,) = home("privacy", "patients", "--plot", str(picture))
    assert code == 0
    assert picture.read_bytes().startswith(PNG)
    assert (facts["budget"], facts["spent"], facts["known_rows"]) == (12.0, price, 30)
    told = [(one["bounty"], one["epsilon"], one["why"]) for one in facts["revealed"]]
    assert told == [(first, price, "released"), (same, 0.0, "the same release")]
    assert home("join", other)[0] == 0
    assert home("privacy")[1][0]["spent"] == both
    code, text = home.text("privacy")
    assert code == 0
    assert f"{both:.4g} is spent" in text
    assert "free" in text
    (row,) = home("data", "list")[1]
    assert row["budget"] == f"{both:.3g} of 12"
    checks = {one["name"]: one for one in home("doctor")[1]["checks"]}
    assert checks["privacy"]["found"] == f"spent of patients: epsilon {both:.3g} of 12"
    assert checks["bounties"]["ok"]


def test_a_picture_has_the_name_of_one(home: Cli, tmp_path: Path) -> None:
    code, problem = home("privacy", "--plot", str(tmp_path / "spent.pdf"))
    assert code != 0
    assert "is not the name of a PNG" in problem["error"]
    assert not list(tmp_path.glob("spent.*"))


def test_joining_says_which_data_it_took_of_several(home: Cli, net: Net, tmp_path: Path) -> None:
    home("data", "add", "--csv", str(write_csv(tmp_path / "others.csv", seed=7)), "--name", "others")
    code, text = home.text("join", post(net, noise()))
    assert code == 0
    assert "joined with others; patients would fit too: --data chooses" in text
    assert "fit too" not in home.text("join", post(net, noise(ridge_q32=7)), "--data", "patients")[1]


def test_a_budget_is_set_shown_and_removed(home: Cli, net: Net) -> None:
    assert home("data", "budget", "patients")[1]["budget"] == 12.0
    assert home("data", "budget", "patients", "--epsilon", "0.5")[1]["left"] <= 0.5
    told = home("data", "budget", "patients", "--delta", "1e-9")[1]
    assert (told["budget"], told["delta"]) == (0.5, 1e-9)
    code, problem = home("join", post(net, None))
    assert code != 0
    assert "adds no noise" in problem["error"]
    code, problem = home("join", post(net, noise(target_unit=199)))
    assert "too much" in problem["error"]
    (offer,) = [one for one in home("bounties")[1] if one["bounty"] == "0x" + net.scientist.bounty.hex()]
    assert "too much" in offer["problem"]
    assert home("data", "check", offer["bounty"])[0] == 1
    told = home("data", "budget", "patients", "--unlimited")[1]
    assert (told["budget"], told["left"]) == (None, None)
    code, text = home.text("data", "budget", "patients")
    assert "patients: no limit; epsilon 0 at delta" in text
    assert home("join", offer["bounty"])[0] == 0


def test_what_was_spent_elsewhere_is_counted(home: Cli) -> None:
    told = home("data", "budget", "patients", "--spent", "3")[1]
    assert 2.999 < told["spent"] <= 3.0
    (facts,) = home("privacy")[1]
    assert [one["why"] for one in facts["revealed"]] == ["declared: epsilon 3 at delta 1e-05"]
    assert home("data", "budget", "patients", "--spent", "0")[1]["spent"] == told["spent"]


def test_what_another_copy_of_the_home_did_is_shown_until_it_is_counted(home: Cli, net: Net) -> None:
    copy = Cli(home.capsys, home.home.with_name("copy"))
    shutil.copytree(home.home, copy.home)
    assert copy("rotate")[0] == 0  # any transaction of the account's
    assert copy("privacy")[1][0]["gaps"] == []
    (gap,) = home("privacy")[1][0]["gaps"]
    assert "that this home does not know" in gap
    assert "`mine data budget patients --spent EPSILON" in " ".join(home.text("privacy")[1].split())
    home("data", "budget", "patients", "--spent", "0")
    assert home("privacy")[1][0]["gaps"] == []


REFUSED: list[tuple[list[str], str]] = [
    (["data", "budget", "patients", "--epsilon", "0"], "budget.epsilon"),
    (["data", "budget", "patients", "--epsilon", "-3"], "budget.epsilon"),
    (["data", "budget", "patients", "--epsilon", "nan"], "budget.epsilon"),
    (["data", "budget", "patients", "--epsilon", "inf"], "budget.epsilon"),
    (["data", "budget", "patients", "--epsilon", "8", "--delta", "1"], "budget.delta"),
    (["data", "budget", "patients", "--spent", "-1"], "spent.epsilon"),
    (["data", "budget", "patients", "--epsilon", "8", "--unlimited"], "exclude each other"),
    (["data", "budget", "nobody"], "no data set is named 'nobody'"),
    (["privacy", "nobody"], "no data set is named 'nobody'"),
    (["privacy", "--plot", "/nowhere/x.png"], "--plot"),
    (["data", "add", "--example", "diabetes", "--delta", "1e-5"], "--delta alone is no budget"),
    (["data", "add", "--example", "diabetes", "--epsilon", "0"], "budget.epsilon"),
]


def test_bad_budgets_are_refused_and_change_nothing(home: Cli) -> None:
    for arguments, problem in REFUSED:
        code, told = home(*arguments)
        assert code == 2, arguments
        assert problem in told["error"], arguments
        assert told["hint"], arguments
    assert [row["name"] for row in home("data", "list")[1]] == ["patients"]
    assert home("data", "budget", "patients")[1]["budget"] == 12.0


def test_data_that_replace_others_keep_their_budget(home: Cli, tmp_path: Path) -> None:
    write_csv(tmp_path / "patients.csv", seed=99)
    assert home("data", "add", "--csv", str(tmp_path / "patients.csv"), "--replace")[0] == 0
    assert home("data", "budget", "patients")[1]["budget"] == 12.0


def test_the_delta_of_other_data_with_the_same_rows_is_not_taken_over(home: Cli, tmp_path: Path) -> None:
    assert home("data", "budget", "patients", "--delta", "1e-9")[1]["delta"] == 1e-9
    again = ("data", "add", "--csv", str(tmp_path / "patients.csv"), "--name", "again", "--epsilon", "3")
    code, text = home.text(*again)
    assert code == 0
    assert "again: a budget of epsilon 3; 0 at delta 1e-05 is spent, and a release of 3 is left" in text
    assert home("data", "budget", "again")[1]["delta"] == 1e-5


def test_joining_says_what_is_spent_and_left(home: Cli, net: Net) -> None:
    code, text = home.text("join", post(net, noise()))
    price, left = epsilon_of(PRICE, 1e-5), epsilon_of(Budget(12.0).rho - PRICE, 1e-5)
    assert code == 0
    told = (
        f"patients: a budget of epsilon 12; {price:.4g} at delta 1e-05 is spent, and a release of {left:.4g}"
    )
    assert told in text


def test_a_file_that_is_gone_does_not_hide_the_rest(home: Cli, tmp_path: Path) -> None:
    home("data", "budget", "patients", "--spent", "3")
    write_csv(tmp_path / "other.csv", seed=98)
    home("data", "add", "--csv", str(tmp_path / "other.csv"))
    (tmp_path / "other.csv").unlink()
    code, rows = home("privacy")
    assert code == 0
    found: dict[str, Any] = {row["data"]: row for row in rows}
    assert "cannot be read" in found["other"]["problem"]
    assert found["patients"]["spent"] > 2.9
    assert home.text("privacy")[0] == 0


def test_init_gives_its_data_a_budget_from_the_start(
    cli: Cli, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    for wrong, said in (
        (("--epsilon", "8"), "--epsilon is a budget of data"),
        (("--example", "diabetes", "--epsilon", "0"), "epsilon"),
        (("--example", "diabetes", "--delta", "1e-6"), "--delta alone is no budget"),
    ):
        code, text = cli.text("init", "--network", str(net.file), "--dev", "--insecure-keys", *wrong)
        assert code != 0
        assert said in text
        assert not cli.home.exists()
    made = cli.init(net, "--example", "diabetes", "--shard", "3/10", "--epsilon", "8")
    (facts,) = cli("privacy")[1]
    assert (facts["data"], facts["budget"], facts["spent"]) == (made["data"]["name"], 8.0, 0.0)
