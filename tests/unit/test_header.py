"""Headers and their hashes: on Ethereum's own first block, and on those of the chain in this process."""

from __future__ import annotations

from typing import Any

import pytest

from sonar.chain.header import Headers, is_genuine
from sonar.chain.rpc import Chain
from sonar.errors import RpcError
from sonar.localchain.tester import TesterChain
from tests.chain_kit import START_S, Clock

EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
GENESIS = {
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": EMPTY_ROOT,
    "receiptsRoot": EMPTY_ROOT,
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
    "size": "0x21c",
    "uncles": [],
    "transactions": [],
}


def block() -> dict[str, Any]:
    chain = TesterChain({}, clock=lambda: START_S)
    chain.mine_at(START_S + 5)
    found: dict[str, Any] = chain.rpc().call("eth_getBlockByNumber", "latest", False)
    return found


@pytest.mark.parametrize("honest", [GENESIS, block()], ids=["mainnet's first", "ours"])
def test_a_header_has_its_hash_until_a_field_is_changed(honest: dict[str, Any]) -> None:
    assert is_genuine(honest)
    for field in honest.keys() - {"size", "uncles", "transactions"}:
        changed = "0x9" + honest[field][3:]
        assert is_genuine(honest | {field: changed if changed != honest[field] else "0x8"}) is False
        nonsense: list[Any] = [None, 7, "0xzz", "", []]
        assert not any(is_genuine(honest | {field: value}) for value in nonsense)


def test_nothing_is_said_of_headers_of_other_kinds() -> None:
    assert is_genuine(GENESIS | {"l1BlockNumber": "0x1"}) is None
    assert is_genuine({"hash": "0x12", "number": "0x1", "timestamp": "0x1"}) is None


def test_a_chain_whose_headers_can_be_told_refuses_one_that_was_changed_for_a_while() -> None:
    """A fork may change how hashes are made: what goes on for long is no lie."""
    clock = Clock()
    headers, changed = Headers(clock), GENESIS | {"timestamp": "0x99"}
    headers.check(changed)  # nothing is known of this chain yet
    headers.check(GENESIS)
    headers.check(GENESIS | {"l1BlockNumber": "0x1"})
    for _ in range(3):
        with pytest.raises(RpcError, match="does not match its hash"):
            headers.check(changed)
        clock.now_s += 300
    headers.check(GENESIS)
    with pytest.raises(RpcError):
        headers.check(changed)
    clock.now_s += 1_000
    headers.check(changed)
    headers.check(changed)


def test_the_block_at_a_depth_is_the_one_that_has_so_many_confirmations() -> None:
    tester = TesterChain({}, clock=lambda: START_S)
    for second in range(1, 9):
        tester.mine_at(START_S + second)
    chain = Chain(tester.rpc())
    head = chain.head()
    assert chain.at_depth(head, 1) == head
    assert chain.at_depth(head, 3).timestamp_s == head.timestamp_s - 2
    assert chain.at_depth(head, 50).number == 0
    with pytest.raises(RpcError, match="has no block 106"):
        chain.at_depth(head._replace(number=108), 3)
