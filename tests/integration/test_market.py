"""The market's typed calls, events and errors, the same on every chain client; and a node that lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from sonar import localchain
from sonar.chain.contract import abi, errors
from sonar.chain.contract.abi import training_market
from sonar.chain.contract.calls import Award
from sonar.chain.contract.market import CLASSES, Market
from sonar.chain.deploying.deploy import Deployment, deploy
from sonar.chain.deploying.faucet import fund
from sonar.chain.rpc import Rpc
from sonar.chain.sending.outbox import Outbox
from sonar.errors import (
    ChainUnavailable,
    ConfigError,
    InsufficientFunds,
    RemoteError,
    RpcError,
    WrongContract,
)
from sonar.home.journal import Journal
from sonar.home.keystore import write_private
from sonar.home.settings import FaucetConfig, NetworkConfig, StoreConfig
from sonar.localchain import anvil
from sonar.protocol.events import (
    BountyClosed,
    BountyPosted,
    Committed,
    MinePaid,
    Revealed,
    RoundOpened,
    RoundSettled,
    Withdrawn,
)
from sonar.protocol.ids import ETHER, Address, BountyId, Digest
from sonar.protocol.phase import CloseReason, EntryState, Status, status_of
from sonar.protocol.seal import seal
from sonar.telling.progress import ListSink, Progress, Waiting
from tests.chain_kit import SALT, World, error_answer, make_terms, wish

needs_anvil = pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")
CLIENTS = [pytest.param("anvil", marks=needs_anvil), "eth-tester"]
MODEL, KEY, NEXT, UPDATE, EVIDENCE = (Digest(bytes([n]) * 32) for n in range(1, 6))


@dataclass
class Net:
    """A network on one client: the contract, a scientist, three mines and their outboxes."""

    url: str
    deployment: Deployment
    market: Market
    accounts: list[LocalAccount]
    outboxes: list[Outbox]

    def address(self, index: int) -> Address:
        return Address(self.accounts[index].address)


@pytest.fixture(params=CLIENTS)
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Net]:
    accounts: list[LocalAccount] = [Account.create() for _ in range(4)]
    funds = {Address(account.address): 10**19 for account in accounts}
    with localchain.start(request.param, fund=funds) as chain:
        rpc = Rpc(chain.url)
        deployment = deploy(rpc, accounts[0], min_window_s=10)
        market = deployment.market(rpc)
        outboxes = [
            Outbox(market, account, Journal(tmp_path / f"{i}.sqlite")) for i, account in enumerate(accounts)
        ]
        yield Net(chain.url, deployment, market, accounts, outboxes)


def test_a_bounty_from_post_to_withdrawal(net: Net) -> None:
    market, scientist, mines = net.market, net.outboxes[0], net.outboxes[1:]
    terms = make_terms(rounds=1)
    bounty = market.bounty_id(scientist.address, terms, MODEL, KEY, SALT)
    with pytest.raises(errors.UnknownBounty):
        market.bounty(bounty)
    scientist.perform(wish("post"), market.post(terms, MODEL, KEY, SALT))
    state = market.bounty(bounty)
    assert (state.bounty, state.scientist, state.terms) == (bounty, scientist.address, terms)
    assert (state.round, state.escrow_units, state.best_loss, state.model_digest) == (
        1,
        terms.escrow_units,
        terms.initial_loss,
        MODEL,
    )
    assert market.entry(bounty, mines[0].address).state is EntryState.NONE

    seals = [
        seal(market.chain_id, market.address, bounty, 1, mine.address, UPDATE, bytes([i]) * 32)
        for i, mine in enumerate(mines)
    ]
    for mine, sealed in zip(mines, seals, strict=True):
        mine.perform(wish("commit"), market.commit(bounty, 1, sealed, terms.stake_units))
    entry = market.entry(bounty, mines[1].address)
    assert (entry.round, entry.state, entry.seal) == (1, EntryState.COMMITTED, seals[1][:29])
    with pytest.raises(errors.CohortFull, match=r"the round is full: it has 3 mines, the most"):
        scientist.perform(wish("late"), market.commit(bounty, 1, seals[0], terms.stake_units))
    with pytest.raises(errors.SealMismatch):
        mines[0].perform(wish("wrong"), market.reveal(bounty, 1, UPDATE, SALT))
    for i, mine in enumerate(mines):
        mine.perform(wish("reveal"), market.reveal(bounty, 1, UPDATE, bytes([i]) * 32))
    head = market.head()
    assert status_of(market.bounty(bounty, at=head), head.timestamp_s) is Status.SETTLE

    awards = [Award(mine.address, share) for mine, share in zip(mines, (6_000, 4_000, 0), strict=True)]
    with pytest.raises(errors.NotScientist):
        mines[0].perform(wish("settle"), market.settle(bounty, 1, NEXT, 505, awards, EVIDENCE))
    with pytest.raises(errors.WrongCohortSize, match="2 mines are listed, but 3 have revealed"):
        scientist.perform(wish("two"), market.settle(bounty, 1, NEXT, 505, awards[:2], EVIDENCE))
    scientist.perform(wish("settle"), market.settle(bounty, 1, NEXT, 505, awards, EVIDENCE))
    assert market.bounty(bounty).closed
    paid = [event for event in market.events(0, bounty=bounty) if isinstance(event, MinePaid)]
    for mine in mines:
        [line] = [event for event in paid if event.mine == mine.address]
        due = line.stake_units + line.fee_units + line.reward_units + line.forfeit_units
        assert market.withdrawable(mine.address) == due
        before = market.ether(mine.address)
        receipt = mine.perform(wish("withdraw"), market.withdraw(mine.address))
        assert market.ether(mine.address) == before + due - receipt.fee_wei
    scientist.perform(wish("withdraw"), market.withdraw(scientist.address))
    assert market.ether(market.address) == 0

    told = market.events(market.deployed_block, bounty=bounty)
    assert [type(event) for event in told] == [
        BountyPosted,
        RoundOpened,
        *[Committed] * 3,
        *[Revealed] * 3,
        *[MinePaid] * 3,
        RoundSettled,
        BountyClosed,
    ]
    assert isinstance(told[0], BountyPosted)
    assert (told[0].terms, told[0].key_digest, told[0].escrow_units) == (terms, KEY, terms.escrow_units)
    assert isinstance(told[-1], BountyClosed)
    assert told[-1].reason is CloseReason.LAST_ROUND
    settled = told[-2]
    assert isinstance(settled, RoundSettled)
    assert (settled.new_loss, settled.evidence_digest) == (505, EVIDENCE)
    assert [(e.block, e.log_index) for e in told] == sorted((e.block, e.log_index) for e in told)
    everything = market.events(0)
    assert [e for e in everything if not isinstance(e, Withdrawn)] == told
    drawn = [event for event in everything if isinstance(event, Withdrawn)]
    assert sum(event.amount_units for event in drawn) == terms.escrow_units + 3 * terms.stake_units
    assert {event.asset for event in drawn} == {ETHER}


def test_events_resume_from_a_block_and_belong_to_one_bounty(net: Net) -> None:
    market, scientist = net.market, net.outboxes[0]
    ids = []
    for n in range(3):
        ids.append(market.bounty_id(scientist.address, make_terms(), MODEL, KEY, bytes([n]) * 32))
        scientist.perform(wish(f"post/{n}"), market.post(make_terms(), MODEL, KEY, bytes([n]) * 32))
    assert [posted.bounty for posted in market.bounties()] == ids
    second = market.events(0, bounty=ids[1])
    assert [type(event) for event in second] == [BountyPosted, RoundOpened]
    block = second[0].block
    assert {getattr(event, "bounty", None) for event in market.events(block)} == set(ids[1:])
    assert {getattr(event, "bounty", None) for event in market.events(0, block - 1)} == {ids[0]}
    assert market.events(block + 1, bounty=ids[1]) == []
    assert market.events(market.head().number + 1) == []


def test_long_ranges_are_asked_for_in_parts(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    net.outboxes[0].perform(wish("post"), net.market.post(make_terms(), MODEL, KEY, SALT))
    whole = net.market.events(0)
    monkeypatch.setattr("sonar.chain.contract.market.BLOCKS_PER_QUERY", 1)
    asked: list[tuple[int, int]] = []
    call = net.market.rpc.call

    def spy(method: str, *params: Any) -> Any:
        if method == "eth_getLogs":
            asked.append((int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)))
        return call(method, *params)

    monkeypatch.setattr(net.market.rpc, "call", spy)
    head = net.market.head().number
    assert net.market.events(0, head) == whole
    assert asked == [(n, n) for n in range(net.market.deployed_block, head + 1)]


def test_another_contract_or_chain_is_noticed_before_any_money_moves(net: Net) -> None:
    rpc, good = net.market.rpc, net.deployment
    with pytest.raises(WrongContract, match="the network file says 0707"):
        Market(rpc, chain_id=31337, address=good.contract, code_hash=b"\7" * 32)
    with pytest.raises(WrongContract, match="there is no code"):
        Market(rpc, chain_id=31337, address=net.address(0), code_hash=good.code_hash)
    with pytest.raises(ConfigError, match="serves chain 31337, the network file says 5"):
        Market(rpc, chain_id=5, address=good.contract, code_hash=good.code_hash)
    other = deploy(rpc, net.accounts[0], min_window_s=11)
    with pytest.raises(WrongContract):
        Market(rpc, chain_id=31337, address=other.contract, code_hash=good.code_hash)
    assert good.code_hash == keccak(training_market().runtime_code(10))
    net.market.address = net.address(0)  # as of a chain that began anew behind the same port
    with pytest.raises(WrongContract, match="there is no code"):
        net.market.min_window_s()


def test_a_node_that_has_not_come_to_the_contracts_block_is_waited_for(world: World) -> None:
    made, ahead = world.deployment, world.market.head().number + 100
    lying(world, "eth_getCode", lambda code: "0x")
    where: dict[str, Any] = {"chain_id": made.chain_id, "address": made.contract, "code_hash": made.code_hash}
    with pytest.raises(ChainUnavailable, match=f"has not come to the contract's block {ahead}") as caught:
        Market(world.rpc, **where, deployed_block=ahead)
    assert "syncing" in caught.value.hint
    with pytest.raises(WrongContract, match="there is no code"):
        Market(world.rpc, **where, deployed_block=made.block)


def test_the_faucet_of_a_development_network(net: Net, tmp_path: Path) -> None:
    write_private(tmp_path / "faucet.key", f"0x{bytes(net.accounts[3].key).hex()}".encode())
    network = NetworkConfig(
        name="test",
        dev=True,
        chain_id=31337,
        rpc_url=net.url,
        contract=net.deployment.contract,
        code_hash=net.deployment.code_hash,
        store=StoreConfig(path=str(tmp_path)),
        faucet=FaucetConfig(key_file=str(tmp_path / "faucet.key")),
    )
    to = Address(Account.create().address)
    fund(network, to, 7)
    assert Market.connect(network).ether(to) == 7
    with pytest.raises(ConfigError, match="has none"):
        fund(network.model_copy(update={"dev": False}), to, 7)
    with pytest.raises(ConfigError, match="address"):
        fund(network, "0x12", 7)
    with pytest.raises(InsufficientFunds) as poor:
        fund(network, to, 10**30)
    assert poor.value.hint == "that is the faucet itself: ask for less, or send it ether"


def test_a_node_that_is_gone_is_said_to_be_gone() -> None:
    rpc = Rpc("http://127.0.0.1:9", attempts=2, timeout_s=1)
    with pytest.raises(ChainUnavailable, match=r"http://127.0.0.1:9 does not answer") as caught:
        rpc.call("eth_chainId")
    assert "sonar chain" in caught.value.hint
    with pytest.raises(ConfigError, match="rpc_url"):
        Rpc("node.example:8545")


# ---- a node that lies, on an in-process chain


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def lying(world: World, method: str, lie: Callable[[Any], Any]) -> None:
    """Replace the results of `method` by what `lie` makes of them."""
    honest = world.chain.rpc()

    def tamper(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        [request] = requests
        if not before or request["method"] != method:
            return None
        result = lie(honest.call(method, *request["params"]))
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()

    world.wire.tamper = tamper


def changed(**fields: Any) -> Callable[[Any], Any]:
    return lambda logs: [logs[0] | fields, *logs[1:]]


@pytest.mark.parametrize(
    "lie",
    [
        lambda logs: None,
        lambda logs: [None],
        lambda logs: [{}],
        lambda logs: [logs[0] | {"data": logs[0]["data"][:-2]}],
        lambda logs: [logs[0] | {"data": logs[0]["data"] + "00"}],
        lambda logs: [logs[0] | {"data": "0x" + "ff" * (len(logs[0]["data"]) // 2 - 1)}],
        lambda logs: [logs[0] | {"topics": logs[0]["topics"][:-1]}],
        lambda logs: [logs[0] | {"topics": [*logs[0]["topics"], "0x" + "00" * 32]}],
        lambda logs: [logs[0] | {"topics": ["0x" + "12" * 32, *logs[0]["topics"][1:]]}],
        lambda logs: [logs[0] | {"topics": [*logs[0]["topics"][:2], "0x" + "ff" * 32]}],
        changed(address="0x" + "12" * 20),
        changed(removed=True),
        changed(blockNumber=None),
        changed(blockNumber="7"),
        changed(transactionHash="0x12"),
        changed(logIndex=-1),
        changed(data=7),
        changed(topics="0x"),
    ],
)
def test_a_malformed_log_is_refused(world: World, lie: Callable[[Any], Any]) -> None:
    world.post(make_terms())
    assert len(world.market.events(0)) == 2
    lying(world, "eth_getLogs", lie)
    with pytest.raises(RemoteError):
        world.market.events(0)


def test_a_log_of_another_bounty_than_was_asked_for_is_refused(world: World) -> None:
    bounty = BountyId(world.post(make_terms()))
    world.post(make_terms(), salt=b"\x09" * 32)
    others = world.chain.rpc().call(
        "eth_getLogs", {"fromBlock": hex(world.market.head().number), "address": world.market.address}
    )
    lying(world, "eth_getLogs", lambda logs: others)
    with pytest.raises(RemoteError, match="another bounty"):
        world.market.events(0, bounty=bounty)


def test_a_node_that_limits_queries_is_asked_for_less_and_long_reads_are_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(7):
        world.post(make_terms(), salt=bytes([n]) * 32)
    whole = world.market.events(0)
    first, last = world.market.deployed_block, world.market.head().number
    asked: list[tuple[int, int]] = []

    def limited(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        [request] = requests
        if not before or request["method"] != "eth_getLogs":
            return None
        asked.append((int(request["params"][0]["fromBlock"], 16), int(request["params"][0]["toBlock"], 16)))
        if asked[-1][1] - asked[-1][0] >= 2:
            return error_answer(requests, "query exceeds max block range 2", -32602)
        return None

    world.wire.tamper = limited
    told = ListSink()
    monkeypatch.setattr("sonar.chain.contract.market.BLOCKS_PER_QUERY", 6)
    monkeypatch.setattr("sonar.chain.contract.market._QUERIES_PER_TOLD", 4)
    made = world.deployment
    where: dict[str, Any] = {"chain_id": made.chain_id, "address": made.contract, "code_hash": made.code_hash}
    market = Market(world.rpc, **where, deployed_block=first, progress=Progress(told))
    assert market.events(first, last) == whole
    read = [(a, b) for a, b in asked if b - a < 2]
    assert [a for a, _ in read] == [first, *(b + 1 for _, b in read[:-1])]  # each block once
    assert read[-1][1] == last
    assert len(asked) - len(read) == 2  # six blocks, then three
    assert told.events[0] == Waiting(f"the contract's record: block {asked[3][0]} of {last} is read")


def test_a_node_that_answers_no_query_is_said_to_refuse(world: World) -> None:
    world.wire.tamper = lambda requests, before: (
        error_answer(requests, "no logs here") if requests[0]["method"] == "eth_getLogs" else None
    )
    with pytest.raises(RpcError, match="eth_getLogs: no logs here"):
        world.market.events(0)


@pytest.mark.parametrize(
    "result", [None, 7, "", "0x", "0x12", "0x" + "00" * 31, "0x" + "ff" * 22 * 32, ["0x"]]
)
def test_a_malformed_result_is_refused(world: World, result: Any) -> None:
    bounty = BountyId(world.post(make_terms()))
    lying(world, "eth_call", lambda honest: result)
    with pytest.raises(RemoteError):
        world.market.bounty(bounty)


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (lambda honest: None, "the node has no newest block"),
        (lambda honest: "0x1", "the node has no newest block"),
        (lambda honest: {}, "number of the newest block"),
        (lambda honest: honest | {"number": 7}, "number of the newest block"),
        (lambda honest: honest | {"timestamp": "late"}, "timestamp of the newest block"),
        (lambda honest: honest | {"hash": "0x12"}, "hash of the newest block"),
    ],
)
def test_a_malformed_head_is_refused(world: World, lie: Callable[[Any], Any], told: str) -> None:
    lying(world, "eth_getBlockByNumber", lie)
    with pytest.raises(RpcError, match=told):
        world.market.head()


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"{}", b'{"id": 1}', b'{"error": "no"}', b"[" * 300_000, b"\xff", b"null"],
    ids=lambda content: repr(content[:20]),
)
def test_an_answer_that_is_not_json_rpc_is_refused(world: World, content: bytes) -> None:
    world.wire.tamper = lambda requests, before: content
    with pytest.raises(RpcError):
        world.market.head()


def test_a_nodes_own_errors_are_told_with_the_method(world: World) -> None:
    world.wire.tamper = lambda requests, before: error_answer(requests, "no such block", code=-32001)
    with pytest.raises(RpcError, match="eth_getBlockByNumber: no such block") as caught:
        world.market.head()
    assert caught.value.code == -32001


def test_a_node_without_batches_is_served_one_by_one(world: World) -> None:
    world.wire.tamper = lambda requests, before: (
        b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}'
        if len(requests) > 1
        else None
    )
    assert (
        world.outbox(1).perform(wish("post"), world.market.post(make_terms(), MODEL, KEY, SALT)).gas_used
        > 21_000
    )


def test_every_event_of_the_abi_has_its_record() -> None:
    for item in abi.events().values():
        record = CLASSES[item.name]
        own = [field.name for field in fields(record) if not field.kw_only]
        plain = [name.removesuffix("_units").removesuffix("_s").replace("_", "") for name in own]
        assert plain == [name.lower() for name in item.names]
    assert len(CLASSES) == len(abi.events())
