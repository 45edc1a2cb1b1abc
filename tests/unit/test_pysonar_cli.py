"""The scientist's command line: help that teaches, JSON that is JSON, mistakes that are named. No chain."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from typer.main import get_command

from pysonar.bounty.request import Bounty
from pysonar.bounty.settings import HoldoutSettings, Settings
from pysonar.bounty.shelf import Shelf
from pysonar.bounty.study import Study
from pysonar.campaign.records import Posting, Records
from pysonar.cli import app, main
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from pysonar.show.documents import ANSWERS, Explained
from pysonar.wiring import Scientist, open_scientist
from sonar.chain.contract.market import Market
from sonar.chain.sending.intent import Intent
from sonar.errors import ChainUnavailable, WrongContract
from sonar.telling.documents import read, write
from sonar.telling.progress import NullSink
from tests.unit.network_file import write_network

pytestmark = pytest.mark.usefixtures("no_backoff")

COMMANDS = [
    "init",
    "key new",
    "key remove",
    "rotate",
    "close",
    "password",
    "explain",
    "run",
    "resume",
    "status",
    "result",
    "predict",
    "export",
    "card",
]
TOML = 'name = "diabetes"\nkey_bits = 2048\n[holdout]\nexample = "diabetes"\n'


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path)


@pytest.fixture
def home(
    tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    home = tmp_path / "home"
    assert main(["init", "--home", str(home), "--network", str(network), "--dev", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["address"].startswith("0x")
    assert document["home"] == str(home)
    return home


@pytest.fixture
def bounty(tmp_path: Path) -> Path:
    path = tmp_path / "bounty.toml"
    path.write_text(TOML)
    return path


def test_every_command_is_listed_here() -> None:
    group = get_command(app)
    names = [
        f"{name} {sub}".strip()
        for name, command in group.commands.items()  # type: ignore[attr-defined]
        for sub in getattr(command, "commands", {"": None})
    ]
    assert sorted(names) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert f"pysonar {command}" in told.split("Example")[1]
    assert "--json" in told


def test_the_help_of_run_names_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    """What an error refers to."""
    assert main(["run", "--help"]) == 0
    told = capsys.readouterr().out
    assert [
        name for name in (*Settings.model_fields, *HoldoutSettings.model_fields) if name not in told
    ] == []


def test_init_again_keeps_the_account(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = open_scientist(home, NullSink()).address
    assert main(["init", "--home", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["address"] == address
    assert (home / "keystore").stat().st_mode & 0o077 == 0


def test_a_key_is_made_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make = ["key", "new", "diabetes", "--bits", "2048", "--home", str(home), "--json"]
    assert main(make) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["bits"] == 2048
    assert Path(made["path"]).stat().st_mode & 0o777 == 0o600
    assert main(make) == 2
    assert "exists" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize("name", ["../x", "", "a b"])
def test_a_key_name_is_no_path(home: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "new", name, "--home", str(home)]) == 2
    assert "name" in capsys.readouterr().err


@pytest.mark.parametrize(("bits", "said"), [("2064", "a multiple of 256"), ("9984", "8,192")])
def test_a_key_has_a_size_that_a_bounty_can_have(
    home: Path, bits: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", "new", "diabetes", "--bits", bits, "--home", str(home)]) == 2
    err = capsys.readouterr().err
    assert "key_bits" in err
    assert said in err


def test_a_key_needs_the_keystores_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "wrong")
    assert main(["key", "new", "diabetes", "--bits", "2048", "--home", str(home)]) == 2
    assert "password is wrong" in capsys.readouterr().err
    assert not (home / "keys").exists()


def test_explain_needs_no_home(bounty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(bounty)]) == 0
    assert "Who learns what" in capsys.readouterr().out
    assert main(["explain", str(bounty), "--json"]) == 0
    answer = capsys.readouterr().out.strip()
    assert write(read(ANSWERS["explain"], answer)) == answer
    document = json.loads(answer)
    assert document["escrow_units"] == str(read(Explained, answer).escrow_units)
    assert document["initial_loss"] == 1_000_000
    assert document["initial"]["mse"] == pytest.approx(5572.282, abs=1e-3)
    assert document["metric"] == "r2"
    assert document["target"]["r2"] == pytest.approx(1 - document["target_loss"] / 1e6)
    assert document["plan"]["weights"] == 11


def test_a_mistake_in_the_file_names_the_field(bounty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bounty.write_text("ronds = 3\n" + TOML)
    assert main(["explain", str(bounty)]) == 2
    told = capsys.readouterr().err
    assert "ronds" in told
    assert "did you mean rounds" in told
    assert main(["run", str(bounty), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["kind"] == "problem"


def test_run_says_what_is_missing(tmp_path: Path, bounty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(bounty), "--home", str(tmp_path / "none")]) == 2
    assert "pysonar init" in capsys.readouterr().err


def test_run_without_consent_posts_nothing_and_says_so(
    home: Path, bounty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer, hint in (("n\n", "same command again"), ("", "--yes")):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert main(["run", str(bounty), "--home", str(home)]) == 2
        told = capsys.readouterr().err
        assert "nothing was posted" in told
        assert hint in told
    assert Shelf(home).names() == []


def test_a_wrong_password_is_told_before_all_else(
    home: Path, bounty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "wrong")
    Shelf(home).keep(Bounty.from_toml(bounty))
    for command in (["run", str(bounty), "--yes"], ["run", str(bounty)], ["resume"]):
        assert main([*command, "--home", str(home)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("error: ")
        assert "the password is wrong" in told.err


def test_run_without_a_chain_changes_nothing(
    home: Path, bounty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bounty, "patience_s", 0.0)
    assert main(["run", str(bounty), "--home", str(home), "--json"]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().out
    assert Shelf(home).names() == []


@pytest.mark.parametrize("command", ["run", "resume"])
def test_a_campaign_waits_for_a_chain_that_comes_later(
    command: str,
    home: Path,
    bounty: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[BaseException] = [ChainUnavailable("not up yet"), WrongContract("0x12", "34", "56")]
    monkeypatch.setattr(Market, "connect", lambda *_, **more: raise_(found.pop(0)))
    shelf = Shelf(home)
    if command == "resume":
        shelf.keep(Bounty.from_toml(bounty))
    given = [str(bounty)] if command == "run" else []
    arguments = [command, *given, "--home", str(home), "--json"]
    assert main(arguments) == 1  # another contract ends it at once
    waiting, end = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (waiting["error"], waiting["hint"]) == ("not up yet", "trying again for 7 days")
    assert "code hash" in end["error"]
    found += [ChainUnavailable("not up yet"), KeyboardInterrupt()]
    capsys.readouterr()
    assert main(arguments) == 130
    stopped = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert stopped["kind"] == "note"
    again = shlex.join(["pysonar", command, *given, "--home", str(home)])
    assert f"start again with `{again}`." in stopped["text"]
    assert shelf.names() == (["diabetes"] if command == "resume" else [])
    monkeypatch.setenv("SONAR_PASSWORD", "wrong")
    assert main(arguments) == 2


def test_who_stops_an_open_bounty_is_told_how_it_goes_on(
    home: Path, bounty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = SimpleNamespace(done=False, run=lambda **_: raise_(KeyboardInterrupt()))
    monkeypatch.setattr(Scientist, "campaign", lambda *_, **more: campaign)
    for posted, told in ((b"1" * 32, True), (None, False)):
        campaign.id = posted
        assert main(["run", str(bounty), "--home", str(home), "--yes"]) == 130
        said = capsys.readouterr().err
        assert (f"`pysonar resume diabetes --home {home}` continues" in said) == told
        assert f"Stopped. Nothing is lost; start again with `pysonar run {bounty} --home {home}`." in said


def raise_(error: BaseException) -> NoReturn:
    raise error


def test_status_of_a_new_home_without_a_chain(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Shelf(home).keep(Bounty.from_toml(_written(home / "b.toml")))
    assert main(["status", "--home", str(home), "--json"]) == 0
    answer = capsys.readouterr().out.strip()
    assert write(read(ANSWERS["status"], answer)) == answer
    document = json.loads(answer)
    assert document["balance_wei"] is None
    assert "127.0.0.1:9" in document["problem"]
    assert document["campaigns"][0]["status"] == "not posted"
    assert main(["status", "--home", str(home)]) == 0
    assert "not posted" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["folder", "settings", "holdout"])
def test_a_bounty_whose_files_are_gone_or_damaged_is_told_and_does_not_hide_the_others(
    damage: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Bounty.from_toml(_written(home / "b.toml"))
    kept = replace(asked, settings=asked.settings.model_copy(update={"name": "other"}))
    for each in (asked, kept):
        Shelf(home).keep(each)
    folder = home / "bounties" / "diabetes"
    with open_scientist(home, NullSink()).journal as journal:
        journal.put(Intent.of_posting("diabetes").key, {"state": "failed"})
        key = LocalHolder(Key.generate(1024, insecure=True)).key().to_bytes()
        Records(journal, "diabetes").put(Posting(asked.digest, b"", key, b"", b"", b""))
    if damage == "folder":
        shutil.rmtree(folder)
    else:
        (folder / {"settings": "bounty.json", "holdout": "holdout.npy"}[damage]).write_bytes(b"junk")
    assert main(["status", "--home", str(home), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in document["campaigns"]] == ["other"]
    (told,) = document["damaged"]
    assert told["name"] == "diabetes"
    assert "is damaged" in told["error"]
    assert main(["status", "--home", str(home)]) == 0
    assert "pysonar run bounty.toml" in capsys.readouterr().out
    assert main(["resume", "diabetes", "--home", str(home)]) == 2
    assert "is damaged" in capsys.readouterr().err

    # The same bounty's own file goes on, and puts them back; another's does not.
    monkeypatch.setattr(Market, "connect", lambda *_, **more: raise_(ChainUnavailable("not up yet")))
    monkeypatch.setattr(Bounty, "patience_s", 0.0)
    assert main(["run", str(home / "b.toml"), "--home", str(home)]) == 1
    assert "not up yet" in capsys.readouterr().err
    (home / "b.toml").write_text(TOML.replace("[holdout]", "rounds = 2\n[holdout]"))
    assert main(["run", str(home / "b.toml"), "--home", str(home)]) == 2
    assert "another bounty named 'diabetes'" in capsys.readouterr().err


def test_predict_needs_a_round(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = tmp_path / "x.csv"
    csv.write_text("age\n1\n")
    assert main(["predict", "--csv", str(csv), "--home", str(home)]) == 2
    assert "bounty" in capsys.readouterr().err
    Shelf(home).keep(Bounty.from_toml(_written(home / "b.toml")))
    assert main(["predict", "--csv", str(csv), "--home", str(home)]) == 2
    assert "no round is over" in capsys.readouterr().err


def _written(path: Path) -> Path:
    path.write_text(TOML)
    os.chmod(path, 0o600)
    return path


STUDY = 'name = "heights"\n[statistic]\nkind = "describe"\n[columns.age]\nlow = 0\nhigh = 120\n'


def test_a_study_has_a_result_and_a_bounty_a_model(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    assert main(["explain", str(tmp_path / "study.toml"), "--home", str(home)]) == 0
    assert "fees only" in capsys.readouterr().out
    Shelf(home).keep(Study.from_toml(tmp_path / "study.toml"))
    Shelf(home).keep(Bounty.example("diabetes", key_bits=2048))
    assert main(["result", "heights", "--home", str(home)]) == 2
    assert "no round is over yet, so there is no result" in capsys.readouterr().err
    assert main(["result", "diabetes", "--home", str(home)]) == 2
    assert "trains a model" in capsys.readouterr().err
    assert main(["result", "--home", str(home)]) == 2
    assert "2 bounties were started in this home" in capsys.readouterr().err


def test_a_mistake_in_a_study_names_its_table(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, said in (
        (STUDY.replace("describe", "descirbe"), "did you mean describe?"),
        (STUDY.replace("low = 0", "lo = 0"), "columns.age.lo"),
        (STUDY + '[holdout]\ncsv = "x.csv"\n', "holdout"),
        ('name = "heights"\n[statistic]\nkind = "describe"\n', "columns"),
        ('name = "heights"\n[columns.age]\nlow = 0\nhigh = 1\n', "statistic"),
    ):
        (tmp_path / "study.toml").write_text(text)
        assert main(["explain", str(tmp_path / "study.toml"), "--home", str(home)]) == 2
        assert said in capsys.readouterr().err
