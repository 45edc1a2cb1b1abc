"""What nodes answer to a transaction, in the words of the clients in use."""

from __future__ import annotations

import pytest

from sonar.chain.sending.pool import Said, offer
from sonar.errors import RpcError


class Node:
    def __init__(self, problem: str) -> None:
        self.problem = problem

    def call(self, method: str, raw: str) -> str:
        assert (method, raw) == ("eth_sendRawTransaction", "0x01")
        if self.problem:
            raise RpcError(f"eth_sendRawTransaction: {self.problem}")
        return "0x"


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("", Said.THERE),
        ("already known", Said.THERE),
        ("ALREADY_EXISTS: already known", Said.THERE),
        ("transaction already imported", Said.THERE),
        ("replacement transaction underpriced", Said.THERE),
        ("nonce too low: next nonce 5, tx nonce 4", Said.USED),
        ("OldNonce", Said.USED),
        ("nonce too high: next nonce 0, tx nonce 3", Said.EARLY),
        ("NonceGap", Said.EARLY),
        ("Transaction nonce is too distant from current sender nonce", Said.EARLY),
        ("max fee per gas less than block base fee: maxFeePerGas: 1, baseFee: 2", Said.CHEAP),
        ("transaction underpriced", Said.CHEAP),
        ("transaction gas price below minimum: gas tip cap 1, minimum needed 25", Said.CHEAP),
        ("fee cap less than block base fee", Said.CHEAP),
        ("FeeTooLowToCompete", Said.CHEAP),
        ("Sender's max fee per gas (1) is lower than block's base fee per gas (2)", Said.CHEAP),
        ("insufficient funds for gas * price + value: have 1 want 2", Said.POOR),
        ("Upfront cost exceeds account balance", Said.POOR),
    ],
)
def test_the_words_of_clients(problem: str, said: Said) -> None:
    assert offer(Node(problem), b"\1") is said  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "problem",
    [
        "exceeds block gas limit",
        "txpool is full",
        "intrinsic gas too low: have 20000, want 21000",
        "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)",
        "invalid chain id",
    ],
)
def test_any_other_refusal_is_an_error(problem: str) -> None:
    with pytest.raises(RpcError, match="eth_sendRaw"):
        offer(Node(problem), b"\1")  # type: ignore[arg-type]
