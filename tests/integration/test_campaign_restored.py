"""A scientist's home put back from a copy made before a settlement: it says so, and loses no money."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pysonar.bounty.shelf import Shelf
from pysonar.campaign.lifecycle import Campaign
from pysonar.campaign.records import Outcome
from pysonar.cli import main
from sonar.chain.contract.market import Market
from sonar.errors import JournalError
from sonar.home.settings import NetworkConfig, StoreConfig
from sonar.telling.progress import Problem
from tests.integration.campaign_kit import World


def copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def restored(world: World, *, copied_after: int, of: int) -> Campaign:
    """A campaign whose journal was copied after some rounds, and put back after more of them."""
    journal, first = world.folder / "pysonar.sqlite", world.campaign()
    world.run_until(first, lambda: first.records.finished() == copied_after and first.id is not None)
    copy_database(journal, world.folder / "copy")
    world.run_until(first, lambda: first.records.finished() == of)
    first.records._journal.close()
    copy_database(world.folder / "copy", journal)
    world.sink.events.clear()
    return world.campaign()


def problems(world: World) -> list[str]:
    return [event.error for event in world.sink.events if isinstance(event, Problem)]


@pytest.mark.parametrize("copied_after", [0, 1])
def test_it_lets_the_bounty_end_and_takes_the_money_out(tmp_path: Path, copied_after: int) -> None:
    world = World(tmp_path)
    campaign = restored(world, copied_after=copied_after, of=copied_after + 1)
    world.run(campaign)
    world.check_money()
    ended = [line["ended"] for line in campaign.history()]
    assert ended == ["settled"] * (copied_after + 1) + ["overdue"]
    assert campaign.records.get(Outcome, copied_after + 2) is None  # nothing is decrypted
    (told,) = problems(world)
    assert "is an older copy" in told
    assert f"settled with from round {copied_after + 1} on" in told
    for later in (campaign, world.campaign()):
        with pytest.raises(JournalError, match="its newest model too"):
            _ = later.model


def test_it_says_so_before_it_runs(tmp_path: Path) -> None:
    world = World(tmp_path)
    campaign = restored(world, copied_after=1, of=2)
    with pytest.raises(JournalError, match="settled with from round 2 on") as caught:
        _ = campaign.model
    assert "pysonar resume diabetes" in caught.value.hint
    assert len(campaign.history()) == 1
    assert len(problems(world)) == 1


def test_the_command_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world, home, rows = World(tmp_path), tmp_path / "home", tmp_path / "rows.csv"
    campaign = restored(world, copied_after=1, of=2)
    NetworkConfig(
        name="test",
        dev=True,
        chain_id=1,
        rpc_url="http://127.0.0.1:9",
        contract=world.market.address,
        code_hash=b"h" * 32,
        store=StoreConfig(path=str(tmp_path / "store")),
    ).save(tmp_path / "network.toml")
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    monkeypatch.setattr(Market, "connect", lambda *_args, **_named: world.market)
    assert main(["init", "--home", str(home), "--network", str(tmp_path / "network.toml"), "--dev"]) == 0
    campaign.records._journal.close()
    shutil.copy(tmp_path / "pysonar.sqlite", home / "journal.sqlite")
    Shelf(home).keep(world.bounty)
    rows.write_text(f"{','.join(world.bounty.features)}\n{','.join('1' * len(world.bounty.features))}\n")
    capsys.readouterr()

    assert main(["predict", "--csv", str(rows), "--home", str(home)]) == 1
    assert "is an older copy" in capsys.readouterr().err
    assert main(["status", "--home", str(home), "--json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)["campaigns"]
    assert "is an older copy" in summary["problem"]
    assert summary["now"]["round"] == 3
    assert main(["status", "--home", str(home)]) == 0
    assert "problem  the journal" in capsys.readouterr().out


def test_a_copy_that_misses_no_settlement_goes_on(tmp_path: Path) -> None:
    """It was made before the round's commits: the round is computed again."""
    world = World(tmp_path)
    journal, first = tmp_path / "pysonar.sqlite", world.campaign()
    world.run_until(first, lambda: first.records.finished() == 1)
    copy_database(journal, tmp_path / "copy")
    for _ in range(3):
        world.let_mines_act(first)
    first.records._journal.close()
    copy_database(tmp_path / "copy", journal)
    world.sink.events.clear()
    campaign = world.campaign()
    world.run(campaign)
    assert [line["ended"] for line in campaign.history()] == ["settled"] * 3
    assert problems(world) == []
    assert campaign.model.loss < world.bounty.initial_loss
    world.check_money()
