"""Bounties in a token: approvals of exactly what is due, made once whatever breaks, on every chain client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount

from sonar import localchain
from sonar.chain.contract import abi, errors, tokenerrors
from sonar.chain.contract.calls import Award, Call
from sonar.chain.contract.market import Market
from sonar.chain.contract.token import allowance, check_asset, held, unit_of
from sonar.chain.deploying import create2
from sonar.chain.deploying.deploy import deploy
from sonar.chain.rpc import Rpc
from sonar.chain.sending.intent import Intent
from sonar.chain.sending.outbox import MAX_APPROVALS, Outbox, pay
from sonar.errors import ChainUnavailable, ConfigError, InsufficientFunds, RemoteError
from sonar.home.journal import Journal
from sonar.localchain import anvil
from sonar.protocol.allowlist import proof_of, root_of
from sonar.protocol.ids import ETHER, Address, BountyId, Digest
from sonar.protocol.phase import Terms
from sonar.protocol.seal import seal
from sonar.telling.amounts import Unit
from tests.chain_kit import KEY, MODEL, SALT, Killed, World, make_terms, wish
from tests.token_kit import deploy_token, mint, pay_now, supply

needs_anvil = pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")
CLIENTS = [pytest.param("anvil", marks=needs_anvil), "eth-tester"]
UPDATE, EVIDENCE, NEXT = (Digest(bytes([n]) * 32) for n in range(4, 7))


def token_terms(token: Address, **changes: Any) -> Terms:
    small = {"stake_units": 10_000, "fee_units": 100, "reward_units": 1_000_000}
    return make_terms(asset=token, **small | changes)


def post(market: Market, scientist: Outbox, terms: Terms, salt: bytes = SALT) -> BountyId:
    key, model = Digest(KEY), Digest(MODEL)
    pay_now(market, scientist, wish(f"post/{salt.hex()}"), market.post(terms, model, key, salt))
    return market.bounty_id(scientist.address, terms, model, key, salt)


EXCHANGES = 10
"""Between a mine and its node, for a commit whose stake is in a token; a test counts them."""


# ---- a whole round, on every client


@pytest.fixture(params=CLIENTS)
def parties(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Market, list[Outbox]]]:
    accounts: list[LocalAccount] = [Account.create() for _ in range(4)]
    funds = {Address(account.address): 10**19 for account in accounts}
    with localchain.start(request.param, fund=funds) as chain:
        market = deploy(Rpc(chain.url), accounts[0], min_window_s=10).market(Rpc(chain.url))
        yield (
            market,
            [Outbox(market, one, Journal(tmp_path / f"{i}.sqlite")) for i, one in enumerate(accounts)],
        )


def paid(market: Market, outbox: Outbox, intent: Intent, call: Any) -> None:
    while pay(market, outbox, intent, call) is None:
        pass


@pytest.mark.parametrize("kind", ["plain", "old"])
def test_a_round_in_a_token_among_named_mines(parties: tuple[Market, list[Outbox]], kind: str) -> None:
    market, (scientist, *mines) = parties
    token = deploy_token(scientist, kind)
    everybody = [outbox.address for outbox in (scientist, *mines)]
    for account in everybody:
        mint(scientist, token, account, 2_000_000)
    listed = [mine.address for mine in mines[:2]]
    terms = token_terms(token, rounds=1, cohort_cap=2, allow_root=root_of(listed))
    key, model = Digest(KEY), Digest(MODEL)
    paid(market, scientist, wish("post"), market.post(terms, model, key, SALT))
    bounty = market.bounty_id(scientist.address, terms, model, key, SALT)
    assert held(market, token, market.address) == terms.escrow_units

    def commit(mine: Outbox, proof: list[bytes]) -> None:
        made = seal(market.chain_id, market.address, bounty, 1, mine.address, UPDATE, SALT)
        call = market.commit(bounty, 1, made, terms.stake_units, asset=token, proof=proof)
        paid(market, mine, wish("commit"), call)

    borrowed = proof_of(listed, listed[0])
    assert borrowed is not None
    with pytest.raises(errors.NotAllowed) as caught:
        commit(mines[2], borrowed)
    assert (caught.value.mine, caught.value.allowRoot) == (mines[2].address, terms.allow_root)
    for mine in mines[:2]:
        proof = proof_of(listed, mine.address)
        assert proof is not None
        commit(mine, proof)
    for mine in mines[:2]:
        mine.perform(wish("reveal"), market.reveal(bounty, 1, UPDATE, SALT))
    awards = [Award(listed[0], 10_000), Award(listed[1], 0)]
    scientist.perform(wish("settle"), market.settle(bounty, 1, NEXT, 505, awards, EVIDENCE))
    for outbox in (scientist, *mines[:2]):
        due, before = market.withdrawable(outbox.address, asset=token), held(market, token, outbox.address)
        assert due > 0
        assert market.withdrawable(outbox.address) == 0
        outbox.perform(wish("withdraw"), market.withdraw(outbox.address, token))
        assert held(market, token, outbox.address) == before + due
        assert allowance(market, token, outbox.address, market.address) == 0
    assert held(market, token, market.address) == 0
    assert supply(market, token, everybody) == 4 * 2_000_000


# ---- what may go wrong, on a chain in this process


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def staked(world: World, kind: str = "plain", have: int = 50_000) -> tuple[Terms, BountyId]:
    """A bounty in a token that account 1 has `have` units of."""
    token = deploy_token(world.outbox(0), kind)
    mint(world.outbox(0), token, world.address(0), 10_000_000)
    mint(world.outbox(0), token, world.address(1), have)
    terms = token_terms(token)
    return terms, post(world.market, world.outbox(0), terms)


def commit_of(world: World, terms: Terms, bounty: BountyId) -> Any:
    sealed = world.seal(bounty, 1, 1)
    return world.market.commit(bounty, 1, sealed, terms.stake_units, asset=terms.asset)


def mined(world: World, index: int = 1) -> list[str]:
    """What account `index` has had mined, in order, by its journal."""
    journal = Journal(world.folder / f"{index}.sqlite")
    return [line.data["name"] for line in journal.events("transaction")]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("exchange", range(EXCHANGES))
def test_a_kill_at_any_exchange_neither_loses_nor_repeats(world: World, exchange: int, before: bool) -> None:
    terms, bounty = staked(world)
    count = iter(range(1000))

    def kill(requests: list[dict[str, Any]], now_before: bool) -> None:
        if now_before == before and next(count) == exchange:
            raise Killed

    world.wire.tamper = kill
    with pytest.raises(Killed):
        pay_now(world.market, world.outbox(1), wish("commit"), commit_of(world, terms, bounty))
    world.wire.tamper = lambda requests, before: None
    pay_now(world.market, world.outbox(1), wish("commit"), commit_of(world, terms, bounty))
    assert mined(world) == ["approve", "commit"]
    assert int(world.rpc.call("eth_getTransactionCount", world.address(1), "latest"), 16) == 2
    assert held(world.market, terms.asset, world.address(1)) == 40_000
    assert allowance(world.market, terms.asset, world.address(1), world.market.address) == 0


def test_an_undisturbed_payment_has_as_many_exchanges_as_are_killed_above(world: World) -> None:
    terms, bounty = staked(world)
    seen: list[bool] = []
    world.wire.tamper = lambda requests, before: seen.append(before)
    pay_now(world.market, world.outbox(1), wish("commit"), commit_of(world, terms, bounty))
    assert seen.count(True) == EXCHANGES


def test_an_allowance_that_is_there_is_used(world: World) -> None:
    terms, bounty = staked(world)
    world.outbox(1).perform(wish("mine"), world.market.approve(terms.asset, 10_000))
    pay_now(world.market, world.outbox(1), wish("commit"), commit_of(world, terms, bounty))
    assert mined(world) == ["approve", "commit"]


@pytest.mark.parametrize("kind", ["plain", "old"])
def test_an_allowance_that_is_too_small_is_made_zero_first(world: World, kind: str) -> None:
    terms, bounty = staked(world, kind)
    world.outbox(1).perform(wish("mine"), world.market.approve(terms.asset, 9_999))
    pay_now(world.market, world.outbox(1), wish("commit"), commit_of(world, terms, bounty))
    assert mined(world) == ["approve", "approve", "approve", "commit"]


def test_two_payments_in_one_token_take_turns(world: World) -> None:
    """All of an account's payments share its one allowance."""
    terms, first = staked(world)
    second = post(world.market, world.outbox(0), terms, b"other" + bytes(27))
    outbox, calls = world.outbox(1), {f"{bounty.hex()}": bounty for bounty in (first, second)}
    done: set[str] = set()
    for _ in range(12):
        for key, bounty in calls.items():
            if pay(world.market, outbox, wish(key), commit_of(world, terms, bounty)) is not None:
                done.add(key)
    assert done == set(calls)
    assert sorted(mined(world)) == ["approve", "approve", "commit", "commit"]


