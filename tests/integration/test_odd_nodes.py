"""Nodes that are odd but honest: what they do not take is asked for otherwise, what they ask is obeyed, and
what cannot get better is told at once.
"""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from sonar.chain.rpc import Request, Rpc, quantity
from sonar.errors import ChainUnavailable, ChainUnusable, ConfigError, RpcError
from sonar.http import client
from sonar.localchain.jsonrpc import answer
from sonar.telling.progress import ListSink, Progress
from sonar.telling.waiting import patiently
from tests.chain_kit import KEY, MODEL, World, make_terms, wish
from tests.node_kit import HTML, Honest, Manner, Reply, error, make_authority, node, plainly, saying

SECRET = "/v3/s3cret?token=s3cret"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), accounts=2)


@pytest.fixture
def honest(world: World) -> Honest:
    return lambda content: answer(content, world.chain.methods)


_salts = iter(range(1, 1000))


def post(world: World, rpc: Rpc) -> None:
    """Post a bounty through a node, and read it there."""
    market = world.deployment.market(rpc)
    salt = next(_salts).to_bytes(32, "big")
    call = market.post(make_terms(), MODEL, KEY, salt)  # type: ignore[arg-type]
    receipt = world.outbox(0, chain=market).perform(wish(f"post{salt.hex()}"), call)
    assert receipt.block == market.bounties()[-1].block


# ---- batches


def one_for_all(asked: Any, honest: Honest) -> Reply:
    told = error(None, -32600, "batch requests are not supported")
    return Reply(json.dumps(told).encode()) if isinstance(asked, list) else plainly(asked, honest)


def by_status(status: int, most: int) -> Manner:
    def manner(asked: Any, honest: Honest) -> Reply:
        too_long = isinstance(asked, list) and len(asked) > most
        return Reply(HTML, status) if too_long else plainly(asked, honest)

    return manner


def changed(change: Callable[[list[Any], list[Any]], Any]) -> Manner:
    """A node that answers a batch with `change` of what was asked and of the honest answers."""

    def manner(asked: Any, honest: Honest) -> Reply:
        answers = json.loads(honest(json.dumps(asked).encode()))
        return Reply(json.dumps(change(asked, answers) if isinstance(asked, list) else answers).encode())

    return manner


