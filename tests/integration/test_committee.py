"""A committee on a chain: where it lies, that it is put there once, and that it says what our rule says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount

from sonar import localchain
from sonar.chain.contract import abi, committee, settler
from sonar.chain.contract.calls import Call
from sonar.chain.deploying import create2
from sonar.chain.deploying.committee import (
    Placed,
    committee_address,
    committee_signature,
    ensure_committee,
)
from sonar.chain.rpc import Chain, Rpc
from sonar.chain.sending.outbox import Outbox
from sonar.chain.signatures import committee_fault, sign_digest, signers_of
from sonar.errors import MarketError, UsageError, WrongContract
from sonar.home.journal import Journal
from sonar.localchain import anvil
from sonar.localchain.tester import TesterChain
from sonar.protocol.ids import Address
from sonar.telling.progress import ListSink, Note, Progress
from tests.chain_kit import START_S, Clock, Killed, Wire, World, error_answer, wish

CLIENTS = [
    pytest.param("anvil", marks=pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")),
    "eth-tester",
]
DIGEST = b"\x07" * 32


def ascending(count: int) -> list[LocalAccount]:
    made: list[LocalAccount] = [Account.from_key((n + 1).to_bytes(32, "big")) for n in range(count)]
    return sorted(made, key=lambda account: int(account.address, 16))


MEMBERS = ascending(3)


def names(accounts: Sequence[LocalAccount]) -> list[Address]:
    return [Address(account.address) for account in accounts]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, accounts=2)


def sent(world: World) -> int:
    return world.wire.seen.count("eth_sendRawTransaction")


# ---- deployed


def test_it_lies_where_its_members_say_and_is_put_there_once(world: World) -> None:
    address = committee_address(names(MEMBERS), 2)
    assert committee.is_committee(world.market, address, names(MEMBERS), 2).endswith(
        f"not a committee of 2 of {', '.join(names(MEMBERS))}"
    )
    placed = ensure_committee(world.market, world.outbox(0), names(MEMBERS), 2)
    assert (placed.address, placed.plain) == (address, False)
    assert placed.receipt is not None
    assert placed.receipt.fee_wei > 0
    assert committee.is_committee(world.market, address, names(MEMBERS), 2) == ""
    before = sent(world)
    again = ensure_committee(world.market, world.outbox(0), names(MEMBERS), 2)
    assert again == placed  # what it has cost is still known
    other = ensure_committee(world.market, world.outbox(1), names(MEMBERS), 2)
    assert (other.address, other.receipt) == (address, None)
    assert sent(world) == before


@pytest.mark.parametrize(("members", "threshold"), [(1, 1), (2, 2), (3, 2), (5, 3), (7, 7)])
def test_its_code_is_what_the_artifact_foretells(world: World, members: int, threshold: int) -> None:
    accounts = names(ascending(members))
    placed = ensure_committee(world.market, world.outbox(0), accounts, threshold)
    assert world.market.code(placed.address) == committee.runtime_code(accounts, threshold)
    assert settler.signature_fault(world.market, placed.address, DIGEST, b"")  # and it answers as a settler
    settler.check_settler(world.market, placed.address)


def test_every_committee_has_an_address_of_its_own() -> None:
    accounts = names(ascending(5))
    found = [
        committee_address(chosen, threshold)
        for size in range(1, 6)
        for chosen in itertools.combinations(accounts, size)
        for threshold in range(1, size + 1)
    ]
    assert len(set(found)) == len(found)


def test_its_code_and_so_its_address_stay_what_they_were() -> None:
    """A bounty's committee is known by its code, years later too: another compiler or a changed source would
    make it a stranger. Whoever changes it must keep the old artifact for the bounties that there are.
    """
    assert committee_address(names(MEMBERS), 2) == "0xd6CFA4521Cc826539aC81e72097C945b83328651"


def test_other_members_another_threshold_and_other_code_are_told_apart(world: World) -> None:
    four = names(ascending(4))
    address = ensure_committee(world.market, world.outbox(0), four[:3], 2).address
    for members, threshold in ((four[:3], 3), (four[1:], 2), (four[:2], 2), (four, 2)):
        fault = committee.is_committee(world.market, address, members, threshold)
        assert f"is the committee of 2 of {', '.join(four[:3])}, not of {threshold} of " in fault
    market = world.market.address
    assert "has other code" in committee.is_committee(world.market, market, four[:3], 2)


def test_code_that_differs_in_one_byte_is_no_committee(world: World) -> None:
    code = bytearray(committee.creation_code(names(MEMBERS), 2))
    yes = bytes.fromhex("1626ba7e")
    place = code.rindex(yes)
    code[place : place + 4] = b"\xff\xff\xff\xff"  # what it answers if all is well
    receipt = world.outbox(0).perform(wish("altered"), Call(None, bytes(code), 0, "deploy"))
    assert receipt.contract is not None
    assert "has other code" in committee.is_committee(world.market, receipt.contract, names(MEMBERS), 2)


def test_a_dropped_place_between_members_is_other_code(world: World) -> None:
    """Members could stand at other places only in code that no constructor makes."""
    code = committee.runtime_code(names(MEMBERS), 2)
    first = int(MEMBERS[0].address, 16).to_bytes(32, "big")
    assert code.count(first) == 2
    half_filled = code.replace(first, bytes(32), 1)

    class Lying(Chain):
        def code(self, address: Address) -> bytes:
            return half_filled

    told = committee.is_committee(Lying(world.rpc), names(MEMBERS)[0], names(MEMBERS), 2)
    assert "has other code" in told


@pytest.mark.parametrize(
    ("members", "threshold"),
    [
        ([], 0),
        (names(ascending(8)), 2),
        (names(MEMBERS), 0),
        (names(MEMBERS), 4),
        (names(MEMBERS)[::-1], 2),
        ([names(MEMBERS)[0]] * 2, 1),
        ([Address("0x" + "00" * 20), *names(MEMBERS)], 2),
    ],
)
def test_what_the_contract_would_refuse_is_refused_before(
    world: World, members: list[Address], threshold: int
) -> None:
    with pytest.raises(UsageError, match="committee"):
        committee_address(members, threshold)
    with pytest.raises(UsageError, match="committee"):
        ensure_committee(world.market, world.outbox(0), members, threshold)
    # And it is no stricter than the contract: what is encoded all the same is refused there.
    code = abi.committee().bytecode + encode(("address[]", "uint256"), (members, threshold))
    with pytest.raises(MarketError):
        world.outbox(0).perform(wish("refused"), Call(None, code, 0, "deploy"))


# ---- killed, and refused


@pytest.mark.parametrize("before", [True, False], ids=["before it is sent", "after it is sent"])
@pytest.mark.parametrize("victim", range(4), ids=["probe", "signer's ether", "proxy", "committee"])
def test_a_kill_at_any_transaction_deploys_nothing_twice(tmp_path: Path, victim: int, before: bool) -> None:
    payer: LocalAccount = Account.create()
    wire = Wire(TesterChain({Address(payer.address): 10**18}, clock=Clock(START_S)))
    count = itertools.count()

    def kill(requests: list[dict[str, Any]], now: bool) -> None:
        if now == before and requests[0]["method"] == "eth_sendRawTransaction" and next(count) == victim:
            raise Killed

    def ensure() -> Placed:
        chain, clock = Chain(wire.rpc()), Clock()
        with Journal(tmp_path / "journal.sqlite") as journal:
            outbox = Outbox(chain, payer, journal, monotonic=clock, sleep=clock.sleep)
            return ensure_committee(chain, outbox, names(MEMBERS), 2)

    wire.tamper = kill
    with pytest.raises(Killed):
        ensure()
    wire.tamper = lambda requests, now: None
    assert ensure().address == committee_address(names(MEMBERS), 2)
    # The proxy's ether and the committee: that is all that the account has ever sent.
    assert wire.rpc().quantity("eth_getTransactionCount", payer.address, "latest") == 2


def refuse_proxy(requests: list[dict[str, Any]], before: bool) -> bytes | None:
    """As a node that takes no transaction without a chain id, on a chain without the proxy."""
    asked = requests[0]
    if before and asked["params"][:1] == ["0x" + create2.PROXY_TRANSACTION.hex()]:
        return error_answer(requests, "only replay-protected (EIP-155) transactions allowed over RPC")
    if before and asked["method"] == "eth_getCode" and asked["params"][0] == create2.PROXY:
        return b'{"jsonrpc": "2.0", "id": %d, "result": "0x"}' % asked["id"]
    return None


def test_where_the_proxy_is_refused_it_gets_an_address_by_nonce_and_that_is_said(world: World) -> None:
    world.wire.tamper = refuse_proxy
    outbox = world.outbox(0)
    told = ListSink()
    placed = ensure_committee(world.market, outbox, names(MEMBERS), 2, progress=Progress(told))
    assert placed.plain
    assert placed.address != committee_address(names(MEMBERS), 2)
    notes = [each.text for each in told.events if isinstance(each, Note)]
    assert any("replay-protected" in note and "next nonce" in note for note in notes)
    assert committee.is_committee(world.market, placed.address, names(MEMBERS), 2) == ""
    before = sent(world)
    assert ensure_committee(world.market, world.outbox(0), names(MEMBERS), 2) == placed
    assert sent(world) == before


def test_a_plain_one_is_found_again_by_the_journal(world: World) -> None:
    placed = ensure_committee(world.market, world.outbox(0), names(MEMBERS), 2, plain=True)
    assert placed.plain
    before = sent(world)
    assert ensure_committee(world.market, world.outbox(0), names(MEMBERS), 2) == placed
    assert sent(world) == before


def test_other_code_at_its_address_is_refused(world: World) -> None:
    address = committee_address(names(MEMBERS), 2)

    def lie(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        asked = requests[0]
        if before and asked["method"] == "eth_getCode" and asked["params"][0] == address:
            return b'{"jsonrpc": "2.0", "id": %d, "result": "0x6001"}' % asked["id"]
        return None

    world.wire.tamper = lie
    before = sent(world)
    with pytest.raises(WrongContract, match=address):
        ensure_committee(world.market, world.outbox(0), names(MEMBERS), 2)
    assert sent(world) == before


# ---- signatures


@pytest.fixture(params=CLIENTS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Chain, Address]]:
    payer: LocalAccount = Account.create()
    with localchain.start(request.param, fund={Address(payer.address): 10**18}) as running:
        chain = Chain(Rpc(running.url))
        with Journal(tmp_path / "journal.sqlite") as journal:
            outbox = Outbox(chain, payer, journal)
            yield chain, ensure_committee(chain, outbox, names(MEMBERS), 2).address


def variants() -> Iterator[tuple[str, bytes, bool]]:
    """Name, signature, and whether it is one of 2 of MEMBERS over DIGEST."""
    stranger: LocalAccount = Account.from_key(b"\x99" * 32)
    one, two, three = (sign_digest(account, DIGEST) for account in MEMBERS)
    other = sign_digest(MEMBERS[1], b"\x08" * 32)
    yield "first and second", one + two, True
    yield "first and third", one + three, True
    yield "second and third", two + three, True
    yield "one alone", one, False
    yield "all", one + two + three, False
    yield "none", b"", False
    yield "twice", one + one, False
    yield "not ascending", two + one, False
    yield "a stranger first", sign_digest(stranger, DIGEST) + two, False
    yield "a stranger last", one + sign_digest(stranger, DIGEST), False
    yield "of something else", one + other, False
    yield "a byte short", (one + two)[:-1], False
    yield "a byte long", one + two + b"\x1b", False
    yield "v of 0", one + two[:64] + b"\x00", False
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = two[:32] + (order - int.from_bytes(two[32:64])).to_bytes(32) + bytes([27 + 28 - two[64]])
    yield "s high", one + high, False
    yield "zeros", bytes(130), False
    yield "r of zero", one + bytes(32) + two[32:], False


def test_our_rule_is_the_contract_s(place: tuple[Chain, Address]) -> None:
    chain, address = place
    for name, signature, good in variants():
        ours = committee_fault(DIGEST, signature, names(MEMBERS), 2)
        theirs = settler.signature_fault(chain, address, DIGEST, signature)
        assert (not ours, not theirs) == (good, good), (name, ours, theirs)


def test_signers_are_named_whatever_stands_there() -> None:
    one, two, _ = (sign_digest(account, DIGEST) for account in MEMBERS)
    assert signers_of(DIGEST, one + two) == names(MEMBERS)[:2]
    assert signers_of(DIGEST, one + bytes(65) + b"\x01") == [names(MEMBERS)[0], None, None]
    assert signers_of(DIGEST, b"") == []


def test_members_signatures_are_joined_in_the_contract_s_order() -> None:
    given = {Address(one.address): sign_digest(one, DIGEST) for one in reversed(MEMBERS)}
    made = committee_signature(DIGEST, given, 2)
    assert signers_of(DIGEST, made) == names(MEMBERS)[:2]
    assert committee_fault(DIGEST, made, names(MEMBERS), 2) == ""


def test_a_signature_that_would_be_refused_is_not_joined() -> None:
    one, two, _ = names(MEMBERS)
    good = sign_digest(MEMBERS[0], DIGEST)
    with pytest.raises(UsageError, match="1 of the committee signed, and it takes 2"):
        committee_signature(DIGEST, {one: good}, 2)
    with pytest.raises(UsageError, match=f"the signature of {two} is of {one}"):
        committee_signature(DIGEST, {one: good, two: good}, 2)
    with pytest.raises(UsageError, match=f"the signature of {two}: an account's signature has 65 bytes"):
        committee_signature(DIGEST, {one: good, two: b""}, 2)
    with pytest.raises(UsageError, match="or of something else"):
        committee_signature(DIGEST, {one: good, two: sign_digest(MEMBERS[1], b"\x08" * 32)}, 2)
