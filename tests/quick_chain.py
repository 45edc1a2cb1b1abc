"""A chain of Anvil's whose clock a test owns: quicker than one in Python, and a process of its own."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from sonar.chain.rpc import Rpc
from sonar.localchain import anvil
from sonar.localchain.tester import CHAIN_ID, GAS_LIMIT, TesterChain
from sonar.processes import die_with_parent
from sonar.protocol.ids import Address

UP_WITHIN_S = 60.0


class QuickChain:
    """Like `TesterChain`, with less to look into: each transaction is mined at once, in a block of its own,
    whose time is the clock's, or a second after the block before it. It ends with the object.
    """

    def __init__(self, fund: Mapping[Address, int], *, clock: Callable[[], float]) -> None:
        self._clock, self._now_s = clock, int(clock())
        binary = anvil.find()
        assert binary is not None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = int(probe.getsockname()[1])
        command = [str(binary), "--port", str(self._port), "--chain-id", str(CHAIN_ID), "--accounts", "0"]
        command += ["--timestamp", str(self._now_s), "--gas-limit", str(GAS_LIMIT), "--silent", "--no-cors"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        self.stop = weakref.finalize(self, _end, process)
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port)
        self._wait_until_up(process)
        for account, wei in fund.items():
            self._ask("anvil_setBalance", account, hex(wei))

    @property
    def now_s(self) -> int:
        """The newest block's time."""
        return self._now_s

    def mine_at(self, timestamp_s: int) -> None:
        """Mine an empty block of that time, which must be later than the newest block's."""
        if timestamp_s <= self._now_s:
            raise ValueError(f"a block of time {timestamp_s} cannot follow one of {self._now_s}")
        self._ask("evm_setNextBlockTimestamp", timestamp_s)
        self._ask("evm_mine")
        self._now_s = timestamp_s

    def rpc(self) -> Rpc:
        """Return a client of this chain."""
        return Rpc("http://in-process.invalid", transport=httpx.MockTransport(self._respond))

    def _respond(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        if any(one.get("method") == "eth_sendRawTransaction" for one in asked if isinstance(asked, list)):
            answers = [json.loads(self._passed(json.dumps(one).encode())) for one in asked]
            return httpx.Response(200, content=json.dumps(answers))
        return httpx.Response(200, content=self._passed(request.content))

    def _passed(self, content: bytes) -> bytes:
        if b'"eth_sendRawTransaction"' not in content:
            return self._post(content)
        next_s = max(int(self._clock()), self._now_s + 1)
        self._ask("evm_setNextBlockTimestamp", next_s)
        answer = self._post(content)
        if (name := json.loads(answer).get("result")) is not None:
            self._wait_until_mined(name)
        newest = self._ask("eth_getBlockByNumber", "latest", False)
        self._now_s = int(newest["timestamp"], 16)
        return answer

    def _wait_until_mined(self, name: str) -> None:
        """Anvil answers before it mines; whoever owns the clock does not wait."""
        until_s = time.monotonic() + UP_WITHIN_S
        while self._ask("eth_getTransactionReceipt", name) is None:
            assert time.monotonic() < until_s
            time.sleep(0.001)

    def _ask(self, method: str, *params: Any) -> Any:
        content = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        return json.loads(self._post(content))["result"]

    def _post(self, content: bytes) -> bytes:
        self._connection.request("POST", "/", content, {"content-type": "application/json"})
        return self._connection.getresponse().read()

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        until_s = time.monotonic() + UP_WITHIN_S
        while True:
            try:
                self._ask("eth_chainId")
                return
            except OSError:
                self._connection.close()
                assert process.poll() is None
                assert time.monotonic() < until_s
                time.sleep(0.01)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def chain_of(
    fund: Mapping[Address, int], clock: Callable[[], float], *, quick: bool = True
) -> QuickChain | TesterChain:
    """Return a chain of Anvil's; one in this process if it is to be looked into, or if there is no Anvil."""
    return QuickChain(fund, clock=clock) if quick and anvil.find() else TesterChain(fund, clock=clock)


def inside(chain: QuickChain | TesterChain) -> TesterChain:
    """Return a chain that was asked for with `quick=False`."""
    assert isinstance(chain, TesterChain)
    return chain