TOO_MANY = {"code": -32005, "message": "batch size limit exceeded: 3"}
BATCHES: dict[str, tuple[Manner, int]] = {
    "one error for all": (one_for_all, 1),
    "413": (by_status(413, 1), 1),
    "413 above three": (by_status(413, 3), 3),
    "500": (by_status(500, 1), 1),
    "400": (by_status(400, 2), 2),
    "404": (by_status(404, 1), 1),
    "nothing": (changed(lambda asked, answers: []), 1),
    "null": (changed(lambda asked, answers: None), 1),
    "an object in place of each": (changed(lambda a, b: [error(None, -32600, "no batches") for _ in a]), 1),
    "an error in place of the rest": (
        changed(lambda a, b: b[:3] + [{"jsonrpc": "2.0", "id": x["id"], "error": TOO_MANY} for x in a[3:]]),
        3,
    ),
    "one error after the rest": (
        changed(lambda a, b: [*b[:3], error(None, -32005, "batch too long")][: len(a)]),
        3,
    ),
    "fewer than asked": (changed(lambda a, b: b[:2]), 2),
    "numbers that are lost": (changed(lambda a, b: [one | {"id": None} for one in b]), 1),
    "numbers as texts": (changed(lambda a, b: [one | {"id": str(one["id"])} for one in b]), 100),
    "in another order": (changed(lambda a, b: b[::-1]), 100),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_what_a_batch_left_out_is_asked_for_in_smaller_ones_from_then_on(
    kind: str, world: World, honest: Honest
) -> None:
    manner, most = BATCHES[kind]
    with node(honest, manner) as served:
        rpc = Rpc(served.url())
        post(world, rpc)
        before = len(served.batches())
        post(world, rpc)
        assert max(served.batches()[before:], default=1) <= most
        rpc.close()


def test_what_a_node_without_batches_refuses_is_in_its_place(world: World, honest: Honest) -> None:
    asked = (
        Request("eth_chainId", (), quantity),
        Request("eth_sendRawTransaction", ("0x12",)),
        Request("eth_blockNumber", (), quantity),
    )
    with node(honest, one_for_all) as served:
        one, two, three = Rpc(served.url()).batch(*asked)
    assert (one, three) == (world.market.chain_id, world.market.head().number)
    assert isinstance(two, RpcError)


# ---- tags and fees


@pytest.mark.parametrize("code", [-32602, -32000, -32601])
def test_a_node_that_does_not_know_pending_counts_what_is_mined(
    code: int, world: World, honest: Honest
) -> None:
    def refuse(one: Any, honestly: Any) -> Any:
        pending = one["method"] == "eth_getTransactionCount" and one["params"][1] == "pending"
        return error(one["id"], code, "unknown block tag: pending") if pending else honestly

    def manner(asked: Any, honest: Honest) -> Reply:
        answers = json.loads(honest(json.dumps(asked).encode()))
        told = (
            [refuse(*x) for x in zip(asked, answers, strict=True)]
            if isinstance(asked, list)
            else refuse(asked, answers)
        )
        return Reply(json.dumps(told).encode())

    with node(honest, manner) as served:
        post(world, Rpc(served.url()))


def without(*names: str, unknown: str = "") -> Manner:
    """A node whose blocks and fees lack these fields, and that does not know the method `unknown`."""

    def changed(one: Any, told: Any) -> Any:
        if one["method"] == unknown:
            return error(one["id"], -32601, f"the method {unknown} does not exist")
        if isinstance(told.get("result"), dict):
            told["result"] = {key: value for key, value in told["result"].items() if key not in names}
        return told

    def manner(asked: Any, honest: Honest) -> Reply:
        answers = json.loads(honest(json.dumps(asked).encode()))
        if isinstance(asked, list):
            told = [changed(*pair) for pair in zip(asked, answers, strict=True)]
        else:
            told = changed(asked, answers)
        return Reply(json.dumps(told).encode())

    return manner


@pytest.mark.parametrize("unknown", ["", "eth_feeHistory"])
def test_a_chain_of_before_london_is_refused_at_once(unknown: str, world: World, honest: Honest) -> None:
    with node(honest, without("baseFeePerGas", unknown=unknown)) as served:
        rpc = Rpc(served.url(SECRET))
        with pytest.raises(ChainUnusable, match="London") as caught:
            patiently(lambda: post(world, rpc), Progress(ListSink()), sleep=never)
    assert "EIP-1559" in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_a_node_without_a_history_of_fees_is_asked_for_its_newest_block(world: World, honest: Honest) -> None:
    with node(honest, without(unknown="eth_feeHistory")) as served:
        post(world, Rpc(served.url()))


# ---- what cannot get better


def never(seconds: float) -> None:
    raise AssertionError(f"it waits {seconds} s for what cannot get better")


LASTING: dict[str, tuple[Manner, str]] = {
    "401": (saying(401), r"status 401 \(Unauthorized\)"),
    "402": (saying(402), "status 402"),
    "403": (saying(403), "status 403"),
    "404": (saying(404), "status 404"),
    "405": (saying(405), "status 405"),
    "301": (
        saying(301, location="https://other.example/s3cret"),
        r"status 301 .*, to https://other.example/…",
    ),
    "308": (saying(308, location="https://other.example/s3cret"), "to https://other.example/…"),
    "html": (
        saying(200, content_type="text/html; charset=utf-8"),
        "it answers status 200 and text/html, which is not JSON-RPC",
    ),
    "other JSON": (saying(200, b'{"hello": "world"}'), "is not JSON-RPC"),
    "a method that it does not know": (
        lambda asked, honest: Reply(json.dumps(error(asked["id"], -32601, "no such method")).encode()),
        "does not offer eth_chainId: no such method",
    ),
}


@pytest.mark.parametrize("kind", LASTING)
def test_what_cannot_get_better_is_told_at_once_without_a_secret(
    kind: str, world: World, honest: Honest
) -> None:
    manner, told = LASTING[kind]
    with node(honest, manner) as served:
        rpc = Rpc(served.url(SECRET).replace("//", "//user:s3cret@"))
        with pytest.raises(ChainUnusable, match=told) as caught:
            patiently(lambda: world.deployment.market(rpc), Progress(ListSink()), sleep=never)
        assert len(served.asked) == 1
        assert served.url("/…") in str(caught.value)
        assert caught.value.hint
        assert "s3cret" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("kind", LASTING)
def test_a_node_that_has_served_us_is_given_time(kind: str, honest: Honest) -> None:
    """A provider's gateway may answer like that for an hour, and a stake is at risk meanwhile."""
    with node(honest) as served:
        rpc = Rpc(served.url(), attempts=1)
        rpc.call("eth_chainId")
        served.manner = LASTING[kind][0]
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            served.manner = plainly

        assert patiently(lambda: rpc.call("eth_chainId"), Progress(ListSink()), sleep=sleep)
    assert pauses


def test_another_chain_is_told_at_once(world: World, honest: Honest) -> None:
    def manner(asked: Any, honest: Honest) -> Reply:
        return Reply(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"}).encode())

    with (
        node(honest, manner) as served,
        pytest.raises(ConfigError, match="serves chain 1, the network file") as caught,
    ):
        patiently(lambda: world.deployment.market(Rpc(served.url(SECRET))), Progress(ListSink()), sleep=never)
    assert "s3cret" not in str(caught.value)


# ---- TLS, proxies


def test_a_private_authority_counts_and_proxies_do_not_lead_to_ourselves(
    tmp_path: Path, honest: Honest, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = make_authority(tmp_path)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with node(honest, certificate=certificate) as served:
        url = served.url(scheme="https")
        with pytest.raises(ChainUnusable, match="certificate is not trusted") as caught:
            patiently(lambda: Rpc(url).call("eth_chainId"), Progress(ListSink()), sleep=never)
        assert "SSL_CERT_FILE" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert Rpc(url).quantity("eth_chainId") > 0
        for name, wrong in (("SSL_CERT_FILE", tmp_path / "none.pem"), ("SSL_CERT_FILE", Path(__file__))):
            monkeypatch.setenv(name, str(wrong))
            with pytest.raises(ConfigError, match=f"{name}: {wrong} cannot be used"):
                Rpc(url)
        monkeypatch.setenv("SSL_CERT_FILE", "")
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
        with pytest.raises(ConfigError, match=r"SSL_CERT_DIR: .* is not a folder"):
            Rpc(url)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_folder_of_authorities_counts(
    tmp_path: Path, honest: Honest, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = make_authority(tmp_path)
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(authority, folder)
    subprocess.run(["openssl", "rehash", str(folder)], check=True)
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    with node(honest, certificate=certificate) as served:
        assert Rpc(served.url(scheme="https")).quantity("eth_chainId") > 0


def test_https_where_none_is_spoken_is_told_at_once(honest: Honest) -> None:
    with node(honest) as served, pytest.raises(ChainUnusable, match="does not speak TLS"):
        Rpc(served.url(scheme="https")).call("eth_chainId")


@pytest.mark.parametrize("proxy", ["socks9://x", "http://[::1", "nonsense://"])
def test_a_proxy_that_cannot_be_used_is_told_by_the_variable(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        Rpc("https://node.example/")


@pytest.mark.parametrize("kind", ["413", "500", "html", "slow", "an error"])
def test_logs_that_are_too_many_at_once_are_asked_for_in_smaller_ranges(
    kind: str, world: World, honest: Honest
) -> None:
    def manner(asked: Any, honest: Honest) -> Reply:
        if asked["method"] == "eth_getLogs":
            first, last = (int(asked["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
            if last - first > 1:
                if kind == "an error":
                    told = error(asked["id"], -32005, "query returned more than 10000 results")
                    return Reply(json.dumps(told).encode())
                if kind == "slow":
                    time.sleep(0.7)
                return Reply(HTML, 200 if kind in ("html", "slow") else int(kind))
        return plainly(asked, honest)

    post(world, world.rpc)
    with node(honest, manner) as served:
        rpc = Rpc(served.url(), timeout_s=0.5 if kind == "slow" else 5, attempts=1)
        market = world.deployment.market(rpc)
        assert market.bounties() == world.market.bounties()
        served.manner = saying(403)
        with pytest.raises(ChainUnavailable, match="403"):
            market.events(0, 5)


# ---- odd, and right


def zipped(asked: Any, honest: Honest) -> Reply:
    return Reply(gzip.compress(plainly(asked, honest).body), headers={"content-encoding": "gzip"})


def spelt(change: Callable[[str], str]) -> Manner:
    """A node that writes its quantities and hashes in another way."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(one) for key, one in value.items()} | {"more": None}
        if isinstance(value, list):
            return [walk(one) for one in value]
        return change(value) if isinstance(value, str) and value.startswith("0x") else value

    def told(one: Any) -> Any:
        return one | ({"result": walk(one["result"])} if "result" in one else {}) | {"node": "odd/1.0"}

    def manner(asked: Any, honest: Honest) -> Reply:
        answers = json.loads(honest(json.dumps(asked).encode()))
        return Reply(
            json.dumps([told(x) for x in answers] if isinstance(answers, list) else told(answers)).encode()
        )

    return manner


def padded(text: str) -> str:
    return f"0x{text[2:].zfill(16)}" if len(text) < 18 and text != "0x" else text


RIGHT: dict[str, Manner] = {
    "gzip": zipped,
    "upper case": spelt(lambda text: "0x" + text[2:].upper()),
    "upper case, the X too": spelt(lambda text: text.upper()),
    "leading zeros": spelt(padded),
    "numbers as texts": changed(lambda a, b: [one | {"id": str(one["id"])} for one in b]),
    "an error of null": changed(lambda a, b: [one | {"error": None} for one in b]),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_what_is_odd_and_right_is_taken(kind: str, world: World, honest: Honest) -> None:
    with node(honest, RIGHT[kind]) as served:
        post(world, Rpc(served.url()))


@pytest.mark.parametrize("rest", ["", "/", "/v3/key", "/v3/key/", "/v3/key?token=1", "/a%20b"])
def test_the_whole_address_is_asked(rest: str, honest: Honest) -> None:
    with node(honest) as served:
        Rpc(served.url(rest)).call("eth_chainId")
        assert served.paths == [rest or "/"]


def test_a_node_at_an_address_of_version_6(honest: Honest) -> None:
    with ExitStack() as stack:
        try:
            served = stack.enter_context(node(honest, host="::1"))
        except OSError:
            pytest.skip("this machine has no IPv6")
        rpc = Rpc(served.url("/key"))
        assert rpc.shown == f"http://[::1]:{served.server_port}/…"
        assert rpc.quantity("eth_chainId") > 0


def test_the_log_of_the_http_library_tells_no_key(honest: Honest, caplog: pytest.LogCaptureFixture) -> None:
    with node(honest) as served, caplog.at_level(logging.DEBUG):
        url = httpx.URL(served.url(SECRET))
        with client(url) as http:  # as for a node that is farther away
            http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []})
        assert served.url("/…") in caplog.text
    assert "s3cret" not in caplog.text


# ---- limits of how often


def limited(rate: int, pause_s: int) -> tuple[Manner, list[float]]:
    """A node that takes `rate` requests a second, and refuses all for a while after one too many."""
    taken: list[float] = []
    refused: list[float] = []

    def manner(asked: Any, honest: Honest) -> Reply:
        now_s = time.monotonic()
        taken[:] = [one for one in taken if now_s - one < 1]
        if len(taken) >= rate or (refused and now_s - refused[-1] < pause_s):
            refused.append(now_s)
            return Reply(b"slow down", 429, {"retry-after": str(pause_s)})
        taken.append(now_s)
        return plainly(asked, honest)

    return manner, refused


def test_a_node_with_a_limit_is_asked_within_it(world: World, honest: Honest) -> None:
    manner, refused = limited(rate=5, pause_s=1)
    with node(honest, manner) as served:
        rpc = Rpc(served.url())
        for _ in range(15):
            rpc.call("eth_chainId")
        assert len(refused) <= 3
        post(world, rpc)
        assert len(refused) <= 5
        served.manner = saying(429, b"", retry_after="3600")
        with pytest.raises(ChainUnavailable, match="wants fewer requests"):
            rpc.call("eth_chainId")
