"""Sends transactions so that a crash at any instant neither loses one nor sends it twice.

The signed bytes are in the journal before they are sent. After a restart the outbox looks for the receipt of
what it finds there, else sends the same bytes again: the same nonce can be mined once only. A transaction
that is not mined for a while is replaced by one with the same nonce and a higher fee; all hashes are
remembered, and at most one of them can be mined. Before any of that the call is simulated, so that what the
contract refuses costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sonar.chain import revert
from sonar.chain.market import Call
from sonar.chain.rpc import Chain, data_bytes, quantity
from sonar.errors import (
    InsufficientFunds,
    LocalProtocolError,
    MarketError,
    RpcError,
    TransactionStuck,
)
from sonar.journal import Journal
from sonar.progress import Progress
from sonar.protocol.ids import Address, parse_address

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

GAS_MARGIN = (5, 4)
"""The gas limit is the estimate times 5/4: what others do before us may cost a little more."""
TIP_FLOOR_WEI, TIP_CEILING_WEI = 10**7, 5 * 10**9
MAX_FEE_PER_GAS_WEI = 10**12
"""1,000 gwei: above that a transaction waits, whatever fee the node suggests."""
BUMP = (5, 4)
"""A replacement offers 5/4 of the fee; nodes ask for at least 11/10."""
_POLLS_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
_KNOWN = ("already known", "already imported", "known transaction", "already exists", "underpriced")


@dataclass(frozen=True)
class Receipt:
    """A transaction that was mined and confirmed. `contract`: the address of the one it created."""

    tx_hash: str
    block: int
    gas_used: int
    fee_wei: int
    contract: Address | None = None


class Outbox:
    """Sends the transactions of one account. One outbox per account and journal, in one process.

    A key names an intent ("<bounty>/2/commit"); the first call saved under it wins, however often it is asked
    for. Methods raise ChainUnavailable and RpcError besides what they say; calling again is always safe.
    """

    def __init__(
        self,
        chain: Chain,
        account: LocalAccount,
        journal: Journal,
        *,
        confirmations: int = 1,
        progress: Progress | None = None,
        bump_after_s: float = 30.0,
        stuck_after_s: float = 600.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._chain, self._account, self._journal = chain, account, journal
        self._confirmations = confirmations
        self._progress = progress or Progress()
        self._bump_after_s, self._stuck_after_s = bump_after_s, stuck_after_s
        self._monotonic, self._sleep = monotonic, sleep
        self._lock = threading.RLock()
        self._sent_s: dict[str, float] = {}  # when this process last sent what is under a key
        self._open = {
            key.removeprefix("outbox/"): entry
            for key, entry in journal.items("outbox/")
            if entry["state"] == "saved"
        }

    @property
    def address(self) -> Address:
        """The sender's address."""
        return Address(self._account.address)

    @property
    def confirmations(self) -> int:
        """How many blocks deep a transaction is believed; 1 is the newest."""
        return self._confirmations

    # ---- for state machines: nothing here waits for a block

    def submit(self, key: str, call: Call) -> None:
        """Simulate, sign, save and send `call` under `key`, unless that was done before.

        A key whose transaction was mined and failed is tried anew. Raises the contract's own error, with
        nothing sent, if the simulation is refused, and InsufficientFunds.
        """
        with self._lock:
            entry = self._journal.get(f"outbox/{key}")
            if entry is not None and entry["state"] != "failed":
                return
            for other in list(self._open):  # so that our nonce does not wait for one that was never sent
                if other not in self._sent_s:
                    self._send(other)
            self._sign(key, call)
            self._send(key)

    def outcome(self, key: str) -> Receipt | None:
        """Return the receipt of what was submitted under `key`, or None while it is not confirmed.

        Sends again what this process has not sent yet, replaces what is not mined for too long, and signs
        anew when another program has used the nonce. Raises the contract's error if the transaction was mined
        and failed, and LocalProtocolError for a key that was never submitted.
        """
        with self._lock:
            entry = self._journal.get(f"outbox/{key}")
            if entry is None:
                raise LocalProtocolError(f"nothing was submitted under {key!r}")
            if entry["state"] == "mined":
                return _receipt(entry["receipt"])
            if entry["state"] == "failed":
                raise revert.from_data(entry["revert"])
            if (found := self._mined(entry)) is not None:
                return self._settle(key, entry, found)
            if key not in self._sent_s:
                self._send(key)
            elif self._monotonic() - self._sent_s[key] >= self._bump_after_s:
                self._replace(key, entry)
            return None

    def submitted(self, key: str) -> bool:
        """Tell whether there is a transaction under `key`, in whatever state."""
        return f"outbox/{key}" in self._journal

    def wanted(self, key: str) -> bool:
        """Tell whether `submit` would sign something under `key`: nothing is there, or it failed."""
        entry = self._journal.get(f"outbox/{key}")
        return entry is None or entry["state"] == "failed"

    def next_key(self, prefix: str) -> str:
        """Return the key under `prefix` of what is under way, else one that was never used."""
        found = [key for key, _ in self._journal.items(f"outbox/{prefix}/")]
        last = f"{prefix}/{len(found) - 1}"
        return last if last in self._open else f"{prefix}/{len(found)}"

    def under_way(self, asset: Address) -> list[str]:
        """Return the keys of what is sent and not confirmed, and concerns a token."""
        return [key for key, entry in self._open.items() if entry["call"].get("asset") == asset]

    # ---- for everybody else

    def pause(self, what: str, seconds: float = 1.0) -> None:
        """Tell that the program waits for `what`, and sleep."""
        self._progress.waiting(what)
        self._sleep(seconds)

    def perform(self, key: str, call: Call) -> Receipt:
        """Submit `call` under `key` and wait until it is confirmed.

        Raises what `submit` and `outcome` raise, and TransactionStuck when it is neither mined nor refused in
        the outbox's `stuck_after_s`; it may still be mined, and calling again goes on waiting for it.
        """
        self.submit(key, call)
        started_s, polls = self._monotonic(), 0
        while (receipt := self.outcome(key)) is None:
            if self._monotonic() - started_s >= self._stuck_after_s:
                raise TransactionStuck(
                    f"{call.name} was sent and is not mined after {self._stuck_after_s:.0f} s",
                    hint="run the same command again: it goes on waiting and sends nothing twice",
                )
            if polls >= 2:
                self._progress.waiting(f"{call.name} to be mined")
            self._sleep(_POLLS_S[min(polls, len(_POLLS_S) - 1)])
            polls += 1
        return receipt

    # ---- sign and send

    def _sign(self, key: str, call: Call) -> None:
        request = self._request(call)
        gas, fees, count, balance = self._chain.rpc.batch(
            ("eth_estimateGas", request),
            ("eth_feeHistory", "0x1", "latest", [50]),
            ("eth_getTransactionCount", self.address, "pending"),
            ("eth_getBalance", self.address, "latest"),
        )
        tip_wei, max_fee_wei = _fees(fees)
        have_wei = quantity(_raised(balance), "eth_getBalance")
        if isinstance(gas, RpcError):
            if (refusal := revert.from_rpc_error(gas)) is not None:
                raise refusal from gas
            if have_wei < call.value_wei or "insufficient funds" in str(gas).lower():
                need_wei = max(have_wei + 1, call.value_wei + 100_000 * max_fee_wei)
                raise InsufficientFunds(self.address, have_wei, need_wei) from gas
            raise gas
        gas_limit = quantity(gas, "eth_estimateGas") * GAS_MARGIN[0] // GAS_MARGIN[1]
        if have_wei < (need_wei := call.value_wei + gas_limit * max_fee_wei):
            raise InsufficientFunds(self.address, have_wei, need_wei)
        ours = [other["nonce"] + 1 for name, other in self._open.items() if name != key]
        entry = {
            "state": "saved",
            "call": asdict(call),
            "nonce": max([quantity(_raised(count), "eth_getTransactionCount"), *ours]),
            "gas_limit": gas_limit,
            "tries": [],
        }
        self._save(key, entry, tip_wei, max_fee_wei)

    def _save(self, key: str, entry: dict[str, Any], tip_wei: int, max_fee_wei: int) -> None:
        """Sign `entry` with these fees and put it in the journal, before anybody else sees it."""
        call = entry["call"]
        fields = {
            "type": 2,
            "chainId": self._chain.chain_id,
            "nonce": entry["nonce"],
            "gas": entry["gas_limit"],
            "maxFeePerGas": max_fee_wei,
            "maxPriorityFeePerGas": tip_wei,
            "value": call["value_wei"],
            "data": call["data"],
        }
        signed = self._account.sign_transaction(fields | ({"to": call["to"]} if call["to"] else {}))
        attempt = {
            "hash": "0x" + bytes(signed.hash).hex(),
            "raw": bytes(signed.raw_transaction),
            "tip_wei": tip_wei,
            "max_fee_wei": max_fee_wei,
        }
        entry = entry | {"tries": [*entry["tries"], attempt]}
        self._journal.put(f"outbox/{key}", entry)
        self._open[key] = entry
        self._sent_s.pop(key, None)

    def _send(self, key: str) -> None:
        """Send the newest bytes under `key`; sending what the chain has already is no error."""
        entry = self._open[key]
        try:
            self._chain.rpc.call("eth_sendRawTransaction", "0x" + entry["tries"][-1]["raw"].hex())
        except RpcError as error:
            problem = str(error).lower()
            if "nonce" in problem and ("low" in problem or "old" in problem):
                self._sent_s[key] = self._monotonic()
                self._renew_if_dead(key, entry)
                return
            if "insufficient funds" in problem:
                need_wei = entry["call"]["value_wei"] + entry["gas_limit"] * entry["tries"][-1]["max_fee_wei"]
                raise InsufficientFunds(self.address, self._chain.ether(self.address), need_wei) from error
            if not any(word in problem for word in _KNOWN):
                raise
        self._sent_s[key] = self._monotonic()

    # ---- what became of it

    def _mined(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        """Return the receipt of whichever try was mined and is confirmed."""
        requests: list[tuple[str, ...]] = [
            ("eth_getTransactionReceipt", one["hash"]) for one in entry["tries"]
        ]
        if self._confirmations > 1:
            requests.append(("eth_blockNumber",))
        answers = [_raised(answer) for answer in self._chain.rpc.batch(*requests)]
        head = quantity(answers.pop(), "eth_blockNumber") if self._confirmations > 1 else None
        for answer in answers:
            if isinstance(answer, dict) and answer.get("blockNumber") is not None:
                block = quantity(answer["blockNumber"], "the block of a receipt")
                if head is None or head - block + 1 >= self._confirmations:
                    return answer
        return None

    def _settle(self, key: str, entry: dict[str, Any], found: dict[str, Any]) -> Receipt:
        """Write down what a mined transaction came to, and return it or raise why it failed."""
        gas_used = quantity(found.get("gasUsed"), "gasUsed of a receipt")
        price_wei = quantity(found.get("effectiveGasPrice"), "effectiveGasPrice of a receipt")
        created = found.get("contractAddress")
        receipt = Receipt(
            "0x" + data_bytes(found.get("transactionHash"), "transactionHash of a receipt", 32).hex(),
            quantity(found["blockNumber"], "blockNumber of a receipt"),
            gas_used,
            gas_used * price_wei,
            parse_address(str(created), "contractAddress") if created is not None else None,
        )
        call = Call(**entry["call"])
        failed = quantity(found.get("status"), "status of a receipt") != 1
        why = self._why(call, receipt) if failed else b""
        state = (
            {"state": "failed", "revert": why} if failed else {"state": "mined", "receipt": asdict(receipt)}
        )
        # The log's line and the state change together: a restart reports the transaction once.
        with self._journal.transaction():
            self._journal.put(f"outbox/{key}", state)
            self._journal.log("transaction", key=key, name=call.name, failed=failed, **asdict(receipt))
        self._open.pop(key, None)
        self._sent_s.pop(key, None)
        self._progress.transaction(call.name, receipt.tx_hash, gas_used, receipt.fee_wei, call.round)
        if failed:
            raise revert.from_data(why)
        return receipt

    def _why(self, call: Call, receipt: Receipt) -> bytes:
        """Return the bytes that the call is reverted with now, as it was when it was mined."""
        try:
            self._chain.rpc.call("eth_call", self._request(call), hex(receipt.block))
        except RpcError as error:
            if (data := revert.find_data(error.data)) is not None:
                return data
        return revert.reason_data(f"{call.name} was mined in block {receipt.block} and failed")

    # ---- not mined

    def _replace(self, key: str, entry: dict[str, Any]) -> None:
        """Offer a higher fee for the same nonce."""
        if self._renew_if_dead(key, entry):
            return
        tip_wei, max_fee_wei = _fees(self._chain.rpc.call("eth_feeHistory", "0x1", "latest", [50]))
        last = entry["tries"][-1]
        tip_wei = max(tip_wei, last["tip_wei"] * BUMP[0] // BUMP[1] + 1)
        max_fee_wei = max(max_fee_wei, last["max_fee_wei"] * BUMP[0] // BUMP[1] + 1, tip_wei)
        if max_fee_wei > MAX_FEE_PER_GAS_WEI:
            self._sent_s.pop(key, None)  # send the same again instead
            return
        self._progress.note(f"{entry['call']['name']} is not mined yet; offering a higher fee")
        self._save(key, entry, tip_wei, max_fee_wei)
        self._send(key)

    def _renew_if_dead(self, key: str, entry: dict[str, Any]) -> bool:
        """Sign anew, with the next nonce, if another program's transaction has used ours. Tell whether.

        The count is asked for before the receipts: one that is mined in between is then found, not renewed.
        """
        head = quantity(self._chain.rpc.call("eth_blockNumber"), "eth_blockNumber")
        depth = max(0, head - self._confirmations + 1)
        count = self._chain.rpc.call("eth_getTransactionCount", self.address, hex(depth))
        if quantity(count, "eth_getTransactionCount") <= entry["nonce"]:
            return False
        receipts = self._chain.rpc.batch(
            *(("eth_getTransactionReceipt", one["hash"]) for one in entry["tries"])
        )
        if any(_raised(receipt) is not None for receipt in receipts):
            return False
        call = Call(**entry["call"])
        self._progress.note(f"another program has used the nonce of {call.name}; signing it anew")
        try:
            self._sign(key, call)
        except MarketError as refusal:
            self._journal.put(f"outbox/{key}", {"state": "failed", "revert": refusal.data})
            self._open.pop(key)
            raise
        self._send(key)
        return True

    def _request(self, call: Call) -> dict[str, str]:
        request = {"from": self.address, "data": "0x" + call.data.hex(), "value": hex(call.value_wei)}
        return request | ({"to": call.to} if call.to else {})


def _receipt(fields: dict[str, Any]) -> Receipt:
    return Receipt(**fields)


def _raised(answer: Any) -> Any:
    if isinstance(answer, RpcError):
        raise answer
    return answer


def _fees(answer: Any) -> tuple[int, int]:
    """Return (tip, highest fee) per gas in wei from a fee history of one block.

    Twice the next base fee leaves room for six full blocks before the transaction is priced out.
    """
    history = _raised(answer)
    try:
        base_wei = quantity(history["baseFeePerGas"][-1], "baseFeePerGas")
        rewards = history.get("reward") or [["0x0"]]
        tip_wei = quantity(rewards[-1][0], "reward")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise RpcError("eth_feeHistory: the node's answer has no fees") from error
    tip_wei = min(max(tip_wei, TIP_FLOOR_WEI), TIP_CEILING_WEI)
    return tip_wei, max(tip_wei, min(2 * base_wei + tip_wei, MAX_FEE_PER_GAS_WEI))
