"""JSON-RPC to a chain's node over HTTP: one kept-alive connection, retries, and answers that are checked.

Plain httpx and not web3: a call through web3's contract objects cost 4.3 ms, one through this 0.6 ms, and a
network of eleven processes pays for the import eleven times.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx

from sonar.chain.endpoint import Endpoint, NotTaken, too_many
from sonar.chain.header import Headers
from sonar.errors import ChainUnusable, ConfigError, RpcError
from sonar.protocol.ids import Address

_MOST_AT_ONCE = 100
"""How many requests one exchange sends, unless the node accepts only fewer."""
_NEEDED = frozenset(
    f"eth_{name}"
    for name in (
        "blockNumber",
        "call",
        "chainId",
        "estimateGas",
        "getBalance",
        "getBlockByNumber",
        "getCode",
        "getLogs",
        "getTransactionCount",
        "getTransactionReceipt",
        "sendRawTransaction",
    )
)
"""The methods without which nothing works."""
_UNKNOWN_METHOD = frozenset({-32601, -32004})
_UNKNOWN_METHOD_WORDS = ("method not found", "unsupported method", "method not supported", "not available")


class Request(NamedTuple):
    """What a node is asked. `read` takes result and method; it returns what that says, or raises RpcError."""

    method: str
    params: tuple[Any, ...] = ()
    read: Callable[[Any, str], Any] = lambda result, _method: result


class Rpc:
    """A node's JSON-RPC endpoint. Safe to use from several threads.

    Every method raises ChainUnavailable when the node does not serve us after `attempts` tries, or within
    `timeout_s`; ChainUnusable, at once, when it never did and asking again does not help; and RpcError when
    it refuses a request or answers with nonsense. All requests of this package may be repeated, sending a
    signed transaction included. `transport` replaces the network, for chains in the same process. `shown` is
    the node's address for messages, without its secrets.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 20.0,
        attempts: int = 5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._endpoint = Endpoint(url, timeout_s=timeout_s, attempts=attempts, transport=transport)
        self.shown = self._endpoint.shown
        self._ids = itertools.count(1)
        self._at_once = _MOST_AT_ONCE
        self._offered: set[str] = set()

    def close(self) -> None:
        """Close the connection."""
        self._endpoint.close()

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of one request."""
        request = self._request(method, params)
        answer = self._endpoint.ask(request)
        if isinstance(answer, list) and len(answer) == 1:  # some answer one request as a batch of one
            (answer,) = answer
        result = _unwrap(answer, request["id"], method)
        if isinstance(result, RpcError):
            self._check_offered(method, result)
            raise result
        self._offered.add(method)
        return result

    def quantity(self, method: str, *params: Any) -> int:
        """Return the result of a request for a quantity."""
        return quantity(self.call(method, *params), method)

    def data(self, method: str, *params: Any, what: str = "") -> bytes:
        """Return the result of a request for bytes; `what` names them in errors, not the method."""
        return data_bytes(self.call(method, *params), what or method)

    def batch(self, *requests: Request) -> list[Any]:
        """Return what the results of several requests say, in as few exchanges as the node takes.

        What the node refused, or answered with nonsense, is in the list as an RpcError, not raised.
        """
        results: list[Any] = []
        while rest := requests[len(results) :]:
            results += self._at_most(rest[: self._at_once])
        return results

    def _at_most(self, requests: tuple[Request, ...]) -> list[Any]:
        """Ask in one exchange, or in halves if the node refuses so many; the smaller number is remembered."""
        if len(requests) == 1:
            return [self._alone(requests[0])]
        sent = [self._request(one.method, one.params) for one in requests]
        try:
            answers = self._endpoint.ask(sent)
        except NotTaken:
            answers = None
        if isinstance(answers, list):
            return self._all_of(requests, sent, answers)
        half = (len(requests) + 1) // 2
        first = self._at_most(requests[:half])
        self._at_once = min(self._at_once, half)  # the node works: the number was the problem
        return first + self.batch(*requests[half:])

    def _all_of(
        self, requests: tuple[Request, ...], sent: list[dict[str, Any]], answers: list[Any]
    ) -> list[Any]:
        """Return what the results say; what is missing, or an error, is asked for singly.

        Some nodes refuse by an error only those requests that are too many for them.
        """
        by_id = {_number(one.get("id")): one for one in answers if isinstance(one, dict)}
        if any(too_many(one.get("error"), logs=False) is not None for one in by_id.values()):
            self._endpoint.refused()
        results = []
        for place, (request, one) in enumerate(zip(requests, sent, strict=True)):
            result = _unwrap(by_id.get(one["id"]), one["id"], one["method"])
            if isinstance(result, RpcError):
                again = self._alone(request)
                fewer = one["id"] not in by_id or not isinstance(again, RpcError)
                limited = too_many(by_id.get(one["id"], {}).get("error"), logs=False) is not None
                if fewer and not limited:
                    self._at_once = min(self._at_once, max(place, 1))
                results.append(again)
            else:
                self._offered.add(request.method)
                results.append(_said(request, result))
        return results

    def _alone(self, request: Request) -> Any:
        try:
            return request.read(self.call(request.method, *request.params), request.method)
        except RpcError as error:
            return error

    def _check_offered(self, method: str, error: RpcError) -> None:
        """Raise ChainUnusable for a method that the node does not know, and never did."""
        told = str(error).lower()
        unknown = error.code in _UNKNOWN_METHOD or any(words in told for words in _UNKNOWN_METHOD_WORDS)
        if unknown and method in _NEEDED and method not in self._offered:
            raise ChainUnusable(
                f"the chain's node at {self.shown} does not offer {error}",
                hint="name a node by rpc_url in network.toml that serves the whole `eth_` interface",
            ) from error

    def _request(self, method: str, params: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}


def _number(value: Any) -> int | None:
    """Return the number of a request, which some nodes send back as a text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return value if type(value) is int else None


