"""An Ethereum chain in pure Python (eth-tester's py-evm), for development and tests: no persistence.

Every transaction is mined at once, in a block of its own. Block times are max(clock, parent + 1), so a burst
of transactions runs ahead of the clock by a second each; a heartbeat mines an empty block after a second
without one, because programs compare deadlines with chain time only.
"""

from __future__ import annotations

import bisect
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import httpx
from eth.exceptions import HeaderNotFound
from eth.vm.forks.cancun import CancunVM
from eth.vm.spoof import SpoofTransaction
from eth_tester.backends.pyevm.main import get_default_genesis_params, setup_tester_chain
from eth_utils.exceptions import ValidationError

from sonar.chain.rpc import Rpc
from sonar.localchain import convert
from sonar.localchain.convert import Evm, Json, from_data, from_quantity, to_hex
from sonar.localchain.jsonrpc import JsonRpcError, Methods, answer
from sonar.protocol.ids import Address

CHAIN_ID = 31337
GAS_LIMIT = 30_000_000
HEARTBEAT_S = 1.0
_GAS_PRICE_TIP_WEI = 10**7


class TesterChain:
    """A chain in this process. `methods` answers JSON-RPC; `mine_at` is for tests that own the clock.

    `fund`: what accounts hold at genesis, in wei. `clock` returns seconds since 1970.
    """

    __test__ = False  # pytest takes every Test… for its own

    def __init__(
        self, fund: Mapping[Address, int], *, clock: Callable[[], float] = time.time, heartbeat: bool = False
    ) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        state = {
            bytes.fromhex(account[2:]): {"balance": wei, "nonce": 0, "code": b"", "storage": {}}
            for account, wei in fund.items()
        }
        genesis = get_default_genesis_params({"gas_limit": GAS_LIMIT, "timestamp": int(clock())})
        _, self._chain = setup_tester_chain(genesis, state, len(state), ((0, CancunVM),))
        self._chain.chain_id = CHAIN_ID
        self._receipts: dict[bytes, Json] = {}
        self._transactions: dict[bytes, Json] = {}
        self._by_block: dict[int, list[bytes]] = {}
        self._logs: list[Json] = []
        self._log_blocks: list[int] = []  # the block of each log, ascending
        self._outcomes: dict[tuple[object, ...], Any] = {}  # of calls on the newest blocks: see `_execute`
        self._stop = threading.Event()
        self._last_block_s = time.monotonic()
        self._thread: threading.Thread | None = None
        if heartbeat:
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the heartbeat."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def now_s(self) -> int:
        """The newest block's time."""
        return int(self._head().timestamp)

    def mine_at(self, timestamp_s: int) -> None:
        """Mine an empty block of that time, which must be later than the newest block's."""
        with self._lock:
            if timestamp_s <= self.now_s:
                raise ValueError(f"a block of time {timestamp_s} cannot follow one of {self.now_s}")
            self._mine([], timestamp_s)

    def rpc(self) -> Rpc:
        """Return a client of this chain that needs no socket."""

        def respond(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=answer(request.content, self.methods))

        return Rpc("http://in-process.invalid", transport=httpx.MockTransport(respond))

    # ---- blocks

    def _beat(self) -> None:
        while not self._stop.wait(max(0.05, self._last_block_s + HEARTBEAT_S - time.monotonic())):
            with self._lock:
                # A chain that runs ahead of the clock waits for it.
                if time.monotonic() - self._last_block_s >= HEARTBEAT_S and self._clock() > self.now_s:
                    self._mine([], self._next_time_s())

    def _next_time_s(self) -> int:
        return max(int(self._clock()), self.now_s + 1)

    def _mine(self, transactions: list[Evm], timestamp_s: int) -> list[Any]:
        self._outcomes.clear()
        self._chain.set_header_timestamp(timestamp_s)
        result, receipts, computations = self._chain.mine_all(transactions, mix_hash=secrets.token_bytes(32))
        header = result.imported_block.header
        for index, (transaction, receipt, computation) in enumerate(
            zip(transactions, receipts, computations, strict=True)
        ):
            mined = convert.receipt(header, index, transaction, receipt, computation)
            self._receipts[transaction.hash] = mined
            self._transactions[transaction.hash] = convert.transaction(header, index, transaction)
            self._by_block.setdefault(header.block_number, []).append(transaction.hash)
            self._logs += mined["logs"]
            self._log_blocks += [header.block_number] * len(mined["logs"])
        self._last_block_s = time.monotonic()
        return list(computations)

    def _head(self) -> Evm:
        return self._chain.get_canonical_head()

    def _header(self, block: Any) -> Evm:
        """Return the header for a block parameter: a tag, a number, or {"blockHash": …} as in EIP-1898.

        The pending block is the newest. No block is ever replaced here, so every one is canonical.
        """
        if isinstance(block, dict) and "blockHash" in block:
            return self._header_by_hash(block["blockHash"])
        head = self._head()
        if block in ("latest", "pending", "safe", "finalized", None):
            return head
        number = 0 if block == "earliest" else from_quantity(block, "block")
        if number > head.block_number:
            raise JsonRpcError(-32000, f"block {number} is beyond the head, {head.block_number}")
        return self._chain.get_canonical_block_header_by_number(number)

    def _header_by_hash(self, block_hash: Any) -> Evm:
        try:
            return self._chain.get_block_header_by_hash(from_data(block_hash, "block hash", 32))
        except HeaderNotFound as error:
            raise JsonRpcError(-32001, f"block {block_hash} is not on this chain") from error

    def _state(self, header: Evm) -> Evm:
        """Return the state after a block, in which transactions cost nothing."""
        vm = self._chain.get_vm(header)
        free = header.copy(base_fee_per_gas=0)
        return vm.build_state(self._chain.chaindb.db, free, vm.chain_context, ())

    # ---- transactions

    def _send(self, raw: bytes) -> str:
        try:
            transaction = self._chain.get_vm().get_transaction_builder().decode(raw)
            sender, chain_id = transaction.sender, getattr(transaction, "chain_id", None)
        except Exception as error:  # py-evm may raise anything on hostile bytes
            raise JsonRpcError(-32602, f"the transaction does not decode: {str(error)[:200]}") from error
        with self._lock:
            if transaction.hash in self._receipts:
                raise JsonRpcError(-32000, "already known")
            if chain_id not in (None, CHAIN_ID):
                raise JsonRpcError(-32000, f"invalid chain id: {chain_id}, this is {CHAIN_ID}")
            self._check_sender(transaction, sender)
            try:
                self._mine([transaction], self._next_time_s())
            except ValidationError as error:
                raise JsonRpcError(-32000, str(error)[:300]) from error
        return to_hex(transaction.hash)

    def _check_sender(self, transaction: Evm, sender: bytes) -> None:
        """Refuse in the words of geth, which programs look for."""
        state = self._state(self._head())
        nonce, have = state.get_nonce(sender), state.get_balance(sender)
        price = getattr(transaction, "max_fee_per_gas", None) or transaction.gas_price
        if transaction.nonce != nonce:
            word = "low" if transaction.nonce < nonce else "high"
            raise JsonRpcError(-32000, f"nonce too {word}: next nonce {nonce}, tx nonce {transaction.nonce}")
        if have < (want := transaction.value + transaction.gas * price):
            raise JsonRpcError(-32000, f"insufficient funds for gas * price + value: have {have} want {want}")

    def _execute(self, request: Any, block: Any) -> Any:
        """Run a call on the state after `block`; return its computation. Raises JsonRpcError on a revert.

        Once per block: all mines ask the same of every block, and py-evm takes its time.
        """
        if not isinstance(request, dict):
            raise JsonRpcError(-32602, "the call is not an object")
        sender = from_data(request.get("from", "0x" + "00" * 20), "from", 20)
        to = from_data(request.get("to") or "0x", "to")
        value = from_quantity(request.get("value", "0x0"), "value")
        data = from_data(request.get("data", request.get("input", "0x")), "data")
        gas = min(from_quantity(request.get("gas", hex(GAS_LIMIT)), "gas"), GAS_LIMIT)
        with self._lock:
            header = self._header(block)
            asked = (header.hash, sender, to, value, data, gas)
            computation = self._outcomes.get(asked)
            if computation is None:
                computation = self._outcomes[asked] = self._computed(header, sender, to, value, data, gas)
        if computation.is_error:
            output = bytes(computation.output)
            if output or type(computation.error).__name__ == "Revert":
                raise JsonRpcError(3, "execution reverted", to_hex(output))
            raise JsonRpcError(-32000, f"execution failed: {type(computation.error).__name__}")
        return computation

    def _computed(self, header: Evm, sender: bytes, to: bytes, value: int, data: bytes, gas: int) -> Any:
        state = self._state(header)
        if state.get_balance(sender) < value:
            raise JsonRpcError(-32000, "insufficient funds for gas * price + value")
        builder = self._chain.get_vm(header).get_transaction_builder()
        unsigned = builder.create_unsigned_transaction(
            nonce=state.get_nonce(sender), gas_price=0, gas=gas, to=to, value=value, data=data
        )
        try:
            return state.apply_transaction(SpoofTransaction(unsigned, from_=sender))
        except ValidationError as error:
            raise JsonRpcError(-32000, str(error)[:300]) from error

    def _estimate(self, request: Any, block: Any) -> str:
        computation = self._execute(request, block)
        used = GAS_LIMIT - computation.get_gas_remaining()
        # An inner call gets at most 63/64 of what is left, so the limit must leave that much room above.
        return hex(min(GAS_LIMIT, used * 65 // 64 + 3_000))

    def _find_logs(self, query: Any) -> list[Json]:
        if not isinstance(query, dict):
            raise JsonRpcError(-32602, "the filter is not an object")
        with self._lock:
            first = self._header(query.get("fromBlock")).block_number
            last = self._header(query.get("toBlock")).block_number
            low = bisect.bisect_left(self._log_blocks, first)
            high = bisect.bisect_right(self._log_blocks, last)
            return [log for log in self._logs[low:high] if convert.matches(log, query)]

    def _block(self, header: Evm, full: bool) -> Json:
        hashes = self._by_block.get(header.block_number, [])
        listed = [self._transactions[one] if full else to_hex(one) for one in hashes]
        return convert.block(header, listed)

    def _block_by_number(self, params: list[Any]) -> Json | None:
        with self._lock:
            try:
                return self._block(self._header(params[0]), bool(params[1:] and params[1]))
            except JsonRpcError:
                return None  # a block beyond the head is null, not an error

    def _block_by_hash(self, params: list[Any]) -> Json | None:
        with self._lock:
            try:
                header = self._chain.get_block_header_by_hash(from_data(params[0], "block hash", 32))
            except HeaderNotFound:
                return None
            return self._block(header, bool(params[1:] and params[1]))

    def _fee_history(self, params: list[Any]) -> Json:
        count = from_quantity(params[0], "blockCount")
        percentiles = params[2] if len(params) > 2 and isinstance(params[2], list) else []
        with self._lock:
            last = self._header(params[1] if len(params) > 1 else "latest")
            first = max(0, last.block_number - min(max(count, 1), 1024) + 1)
            headers = [
                self._chain.get_canonical_block_header_by_number(number)
                for number in range(first, last.block_number + 1)
            ]
            upcoming = self._chain.create_header_from_parent(last)
        return {
            "oldestBlock": hex(first),
            "baseFeePerGas": [hex(header.base_fee_per_gas) for header in [*headers, upcoming]],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            "reward": [[hex(_GAS_PRICE_TIP_WEI)] * len(percentiles) for _ in headers],
        }

    def _of_account(self, read: Callable[[Evm, bytes], Any]) -> Callable[[list[Any]], Any]:
        def method(params: list[Any]) -> Any:
            with self._lock:
                state = self._state(self._header(params[1] if len(params) > 1 else "latest"))
                return read(state, from_data(params[0], "address", 20))

        return method

    @cached_property
    def methods(self) -> Methods:
        """The JSON-RPC methods by name."""
        found: dict[str, Callable[[list[Any]], Any]] = {
            "web3_clientVersion": lambda _: "eth-tester/sonar",
            "net_version": lambda _: str(CHAIN_ID),
            "eth_chainId": lambda _: hex(CHAIN_ID),
            "eth_syncing": lambda _: False,
            "eth_accounts": lambda _: [],
            "eth_blockNumber": lambda _: hex(self._head().block_number),
            "eth_gasPrice": lambda _: hex(self._head().base_fee_per_gas + _GAS_PRICE_TIP_WEI),
            "eth_maxPriorityFeePerGas": lambda _: hex(_GAS_PRICE_TIP_WEI),
            "eth_feeHistory": self._fee_history,
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBalance": self._of_account(lambda state, who: hex(state.get_balance(who))),
            "eth_getTransactionCount": self._of_account(lambda state, who: hex(state.get_nonce(who))),
            "eth_getCode": self._of_account(lambda state, who: to_hex(state.get_code(who))),
            "eth_call": lambda p: to_hex(self._execute(p[0], p[1] if len(p) > 1 else "latest").output),
            "eth_estimateGas": lambda p: self._estimate(p[0], p[1] if len(p) > 1 else "latest"),
            "eth_sendRawTransaction": lambda p: self._send(from_data(p[0], "transaction")),
            "eth_getTransactionReceipt": lambda p: self._receipts.get(from_data(p[0], "hash", 32)),
            "eth_getTransactionByHash": lambda p: self._transactions.get(from_data(p[0], "hash", 32)),
            "eth_getLogs": lambda p: self._find_logs(p[0]),
        }
        return {name: _needing_params(method) for name, method in found.items()}


def _needing_params(method: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    def checked(params: list[Any]) -> Any:
        try:
            return method(params)
        except IndexError as error:
            raise JsonRpcError(-32602, "a parameter is missing") from error

    return checked