def test_an_account_without_enough_of_the_token_sends_nothing(world: World) -> None:
    terms, bounty = staked(world, have=9_999)
    with pytest.raises(InsufficientFunds) as caught:
        pay(world.market, world.outbox(1), wish("commit"), commit_of(world, terms, bounty))
    assert (caught.value.have_units, caught.value.need_units) == (9_999, 10_000)
    assert f"at least 1 units of {terms.asset}" in caught.value.hint
    assert mined(world) == []


def test_a_token_that_takes_a_fee_is_refused_at_the_post(world: World) -> None:
    token = deploy_token(world.outbox(0), "taxed")
    mint(world.outbox(0), token, world.address(0), 10_000_000)
    with pytest.raises(errors.WrongReceipt) as caught:
        post(world.market, world.outbox(0), token_terms(token))
    assert "fee" in caught.value.hint
    assert world.market.bounties() == []


def test_an_asset_without_code_is_refused_before_anything_is_sent(world: World) -> None:
    nobody = Address(Account.create().address)
    with pytest.raises(RemoteError, match="does not decode"):
        post(world.market, world.outbox(0), token_terms(nobody))
    terms = token_terms(nobody, reward_units=0, fee_units=0)
    with pytest.raises(errors.AssetWithoutCode):
        post(world.market, world.outbox(0), terms)


