"""`sonar status BOUNTY`: a line for each round, with its evidence, as far as the store tells it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sonar.commands.shown import show, show_history
from sonar.commands.status import _facts, history
from sonar.home.settings import NetworkConfig, StoreConfig
from sonar.protocol.fold import fold
from sonar.store.folder import FolderStore
from sonar.telling.bounties import BountyHistory
from sonar.telling.documents import read, write
from tests.integration.campaign_kit import World


class Told:
    """A campaign of two rounds, of whose first one mine is left out, and what is told of it."""

    def __init__(self, folder: Path) -> None:
        self.world = world = World(folder, mines=3, settings={"rounds": 2})
        self.store = folder / "store"
        world.store = FolderStore(self.store)
        world.miners[0].withhold = frozenset({1})
        self.campaign = world.campaign()
        self.summary = world.run_to_end(self.campaign)
        self.network = NetworkConfig(
            name="test",
            dev=True,
            client="eth-tester",
            chain_id=world.market.chain_id,
            rpc_url="http://127.0.0.1:1",
            contract=world.market.address,
            code_hash=b"\1" * 32,
            deployed_block=0,
            store=StoreConfig(kind="folder", path=str(self.store)),
        )

    def history(self) -> BountyHistory:
        assert self.campaign.id is not None
        return history(self.network, self.world.market, self.campaign.id, {})


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("told"))


def test_each_round_says_how_it_ended_when_and_who_was_left_out(told: Told) -> None:
    found = told.history()
    market, cheat = told.world.market, told.world.miners[0].address
    assert (found.name, found.status, found.problem) == ("diabetes", "closed", "")
    assert [(one.round, one.ended, one.revealed) for one in found.history] == [
        (1, "settled", 3),
        (2, "settled", 3),
    ]
    assert [one.accepted for one in found.history] == [len(one.accepted) for one in told.summary.rounds]
    assert [one.left_out for one in found.history] == [one.left_out for one in told.summary.rounds]
    assert "withheld" in found.history[0].left_out[cheat]
    records = list(fold(market.events(0)).values())
    for one, record, line in zip(found.history, records, told.summary.rounds, strict=True):
        assert record.settled is not None
        assert one.tx_hash == record.settled.tx_hash
        block = market.rpc.call("eth_getBlockByNumber", hex(record.settled.block), False)
        assert one.ended_s == int(block["timestamp"], 16)
        assert one.figures == pytest.approx(line.figures, rel=1e-5)  # the chain has millionths
    assert found.best["r2"] == max(one.figures["r2"] for one in found.history)


def test_its_events_travel_as_records_of_their_kinds(told: Told) -> None:
    found = told.history()
    assert read(BountyHistory, write(found)) == found
    kinds = [event.event for event in found.events]
    assert (kinds[0], kinds[-1]) == ("BountyPosted", "BountyClosed")
    assert {"RoundOpened", "Committed", "Revealed", "MinePaid", "RoundSettled"} <= set(kinds)
    posted = found.events[0]
    assert posted.event == "BountyPosted"
    assert posted.terms.reward_units == told.world.bounty.terms.reward_units


@pytest.mark.parametrize("columns", [60, 80])
def test_people_read_it_on_a_narrow_terminal(
    told: Told, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    found = told.history()
    show_history(found)
    show([found])
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    lines = [line.rstrip() for line in out.splitlines() if found.bounty not in line]
    assert max(map(len, lines)) <= columns
    assert re.search(r"^ +1  settled .* 2 ", out, re.M)
    assert "left out " + told.world.miners[0].address[:6] in out
    assert "Committed" not in out  # raw events are for programs
    assert "0x" + "0" * 40 not in out


def test_without_the_store_it_says_so_and_what_the_chain_knows(told: Told, tmp_path: Path) -> None:
    hidden = told.store.rename(tmp_path / "gone")
    try:
        found = told.history()
        assert not told.store.exists()  # who only looks makes no folder
    finally:
        hidden.rename(told.store)
    assert "the store does not show who was left out" in found.problem
    assert [(one.accepted, one.figures) for one in found.history] == [(None, {}), (None, {})]
    assert [one.loss for one in found.history] == [one.loss for one in told.summary.rounds]


def test_a_private_swarm_needs_a_node_that_runs(told: Told) -> None:
    kubo = StoreConfig(kind="kubo", bootstrap=(), swarm_key_file="swarm.key")
    network = told.network.model_copy(update={"store": kubo})
    assert told.campaign.id is not None
    found = history(network, told.world.market, told.campaign.id, {})
    assert "SONAR_IPFS_API" in found.problem


def test_a_table_of_all_is_in_one_unit(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert told.campaign.id is not None
    market = told.world.market
    show([_facts(market, market.bounty(told.campaign.id), {})])
    heading = capsys.readouterr().out.splitlines()[:2]
    assert "escrow" in heading[0]
    assert "ether" in heading[1]
