"""A campaign in a token, among named mines: every unit is accounted for, whatever is killed when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from pysonar.bounty.request import Bounty
from sonar.chain.contract.calls import transfer
from sonar.chain.contract.errors import NotAllowed
from sonar.chain.contract.token import allowance, held
from sonar.chain.sending.intent import Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import ConfigError, InsufficientFunds
from sonar.home.journal import Journal
from sonar.manifests.model import AllowList, ModelManifest
from sonar.protocol.allowlist import root_of
from sonar.protocol.events import BountyPosted, Committed
from sonar.protocol.ids import Address, Cid
from tests.chain_kit import ETHER_WEI, wish
from tests.integration.campaign_kit import HonestMine, World
from tests.integration.test_campaign_killed import Killer, run_to_the_end
from tests.token_kit import mint


def among_named(folder: Path, kind: str = "old", **settings: Any) -> World:
    accounts: list[LocalAccount] = [Account.create() for _ in range(5)]
    allow = [account.address for account in accounts[2:]]
    return World(folder, token=kind, accounts=accounts, settings={"rounds": 2, "allow": allow} | settings)


def everybody(world: World) -> list[Address]:
    return [Address(account.address) for account in world.accounts]


@pytest.mark.parametrize("kind", ["plain", "old"])
def test_a_campaign_in_a_token_among_named_mines(tmp_path: Path, kind: str) -> None:
    world = among_named(tmp_path, kind)
    before = {account: held(world.market, world.asset, account) for account in everybody(world)}
    campaign = world.campaign()
    while campaign.id is None:
        campaign.tick()
    stranger = uninvited(world)
    with pytest.raises(NotAllowed) as caught:
        stranger.tick(campaign.id)
    assert caught.value.mine == stranger.address
    world.run(campaign)
    world.check_money()

    (posted,) = world.events(BountyPosted)
    summary = campaign.summary()
    state = world.market.bounty(posted.bounty)
    assert summary["escrow_units"] == summary["paid_units"] + summary["refunded_units"] + state.escrow_units
    assert (state.escrow_units, state.closed) == (0, True)
    assert summary["asset"] == {"asset": world.asset, "symbol": "TST", "decimals": 6}
    assert summary["paid_units"] > 0
    assert stranger.address not in {event.mine for event in world.events(Committed)}
    for mine in world.miners:
        if world.market.withdrawable(mine.address, asset=world.asset):
            mine.outbox.perform(wish("take"), world.market.withdraw(mine.address, world.asset))
    assert held(world.market, world.asset, world.market.address) == 0
    after = {account: held(world.market, world.asset, account) for account in everybody(world)}
    assert sum(after.values()) == sum(before.values())
    scientist = Address(world.scientist.address)
    assert before[scientist] - after[scientist] == summary["paid_units"]
    assert allowance(world.market, world.asset, scientist, world.market.address) == 0


def uninvited(world: World) -> HonestMine:
    """A mine with money that is not on the list."""
    account: LocalAccount = Account.create()
    deployer = Outbox(world.market, world.deployer, Journal(world.folder / "d.sqlite"), sleep=lambda _s: None)
    deployer.perform(wish("gift"), transfer(Address(account.address), ETHER_WEI))
    mint(deployer, world.asset, Address(account.address), 10**6)
    return HonestMine(world, 9, account)


def test_the_list_is_published_with_the_model(tmp_path: Path) -> None:
    world = among_named(tmp_path)
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.id is not None)
    (posted,) = world.events(BountyPosted)
    model = ModelManifest.from_bytes(world.store.get(Cid("dag-cbor", posted.model_digest), 1 << 20))
    assert model.allow_list is not None
    named = AllowList.from_bytes(world.store.get(model.allow_list, AllowList.max_bytes)).mines
    assert set(named) == {mine.address for mine in world.miners}
    assert root_of(named) == posted.terms.allow_root


def test_every_boundary_survives_a_kill_with_an_escrow_in_a_token(tmp_path: Path) -> None:
    world, killer = among_named(tmp_path, rounds=1), Killer()
    before = held(world.market, world.asset, Address(world.scientist.address))
    campaign, deaths = run_to_the_end(world, killer)
    assert deaths == len(killer.boundaries)
    approval = str(Intent.of_posting(campaign.bounty.settings.name).approval)
    assert any(boundary[2] == approval for boundary in killer.boundaries)
    assert len(world.events(BountyPosted)) == 1
    world.check_money()
    journal = Journal(world.folder / "pysonar.sqlite")
    mined = [line.data["name"] for line in journal.events("transaction")]
    assert mined == ["approve", "post", "settle", "withdraw"]
    spent = before - held(world.market, world.asset, Address(world.scientist.address))
    assert spent == campaign.summary()["paid_units"]


def test_decimals_that_the_token_does_not_have_stop_the_post(tmp_path: Path) -> None:
    """Else every amount would be wrong by a power of ten."""
    world = among_named(tmp_path)
    world.bounty = changed(world.bounty, asset_decimals=5)
    with pytest.raises(ConfigError, match=r"asset_decimals: is 5, but the token 0x\w+ says 6"):
        world.campaign().tick()
    assert Journal(world.folder / "pysonar.sqlite").events("transaction") == []


def test_a_settler_that_cannot_answer_stops_the_post(tmp_path: Path) -> None:
    """Else no round could be settled, and the reward would go by default."""
    world = among_named(tmp_path)
    world.bounty = changed(world.bounty, settler=world.asset)  # a contract, and it knows no EIP-1271
    with pytest.raises(ConfigError, match=f"settler: the contract {world.asset} gives no answer"):
        world.campaign().tick()
    assert Journal(world.folder / "pysonar.sqlite").events("transaction") == []


def test_a_quiet_end_shorter_than_the_networks_windows_stops_the_post(tmp_path: Path) -> None:
    world = World(tmp_path / "w", min_window_s=15, settings={"quiet_s": 14})
    with pytest.raises(ConfigError, match=r"quiet_s: 14 s is less than this network's 15 s") as told:
        world.campaign().tick()
    assert "give 15 at least, or 0" in told.value.hint
    assert Journal(world.folder / "pysonar.sqlite").events("transaction") == []
    world.bounty = changed(world.bounty, quiet_s=15)
    campaign = world.campaign()
    world.run_until(campaign, lambda: campaign.id is not None)
    assert campaign.id is not None
    assert world.market.bounty(campaign.id).terms.quiet_s == 15


def changed(bounty: Bounty, **settings: Any) -> Bounty:
    return replace(bounty, settings=bounty.settings.model_copy(update=settings))


def test_a_scientist_without_enough_of_the_token_sends_nothing(tmp_path: Path) -> None:
    world = among_named(tmp_path, reward="101 TST")
    with pytest.raises(InsufficientFunds) as caught:
        world.campaign().tick()
    assert caught.value.asset == world.asset
    assert Journal(world.folder / "pysonar.sqlite").events("transaction") == []