def test_what_is_no_token_is_refused_before_anything_is_sent(world: World) -> None:
    me, nobody, market = world.address(0), Address(Account.create().address), world.market
    token = deploy_token(world.outbox(0), "plain")
    check_asset(market, ETHER, me)
    check_asset(market, token, me)
    for asset, told in (
        (nobody, "there is no contract at"),
        (market.address, f"{market.address} is the market itself, and does not answer"),
        (create2.PROXY, f"{create2.PROXY} is a contract, and does not answer as an ERC-20 token does"),
    ):
        with pytest.raises(ConfigError, match=f"^asset: .*{told}") as caught:
            check_asset(market, asset, me)
        assert "nothing was sent" in caught.value.hint


def test_money_goes_to_nobody_with_whom_it_is_lost(world: World) -> None:
    """What is owed in a token stays owed: the contract refuses too, whoever writes the transaction."""
    terms, bounty = staked(world)
    scientist, market = world.outbox(0), world.market
    scientist.perform(wish("close"), market.close(bounty))
    owed = market.withdrawable(world.address(0), asset=terms.asset)
    assert owed > 0
    for to in (ETHER, market.address, terms.asset):
        with pytest.raises(ConfigError, match="what is sent there is lost"):
            market.withdraw(to, terms.asset)
        call = Call(market.address, abi.encode_call("withdraw", terms.asset, to), 0, "withdraw")
        with pytest.raises(errors.InvalidReceiver, match=f"money sent to {to} would be lost"):
            scientist.perform(wish(f"lose {to}"), call)
    assert market.withdrawable(world.address(0), asset=terms.asset) == owed
    scientist.perform(wish("take"), market.withdraw(world.address(3), terms.asset))
    assert held(market, terms.asset, world.address(3)) == owed


