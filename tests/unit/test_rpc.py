"""What answers at a node's address may hang, drip, refuse us or be another program: each is told, in time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import stamina

from sonar.chain.rpc import Request, Rpc
from sonar.errors import ChainUnavailable, ConfigError, RpcError
from tests.chain_kit import drip, serving

HTML = b"<html>Internal Server Error</html>"
SECRETS = "http://user:pass@node.example:8545/v3/key?token=more"


def answering(*answers: httpx.Response, attempts: int = 3) -> tuple[Rpc, list[httpx.Request]]:
    """An endpoint that gives these answers in turn, the last one for ever."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answers[min(len(asked), len(answers)) - 1]

    return Rpc(SECRETS, transport=httpx.MockTransport(answer), attempts=attempts), asked


@pytest.fixture
def no_pauses() -> Iterator[None]:
    """Asking again without waiting in between."""
    with stamina.set_testing(True, attempts=9, cap=True):
        yield


GOOD = httpx.Response(200, content=b'{"jsonrpc":"2.0","id":1,"result":"0x1"}')


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("content", [HTML, b"", b'{"message":"Internal server error"}'])
@pytest.mark.parametrize("status", [500, 502, 521])
def test_a_server_in_trouble_is_asked_again(status: int, content: bytes) -> None:
    rpc, asked = answering(httpx.Response(status, content=content), GOOD)
    assert rpc.call("eth_chainId") == "0x1"
    rpc, asked = answering(httpx.Response(status, content=content), attempts=2)
    with pytest.raises(ChainUnavailable, match=f"does not answer: status {status}") as caught:
        rpc.call("eth_chainId")
    assert len(asked) == 2
    assert caught.value.hint


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("size", [1, 12, len(GOOD.content) - 1])
def test_an_answer_that_is_cut_off_is_asked_for_again(size: int) -> None:
    """By whatever stands before the node: its length may be right."""
    part = httpx.Response(200, content=GOOD.content[:size])
    rpc, asked = answering(part, GOOD)
    assert rpc.call("eth_chainId") == "0x1"
    rpc, asked = answering(part, attempts=2)
    with pytest.raises(ChainUnavailable, match="does not answer: its answer is cut off"):
        rpc.call("eth_chainId")
    assert len(asked) == 2


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_a_server_that_refuses_us_is_unavailable_at_once(status: int) -> None:
    rpc, asked = answering(httpx.Response(status, content=HTML), GOOD)
    with pytest.raises(ChainUnavailable, match=f"status {status}") as caught:
        rpc.call("eth_chainId")
    assert len(asked) == 1
    assert "key" in caught.value.hint


@pytest.mark.parametrize("status", [400, 500])
def test_what_the_node_itself_refuses_is_told_whatever_the_status(status: int) -> None:
    refusal = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"too wide"}}'
    rpc, asked = answering(httpx.Response(status, content=refusal))
    with pytest.raises(RpcError, match="eth_getLogs: too wide"):
        rpc.call("eth_getLogs")
    assert len(asked) == 1


def test_no_message_tells_a_secret_of_the_address() -> None:
    told = []
    for answer in (httpx.Response(403), httpx.Response(503), httpx.Response(200, content=HTML)):
        rpc, _ = answering(answer, attempts=1)
        with pytest.raises((ChainUnavailable, RpcError)) as caught:
            rpc.call("eth_chainId")
        told.append(str(caught.value))
    for typo in ("ftp://user:pass@node.example:8545/v3/key", "user:pass@node.example:8545/key?token=more"):
        with pytest.raises(ConfigError) as wrong:
            Rpc(typo)
        told.append(str(wrong.value))
    for text in told:
        assert "node.example:8545/…" in text
        assert not any(secret in text for secret in ("user", "pass", "key", "token", "more"))


@pytest.mark.parametrize("content", [b'[{"id":[1],"result":"0x1"}]', b'[{"id":{},"result":1},7]', b"[]"])
def test_a_batch_answer_without_its_numbers_is_no_answer(content: bytes) -> None:
    rpc, _ = answering(httpx.Response(200, content=content))
    (result,) = rpc.batch(Request("eth_chainId"))
    assert isinstance(result, RpcError)


def hang(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("talk", [hang, drip])
def test_a_request_ends_in_time(talk: Callable[[socket.socket], None]) -> None:
    with serving(talk) as url:
        rpc = Rpc(url, timeout_s=0.2, attempts=100)
        started_s = time.monotonic()
        with pytest.raises(ChainUnavailable, match=r"does not answer: it takes more than 0\.2 s"):
            rpc.call("eth_chainId")
        assert time.monotonic() - started_s < 10  # all tries together: 20 s and more one after the other
        rpc.close()