def _unwrap(answer: Any, number: int, method: str) -> Any:
    """Return the result in `answer`, or an RpcError that says what is wrong."""
    if not isinstance(answer, dict):
        return RpcError(f"{method}: the node gave no answer")
    error = answer.get("error")
    if isinstance(error, dict):
        code, message = error.get("code"), error.get("message")
        return RpcError(
            f"{method}: {str(message)[:500]}",
            code=code if isinstance(code, int) else 0,
            data=error.get("data"),
        )
    if error is not None:
        return RpcError(f"{method}: {str(error)[:500]}")
    if _number(answer.get("id")) != number or "result" not in answer:
        return RpcError(f"{method}: the node's answer is not JSON-RPC")
    return answer["result"]


def _said(request: Request, result: Any) -> Any:
    """Return what a result says, or an RpcError."""
    try:
        return request.read(result, request.method)
    except RpcError as error:
        return error


_QUANTITY = re.compile("0[xX][0-9a-fA-F]{1,64}")


def quantity(value: Any, what: str) -> int:
    """Return a JSON-RPC quantity ("0x1f") as an int below 2^256. Raises RpcError naming `what`."""
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise RpcError(f"{what}: the node answered {str(value)[:100]!r}, which is not a quantity in hex")


def data_bytes(value: Any, what: str, size: int | None = None) -> bytes:
    """Return JSON-RPC data ("0x…") as bytes, `size` of them if given. Raises RpcError naming `what`."""
    if isinstance(value, str) and value.startswith(("0x", "0X")):
        try:
            data = bytes.fromhex(value[2:])
            if size is None or len(data) == size:
                return data
        except ValueError:
            pass
    wanted = "bytes in hex" if size is None else f"{size} bytes in hex"
    raise RpcError(f"{what}: the node answered {str(value)[:100]!r}, which is not {wanted}")


def hash32(value: Any, what: str) -> str:
    """Return a hash as the hex that it is asked for by. Raises RpcError naming `what`."""
    return "0x" + data_bytes(value, what, 32).hex()


def words(value: Any, what: str) -> list[bytes]:
    """Return a list of 32 bytes each. Raises RpcError naming `what`."""
    if not isinstance(value, list):
        raise RpcError(f"{what}: the node answered no list")
    return [data_bytes(each, what, 32) for each in value]


def fields_of(found: Any, what: str, **reads: Callable[[Any, str], Any]) -> list[Any]:
    """Return the named fields of a JSON object, each as its `read` takes it. Raises RpcError naming it."""
    if not isinstance(found, dict):
        raise RpcError(f"{what}: the node answered none")
    return [read(found.get(name), f"{name} of {what}") for name, read in reads.items()]


class Head(NamedTuple):
    """The newest block. Its time is the only clock that deadlines are compared with."""

    number: int
    timestamp_s: int
    hash: str


class Chain:
    """A chain behind a node. With `chain_id`, construction checks that the node serves that chain.

    `place` names what transactions are meant for: another chain with the same id may be started anew.
    `deployed_block` is where that is from, if it is known.
    """

    deployed_block = 0

    def __init__(self, rpc: Rpc, chain_id: int | None = None) -> None:
        self.rpc, self._headers = rpc, Headers()
        self.chain_id = rpc.quantity("eth_chainId")
        self.place = str(self.chain_id)
        if chain_id is not None and chain_id != self.chain_id:
            raise ConfigError(
                "chain_id",
                f"the node at {rpc.shown} serves chain {self.chain_id}, the network file says {chain_id}",
                hint="correct rpc_url in network.toml, or get the network file of this chain",
            )

    def head(self) -> Head:
        """Return the newest block. One request. Raises RpcError for a header that its hash does not fit."""
        return self._block("latest", "the newest block")

    def at_depth(self, head: Head, confirmations: int) -> Head:
        """Return the newest block that has so many confirmations at `head`, its own included.

        Raises RpcError if the node does not have it.
        """
        if confirmations <= 1:
            return head
        number = max(min(self.deployed_block, head.number), head.number - confirmations + 1)
        found = self._block(hex(number), f"block {number}")
        if found.number != number:
            raise RpcError(f"the chain's node answered with block {found.number} when asked for {number}")
        return found

    def _block(self, which: str, what: str) -> Head:
        block = self.rpc.call("eth_getBlockByNumber", which, False)
        if not isinstance(block, dict):
            raise RpcError(f"eth_getBlockByNumber: the node has no {what.removeprefix('the ')}")
        self._headers.check(block)
        return Head(*fields_of(block, what, number=quantity, timestamp=quantity, hash=hash32))

    def ether(self, account: Address) -> int:
        """Return what the account holds on the chain itself, in wei."""
        return self.rpc.quantity("eth_getBalance", account, "latest")

    def check_code(self) -> None:
        """Check that the target of transactions exists: a bare chain has none."""

    def code(self, address: Address) -> bytes:
        """Return the code at an address; empty where there is none."""
        return self.rpc.data("eth_getCode", address, "latest")
