"""A chain in the same process for tests, whose connection breaks where a test says so."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount

from sonar.chain.contract.market import Market
from sonar.chain.deploying.deploy import Deployment, deploy
from sonar.chain.rpc import Chain, Rpc
from sonar.chain.sending.intent import Action, Intent
from sonar.chain.sending.outbox import Outbox
from sonar.home.journal import Journal
from sonar.home.settings import NetworkConfig, StoreConfig
from sonar.home.settlement import Settlement
from sonar.localchain.jsonrpc import answer
from sonar.localchain.tester import TesterChain
from sonar.protocol.ids import ETHER, Address
from sonar.protocol.phase import Terms
from sonar.protocol.seal import seal
from sonar.telling.documents import AMOUNTS
from sonar.telling.progress import ListSink, Progress

ETHER_WEI = 10**18
START_S = 1_800_000_000
MODEL, KEY, SALT = b"\1" * 32, b"\2" * 32, b"\3" * 32


class Killed(BaseException):
    """The process ends here: no handler of ours may catch it."""


class NobodySigns:
    """For bounties without a settler: that it is never asked, each of their tests shows."""

    def signature(self, settlement: Settlement) -> bytes | None:
        raise AssertionError(settlement)

    def place(self, settlement: Settlement) -> str:
        raise AssertionError(settlement)


class Clock:
    """A clock that stands still until a test moves it; it can stand in for time.monotonic and time.sleep."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def network_of(made: Deployment, url: str, **changes: Any) -> NetworkConfig:
    """Return a development network of a contract on a chain at `url`, with a folder as store."""
    fields = {"chain_id": made.chain_id, "contract": made.contract, "code_hash": made.code_hash}
    fields |= {"name": "test", "dev": True, "rpc_url": url, "deployed_block": made.block}
    fields |= {"store": StoreConfig(kind="folder", path="store")}
    return NetworkConfig(**{**fields, **changes})


class Wire(httpx.BaseTransport):
    """A connection to a chain. `tamper` sees each exchange, and may raise or answer in the chain's stead.

    It is called with True before the chain sees the exchange, and with False after.
    """

    def __init__(self, chain: TesterChain) -> None:
        self.chain = chain
        self.seen: list[str] = []
        self.tamper: Callable[[list[dict[str, Any]], bool], Any] = lambda requests, before: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        requests = body if isinstance(body, list) else [body]
        self.seen += [one["method"] for one in requests]
        instead = self.tamper(requests, True)
        content = answer(request.content, self.chain.methods) if instead is None else instead
        if instead is None:
            instead = self.tamper(requests, False)
            content = content if instead is None else instead
        return httpx.Response(200, content=content)

    def rpc(self) -> Rpc:
        return Rpc("http://wire.invalid", transport=self, attempts=1)


def go_back(chain: TesterChain, fund: Mapping[Address, int], blocks: int) -> None:
    """Take the chain's newest `blocks` back, as a node does that is killed. `fund` is what it began with."""
    newest = chain._head().block_number
    kept = [chain._chain.get_canonical_block_by_number(n) for n in range(max(1, newest - blocks + 1))]
    anew = TesterChain(fund, clock=lambda: float(kept[0].header.timestamp))
    for block in kept[1:]:
        anew._mine(list(block.transactions), block.header.timestamp)
    for name in ("_chain", "_receipts", "_transactions", "_by_block", "_logs", "_log_blocks", "_outcomes"):
        setattr(chain, name, getattr(anew, name))


def error_answer(requests: list[dict[str, Any]], message: str, code: int = -32000, data: Any = None) -> bytes:
    fields = {"code": code, "message": message} | ({} if data is None else {"data": data})
    answers = [{"jsonrpc": "2.0", "id": one["id"], "error": fields} for one in requests]
    return json.dumps(answers if len(answers) > 1 else answers[0]).encode()


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does `talk` with everybody who connects; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def drip(connection: socket.socket) -> None:
    """Answer a byte at a time, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1\r\n \r\n")
        time.sleep(0.02)


def make_terms(**changes: Any) -> Terms:
    fields: dict[str, Any] = {
        "asset": ETHER,
        "cohort_cap": 3,
        "min_mines": 2,
        "rounds": 3,
        "commit_window_s": 60,
        "reveal_window_s": 60,
        "settle_window_s": 60,
        "stake_units": 10**15,
        "fee_units": 10**14,
        "reward_units": 10**17,
        "initial_loss": 1_000,
        "target_loss": 10,
    }
    return Terms(**fields | changes)


def counted(document: Any, name: str = "") -> Any:
    """Return a document of JSON with its amounts as numbers again."""
    if isinstance(document, dict):
        return {key: counted(value, key) for key, value in document.items()}
    if isinstance(document, list):
        return [counted(value, name) for value in document]
    return int(document) if name.endswith(AMOUNTS) and document is not None else document


def wish(text: str) -> Intent:
    """Return an intent of a test's own, for a transaction whose real name is of no matter."""
    return Intent(Action.TRANSFER, detail=text.replace("/", "-"))


class World:
    """A chain with the contract on it, and funded accounts."""

    def __init__(self, folder: Path, accounts: int = 4) -> None:
        self.folder = folder
        self.accounts: list[LocalAccount] = [Account.create() for _ in range(accounts)]
        self.clock = Clock(START_S)
        fund = {Address(account.address): 10 * ETHER_WEI for account in self.accounts}
        self.chain = TesterChain(fund, clock=self.clock)
        self.wire = Wire(self.chain)
        self.rpc = self.wire.rpc()
        self.deployment = deploy(self.rpc, self.accounts[0], min_window_s=10)
        self.market = self.deployment.market(self.rpc)

    def outbox(self, index: int = 0, *, chain: Chain | None = None, **options: Any) -> Outbox:
        """The outbox of an account, as a process that has just started would make it."""
        clock = Clock()
        journal = Journal(self.folder / f"{index}.sqlite")
        self.told = ListSink()
        settings: dict[str, Any] = {"monotonic": clock, "sleep": clock.sleep, "progress": Progress(self.told)}
        return Outbox(chain or self.market, self.accounts[index], journal, **settings | options)

    def address(self, index: int) -> Address:
        return Address(self.accounts[index].address)

    def post(self, terms: Terms, salt: bytes = SALT) -> bytes:
        """Post a bounty from account 0; return its id."""
        self.outbox(0).perform(wish(f"post/{salt.hex()}"), self.market.post(terms, MODEL, KEY, salt))  # type: ignore[arg-type]
        return self.market.bounties()[-1].bounty

    def seal(self, bounty: bytes, round: int, index: int) -> bytes:
        market: Market = self.market
        update = bytes([round, index]) * 16
        return seal(market.chain_id, market.address, bounty, round, self.address(index), update, SALT)  # type: ignore[arg-type]
