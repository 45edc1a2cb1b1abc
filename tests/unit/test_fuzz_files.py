"""Files that people write or programs keep, and what nodes answer, against hostile inputs.

What takes longer than some microseconds gets fewer of them than `make fuzz` says.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from eth_abi.abi import encode

from mine.consent import POLICY_FILE, Policy
from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from pysonar.keys.ledger import Aggregated, Ledger
from pysonar.models.linear import LinearModel
from sonar.chain.contract import abi
from sonar.chain.contract.market import decode_log
from sonar.chain.contract.revert import from_rpc_error
from sonar.chain.rpc import Chain, Request, Rpc, quantity
from sonar.data.contents import csv_contents
from sonar.data.table import csv_batches, parse_csv
from sonar.errors import RpcError
from sonar.home import keystore
from sonar.home.folder import Home
from sonar.home.journal import Journal
from sonar.home.settings import NetworkConfig
from sonar.protocol.abi import fields_of
from sonar.protocol.allowlist import read_list
from sonar.protocol.ids import ETHER
from sonar.store.kubo.rpc import KuboRpc
from sonar.store.kubo.swarm import new_swarm_key, read_swarm_key
from sonar.telling.documents import MineRound
from sonar.telling.progress import Event, Line, PlainSink, Round, Waiting, describe, format_line, parse_line
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, changed_value, fuzz
from tests.unit.network_file import write_network

STRAINING = [b"[" * 5000, b'{"a":' * 5000, b"9" * 5000, b"1e999", b'"\\u0000"', b'"\\ud800"', b"'\0'", b"nan"]
"""What parsers of whole languages stumble over: depth, length, and values that few think of."""


def changed_text(rng: Rng, text: bytes) -> bytes:
    """The text changed, or with something that strains a parser in the place of a value."""
    if rng.random() < 0.8:
        return changed_bytes(rng, text)
    values = [at + 2 for at, byte in enumerate(text) if byte in b"=:"]
    at = rng.choice(values)
    end = text.find(b"\n", at)
    return text[:at] + rng.choice(STRAINING) + text[end:]


def from_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A decoder of files as one of bytes."""
    path.touch(0o600)

    def decode(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return decode


# ---- what people write


def test_network_files(tmp_path: Path) -> None:
    good = write_network(tmp_path).read_bytes() + b'[faucet]\nkey_file = "faucet.key"\n'
    peer = b'bootstrap = ["/ip4/192.0.2.7/tcp/4001/p2p/%s"]' % (b"Q" * 46)
    good = good.replace(b"[store]", b"[store]\n" + peer)

    def read(path: Path) -> None:
        network = NetworkConfig.load(path)
        httpx.Request("POST", network.rpc_url)
        network.save(path)
        assert NetworkConfig.load(path) == network

    decode = from_file(tmp_path / "hostile.toml", read)
    assert fuzz(lambda rng: changed_text(rng, good), decode, INPUTS // 20) > 0


def test_bounty_files(tmp_path: Path) -> None:
    mines = "\n".join(f"0x{number:040x}" for number in range(1, 4))
    (tmp_path / "allowed.txt").write_text(mines)
    text = b'name = "x"\nreward = "1 ether"\nallow_file = "allowed.txt"\n[holdout]\nexample = "diabetes"\n'
    decode = from_file(tmp_path / "bounty.toml", lambda path: Bounty.from_toml(path).digest)
    decode(text)
    fuzz(lambda rng: changed_text(rng, text), decode, INPUTS // 50)


def test_policies(tmp_path: Path) -> None:
    text = b"[policy]\nmin_fee_wei = 1\ninsecure_keys = true\n[tokens]\n"
    text += b"0x0000000000000000000000000000000000000001 = { max_stake = 5, min_fee = 1 }\n"
    text += b'[capsules]\ntrusted = ["0x0000000000000000000000000000000000000002"]\nwithout = false\n'
    decode = from_file(tmp_path / POLICY_FILE, lambda path: Policy.load(path.parent))
    assert fuzz(lambda rng: changed_text(rng, text), decode, INPUTS // 20) > 0


def test_homes(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", "mine")
    mark = home.path / "home.toml"
    good = mark.read_bytes()
    decode = from_file(mark, lambda path: Home(path.parent, "mine"))
    decode(good)
    fuzz(lambda rng: changed_text(rng, good), decode, INPUTS // 20)


def test_tables() -> None:
    good = b'\xef\xbb\xbfage,"b,mi",y\r\n1,-2.5e3,0\r\n"3",4,5\n\n6,7,.8\n'

    def decode(data: bytes) -> None:
        found = csv_contents(io.BytesIO(data), "x.csv")
        rows = sum(len(batch) for batch in csv_batches(io.BytesIO(data), "x.csv", ()))
        table = parse_csv(data, "x.csv", found.columns)
        assert (table.columns, table.rows, rows) == (found.columns, found.rows, found.rows)
        assert np.isfinite(table.values).all()
        if not found.left_out:
            assert parse_csv(data, "x.csv").columns == found.columns

    assert fuzz(lambda rng: changed_bytes(rng, good), decode) > INPUTS // 1000


def test_allow_lists() -> None:
    good = [f"0x{number:040x}" for number in range(1, 4)]

    def make(rng: Rng) -> list[str]:
        at = rng.randrange(3)
        return [*good[:at], changed_bytes(rng, good[at].encode()).decode(errors="replace"), *good[at + 1 :]]

    assert fuzz(make, lambda lines: read_list(lines, "allow")) > INPUTS // 1000


# ---- what programs keep


def test_swarm_keys(tmp_path: Path) -> None:
    new_swarm_key(tmp_path / "key")
    good = (tmp_path / "key").read_bytes()
    decode = from_file(tmp_path / "hostile", read_swarm_key)
    assert fuzz(lambda rng: changed_bytes(rng, good), decode, INPUTS // 10) > 0


def test_saved_models(tmp_path: Path) -> None:
    bounty = Bounty.example(rows=42)
    path = tmp_path / "model.json"
    LinearModel(bounty.design.spec, np.ones(11), 1).save(path)
    text = path.read_bytes()
    document = json.loads(text)

    def make(rng: Rng) -> bytes:
        if rng.random() < 0.5:
            return changed_text(rng, text)
        return json.dumps(changed_value(rng, document), default=lambda value: value.hex()).encode()

    def read(path: Path) -> None:
        assert np.isfinite(LinearModel.load(path).weights).all()

    assert fuzz(make, from_file(path, read), INPUTS // 20) > 0


def test_kept_bounties(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.keep(Bounty.example())
    shelf.take("diabetes")
    folder = tmp_path / "bounties" / "diabetes"
    kept = {name: (folder / name).read_bytes() for name in ("bounty.json", "holdout.npy")}

    def make(rng: Rng) -> tuple[str, bytes]:
        name = rng.choice(list(kept))
        if name == "bounty.json":
            return name, changed_text(rng, kept[name])
        return name, changed_bytes(rng, kept[name][:128]) + kept[name][128:]

    def decode(hostile: tuple[str, bytes]) -> None:
        for name, data in (kept | dict([hostile])).items():
            (folder / name).write_bytes(data)
        shelf.take("diabetes")

    fuzz(make, decode, INPUTS // 50)  # hardly any change leaves it sound


def test_journals(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.put("number", 2**70)
        journal.put("map", {"a": [b"x", 1.5, None]})
        journal.log("event", a=1)
    good = path.read_bytes()

    def read(path: Path) -> None:
        for name in ("journal-wal", "journal-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        with Journal(path) as journal:
            journal.items()
            journal.events()
            journal.put("number", 1)

    def make(rng: Rng) -> bytes:
        rows = good.index(b"$int") - 100
        return (
            good[:rows] + changed_bytes(rng, good[rows:]) if rng.random() < 0.5 else changed_bytes(rng, good)
        )

    fuzz(make, from_file(path, read), INPUTS // 100)


def test_ledgers(tmp_path: Path) -> None:
    path, key, bounty = tmp_path / "ledger", b"f" * 32, b"b" * 32
    given = {"m": Aggregated(b"u", 1)}
    with closing(Ledger(path, key)) as ledger:
        ledger.record_aggregate(bounty, 1, b"d", weights=b"w", cohort=b"c", updates=given)
        ledger.record_scores(bounty, 1, 16, {"m": 5})
        ledger.record_failed_tests(bounty, 1, [("m", "range")])
    good = path.read_bytes()

    def read(path: Path) -> None:
        (tmp_path / "ledger-journal").unlink(missing_ok=True)
        with closing(Ledger(path, key)) as ledger:
            ledger.totals(bounty)
            ledger.failed_before(bounty, 2)
            ledger.aggregated(bounty, 1)
            ledger.record_scores(bounty, 1, 16, {"m": 5})
            ledger.record_aggregate(bounty, 1, b"d", weights=b"w", cohort=b"c", updates=given)

    def make(rng: Rng) -> bytes:
        page = 4096 * rng.randrange(len(good) // 4096)
        return good[:page] + changed_bytes(rng, good[page : page + 4096]) + good[page + 4096 :]

    fuzz(make, from_file(path, read), INPUTS // 100)


def test_keystores(tmp_path: Path) -> None:
    """Few, because each that is sound takes scrypt. What would take all memory, or hours, is refused."""
    keystore.create(tmp_path, "right", dev=True)
    good = json.loads(keystore.find(tmp_path).read_bytes())

    def make(rng: Rng) -> bytes:
        params = good["crypto"]["kdfparams"] | {
            "n": 2**14,
            rng.choice("nrp"): 2 ** rng.choice((10, 14, 24, 40)),
        }
        kdf = rng.choice(({"kdfparams": params}, {"kdf": "pbkdf2", "kdfparams": PBKDF2}, {}))
        changed = changed_value(rng, {**good, "crypto": {**good["crypto"], **kdf}})
        return json.dumps(changed, default=lambda value: value.hex()).encode()

    fuzz(make, from_file(tmp_path / "wallet", lambda path: keystore.load(path, "right")), 60)


PBKDF2 = {"c": 2**40, "dklen": 32, "prf": "hmac-sha256", "salt": "ab" * 16}


def test_progress_lines() -> None:
    lines = [format_line(Line("mine 1", 1.5, event)) for event in EVENTS]

    def make(rng: Rng) -> str:
        text = rng.choice(lines)
        if rng.random() < 0.5:
            return changed_text(rng, text.encode()).decode(errors="replace")
        changed = changed_value(rng, json.loads(text))
        return json.dumps(changed, default=lambda value: value.hex())

    def decode(text: str) -> None:
        line = parse_line(text)
        assert parse_line(format_line(line)) == line
        assert describe(line.event)
        PlainSink(io.StringIO()).emit(line)  # what is taken can be shown

    assert fuzz(make, decode, INPUTS // 2) > INPUTS // 1000


EVENTS: list[Event] = [
    Waiting("blocks", 5),
    Round("0xab", 1, MineRound("paid", ETHER, 5_000, 2**60, why="x")),
]


# ---- what nodes answer

HEAD = {"number": "0x5", "timestamp": "0x6", "hash": "0x" + "ab" * 32}
BLOB = "0x" + "12" * 40


class Node(httpx.BaseTransport):
    """Answers everything with the bytes that it was given last."""

    answer = b""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=self.answer)


def test_answers_of_a_chains_node() -> None:
    """Those that are JSON-RPC, hardly any more, or none at all."""
    node = Node()
    rpc = Rpc("http://127.0.0.1:1", attempts=1, transport=node)
    chain = chain_at(rpc, node)
    results: list[Any] = ["0x1", HEAD, {"error": {"code": 3, "message": "no", "data": BLOB}}]

    def make(rng: Rng) -> bytes:
        result = rng.choice(results)
        answer = {"jsonrpc": "2.0", "id": 1, **(result if "error" in result else {"result": result})}
        if rng.random() < 0.5:
            return changed_text(rng, json.dumps(rng.choice((answer, [answer]))).encode())
        changed = changed_value(rng, rng.choice((answer, [answer])))
        return json.dumps(changed, default=bytes.hex).encode()

    def decode(data: bytes) -> None:
        node.answer, rpc._ids = data, itertools.count(1)
        (told,) = rpc.batch(Request("eth_blockNumber", read=quantity))
        assert isinstance(told, int | RpcError)
        rpc._ids = itertools.count(1)
        chain.head()

    fuzz(make, decode, INPUTS // 20)


def chain_at(rpc: Rpc, node: Node) -> Chain:
    node.answer = b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"}'
    return Chain(rpc)


def sample(kind: str) -> Any:
    """A value of one of the ABI's types, whose digits are small."""
    if kind.startswith("("):
        return tuple(sample(part) for part in fields_of(kind))
    if kind.startswith("bytes"):
        return b"b" * int(kind.removeprefix("bytes") or 5)
    if kind.endswith("[]") or kind == "string":
        return [] if kind.endswith("[]") else "s"
    return {"address": "0x" + "11" * 20, "bool": True}.get(kind, 1)


def encoded(kinds: Sequence[str]) -> bytes:
    return encode(list(kinds), [sample(kind) for kind in kinds])


@pytest.mark.parametrize("item", abi.events().values(), ids=lambda item: item.name)
def test_logs(item: abi.Item) -> None:
    both = list(zip(item.inputs, item.indexed, strict=True))
    topics = [item.selector, *(encoded([kind]) for kind, indexed in both if indexed)]
    data = encoded([kind for kind, indexed in both if not indexed])
    good: dict[str, Any] = {"blockNumber": "0x1", "transactionHash": "0x" + "22" * 32, "logIndex": "0x0"}
    good |= {"topics": ["0x" + topic.hex() for topic in topics], "data": "0x" + data.hex()}
    assert type(decode_log(good)).__name__ == item.name

    def make(rng: Rng) -> Any:
        if rng.random() < 0.5:
            return changed_value(rng, good)
        return {**good, "data": "0x" + changed_bytes(rng, data).hex()}

    fuzz(make, decode_log, INPUTS // 10)


def test_results_of_the_contract() -> None:
    outputs = {name: item.outputs for name, item in abi.functions().items() if item.outputs}

    def make(rng: Rng) -> tuple[str, bytes]:
        name = rng.choice(list(outputs))
        return name, changed_bytes(rng, encoded(outputs[name]))

    assert fuzz(make, lambda given: abi.decode_result(*given), INPUTS // 5) > INPUTS // 1000


def test_refusals_of_the_contract() -> None:
    errors = list(abi.errors().values())

    def make(rng: Rng) -> Any:
        item = rng.choice(errors)
        data = changed_bytes(rng, item.selector + encoded(item.inputs))
        return changed_value(rng, {"data": rng.choice(("0x" + data.hex(), {"data": "0x" + data.hex()}))})

    def decode(fields: Any) -> None:
        data = fields.get("data") if isinstance(fields, dict) else fields
        refusal = from_rpc_error(RpcError("no", code=3, data=data))
        assert refusal is None or str(refusal)

    assert fuzz(make, decode, INPUTS // 2) > INPUTS // 1000


def test_answers_of_an_ipfs_node() -> None:
    node, rpc = Node(), KuboRpc("http://127.0.0.1:1")
    rpc._client = httpx.Client(base_url="http://127.0.0.1:1/api/v0/", transport=node)

    def decode(data: bytes) -> None:
        node.answer, rpc._version = data, ""
        rpc.call("id")

    good = b'{"Version": "0.42.0", "ID": "x"}\n'
    decode(good)
    fuzz(lambda rng: changed_text(rng, good), decode, INPUTS // 20)
