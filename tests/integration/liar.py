"""A node that lies for a while: it stands before an honest chain, and changes what that answers.

Every lie has a kind, and a stretch of chain time that begins when a test says so. All randomness comes from
the liar's own generator, so that a seed shows what was answered, to every request in turn.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from sonar.chain.contract import abi
from sonar.chain.rpc import Rpc
from sonar.localchain.jsonrpc import answer
from sonar.localchain.tester import TesterChain

Answer = dict[str, Any]
Request = dict[str, Any]


@dataclass
class Lie:
    """A kind of lie from `from_s` until `until_s`, chain time, told of a part `rate` of what it fits."""

    kind: str
    from_s: float
    until_s: float
    rate: float = 1.0


class Liar(httpx.BaseTransport):
    """A connection to `chain` through a node that lies. `told` counts the answers that were no longer true.

    `hashes_otherwise`: nobody can tell by a block's hash whether its header is true, as on some chains.
    """

    def __init__(self, chain: TesterChain, seed: int, *, hashes_otherwise: bool = False) -> None:
        self.chain, self.rng, self.hashes_otherwise = chain, random.Random(seed), hashes_otherwise
        self.lies: list[Lie] = []
        self.told = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        found = [self._one(one) for one in (body if isinstance(body, list) else [body])]
        return httpx.Response(200, content=json.dumps(found if isinstance(body, list) else found[0]))

    def rpc(self) -> Rpc:
        return Rpc("http://liar.invalid", transport=self, attempts=1)

    def honestly(self, method: str, *params: Any) -> Any:
        """What the chain itself answers; None for an error."""
        asked = {"jsonrpc": "2.0", "id": 0, "method": method, "params": list(params)}
        return self._honest(asked).get("result")

    def _honest(self, request: Request) -> Answer:
        found: Answer = json.loads(answer(json.dumps(request).encode(), self.chain.methods))
        if self.hashes_otherwise and isinstance(block := found.get("result"), dict) and "stateRoot" in block:
            block["l1BlockNumber"] = "0x1"
        return found

    def _one(self, request: Request) -> Answer:
        now_s = self.chain.now_s
        for lie in self.lies:
            fits = lie.from_s <= now_s < lie.until_s and request["method"] in KINDS[lie.kind].methods
            if fits and self.rng.random() < lie.rate:
                before = None if KINDS[lie.kind].swallows else self._honest(request)
                after = KINDS[lie.kind].tell(self, request, json.loads(json.dumps(before)))
                self.told += after != before
                return after
        return self._honest(request)


@dataclass(frozen=True)
class Kind:
    """What is done to the answers of some methods; `swallows`: the chain never sees the request."""

    methods: frozenset[str]
    tell: Callable[[Liar, Request, Any], Answer]
    swallows: bool = False


KINDS: dict[str, Kind] = {}
_HEADS = ("eth_getBlockByNumber", "eth_getBlockByHash", "eth_blockNumber")
_STATE = ("eth_call", "eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_estimateGas")
_ALL = (
    *_HEADS,
    *_STATE,
    "eth_getLogs",
    "eth_getTransactionReceipt",
    "eth_feeHistory",
    "eth_sendRawTransaction",
)


def _kind(name: str, *methods: str, swallows: bool = False) -> Callable[[Any], Any]:
    def register(tell: Callable[[Liar, Request, Any], Answer]) -> Callable[[Liar, Request, Any], Answer]:
        KINDS[name] = Kind(frozenset(methods), tell, swallows)
        return tell

    return register


def _shifted(value: str, by: int) -> str:
    return hex(max(0, int(value, 16) + by))


def _far(liar: Liar) -> int:
    return liar.rng.choice([1, 3, 20, 70, 200, 5_000, 10**6, 10**9])


# ---- times and numbers


def _header(name: str, sign: int) -> Callable[[Liar, Request, Any], Answer]:
    def tell(liar: Liar, request: Request, found: Any) -> Answer:
        block = found.get("result")
        if isinstance(block, dict):
            block[name] = _shifted(block[name], sign * _far(liar))
        elif isinstance(block, str):
            found["result"] = _shifted(block, sign * _far(liar))
        return dict(found)

    return tell


_kind("time too late", *_HEADS[:2])(_header("timestamp", 1))
_kind("time too early", *_HEADS[:2])(_header("timestamp", -1))
_kind("number too high", *_HEADS)(_header("number", 1))
_kind("number too low", *_HEADS)(_header("number", -1))


@_kind("another fork", *_HEADS[:2])
def _fork(liar: Liar, request: Request, found: Any) -> Answer:
    block = found.get("result")
    if isinstance(block, dict):
        block["hash"] = "0x" + liar.rng.randbytes(32).hex()
        block["timestamp"] = _shifted(block["timestamp"], liar.rng.choice([-30, 30, 300]))
    return dict(found)


@_kind("an old header", "eth_getBlockByNumber")
def _old_header(liar: Liar, request: Request, found: Any) -> Answer:
    number = max(0, liar.chain._head().block_number - liar.rng.randrange(1, 12))
    return {**found, "result": liar.honestly("eth_getBlockByNumber", hex(number), False)}


# ---- state


@_kind("an old state", *_STATE, "eth_getLogs")
def _old_state(liar: Liar, request: Request, found: Any) -> Answer:
    """As a node behind a balancer that lags: it does not say so."""
    old = hex(max(1, liar.chain._head().block_number - liar.rng.randrange(1, 12)))
    params = list(request["params"])
    if request["method"] == "eth_getLogs":
        params[0] = {**params[0], "toBlock": old}
        if int(params[0]["fromBlock"], 16) > int(old, 16):
            return {**found, "result": []}
    else:
        params = [params[0], old]
    return dict(liar._honest({**request, "params": params}))


@_kind("another status", "eth_call")
def _another_status(liar: Liar, request: Request, found: Any) -> Answer:
    """A bounty with other counts, another round, or closed."""
    if request["params"][0]["data"][:10] != "0x" + abi.functions()["getBounty"].selector.hex():
        return dict(found)
    words = bytearray.fromhex(found["result"][2:]) if "result" in found else bytearray()
    if not words:
        return dict(found)
    place = liar.rng.choice([2, 3, 4, 5])  # round, committed, revealed, closed
    words[32 * place + 31] = liar.rng.choice([0, 1, 2, 3])
    if place == 5:
        words[32 * place + 31] = 1
    return {**found, "result": "0x" + words.hex()}


@_kind("an unknown bounty", "eth_call", "eth_estimateGas")
def _unknown(liar: Liar, request: Request, found: Any) -> Answer:
    name = liar.rng.choice(["UnknownBounty", "WrongStatus", "NothingToWithdraw", "WrongRound"])
    (item,) = [one for one in abi.errors().values() if one.name == name]
    data = "0x" + (item.selector + bytes(32 * len(item.inputs))).hex()
    error = {"code": 3, "message": "execution reverted", "data": data}
    return {"jsonrpc": "2.0", "id": request["id"], "error": error}


# ---- logs


@_kind("missing logs", "eth_getLogs")
def _missing(liar: Liar, request: Request, found: Any) -> Answer:
    logs, kept = found.get("result") or [], liar.rng.choice([0.0, 0.5, 0.9])
    return {**found, "result": [log for log in logs if liar.rng.random() < kept]}


@_kind("logs twice", "eth_getLogs")
def _twice(liar: Liar, request: Request, found: Any) -> Answer:
    logs = found.get("result") or []
    return {**found, "result": [*logs, *(log for log in logs if liar.rng.random() < 0.5)]}


@_kind("foreign logs", "eth_getLogs")
def _foreign(liar: Liar, request: Request, found: Any) -> Answer:
    for log in found.get("result") or []:
        what = liar.rng.randrange(4)
        if what == 0:
            log["address"] = "0x" + liar.rng.randbytes(20).hex()
        elif what == 1 and len(log["topics"]) > 1:
            log["topics"][1] = "0x" + liar.rng.randbytes(32).hex()
        elif what == 2 and len(log["topics"]) > 2:
            log["topics"][-1] = "0x" + bytes(12).hex() + liar.rng.randbytes(20).hex()
    return dict(found)


@_kind("logs of another block", "eth_getLogs")
def _misplaced(liar: Liar, request: Request, found: Any) -> Answer:
    by = liar.rng.choice([-50, 100, 10**6])
    for log in found.get("result") or []:
        log["blockNumber"] = _shifted(log["blockNumber"], by)
    return dict(found)


@_kind("logs with other digests", "eth_getLogs")
def _digests(liar: Liar, request: Request, found: Any) -> Answer:
    for log in found.get("result") or []:
        data = bytearray.fromhex(log["data"][2:])
        if data and liar.rng.random() < 0.5:
            data[:32] = liar.rng.randbytes(32)
        log["data"] = "0x" + data.hex()
    return dict(found)


# ---- transactions

_RECEIPT = "eth_getTransactionReceipt"


@_kind("no receipts", _RECEIPT)
def _no_receipt(liar: Liar, request: Request, found: Any) -> Answer:
    return {**found, "result": None}


@_kind("receipts of another status", _RECEIPT)
def _status(liar: Liar, request: Request, found: Any) -> Answer:
    if receipt := found.get("result"):
        receipt["status"] = hex(1 - int(receipt["status"], 16))
    return dict(found)


@_kind("receipts of another block", _RECEIPT)
def _receipt_block(liar: Liar, request: Request, found: Any) -> Answer:
    if receipt := found.get("result"):
        receipt["blockNumber"] = _shifted(receipt["blockNumber"], liar.rng.choice([-1, 1]) * _far(liar))
    return dict(found)


@_kind("swallowed", "eth_sendRawTransaction", swallows=True)
def _swallow(liar: Liar, request: Request, found: Any) -> Answer:
    from eth_utils.crypto import keccak

    made = "0x" + keccak(hexstr=request["params"][0]).hex()
    return {"jsonrpc": "2.0", "id": request["id"], "result": made}


@_kind("swallowed, and a receipt", "eth_sendRawTransaction", _RECEIPT, swallows=True)
def _phantom(liar: Liar, request: Request, found: Any) -> Answer:
    if request["method"] == "eth_sendRawTransaction":
        return dict(_swallow(liar, request, found))
    honest = liar._honest(request)
    if honest.get("result") is not None:
        return dict(honest)
    head = liar.chain._head()
    receipt = {
        "transactionHash": request["params"][0],
        "transactionIndex": "0x0",
        "blockHash": "0x" + head.hash.hex(),
        "blockNumber": hex(max(0, head.block_number - liar.rng.randrange(4))),
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x1",
        "status": hex(liar.rng.randrange(2)),
        "logs": [],
    }
    return {**honest, "result": receipt}


@_kind("refused", "eth_sendRawTransaction", swallows=True)
def _refused(liar: Liar, request: Request, found: Any) -> Answer:
    said = liar.rng.choice(
        ["nonce too low", "already known", "insufficient funds", "exceeds block gas limit", "busy"]
    )
    error = {"code": -32000, "message": said}
    return {"jsonrpc": "2.0", "id": request["id"], "error": error}


@_kind("nonce too high", "eth_getTransactionCount")
def _nonce_high(liar: Liar, request: Request, found: Any) -> Answer:
    return {**found, "result": _shifted(found["result"], liar.rng.choice([1, 2, 5, 40, 10**6]))}


@_kind("nonce too low", "eth_getTransactionCount")
def _nonce_low(liar: Liar, request: Request, found: Any) -> Answer:
    return {**found, "result": _shifted(found["result"], -liar.rng.choice([1, 2, 5, 40]))}


@_kind("no ether", "eth_getBalance")
def _poor(liar: Liar, request: Request, found: Any) -> Answer:
    return {**found, "result": hex(liar.rng.choice([0, 1, 10**9]))}


@_kind("gas", "eth_estimateGas")
def _gas(liar: Liar, request: Request, found: Any) -> Answer:
    return {**found, "result": hex(liar.rng.choice([1, 21_000, 40_000, 29_000_000, 10**9, 2**60]))}


@_kind("fees", "eth_feeHistory")
def _fees(liar: Liar, request: Request, found: Any) -> Answer:
    if history := found.get("result"):
        base = hex(liar.rng.choice([0, 1, 10**14, 2**70]))
        history["baseFeePerGas"] = [base] * len(history["baseFeePerGas"])
    return dict(found)


@_kind("garbage", *_ALL)
def _garbage(liar: Liar, request: Request, found: Any) -> Answer:
    nothing: list[Any] = [
        None,
        7,
        "0x",
        "",
        [],
        {},
        "zz",
        True,
        [[]],
        {"a": 1},
        "0x" + "ff" * 32,
        "0x" + "00" * 64,
        -1,
    ]
    return {"jsonrpc": "2.0", "id": request["id"], "result": liar.rng.choice(nothing)}


NAMES: Sequence[str] = tuple(KINDS)
