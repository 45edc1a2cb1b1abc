"""Every way in which the contract and the clients say no becomes an exception that a person can read."""

from __future__ import annotations

from inspect import get_annotations
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from sonar.chain.contract import abi, errors, revert
from sonar.chain.contract.abi import Item
from sonar.chain.contract.refusal import Refusal
from sonar.errors import MarketError, RpcError
from sonar.protocol.ids import ETHER
from sonar.protocol.phase import Status

ITEMS = sorted(abi.errors().values(), key=lambda item: item.name)
SAMPLES: dict[str, Any] = {"address": "0x" + "Ab" * 20, "bytes32": b"\x9a" * 32}


def data_of(item: Item) -> bytes:
    return item.selector + encode(item.inputs, [SAMPLES.get(kind, 3) for kind in item.inputs])


def test_the_abi_has_its_errors() -> None:
    assert len(ITEMS) > 25


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_every_error_of_the_abi_has_a_class_with_its_fields_in_order(item: Item) -> None:
    kind = getattr(errors, item.name)
    assert issubclass(kind, Refusal)
    assert tuple(get_annotations(kind)) == item.names
    error = revert.from_data(data_of(item))
    assert type(error) is kind
    assert isinstance(error, Refusal)
    assert not any(one.name in f"{error} {error.hint}" for one in ITEMS)
    assert not any(word in str(error) for word in ("{", "}", "="))
    assert [getattr(error, name) for name in item.names] == list(error.values)
    assert error.data == data_of(item)


def test_no_class_is_left_over() -> None:
    ours = {kind.__name__ for kind in Refusal.__subclasses__()} - {"Panic", "Reverted", "TokenRefusal"}
    assert ours == {item.name for item in ITEMS}


def test_a_user_reads_numbers_and_names() -> None:
    def read(name: str, types: list[str], *values: Any) -> str:
        [item] = [item for item in ITEMS if item.name == name]
        return str(revert.from_data(item.selector + encode(types, values)))

    assert read("CohortFull", ["uint8"], 10) == (
        "the round is full: it has 10 mines, the most that its terms allow"
    )
    assert read("WrongStatus", ["uint8"], 3) == (
        "the bounty does not accept this call now: its status is Settle"
    )
    assert read("UnknownBounty", ["bytes32"], b"\xab" * 32) == ("this network has no bounty 0xabababab…abab")
    address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert read("NotScientist", ["address"], address.lower()) == (f"{address} did not post the bounty")
    assert read("NothingToWithdraw", ["address", "address"], ETHER, address.lower()) == (
        f"nothing to withdraw: the market owes {address} nothing in ether"
    )
    error = revert.from_data(data_of(next(item for item in ITEMS if item.name == "WrongStatus")))
    assert isinstance(error, errors.WrongStatus)
    assert error.actual is Status.SETTLE


HOLDER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.mark.parametrize(
    ("selector", "types", "values", "told"),
    [  # the selectors as published in ERC-6093's reference implementation
        (
            "e450d38c",
            ["address", "uint256", "uint256"],
            [HOLDER, 1, 5],
            f"{HOLDER} has 1 units of the token, and needs 5",
        ),
        (
            "fb8f41b2",
            ["address", "uint256", "uint256"],
            [HOLDER, 0, 7],
            f"{HOLDER} may take 0 units of the token, and needs 7",
        ),
        ("96c6fd1e", ["address"], [HOLDER], f"the token does not let {HOLDER} send"),
        (
            "ec442f05",
            ["address"],
            [HOLDER],
            f"the token does not let {HOLDER} receive",
        ),
        (
            "e602df05",
            ["address"],
            [HOLDER],
            f"the token does not let {HOLDER} approve",
        ),
        (
            "94280d62",
            ["address"],
            [HOLDER],
            f"the token does not let {HOLDER} be approved",
        ),
        (
            "5274afe7",
            ["address"],
            [HOLDER],
            f"the token {HOLDER} does not answer as an ERC-20 token does",
        ),
    ],
)
def test_what_a_token_refuses_is_read_too(
    selector: str, types: list[str], values: list[Any], told: str
) -> None:
    data = bytes.fromhex(selector) + encode(types, [v.lower() if isinstance(v, str) else v for v in values])
    error = revert.from_data(data)
    assert isinstance(error, Refusal)
    assert (str(error), error.data) == (told, data)
    assert isinstance(revert.from_data(data[:-1]), revert.Reverted)


FULL = "0x" + data_of(next(item for item in ITEMS if item.name == "CohortFull")).hex()


@pytest.mark.parametrize(
    "data",
    [
        FULL,  # geth, Anvil, Erigon, ours
        f"Reverted {FULL}",  # Nethermind, OpenEthereum
        {"data": FULL},
        {"originalError": {"code": 3, "data": FULL, "message": "execution reverted"}},
        {"0x" + "12" * 32: {"error": "revert", "return": FULL}, "name": "RuntimeError"},  # Ganache
    ],
)
def test_every_client_is_understood(data: object) -> None:
    error = revert.from_rpc_error(RpcError("eth_call: execution reverted", code=3, data=data))
    assert isinstance(error, errors.CohortFull)
    assert error.cap == 3


def test_texts_panics_and_silence() -> None:
    assert str(revert.from_data(revert.reason_data("no money"))) == (
        "the call was refused, with the reason 'no money'"
    )
    panic = revert.from_data(bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big"))
    assert str(panic) == ("the contract stopped on a fault of its own, 'arithmetic overflow' (code 17)")
    assert isinstance(revert.from_data(b""), revert.Reverted)
    plain = revert.from_rpc_error(RpcError("eth_call: execution reverted: too late", code=-32000))
    assert str(plain) == "the call was refused, with the reason 'too late'"


def test_other_errors_are_no_reverts() -> None:
    assert revert.from_rpc_error(RpcError("eth_call: header not found", code=-32000)) is None


@given(
    st.one_of(
        st.binary(max_size=200),
        st.sampled_from(ITEMS).flatmap(
            lambda item: st.binary(max_size=96).map(lambda tail: item.selector + tail)
        ),
    )
)
def test_hostile_bytes_give_an_error_and_no_crash(data: bytes) -> None:
    error = revert.from_data(data)
    assert isinstance(error, MarketError)
    assert len(str(error)) < 1_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(FULL),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "return", "x"]), inner)
    ),
    max_leaves=20,
)


@given(JSON, st.text(max_size=30), st.integers())
def test_hostile_error_objects_give_an_error_or_none(data: object, message: str, code: int) -> None:
    found = revert.from_rpc_error(RpcError(message, code=code, data=data))
    assert found is None or isinstance(found, MarketError)
