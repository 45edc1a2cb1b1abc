"""The outbox: whatever breaks and whenever, a transaction is made once, and a refused one costs nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account

from sonar.chain.contract.calls import transfer
from sonar.chain.contract.errors import AlreadyCommitted, CohortFull, NothingToWithdraw
from sonar.chain.deploying.deploy import deploy
from sonar.chain.rpc import Chain
from sonar.chain.sending.fees import MAX_FEE_PER_GAS_WEI
from sonar.chain.sending.outbox import Outbox
from sonar.chain.sending.queue import MAX_GAP
from sonar.errors import (
    ChainUnavailable,
    InsufficientFunds,
    LocalProtocolError,
    RpcError,
    SonarError,
    TransactionStuck,
    WrongContract,
)
from sonar.home.journal import Journal
from sonar.localchain.jsonrpc import answer
from sonar.localchain.tester import TesterChain
from sonar.protocol.ids import Address
from sonar.telling.amounts import parse_wei
from sonar.telling.progress import Note, Transaction
from tests.chain_kit import ETHER_WEI, Clock, Killed, World, error_answer, make_terms, wish

SEND = "eth_sendRawTransaction"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def stranger() -> Address:
    return Address(Account.create().address)


def sends(world: World) -> int:
    return world.wire.seen.count(SEND)


def tries(world: World, key: str = "gift") -> list[dict[str, Any]]:
    """What was signed under a key of account 1."""
    found: list[dict[str, Any]] = Journal(world.folder / "1.sqlite").get(wish(key).key)["tries"]
    return found


def swallow(requests: list[dict[str, Any]], before: bool) -> bytes | None:
    """A node that takes what is sent, and does nothing with it."""
    return error_answer(requests, "already known") if requests[0]["method"] == SEND else None


def ask_for(world: World, tip_wei: int) -> None:
    """Mine a block after which the chain asks for this tip."""
    methods: Any = world.chain.methods
    real = methods["eth_feeHistory"]
    methods["eth_feeHistory"] = lambda params: real(params) | {"reward": [[hex(tip_wei)]]}
    mine(world)


def mine(world: World, blocks: int = 1) -> None:
    for _ in range(blocks):
        world.chain.mine_at(world.chain.now_s + 1)


def nonce(world: World, index: int) -> int:
    return int(world.rpc.call("eth_getTransactionCount", world.address(index), "latest"), 16)


def test_a_transaction_is_made_once_however_often_it_is_asked_for(world: World) -> None:
    to, before = stranger(), sends(world)
    first = world.outbox(1).perform(wish("gift"), transfer(to, 5))
    assert world.told.events == [Transaction("transfer", first.tx_hash, 21_000, first.fee_wei, 0)]
    assert world.outbox(1).perform(wish("gift"), transfer(to, 5)) == first
    assert world.outbox(1).outcome(wish("gift")) == first
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"
    assert sends(world) == before + 1
    spent = 10 * ETHER_WEI - int(world.rpc.call("eth_getBalance", world.address(1), "latest"), 16)
    assert spent == 5 + first.fee_wei


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("exchange", range(3))
def test_a_kill_at_any_exchange_neither_loses_nor_repeats(world: World, exchange: int, before: bool) -> None:
    to, count = stranger(), iter(range(100))

    def kill(requests: list[dict[str, Any]], now_before: bool) -> None:
        if now_before == before and next(count) == exchange:
            raise Killed

    world.wire.tamper = kill
    with pytest.raises(Killed):
        world.outbox(1).perform(wish("gift"), transfer(to, 5))
    world.wire.tamper = lambda requests, before: None
    receipt = world.outbox(1).perform(wish("gift"), transfer(to, 5))
    assert receipt.gas_used == 21_000
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"
    assert nonce(world, 1) == 1


def test_the_signed_bytes_are_saved_before_they_are_sent(world: World) -> None:
    saved = []

    def look(requests: list[dict[str, Any]], before: bool) -> None:
        if before and requests[0]["method"] == SEND:
            [(_, entry)] = Journal(world.folder / "1.sqlite").items("outbox/")
            saved.append("0x" + entry["tries"][-1]["raw"].hex() == requests[0]["params"][0])

    world.wire.tamper = look
    world.outbox(1).perform(wish("gift"), transfer(stranger(), 5))
    assert saved == [True]


def test_a_lost_answer_is_looked_for_and_not_sent_as_another(world: World) -> None:
    def lose(requests: list[dict[str, Any]], before: bool) -> None:
        if not before and requests[0]["method"] == SEND:
            raise httpx.ReadTimeout("lost")

    to, outbox = stranger(), world.outbox(1)
    world.wire.tamper = lose
    with pytest.raises(ChainUnavailable, match="does not answer"):
        outbox.perform(wish("gift"), transfer(to, 5))
    world.wire.tamper = lambda requests, before: None
    outbox.perform(wish("gift"), transfer(to, 5))
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"


@pytest.mark.parametrize("message", ["already known", "ALREADY_EXISTS: already known", "nonce too low"])
def test_a_node_that_has_the_transaction_already_is_no_error(world: World, message: str) -> None:
    def refuse(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if not before and requests[0]["method"] == SEND:
            return error_answer(requests, message)
        return None

    to = stranger()
    world.wire.tamper = refuse
    assert world.outbox(1).perform(wish("gift"), transfer(to, 5)).gas_used == 21_000
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"


def test_what_the_contract_refuses_is_not_sent_and_costs_nothing(world: World) -> None:
    before = sends(world)
    with pytest.raises(NothingToWithdraw) as caught:
        world.outbox(1).perform(wish("take"), world.market.withdraw(world.address(1)))
    assert caught.value.account == world.address(1)
    assert sends(world) == before
    assert not world.outbox(1).submitted(wish("take"))
    assert world.market.ether(world.address(1)) == 10 * ETHER_WEI


def test_a_call_that_fails_when_it_is_mined_raises_the_contracts_error(world: World) -> None:
    bounty = world.post(make_terms(cohort_cap=1, min_mines=1))
    outbox, rival = world.outbox(1), world.outbox(2)
    calls = [world.market.commit(bounty, 1, world.seal(bounty, 1, i), 10**15) for i in (1, 2)]  # type: ignore[arg-type]

    def overtake(requests: list[dict[str, Any]], before: bool) -> None:
        if before and requests[0]["method"] == SEND:
            world.wire.tamper = lambda requests, before: None
            rival.perform(wish("commit"), calls[1])

    world.wire.tamper = overtake
    for _ in range(2):  # the second time the simulation says so
        with pytest.raises(CohortFull, match=r"(?m)^the round is full: it has 1 mines, .* terms allow$"):
            outbox.perform(wish("commit"), calls[0])
    with pytest.raises(CohortFull):
        world.outbox(1).outcome(wish("commit"))
    assert world.outbox(1).wanted(wish("commit"))
    assert nonce(world, 1) == 1
    assert world.market.ether(world.address(1)) > 10 * ETHER_WEI - 10**15


def test_an_account_that_cannot_pay_is_told_how_much_it_needs(world: World) -> None:
    before = sends(world)
    with pytest.raises(InsufficientFunds) as caught:
        world.outbox(1).perform(wish("gift"), transfer(stranger(), 10 * ETHER_WEI))
    assert caught.value.have_units == 10 * ETHER_WEI < caught.value.need_units
    assert f"{world.address(1)} has 10 ether and needs 10.0" in str(caught.value)
    assert parse_wei(caught.value.hint.split(" to ")[0].removeprefix("send at least ")) == (
        caught.value.need_units - caught.value.have_units
    )
    with pytest.raises(InsufficientFunds, match=r"has 10 ether and needs 11\.0"):
        world.outbox(1).perform(wish("more"), transfer(stranger(), 11 * ETHER_WEI))
    assert sends(world) == before


@pytest.mark.parametrize(
    ("message", "error"),
    [("insufficient funds for gas * price + value", InsufficientFunds), ("too many requests", RpcError)],
)
def test_a_node_may_refuse_to_estimate_for_want_of_ether_or_for_another_reason(
    world: World, message: str, error: type[SonarError]
) -> None:
    """Though the account has what the transaction sends: only the node knows what its gas costs."""

    def refuse(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if requests[0]["method"] != "eth_estimateGas" or not before:
            return None
        answers = json.loads(answer(json.dumps(requests).encode(), world.chain.methods))
        answers[0] = {
            "jsonrpc": "2.0",
            "id": requests[0]["id"],
            "error": {"code": -32000, "message": message},
        }
        return json.dumps(answers).encode()

    world.wire.tamper = refuse
    with pytest.raises(error, match=r"needs 10\.0" if error is InsufficientFunds else message):
        world.outbox(1).perform(wish("gift"), transfer(stranger(), 10 * ETHER_WEI))
    assert not world.outbox(1).submitted(wish("gift"))


def test_what_is_not_mined_is_replaced_at_a_higher_fee(world: World) -> None:
    clock, to = Clock(), stranger()
    outbox = world.outbox(1, monotonic=clock, sleep=clock.sleep, bump_after_s=30)
    world.wire.tamper = swallow
    outbox.submit(wish("gift"), transfer(to, 5))
    assert outbox.outcome(wish("gift")) is None
    ask_for(world, tip_wei=2 * 10**7)
    clock.now_s = 31
    world.wire.tamper = lambda requests, before: None
    assert outbox.outcome(wish("gift")) is None
    old, new = tries(world)
    assert new["max_fee_wei"] >= old["max_fee_wei"] * 5 // 4
    assert new["tip_wei"] >= old["tip_wei"] * 5 // 4
    receipt = outbox.outcome(wish("gift"))
    assert receipt is not None
    assert receipt.tx_hash == new["hash"]
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"


def test_the_older_of_two_tries_may_be_the_one_that_is_mined(world: World) -> None:
    held: list[str] = []

    def hold(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if requests[0]["method"] == SEND:
            held.append(requests[0]["params"][0])
            return error_answer(requests, "already known")
        return None

    clock, to = Clock(), stranger()
    outbox = world.outbox(1, monotonic=clock, sleep=clock.sleep, bump_after_s=30)
    world.wire.tamper = hold
    outbox.submit(wish("gift"), transfer(to, 5))
    ask_for(world, tip_wei=2 * 10**7)
    clock.now_s = 31
    assert outbox.outcome(wish("gift")) is None
    world.wire.tamper = lambda requests, before: None
    mined = world.rpc.call(SEND, held[0])
    receipt = world.outbox(1).outcome(wish("gift"))  # a restart knows both hashes
    assert receipt is not None
    assert receipt.tx_hash == mined
    assert len(set(held)) == 2
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"


def kill_sends(requests: list[dict[str, Any]], before: bool) -> None:
    if before and requests[0]["method"] == SEND:
        raise Killed


def test_a_nonce_that_another_program_used_is_replaced(world: World, tmp_path: Path) -> None:
    to, other = stranger(), stranger()
    world.wire.tamper = kill_sends
    with pytest.raises(Killed):
        world.outbox(1).perform(wish("gift"), transfer(to, 5))
    world.wire.tamper = lambda requests, before: None
    wallet = Outbox(world.market, world.accounts[1], Journal(tmp_path / "wallet.sqlite"))
    wallet.perform(wish("elsewhere"), transfer(other, 7))
    world.outbox(1, sleep=lambda _s: mine(world)).perform(wish("gift"), transfer(to, 5))
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"
    assert nonce(world, 1) == 2


def test_the_same_intent_done_by_another_program_is_told_as_the_contract_tells_it(
    world: World, tmp_path: Path
) -> None:
    bounty = world.post(make_terms())
    call = world.market.commit(bounty, 1, world.seal(bounty, 1, 1), 10**15)  # type: ignore[arg-type]
    world.wire.tamper = kill_sends
    with pytest.raises(Killed):
        world.outbox(1).perform(wish("commit"), call)
    world.wire.tamper = lambda requests, before: None
    world.chain.mine_at(world.chain.now_s + 1)  # another base fee, or both would sign the same bytes
    Outbox(world.market, world.accounts[1], Journal(tmp_path / "wallet.sqlite")).perform(wish("commit"), call)
    with pytest.raises(AlreadyCommitted):
        world.outbox(1, sleep=lambda _s: mine(world)).perform(wish("commit"), call)
    assert world.market.bounty(bounty).committed == 1  # type: ignore[arg-type]


def test_a_fee_stays_as_it_is_until_a_block_asks_for_more(world: World) -> None:
    """The node is cut off: without a block there is no reason to offer more, however long it takes."""
    clock = Clock()
    outbox = world.outbox(1, monotonic=clock, sleep=clock.sleep)
    world.wire.tamper = swallow
    outbox.submit(wish("gift"), transfer(stranger(), 5))
    before = sends(world)
    for _ in range(10):
        clock.now_s += 31
        assert outbox.outcome(wish("gift")) is None
    assert sends(world) == before + 10  # a node may have forgotten it
    told = [event.text for event in world.told.events if isinstance(event, Note)]
    assert told == ["transfer is not mined yet: no block has come since it was signed"]
    mine(world, 3)
    clock.now_s += 31
    assert outbox.outcome(wish("gift")) is None
    assert len(tries(world)) == 1
    ask_for(world, tip_wei=10**15)  # a tip has a limit
    clock.now_s += 31
    assert outbox.outcome(wish("gift")) is None
    assert len(tries(world)) == 2
    assert tries(world)[1]["tip_wei"] == 5 * 10**9


def test_a_node_that_never_counts_its_pool_is_not_asked_over_and_over(world: World) -> None:
    clock = Clock()
    outbox = world.outbox(1, monotonic=clock, sleep=clock.sleep)
    world.wire.tamper = swallow
    outbox.submit(wish("gift"), transfer(stranger(), 5))
    before = sends(world)
    while clock.now_s < 300:
        assert outbox.outcome(wish("gift")) is None
        clock.now_s += 0.25
    assert sends(world) - before <= 4 * 300 / 30


def test_a_node_that_lags_makes_nothing_of_what_was_mined(world: World) -> None:
    """It counts too few transactions; another one behind the same address has the receipt."""
    outbox, to = world.outbox(1), stranger()
    receipt = outbox.perform(wish("gift"), transfer(to, 5))
    told, known = list(world.told.events), world.chain.methods
    count = known["eth_getTransactionCount"]
    known["eth_getTransactionCount"] = lambda params: "0x0"  # type: ignore[index]
    outbox.recover(world.market.head())
    known["eth_getTransactionCount"] = count  # type: ignore[index]
    mine(world)
    outbox.recover(world.market.head())
    assert outbox.outcome(wish("gift")) == receipt
    assert [event for event in world.told.events if isinstance(event, Transaction)] == told
    assert len(Journal(world.folder / "1.sqlite").events("transaction")) == 1
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"


def test_what_was_mined_is_not_sent_to_a_chain_without_the_contract(world: World) -> None:
    outbox = world.outbox(1)
    for n in range(2):
        outbox.perform(wish(f"gift/{n}"), transfer(stranger(), 5))
    anew = TesterChain({world.address(1): ETHER_WEI}, clock=world.clock)
    world.wire.chain = anew
    while anew.now_s < world.chain.now_s + 9:
        anew.mine_at(anew.now_s + 1)
    before = sends(world)
    for elsewhere in (outbox, world.outbox(1)):
        with pytest.raises(WrongContract):
            elsewhere.recover(world.market.head())
    assert sends(world) == before


@pytest.mark.parametrize("before", [3, MAX_GAP + 4])
def test_a_home_that_takes_over_another_network_begins_there_with_its_own_nonces(
    world: World, tmp_path: Path, before: int
) -> None:
    """Also where both chains have one id, as development chains do."""
    outbox, gifts = world.outbox(1), [stranger() for _ in range(before)]
    for n, to in enumerate(gifts):
        outbox.perform(wish(f"gift/{n}"), transfer(to, 5))
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    other.outbox(0).perform(wish("fund"), transfer(world.address(1), ETHER_WEI))
    market = deploy(other.rpc, other.accounts[0], min_window_s=11).market(other.rpc)
    taken_over = world.outbox(1, chain=market)
    taken_over.recover(market.head())
    taken_over.perform(wish("claim"), transfer(stranger(), 5))
    assert not any(isinstance(event, Note) for event in world.told.events)
    assert [other.market.ether(to) for to in gifts] == [0] * before
    assert other.rpc.call("eth_getTransactionCount", world.address(1), "latest") == "0x1"
    assert outbox.outcome(wish("gift/0")) is not None  # and back


def test_what_is_refused_for_its_fee_is_priced_again(world: World) -> None:
    """Killed before it was sent; by then the chain asks for more."""
    world.wire.tamper = kill_sends
    with pytest.raises(Killed):
        world.outbox(1).perform(wish("gift"), transfer(stranger(), 5))

    def refuse(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if requests[0]["method"] == SEND and requests[0]["params"][0] == "0x" + tries(world)[0]["raw"].hex():
            return error_answer(requests, "max fee per gas less than block base fee")
        return None

    world.wire.tamper = refuse
    outbox = world.outbox(1)
    assert outbox.outcome(wish("gift")) is None  # no block has come: the same node will say the same again
    assert len(tries(world)) == 1
    mine(world)
    assert outbox.outcome(wish("gift")) is None
    assert len(tries(world)) == 2
    assert outbox.outcome(wish("gift")) is not None


def test_a_fee_has_a_limit(world: World) -> None:
    clock = Clock()
    outbox = world.outbox(1, monotonic=clock, sleep=clock.sleep)
    world.wire.tamper = lambda requests, before: (
        error_answer(requests, "transaction underpriced") if requests[0]["method"] == SEND else None
    )
    outbox.submit(wish("gift"), transfer(stranger(), 5))
    for _ in range(40):
        mine(world)
        assert outbox.outcome(wish("gift")) is None
    assert 20 < len(tries(world)) < 40
    assert (
        tries(world)[-1]["max_fee_wei"] <= MAX_FEE_PER_GAS_WEI < tries(world)[-1]["max_fee_wei"] * 5 / 4 + 2
    )
    assert "more than the limit of 1000 gwei" in str(world.told.events[-1])


def test_a_key_that_the_node_refuses_holds_nobody_else_up(world: World) -> None:
    """Whatever the reason, if it lasts: an empty transfer takes its nonce, and its owner hears why."""
    clock, to, other = Clock(), stranger(), stranger()
    world.wire.tamper = kill_sends
    with pytest.raises(Killed):
        world.outbox(1).perform(wish("gift"), transfer(to, 5))
    bad = "0x" + tries(world)[0]["raw"].hex()

    def refuse(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if requests[0]["method"] == SEND and requests[0]["params"][0] == bad:
            return error_answer(requests, "exceeds block gas limit")
        return None

    world.wire.tamper = refuse
    outbox = world.outbox(1, monotonic=clock, sleep=clock.sleep)
    outbox.submit(wish("other"), transfer(other, 7))
    with pytest.raises(RpcError, match="exceeds block gas limit"):
        outbox.outcome(wish("gift"))
    assert outbox.outcome(wish("other")) is None
    clock.now_s = 31
    for _ in range(2):
        outbox.outcome(wish("other"))
    assert outbox.outcome(wish("other")) is not None
    assert world.rpc.call("eth_getBalance", other, "latest") == "0x7"
    assert outbox.perform(wish("gift"), transfer(to, 5)).gas_used == 21_000  # under a nonce of its own
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"
    assert nonce(world, 1) == 3
    names = [event.name for event in world.told.events if isinstance(event, Transaction)]
    assert names == ["empty transfer", "transfer", "transfer"]


def test_a_higher_fee_that_cannot_be_paid_does_not_cost_a_waiting_one_its_place(world: World) -> None:
    """Nodes add up what an account has open: they refuse the higher fee, and the first offer still stands."""
    first: list[str] = []
    known: Any = world.chain.methods
    count = known["eth_getTransactionCount"]
    known["eth_getTransactionCount"] = lambda params: (
        hex(len(first)) if "pending" in params else count(params)
    )

    def refuse(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if requests[0]["method"] != SEND or not before:
            return None
        raw = requests[0]["params"][0]
        if len(first) < 2:
            first.append(raw)
        return error_answer(requests, "already known" if raw in first else "insufficient funds: overshot 1")

    clock, to = Clock(), stranger()
    outbox = world.outbox(1, monotonic=clock, sleep=clock.sleep)
    world.wire.tamper = refuse
    outbox.submit(wish("reveal"), transfer(to, 5))
    outbox.submit(wish("commit"), transfer(stranger(), 7))
    for _ in range(3):
        ask_for(world, tip_wei=2 * 10**7)
        clock.now_s += 25
        assert outbox.outcome(wish("commit")) is None
        with suppress(InsufficientFunds):
            outbox.outcome(wish("reveal"))
    assert [one["empty"] for one in tries(world, "reveal")] == [False, False]
    world.wire.tamper = lambda requests, before: None
    world.rpc.call(SEND, first[0])
    assert outbox.outcome(wish("reveal")) is not None
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"


def test_one_that_nobody_asks_for_any_more_makes_room_though_its_first_offer_stands(world: World) -> None:
    clock, known = Clock(), world.chain.methods
    outbox = world.outbox(1, monotonic=clock, sleep=clock.sleep)
    count = known["eth_getTransactionCount"]
    known["eth_getTransactionCount"] = lambda params: "0x2" if "pending" in params else count(params)  # type: ignore[index]
    world.wire.tamper = swallow
    outbox.submit(wish("commit"), transfer(stranger(), 5))
    outbox.submit(wish("reveal"), transfer(stranger(), 7))
    world.wire.tamper = lambda requests, before: (
        error_answer(requests, "insufficient funds: overshot 1") if requests[0]["method"] == SEND else None
    )
    clock.now_s += 31
    ask_for(world, tip_wei=2 * 10**7)
    with suppress(InsufficientFunds):
        outbox.outcome(wish("reveal"))
    assert [one["empty"] for one in tries(world, "commit")] == [False, False, True]


def test_a_refusal_is_raised_to_its_owner_alone(world: World) -> None:
    """Even if the node takes nothing but what cannot be mined yet."""
    world.wire.tamper = kill_sends
    with pytest.raises(Killed):
        world.outbox(1).perform(wish("gift"), transfer(stranger(), 5))

    def refuse(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        refused = [one["raw"].hex() for one in tries(world)]
        if requests[0]["method"] == SEND and requests[0]["params"][0].removeprefix("0x") in refused:
            return error_answer(requests, "insufficient funds for gas * price + value")
        return None

    world.wire.tamper = refuse
    outbox = world.outbox(1)
    outbox.submit(wish("other"), transfer(stranger(), 7))
    for _ in range(2):
        assert outbox.outcome(wish("other")) is None
        with pytest.raises(InsufficientFunds):
            outbox.outcome(wish("gift"))


def test_a_receipt_that_lags_does_not_make_a_second_transaction(world: World) -> None:
    """The answer is lost, the repetition hears "nonce too low", and the receipt is not there yet."""
    lost = False

    def lag(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        nonlocal lost
        if requests[0]["method"] == SEND and not lost and not before:
            lost = True
            raise httpx.ReadTimeout("lost")
        if requests[0]["method"] == SEND and lost:
            return error_answer(requests, "nonce too low")
        if "eth_getTransactionReceipt" in [one["method"] for one in requests] and before:
            answers = json.loads(answer(json.dumps(requests).encode(), world.chain.methods))
            receipts = [one["method"] == "eth_getTransactionReceipt" for one in requests]
            return json.dumps(
                [
                    one | ({"result": None} if hide else {})
                    for one, hide in zip(answers, receipts, strict=True)
                ]
            ).encode()
        return None

    to, outbox = stranger(), world.outbox(1)
    world.wire.tamper = lag
    with pytest.raises(ChainUnavailable):
        outbox.submit(wish("gift"), transfer(to, 5))
    for _ in range(4):
        assert outbox.outcome(wish("gift")) is None
        mine(world)
    assert len(tries(world)) == 1
    world.wire.tamper = lambda requests, before: None
    assert outbox.outcome(wish("gift")) is not None
    assert world.rpc.call("eth_getBalance", to, "latest") == "0x5"


def test_a_node_that_lags_does_not_give_a_nonce_twice(world: World) -> None:
    """Another node behind the same address: it has not seen the block with our last transaction yet."""
    outbox = world.outbox(1)
    outbox.perform(wish("commit"), transfer(stranger(), 1))

    def lag(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if before or "eth_estimateGas" not in [one["method"] for one in requests]:
            return None
        answers = json.loads(answer(json.dumps(requests).encode(), world.chain.methods))
        counts = [one["method"] == "eth_getTransactionCount" for one in requests]
        late = [one | ({"result": "0x0"} if old else {}) for one, old in zip(answers, counts, strict=True)]
        return json.dumps(late).encode()

    world.wire.tamper = lag
    outbox.submit(wish("reveal"), transfer(stranger(), 1))
    assert tries(world, "reveal")  # it is open, with the nonce after the commit's
    assert outbox.outcome(wish("reveal")) is not None
    assert nonce(world, 1) == 2


def restarted(world: World, before: int) -> tuple[Outbox, Clock, TesterChain]:
    """An outbox with `before` transactions and one that was not sent, on a chain that starts anew."""
    outbox = world.outbox(1)
    for n in range(before):
        outbox.perform(wish(f"before/{n}"), transfer(stranger(), 1))
    world.wire.tamper = kill_sends
    with pytest.raises(Killed):
        outbox.perform(wish("open"), transfer(stranger(), 5))
    chain, clock = TesterChain({world.address(1): ETHER_WEI}, clock=world.clock), Clock()
    return world.outbox(1, chain=Chain(chain.rpc()), monotonic=clock, sleep=clock.sleep), clock, chain


def test_nonces_that_nobody_uses_any_more_are_filled(world: World) -> None:
    outbox, _, chain = restarted(world, 2)
    to = stranger()
    assert outbox.perform(wish("gift"), transfer(to, 5)).gas_used == 21_000
    assert chain.rpc().call("eth_getBalance", to, "latest") == "0x5"
    assert chain.rpc().call("eth_getTransactionCount", world.address(1), "latest") == "0x4"


def test_a_chain_that_lacks_many_transactions_is_said_to_be_another(world: World) -> None:
    outbox, clock, _ = restarted(world, MAX_GAP + 1)
    outbox.submit(wish("gift"), transfer(stranger(), 5))
    clock.now_s = 31
    with pytest.raises(TransactionStuck, match="knows 0 transactions") as caught:
        outbox.outcome(wish("gift"))
    assert "use a new home" in caught.value.hint


def test_what_was_saved_and_never_sent_goes_before_what_is_new(world: World) -> None:
    first, second = stranger(), stranger()
    world.wire.tamper = kill_sends
    with pytest.raises(Killed):
        world.outbox(1).perform(wish("first"), transfer(first, 5))
    world.wire.tamper = lambda requests, before: None
    world.outbox(1).perform(wish("second"), transfer(second, 7))
    assert world.rpc.call("eth_getBalance", first, "latest") == "0x5"
    assert world.rpc.call("eth_getBalance", second, "latest") == "0x7"


def test_it_waits_for_its_confirmations(world: World) -> None:
    outbox = world.outbox(1, confirmations=3)
    outbox.submit(wish("gift"), transfer(stranger(), 5))
    for _ in range(2):
        assert outbox.outcome(wish("gift")) is None
        world.chain.mine_at(world.chain.now_s + 1)
    assert outbox.outcome(wish("gift")) is not None


def test_a_stuck_transaction_is_said_to_be_stuck_and_can_be_waited_for_again(world: World) -> None:
    world.wire.tamper = swallow
    with pytest.raises(TransactionStuck, match="not mined after 20 s") as caught:
        world.outbox(1, stuck_after_s=20).perform(wish("gift"), transfer(stranger(), 5))
    assert "sends nothing twice" in caught.value.hint
    world.wire.tamper = lambda requests, before: None
    assert world.outbox(1).perform(wish("gift"), transfer(stranger(), 5)).gas_used == 21_000


def test_an_attempt_is_gone_on_with_while_it_is_under_way(
    world: World,
) -> None:
    outbox = world.outbox(1, confirmations=2)
    first = wish("restake")
    assert outbox.next(first) == first
    assert outbox.wanted(first)
    outbox.submit(first, transfer(stranger(), 5))
    assert outbox.outcome(first) is None
    assert outbox.next(first) == first
    assert not outbox.wanted(first)
    mine(world)
    assert outbox.outcome(first)
    assert outbox.next(first) == first.again(1)
    assert not outbox.wanted(first)


def test_a_token_is_busy_while_what_concerns_it_is_under_way(world: World) -> None:
    outbox, asset = world.outbox(1, confirmations=2), stranger()
    outbox.submit(wish("gift"), replace(transfer(stranger(), 5), asset=asset))
    assert outbox.busy(asset)
    assert not outbox.busy(stranger())
    mine(world)
    assert not outbox.busy(asset)


def test_what_was_never_submitted_is_our_own_fault(world: World) -> None:
    with pytest.raises(LocalProtocolError, match=r"nothing was submitted for .*never"):
        world.outbox(1).outcome(wish("never"))


def test_the_journal_holds_no_private_key(world: World) -> None:
    world.outbox(1).perform(wish("gift"), transfer(stranger(), 5))
    key = bytes(world.accounts[1].key)
    data = b"".join(path.read_bytes() for path in world.folder.glob("1.sqlite*"))
    assert key not in data
    assert key.hex().encode() not in data


def test_it_needs_no_contract(world: World) -> None:
    outbox = world.outbox(2, chain=Chain(world.rpc))
    assert outbox.perform(wish("gift"), transfer(stranger(), 1)).fee_wei > 0
