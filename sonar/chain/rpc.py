"""JSON-RPC to a chain's node over HTTP: one kept-alive connection, retries, and answers that are checked.

Plain httpx and not web3: a call through web3's contract objects cost 4.3 ms, one through this 0.6 ms, and a
network of eleven processes pays for the import eleven times.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import stamina
from pydantic_core import from_json

from sonar.chain.header import Headers
from sonar.errors import ChainUnavailable, ConfigError, RpcError
from sonar.home.settings import checked_url
from sonar.protocol.ids import Address

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_BUSY = frozenset({429, 502, 503, 504})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

# Without this, Python writes each of stamina's retries to standard error where nothing configured logging.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class Request(NamedTuple):
    """What a node is asked. `read` takes result and method; it returns what that says, or raises RpcError."""

    method: str
    params: tuple[Any, ...] = ()
    read: Callable[[Any, str], Any] = lambda result, _method: result


class Rpc:
    """A node's JSON-RPC endpoint. Safe to use from several threads.

    Every method raises ChainUnavailable when the node does not serve us after `attempts` tries, or within
    `timeout_s` in all, and RpcError when it refuses a request or answers with nonsense. All requests of this
    package may be repeated, sending a signed transaction included. `transport` replaces the network, for
    chains in the same process. `shown` is the node's address for messages, without its secrets.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 20.0,
        attempts: int = 5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.shown = without_secrets(url)
        try:
            self._url = httpx.URL(checked_url(url))
        except ValueError as error:
            raise ConfigError("rpc_url", f"{self.shown!r} is {error}") from error
        self._attempts, self._timeout_s = attempts, timeout_s
        self._ids = itertools.count(1)
        self._http = httpx.Client(
            transport=transport,
            trust_env=self._url.host not in _LOOPBACK,  # no proxy between us and our own machine
            headers={"content-type": "application/json"},
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of one request."""
        request = self._request(method, params)
        answer = self._exchange(json.dumps(request))
        result = _unwrap(answer, request["id"], method)
        if isinstance(result, RpcError):
            raise result
        return result

    def quantity(self, method: str, *params: Any) -> int:
        """Return the result of a request for a quantity."""
        return quantity(self.call(method, *params), method)

    def data(self, method: str, *params: Any, what: str = "") -> bytes:
        """Return the result of a request for bytes; `what` names them in errors, not the method."""
        return data_bytes(self.call(method, *params), what or method)

    def batch(self, *requests: Request) -> list[Any]:
        """Return what the results of several requests say, in one exchange.

        What the node refused, or answered with nonsense, is in the list as an RpcError, not raised.
        """
        sent = [self._request(one.method, one.params) for one in requests]
        answers = self._exchange(json.dumps(sent))
        if not isinstance(answers, list):
            # A node that takes no batches answers with one error for all of them.
            return [self._alone(one) for one in requests]
        by_id = {
            answer["id"]: answer
            for answer in answers
            if isinstance(answer, dict) and isinstance(answer.get("id"), int)
        }
        results = [_unwrap(by_id.get(one["id"]), one["id"], one["method"]) for one in sent]
        return [_said(request, result) for request, result in zip(requests, results, strict=True)]

    def _alone(self, request: Request) -> Any:
        try:
            return request.read(self.call(request.method, *request.params), request.method)
        except RpcError as error:
            return error

    def _request(self, method: str, params: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    def _exchange(self, body: str) -> Any:
        until_s = time.monotonic() + self._timeout_s
        try:
            for attempt in stamina.retry_context(
                on=_passes,
                attempts=self._attempts,
                wait_initial=0.1,
                wait_max=2.0,
                timeout=self._timeout_s,
            ):
                with attempt:
                    return self._post(body, until_s)
        except httpx.HTTPError as error:
            late = isinstance(error, httpx.TimeoutException)
            why = f"it takes more than {self._timeout_s:g} s" if late else str(error) or type(error).__name__
            raise ChainUnavailable(
                f"the chain's node at {self.shown} does not answer: {why}", hint=_ADDRESS
            ) from error
        raise AssertionError("unreachable")

    def _post(self, body: str, until_s: float) -> Any:
        left_s = max(until_s - time.monotonic(), 0.001)
        with self._http.stream("POST", self._url, content=body, timeout=left_s) as response:
            status, parts, size = response.status_code, [], 0
            if status in _BUSY:
                raise httpx.TransportError(f"status {status}")
            for part in response.iter_bytes():
                parts.append(part)
                if (size := size + len(part)) > MAX_ANSWER_BYTES:
                    raise RpcError(f"the node's answer is larger than the limit of {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > until_s:  # httpx limits each read by itself, and bytes may drip
                    raise httpx.ReadTimeout("")
        content = b"".join(parts)
        try:
            answer = from_json(content)
        except ValueError as error:
            if response.is_success and content and str(error).startswith("EOF"):
                raise httpx.TransportError("its answer is cut off") from error
            if response.is_success:
                raise RpcError(f"{self.shown} answered with status {status} and no JSON") from error
            answer = None
        nodes_own = isinstance(answer, list) or (isinstance(answer, dict) and "jsonrpc" in answer)
        if response.is_success or nodes_own:
            return answer
        # Something that stands before the node has answered in its place.
        raise (httpx.TransportError if status >= 500 else httpx.HTTPError)(f"status {status}")


def _passes(error: Exception) -> bool:
    """Whether to ask again; a timeout means that all the time is used up."""
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.TimeoutException)


_ADDRESS = (
    "is it running? `sonar chain` starts a local one; rpc_url in network.toml names it, "
    "with the key that the node may ask for"
)


def without_secrets(url: str) -> str:
    """Return an address for messages: without name and password, and without path and query.

    Providers of nodes put their customers' keys into the path.
    """
    scheme, mark, rest = url.partition("://") if "://" in url else ("", "", url)
    rest = rest.rpartition("@")[2]
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    hidden = "/…" if rest[len(place) :].strip("/") else ""
    return f"{scheme}{mark}{place}"[:200] + hidden


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
    if error is not None or answer.get("id") != number or "result" not in answer:
        return RpcError(f"{method}: the node's answer is not JSON-RPC")
    return answer["result"]


def _said(request: Request, result: Any) -> Any:
    """Return what a result says, or an RpcError."""
    try:
        return result if isinstance(result, RpcError) else request.read(result, request.method)
    except RpcError as error:
        return error


def quantity(value: Any, what: str) -> int:
    """Return a JSON-RPC quantity ("0x1f") as an int below 2^256. Raises RpcError naming `what`."""
    if isinstance(value, str) and value.startswith("0x") and 3 <= len(value) <= 66:
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise RpcError(f"{what}: the node answered {str(value)[:100]!r}, which is not a quantity in hex")


def data_bytes(value: Any, what: str, size: int | None = None) -> bytes:
    """Return JSON-RPC data ("0x…") as bytes, `size` of them if given. Raises RpcError naming `what`."""
    if isinstance(value, str) and value.startswith("0x"):
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

    `place` is what transactions are meant for, in words of its own: a chain of one id may begin anew.
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
            raise RpcError(f"the chain's node answered block {found.number}, and was asked for {number}")
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
        """Check that what transactions are meant for is there: on a chain alone, nothing is."""

    def code(self, address: Address) -> bytes:
        """Return the code at an address; empty where there is none."""
        return self.rpc.data("eth_getCode", address, "latest")
