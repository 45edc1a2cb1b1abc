"""The outbox on a chain that does not mine at once: waiting transactions, replacements, reorganisations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from eth_account import Account

from sonar import localchain
from sonar.chain.contract.calls import transfer
from sonar.chain.rpc import Chain, Rpc
from sonar.chain.sending.outbox import Outbox
from sonar.chain.sending.queue import Queue
from sonar.errors import InsufficientFunds
from sonar.home import keystore
from sonar.home.folder import Home
from sonar.home.journal import Journal
from sonar.localchain import anvil
from sonar.protocol.ids import Address
from sonar.telling.progress import Progress
from sonar.wiring import Party
from tests.chain_kit import Clock, wish

pytestmark = pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")
SENDER = Account.create()


@pytest.fixture
def rpc() -> Iterator[Rpc]:
    """A chain on which nothing is mined until the test says so."""
    with localchain.start("anvil", fund={Address(SENDER.address): 10**18}) as chain:
        rpc = Rpc(chain.url)
        rpc.call("evm_setAutomine", False)
        rpc.call("evm_setIntervalMining", 0)
        yield rpc


def make(rpc: Rpc, folder: Path, clock: Clock | None = None, confirmations: int = 1) -> Outbox:
    journal = Journal(folder / "journal.sqlite")
    time = clock or Clock()
    return Outbox(Chain(rpc), SENDER, journal, confirmations=confirmations, monotonic=time, sleep=time.sleep)


def tries(folder: Path, key: str) -> list[dict[str, Any]]:
    """What was signed under a key."""
    found: list[dict[str, Any]] = Journal(folder / "journal.sqlite").get(wish(key).key)["tries"]
    return found


def make_dearer(rpc: Rpc, folder: Path, key: str) -> None:
    """Mine a block that asks for twice as much as what lies under `key` offers."""
    fee_wei = tries(folder, key)[-1]["max_fee_wei"]
    rpc.call("anvil_setNextBlockBaseFeePerGas", hex(2 * fee_wei))
    rpc.call("evm_mine")


def stranger() -> Address:
    return Address(Account.create().address)


def test_two_campaigns_of_a_session_take_no_nonce_twice(rpc: Rpc, tmp_path: Path) -> None:
    """Also where the pool has forgotten what the first one sent, and so counts it no more."""
    party = Party(Home(tmp_path / "home", "pysonar"), Progress())
    keystore.save(party.home.keystore, SENDER, "secret", dev=True)
    party.__dict__ |= {"market": Chain(rpc), "network": SimpleNamespace(confirmations=1)}
    first, second = party.outbox(SENDER), party.outbox(SENDER)
    first.submit(wish("one/post"), transfer(stranger(), 1))
    rpc.call("anvil_dropTransaction", party.journal.get(wish("one/post").key)["tries"][0]["hash"])
    second.submit(wish("two/post"), transfer(stranger(), 2))
    assert [party.journal.get(wish(f"{name}/post").key)["nonce"] for name in ("one", "two")] == [0, 1]


def test_several_wait_together_and_are_mined_in_order(rpc: Rpc, tmp_path: Path) -> None:
    outbox, to = make(rpc, tmp_path), [stranger() for _ in range(3)]
    for n, one in enumerate(to):
        outbox.submit(wish(f"gift/{n}"), transfer(one, n + 1))
    assert [outbox.outcome(wish(f"gift/{n}")) for n in range(3)] == [None] * 3
    outbox = make(rpc, tmp_path)  # a restart sends the same again, and the node knows them
    outbox.submit(wish("gift/3"), transfer(stranger(), 9))
    rpc.call("evm_mine")
    receipts = [outbox.outcome(wish(f"gift/{n}")) for n in range(4)]
    assert len({receipt.tx_hash for receipt in receipts if receipt}) == 4
    assert [rpc.call("eth_getBalance", one, "latest") for one in to] == ["0x1", "0x2", "0x3"]
    assert rpc.call("eth_getTransactionCount", SENDER.address, "latest") == "0x4"


def test_a_replacement_takes_the_place_of_the_first(rpc: Rpc, tmp_path: Path) -> None:
    clock, to = Clock(), stranger()
    outbox = make(rpc, tmp_path, clock)
    outbox.submit(wish("gift"), transfer(to, 5))
    for _ in range(3):
        make_dearer(rpc, tmp_path, "gift")
        clock.now_s += 31
        assert outbox.outcome(wish("gift")) is None
    hashes = [one["hash"] for one in tries(tmp_path, "gift")]
    assert len(set(hashes)) == 4
    rpc.call("evm_mine")
    receipt = outbox.outcome(wish("gift"))
    assert receipt is not None
    assert receipt.tx_hash == hashes[-1]
    assert rpc.call("eth_getBalance", to, "latest") == "0x5"
    assert rpc.call("eth_getTransactionCount", SENDER.address, "latest") == "0x1"


def test_a_base_fee_that_leaps_above_the_offer_is_met_at_the_next_block(rpc: Rpc, tmp_path: Path) -> None:
    """A window may be over before it falls again, or before a transaction is looked at for its age."""
    clock, to = Clock(), stranger()
    outbox = make(rpc, tmp_path, clock)
    outbox.submit(wish("reveal"), transfer(to, 5))
    for leap in (2, 3):
        assert outbox.outcome(wish("reveal")) is None
        make_dearer(rpc, tmp_path, "reveal")
        clock.now_s += 0.25
        assert outbox.outcome(wish("reveal")) is None
        assert len(tries(tmp_path, "reveal")) == leap
    rpc.call("evm_mine")
    assert outbox.outcome(wish("reveal")) is not None
    assert rpc.call("eth_getBalance", to, "latest") == "0x5"


def test_one_that_the_pool_forgot_does_not_hold_up_later_ones(rpc: Rpc, tmp_path: Path) -> None:
    """Nobody asks for the first any more: the commit of a round that is over, say."""
    clock, to = Clock(), [stranger() for _ in range(2)]
    outbox = make(rpc, tmp_path, clock)
    outbox.submit(wish("commit"), transfer(to[0], 1))
    rpc.call("anvil_dropTransaction", tries(tmp_path, "commit")[0]["hash"])
    outbox.submit(wish("reveal"), transfer(to[1], 2))
    clock.now_s += 31
    assert outbox.outcome(wish("reveal")) is None
    rpc.call("evm_mine")
    assert outbox.outcome(wish("reveal")) is not None
    assert [rpc.call("eth_getBalance", one, "latest") for one in to] == ["0x1", "0x2"]


def test_one_that_the_pool_forgot_is_sent_again_at_the_next_look(rpc: Rpc, tmp_path: Path) -> None:
    """A window may be shorter than the time after which a transaction is repeated anyway."""
    clock, to = Clock(), stranger()
    outbox = make(rpc, tmp_path, clock)
    outbox.submit(wish("reveal"), transfer(to, 1))
    rpc.call("anvil_dropTransaction", tries(tmp_path, "reveal")[0]["hash"])
    clock.now_s += 1
    assert outbox.outcome(wish("reveal")) is None
    rpc.call("evm_mine")
    assert outbox.outcome(wish("reveal")) is not None


@pytest.mark.parametrize("restart", [False, True], ids=["goes on", "starts again"])
def test_what_the_chain_went_back_behind_is_sent_again(rpc: Rpc, tmp_path: Path, restart: bool) -> None:
    """A node that is killed comes up without its newest blocks, which were believed."""
    outbox, to = make(rpc, tmp_path), [stranger() for _ in range(3)]
    for n in (0, 1):
        outbox.submit(wish(f"gift/{n}"), transfer(to[n], n + 1))
        rpc.call("evm_mine")
        assert outbox.outcome(wish(f"gift/{n}")) is not None
    outbox.recover(Chain(rpc).head())
    rpc.call("anvil_rollback", 1)
    rpc.call("evm_mine")  # as many blocks as before, and others
    outbox = make(rpc, tmp_path) if restart else outbox
    outbox.recover(Chain(rpc).head())
    assert not outbox.wanted(wish("gift/1"))
    assert outbox.under_way(wish("gift/1"))
    assert outbox.outcome(wish("gift/1")) is None
    outbox.submit(wish("gift/2"), transfer(to[2], 3))
    rpc.call("evm_mine")
    outbox.recover(Chain(rpc).head())
    assert not outbox.under_way(wish("gift/1"))
    assert all(outbox.outcome(wish(f"gift/{n}")) is not None for n in range(3))
    assert [rpc.call("eth_getBalance", one, "latest") for one in to] == ["0x1", "0x2", "0x3"]
    assert rpc.call("eth_getTransactionCount", SENDER.address, "latest") == "0x3"


@pytest.mark.parametrize("restart", [False, True], ids=["goes on", "starts again"])
def test_one_that_cannot_be_paid_any_more_does_not_hold_up_later_ones(
    rpc: Rpc, tmp_path: Path, restart: bool
) -> None:
    clock, to = Clock(), [stranger() for _ in range(2)]
    outbox = make(rpc, tmp_path, clock)
    outbox.submit(wish("commit"), transfer(to[0], 6 * 10**17))
    rpc.call("anvil_dropTransaction", tries(tmp_path, "commit")[0]["hash"])
    rpc.call("anvil_setBalance", SENDER.address, hex(10**17))
    clock.now_s += 31
    outbox = make(rpc, tmp_path, clock) if restart else outbox
    outbox.submit(wish("reveal"), transfer(to[1], 2))
    rpc.call("evm_mine")
    assert outbox.outcome(wish("reveal")) is not None
    with pytest.raises(InsufficientFunds):  # its owner hears it, and nothing is signed
        outbox.outcome(wish("commit"))
    rpc.call("anvil_setBalance", SENDER.address, hex(10**18))
    outbox = make(rpc, tmp_path, clock) if restart else outbox
    assert outbox.outcome(wish("commit")) is None
    rpc.call("evm_mine")
    assert outbox.outcome(wish("commit")) is not None
    assert [rpc.call("eth_getBalance", one, "latest") for one in to] == [hex(6 * 10**17), "0x2"]
    assert rpc.call("eth_getTransactionCount", SENDER.address, "latest") == "0x3"


def test_one_that_was_never_sent_is_priced_again_when_the_chain_asks_for_more(
    rpc: Rpc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = stranger()
    with monkeypatch.context() as patch:
        patch.setattr(Queue, "send", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            make(rpc, tmp_path).submit(wish("reveal"), transfer(to, 1))
    make_dearer(rpc, tmp_path, "reveal")
    outbox = make(rpc, tmp_path)
    assert outbox.outcome(wish("reveal")) is None
    rpc.call("evm_mine")
    assert outbox.outcome(wish("reveal")) is not None
    assert rpc.call("eth_getBalance", to, "latest") == "0x1"


def test_a_reorganisation_before_the_confirmations_is_survived(rpc: Rpc, tmp_path: Path) -> None:
    to = stranger()
    outbox = make(rpc, tmp_path, confirmations=3)
    outbox.submit(wish("gift"), transfer(to, 5))
    rpc.call("evm_mine")
    assert rpc.call("eth_getBalance", to, "latest") == "0x5"
    assert outbox.outcome(wish("gift")) is None
    rpc.call("anvil_rollback", 1)
    assert rpc.call("eth_getBalance", to, "latest") == "0x0"
    outbox = make(rpc, tmp_path, confirmations=3)
    assert outbox.outcome(wish("gift")) is None  # sends the same bytes again
    for _ in range(3):
        rpc.call("evm_mine")
    assert outbox.outcome(wish("gift")) is not None
    assert rpc.call("eth_getBalance", to, "latest") == "0x5"
