"""The contract and its Python twins agree: status, deadlines, seals and bounty ids."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from sonar.chain.contract import abi
from sonar.chain.contract.calls import Award, Call, ordered
from sonar.chain.deploying.deploy import deploy
from sonar.localchain.tester import TesterChain
from sonar.protocol.fold import Ending, RoundRecord, fold
from sonar.protocol.ids import ETHER, Address, BountyId, digest_of
from sonar.protocol.phase import NOBODY, EntryState, Status, Terms, deadlines_of, status_of
from sonar.protocol.seal import bounty_id, kept, seal

START_S = 1_800_000_000
TERMS = Terms(ETHER, 3, 2, 3, 12, 12, 6, 10, 3, 1000, 900, 100)
SALT = b"s" * 32
MODEL, KEY, UPDATE, EVIDENCE = (digest_of(name) for name in (b"model", b"key", b"update", b"evidence"))
ALLOWED = {
    Status.COMMIT: {"commit", "close"},
    Status.REVEAL: {"reveal"},
    Status.SETTLE: {"settle", "fix"},
    Status.FAILED: {"expire"},
    Status.OVERDUE: {"expire"},
    Status.CLOSED: set(),
}


class Walk:
    """One bounty on a chain whose clock stands still, so that each block is a second after the last."""

    def __init__(self) -> None:
        self.settler, self.scientist, *self.mines = (Account.create() for _ in range(5))
        fund = {Address(account.address): 10**20 for account in (self.scientist, *self.mines)}
        self.chain = TesterChain(fund, clock=lambda: START_S)
        self.rpc = self.chain.rpc()
        self.market = deploy(self.rpc, self.scientist, min_window_s=1, plain=True).market(self.rpc)
        self.nonces = {self.scientist.address: 1}
        self.count = 0
        self.bounty = BountyId(b"")
        self.ended: dict[tuple[BountyId, int], tuple[Ending, list[Address], int]] = {}

    def send(self, account: LocalAccount, call: Call) -> bool:
        """Send a transaction whatever comes of it; tell whether it went through."""
        nonce = self.nonces.get(account.address, 0)
        self.nonces[account.address] = nonce + 1
        fields: dict[str, Any] = {
            "to": call.to,
            "data": call.data,
            "value": call.value_wei,
            "nonce": nonce,
            "gas": 1_000_000,
        }
        fields |= {"maxFeePerGas": 10**11, "maxPriorityFeePerGas": 0, "chainId": self.market.chain_id}
        signed = account.sign_transaction(fields)
        tx = self.rpc.call("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
        return bool(self.rpc.call("eth_getTransactionReceipt", tx)["status"] == "0x1")

    def read(self, function: str, *arguments: Any) -> tuple[Any, ...]:
        request = {"to": self.market.address, "data": "0x" + abi.encode_call(function, *arguments).hex()}
        return abi.decode_result(function, bytes.fromhex(self.rpc.call("eth_call", request, "latest")[2:]))

    def post(self, terms: Terms) -> None:
        self.count += 1
        salt = digest_of(b"%d" % self.count)
        args = (terms, MODEL, KEY, salt)
        scientist = Address(self.scientist.address)
        self.bounty = bounty_id(self.market.chain_id, self.market.address, scientist, *args)
        assert self.bounty == self.market.bounty_id(scientist, *args)
        assert self.send(self.scientist, self.market.post(*args))

    def entry(self, account: LocalAccount) -> EntryState:
        entry = self.market.entry(self.bounty, Address(account.address))
        return entry.state if entry.round == self.market.bounty(self.bounty).round else EntryState.NONE

    def seal_of(self, account: LocalAccount) -> bytes:
        state = self.market.bounty(self.bounty)
        args = (self.bounty, state.round, Address(account.address), UPDATE, SALT)
        made = seal(self.market.chain_id, self.market.address, *args)
        assert (made,) == self.read("sealOf", *args)
        return made

    def revealed(self) -> list[Address]:
        done = [Address(mine.address) for mine in self.mines if self.entry(mine) is EntryState.REVEALED]
        return sorted(done, key=lambda mine: int(mine, 16))

    def do(self, action: str, mine: LocalAccount) -> bool:
        state = self.market.bounty(self.bounty)
        args = (self.bounty, state.round)
        if action == "commit":
            return self.send(mine, self.market.commit(*args, self.seal_of(mine), state.terms.stake_units))
        if action == "reveal":
            return self.send(mine, self.market.reveal(*args, UPDATE, SALT))
        if action == "close":
            return self.send(self.scientist, self.market.close(self.bounty))
        cohort = self.revealed()
        if action == "expire":
            return self.send(mine, self.market.expire(*args, cohort))
        awards = [Award(one, 0 if index else 10_000) for index, one in enumerate(cohort)]
        if action == "fix":
            return self.send(self.scientist, self.market.fix_cohort(*args, EVIDENCE))
        settlement = (*args, MODEL, state.best_loss - 50, awards, EVIDENCE)
        digest = self.market.settlement_digest(*settlement)
        assert (digest,) == self.read("settlementDigestOf", *settlement[:4], ordered(awards), EVIDENCE)
        signature = bytes(self.settler.unsafe_sign_hash(digest).signature)
        signed = state.terms.settler == self.settler.address
        return self.send(self.scientist, self.market.settle(*settlement, signature if signed else b""))

    def may(self, action: str, mine: LocalAccount) -> bool:
        """Say, with our twin of the status, whether the contract will take this action in the next block."""
        state = self.market.bounty(self.bounty)
        if action not in ALLOWED[status_of(state, self.chain.now_s + 1)]:
            return False
        if action == "commit":
            return self.entry(mine) is EntryState.NONE
        if action == "reveal":
            return self.entry(mine) is EntryState.COMMITTED
        if action == "fix":
            return not state.cohort_fixed
        return action != "close" or state.committed == 0

    def window_end(self) -> int:
        state = self.market.bounty(self.bounty)
        return state.opened_s + state.terms.commit_window_s

    def step(self, action: str, mine: LocalAccount, status: Status) -> bool:
        """Do something, and write down how the round ended if it has by that."""
        before, cohort = self.market.bounty(self.bounty), self.revealed()
        ending = {"settle": Ending.SETTLED, "close": Ending.TAKEN_BACK}.get(
            action, Ending.OVERDUE if status is Status.OVERDUE else Ending.FAILED
        )
        if not self.do(action, mine):
            return False
        if action in ("settle", "close", "expire"):
            self.ended[self.bounty, before.round] = ending, cohort, before.best_loss
        return True

    def check(self) -> Status:
        state = self.market.bounty(self.bounty)
        status = status_of(state, self.chain.now_s)
        assert self.read("statusOf", self.bounty) == (status,)
        assert self.read("deadlinesOf", self.bounty) == tuple(deadlines_of(state))
        return status


@pytest.fixture(scope="module")
def walk() -> Walk:
    return Walk()


def test_status_deadlines_and_what_they_allow_along_random_rounds(walk: Walk) -> None:
    choose = random.Random(2017)
    seen, steps, early = set(), 0, False
    for turn in range(12):
        settler = Address(walk.settler.address) if turn % 3 == 0 else NOBODY
        quiet_s, overdue_bps = choose.choice([0, 1, 3, 6]), choose.choice([0, 3_333, 10_000])
        terms = replace(TERMS, min_mines=choose.choice([1, 2, 3]), settler=settler)
        walk.post(replace(terms, quiet_s=quiet_s, overdue_bps=overdue_bps))
        patience = choose.choice([0.05, 0.4])  # how often a step lets time pass instead
        for _ in range(50):
            status = walk.check()
            seen.add(status)
            early |= deadlines_of(walk.market.bounty(walk.bounty)).commit_s < walk.window_end()
            steps += 1
            if status is Status.CLOSED:
                break
            if choose.random() < (0.7 if status is Status.SETTLE else patience):
                walk.chain.mine_at(walk.chain.now_s + choose.randint(1, 9))
                continue
            # Mostly what is allowed, so that rounds get somewhere; sometimes anything.
            sensible = sorted(ALLOWED[status] - {"close"})
            actions = (
                sensible
                if choose.random() < 0.9
                else ["commit", "reveal", "fix", "settle", "expire", "close"]
            )
            action, mine = choose.choice(actions), choose.choice(walk.mines)
            expected = walk.may(action, mine)
            assert walk.step(action, mine, status) is expected, (
                status,
                action,
                walk.market.bounty(walk.bounty),
            )
    assert seen == set(ALLOWED)
    assert steps > 200
    assert early
    assert {ending for ending, *_ in walk.ended.values()} >= {Ending.SETTLED, Ending.FAILED, Ending.OVERDUE}
    records = fold(walk.market.events(0))
    for key, (ending, cohort, best_loss) in walk.ended.items():
        check_record(records.pop(key), walk.market.bounty(key[0]).terms, ending, cohort, best_loss)
    assert any(record.fixed for record in fold(walk.market.events(0)).values())
    assert all(record.ended is None for record in records.values())


def check_record(
    record: RoundRecord, terms: Terms, ending: Ending, cohort: list[Address], best_loss: int
) -> None:
    assert (record.ended, list(record.cohort)) == (ending, cohort)
    assert record.ended_block is not None
    assert set(record.reveals) <= set(record.commits)
    assert set(record.paid) == set(cohort)  # each has its stake back, whatever became of the round
    assert record.earned_units == (record.settled.paid_units if record.settled else record.earned_units)
    assert sum(one.stake_units for one in record.paid.values()) == TERMS.stake_units * len(cohort)
    if ending is Ending.OVERDUE:
        each = terms.overdue_at(best_loss) // len(cohort)
        assert {one.reward_units for one in record.paid.values()} == {each}
    if record.failed:
        assert (record.failed.committed, record.failed.revealed) == (len(record.commits), len(cohort))


@pytest.mark.parametrize(
    ("revealing", "expected"),
    [
        (False, [Status.COMMIT, Status.REVEAL, Status.REVEAL, *[Status.FAILED] * 3]),
        (True, [*[Status.SETTLE] * 3, Status.OVERDUE]),
    ],
)
def test_every_deadline_to_the_second(walk: Walk, revealing: bool, expected: list[Status]) -> None:
    walk.post(TERMS)
    for mine in walk.mines[:2]:
        assert walk.do("commit", mine)
    if revealing:
        walk.chain.mine_at(deadlines_of(walk.market.bounty(walk.bounty)).commit_s)
        assert all(walk.do("reveal", mine) for mine in walk.mines[:2])
    ends = deadlines_of(walk.market.bounty(walk.bounty))
    statuses = []
    for end in ends:
        for now_s in (end - 1, end):
            if now_s > walk.chain.now_s:
                walk.chain.mine_at(now_s)
                statuses.append(walk.check())
    assert statuses == expected


def test_the_contract_keeps_the_part_of_the_seal_that_we_say(walk: Walk) -> None:
    walk.post(TERMS)
    mine = walk.mines[0]
    assert walk.do("commit", mine)
    assert walk.market.entry(walk.bounty, Address(mine.address)).seal == kept(walk.seal_of(mine))
