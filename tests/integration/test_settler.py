"""Settlers: what cannot answer is refused before money moves, what signs is taken by the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32

from sonar import localchain
from sonar.chain.contract.calls import Award, Call
from sonar.chain.contract.errors import BadSettler, SettlementNotSigned, SignatureNotTaken
from sonar.chain.contract.market import Market
from sonar.chain.contract.settler import check_settler, signature_fault
from sonar.chain.deploying.deploy import deploy
from sonar.chain.rpc import Rpc
from sonar.chain.sending.outbox import Outbox
from sonar.errors import ConfigError
from sonar.home.journal import Journal
from sonar.localchain import anvil
from sonar.protocol.fold import Ending, record_of
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.protocol.phase import NOBODY
from sonar.protocol.seal import seal
from tests.chain_kit import SALT, make_terms, wish
from tests.token_kit import deploy_token

CODE = bytes.fromhex((Path(__file__).parents[1] / "tokens/TestSettler.hex").read_text())
KINDS = (
    "honest",
    "reverts with a text",
    "reverts with an error",
    "reverts with nothing",
    "stops",
    "burns gas",
    "answers nothing",
    "answers four bytes",
    "answers yes",
    "writes",
)
SOUND = KINDS[:3]
NEXT, UPDATE, EVIDENCE, MODEL, KEY = (Digest(bytes([n]) * 32) for n in range(1, 6))
needs_anvil = pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")


class Net:
    """A chain with the contract, and three parties: a scientist and two mines."""

    def __init__(self, url: str, folder: Path, accounts: list[LocalAccount]) -> None:
        self.accounts = accounts
        self.market: Market = deploy(Rpc(url), accounts[0], min_window_s=10).market(Rpc(url))
        self.outboxes = [
            Outbox(self.market, one, Journal(folder / f"{i}.sqlite")) for i, one in enumerate(accounts)
        ]
        self.signer: LocalAccount = Account.create()

    def settler(self, kind: str) -> Address:
        """Put a settler of this kind on the chain, once."""
        arguments = encode(("uint8", "address"), (KINDS.index(kind), self.signer.address))
        call = Call(None, CODE + arguments, 0, "deploy")
        receipt = self.outboxes[0].perform(wish(f"settler {kind}"), call)
        assert receipt.contract is not None
        return receipt.contract

    def address(self, index: int) -> Address:
        return Address(self.accounts[index].address)

    def revealed(self, settler: Address) -> BountyId:
        """Post a bounty of this settler, and bring it to where two mines have revealed."""
        market, terms = self.market, make_terms(settler=settler, cohort_cap=2, rounds=1)
        name = f"{settler} "
        self.outboxes[0].perform(wish(name), market.post(terms, MODEL, KEY, SALT))
        bounty = market.bounty_id(self.address(0), terms, MODEL, KEY, SALT)
        for i in (1, 2):
            made = seal(market.chain_id, market.address, bounty, 1, self.address(i), UPDATE, SALT)
            self.outboxes[i].perform(wish(name + "c"), market.commit(bounty, 1, made, terms.stake_units))
        for i in (1, 2):
            self.outboxes[i].perform(wish(name + "r"), market.reveal(bounty, 1, UPDATE, SALT))
        return bounty


@pytest.fixture(scope="module", params=[pytest.param("anvil", marks=needs_anvil), "eth-tester"])
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    accounts: list[LocalAccount] = [Account.create() for _ in range(3)]
    funds = {Address(account.address): 10**19 for account in accounts}
    with localchain.start(request.param, fund=funds) as chain:
        yield Net(chain.url, tmp_path_factory.mktemp("journals"), accounts)


def test_nobody_and_an_account_can_settle(net: Net) -> None:
    check_settler(net.market, NOBODY)
    check_settler(net.market, Address(net.signer.address))


@pytest.mark.parametrize("kind", SOUND)
def test_a_contract_that_says_no_in_any_way_can_settle(net: Net, kind: str) -> None:
    check_settler(net.market, net.settler(kind))


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("reverts with nothing", "gives no answer"),
        ("stops", "gives no answer"),
        ("burns gas", "gives no answer"),
        ("answers nothing", "gives no answer"),
        ("writes", "gives no answer"),  # which a static call forbids
        ("answers four bytes", "with 4 bytes, not 32"),
        ("answers yes", "accepts an empty signature"),
    ],
)
def test_a_contract_that_cannot_say_no_is_refused(net: Net, kind: str, problem: str) -> None:
    settler = net.settler(kind)
    with pytest.raises(ConfigError, match=f"settler: the contract {settler} .*{problem}") as caught:
        check_settler(net.market, settler)
    assert "EIP-1271" in caught.value.hint


def test_a_contract_of_another_trade_is_refused(net: Net) -> None:
    for other in (net.market.address, deploy_token(net.outboxes[0])):
        with pytest.raises(ConfigError, match="gives no answer"):
            check_settler(net.market, other)


def test_neither_scientist_nor_market_can_be_the_settler(net: Net) -> None:
    for settler in (net.address(0), net.market.address):
        with pytest.raises(BadSettler) as caught:
            net.outboxes[0].perform(
                wish(f"bad {settler}"), net.market.post(make_terms(settler=settler), MODEL, KEY, SALT)
            )
        assert caught.value.hint == "name another settler, or none"


@pytest.mark.parametrize("kind", ["account", "contract"])
def test_a_settlement_counts_with_the_settlers_signature_alone(net: Net, kind: str) -> None:
    market, scientist = net.market, net.outboxes[0]
    settler = Address(net.signer.address) if kind == "account" else net.settler("honest")
    bounty = net.revealed(settler)
    awards = [Award(net.address(1), 4_000), Award(net.address(2), 6_000)]
    settlement = (bounty, 1, NEXT, 100, awards, EVIDENCE)
    good = bytes(net.signer.unsafe_sign_hash(Hash32(market.settlement_digest(*settlement))).signature)
    other = bytes(
        net.signer.unsafe_sign_hash(
            Hash32(market.settlement_digest(bounty, 1, NEXT, 99, awards, EVIDENCE))
        ).signature
    )
    digest = market.settlement_digest(*settlement)
    assert signature_fault(market, settler, digest, good) == ""
    for wrong in (b"", other, good[:-1], good * 200):
        assert signature_fault(market, settler, digest, wrong)
        with pytest.raises(SettlementNotSigned) as caught:
            scientist.perform(wish(f"wrong {kind}"), market.settle(*settlement, wrong))
        assert "signature" in caught.value.hint
    scientist.perform(wish(f"fix {kind}"), market.fix_cohort(bounty, 1, EVIDENCE))
    assert market.bounty(bounty).cohort_fixed
    scientist.perform(wish(f"settle {kind}"), market.settle(*settlement, good))
    record = record_of(market.events(0, bounty=bounty), bounty, 1)
    assert record.ended is Ending.SETTLED
    assert record.fixed is not None
    assert record.fixed.digest == EVIDENCE


def test_without_a_settler_no_signature_is_taken(net: Net) -> None:
    bounty, awards = net.revealed(NOBODY), [Award(net.address(1), 10_000), Award(net.address(2), 0)]
    with pytest.raises(SignatureNotTaken):
        net.outboxes[0].perform(
            wish("signed"), net.market.settle(bounty, 1, NEXT, 100, awards, EVIDENCE, b"s" * 65)
        )