def test_a_token_s_own_refusal_comes_through(world: World) -> None:
    terms, bounty = staked(world)
    call = replace(commit_of(world, terms, bounty), amount=0)  # as if no allowance were due
    with pytest.raises(tokenerrors.ERC20InsufficientAllowance) as caught:
        pay(world.market, world.outbox(1), wish("commit"), call)
    assert caught.value.spender == world.market.address


def test_a_token_that_keeps_no_allowance_is_given_up_on(world: World) -> None:
    terms, bounty = staked(world)
    zero = "0x" + bytes(32).hex()

    def forget(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if before and requests[0]["method"] == "eth_call" and "dd62ed3e" in requests[0]["params"][0]["data"]:
            return answer_of(requests, zero)
        return None

    world.wire.tamper = forget
    outbox, call = world.outbox(1), commit_of(world, terms, bounty)
    for _ in range(MAX_APPROVALS):
        assert pay(world.market, outbox, wish("commit"), call) is None
    with pytest.raises(RemoteError, match=f"any of {MAX_APPROVALS} allowances"):
        pay(world.market, outbox, wish("commit"), call)
    assert mined(world) == ["approve"] * MAX_APPROVALS


def answer_of(requests: list[dict[str, Any]], result: str) -> bytes:
    import json

    return json.dumps({"jsonrpc": "2.0", "id": requests[0]["id"], "result": result}).encode()


# ---- what a token says of itself


def test_a_token_s_symbol_and_decimals_are_read(world: World) -> None:
    token = deploy_token(world.outbox(0), symbol="USDX", decimals=6)
    assert unit_of(world.market, token) == Unit(token, "USDX", 6)


WORD = "0x" + bytes(31).hex()
TEXT = encode(["string"], ["USDX"]).hex()


@pytest.mark.parametrize(
    ("decimals", "symbol", "known"),
    [
        (WORD + "06", "0x" + TEXT, True),
        (WORD + "12", "0x" + b"MKR".ljust(32, b"\0").hex(), True),  # as the oldest tokens
        (WORD + "ff", "0x" + TEXT, False),
        ("0x", "0x" + TEXT, False),
        ("0x" + "ff" * 32, "0x" + TEXT, False),
        (WORD + "06", "0x", False),
        (WORD + "06", "0x" + encode(["string"], ["ether"]).hex(), False),
        (WORD + "06", "0x" + encode(["string"], ["ETH"]).hex(), False),
        (WORD + "06", "0x" + encode(["string"], ["\x1b[31mUSD"]).hex(), False),
        (WORD + "06", "0x" + encode(["string"], ["A" * 17]).hex(), False),
        (WORD + "06", "0x" + encode(["string"], ["A" * 100_000]).hex(), False),
        (WORD + "06", "0x" + "ff" * 96, False),
        (WORD + "06", "nonsense", False),
    ],
)
def test_a_hostile_token_is_told_by_its_address(
    world: World, decimals: str, symbol: str, known: bool
) -> None:
    answers = {"0x313ce567": decimals, "0x95d89b41": symbol}
    world.wire.tamper = lambda requests, before: (
        answer_of(requests, answers[requests[0]["params"][0]["data"]]) if before else None
    )
    token = Address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
    found = unit_of(world.market, token)
    assert found.known is known
    if not known:
        assert found == Unit(token)


def test_a_chain_that_does_not_answer_is_no_token_s_fault(world: World) -> None:
    import httpx

    def down(requests: list[dict[str, Any]], before: bool) -> None:
        raise httpx.ConnectError("down")

    world.wire.tamper = down
    with pytest.raises(ChainUnavailable):
        unit_of(world.market, Address("0x" + "11" * 20))
