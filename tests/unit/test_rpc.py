"""What answers at a node's address may hang, drip, refuse us or be another program: each is told, in time."""

from __future__ import annotations

import email.utils
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from sonar.chain.endpoint import Endpoint
from sonar.chain.rpc import Request, Rpc, quantity
from sonar.errors import ChainUnavailable, ConfigError, RpcError
from sonar.http import checked_url
from sonar.protocol.url import is_local, without_secrets
from tests.chain_kit import Clock, drip, serving

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


# ---- limits of how often


class Limits:
    """A node that refuses until it is asked no sooner than it says; `answers` come first."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.clock = Clock(1000.0)
        self.asked_s: list[float] = []
        self._answers = answers
        transport = httpx.MockTransport(self._answer)
        self.endpoint = Endpoint(
            SECRETS,
            timeout_s=20,
            attempts=1,
            transport=transport,
            monotonic=self.clock,
            sleep=self.clock.sleep,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked_s.append(self.clock.now_s)
        number = len(self.asked_s) - 1
        return self._answers[number] if number < len(self._answers) else GOOD


def refusal(code: object, message: str, data: object = None, status: int = 200) -> httpx.Response:
    error = {"code": code, "message": message, "data": data}
    return httpx.Response(status, content=json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}))


@pytest.mark.parametrize(
    ("answer", "least_s"),
    [
        (httpx.Response(429, headers={"retry-after": "3"}), 3),
        (httpx.Response(503, headers={"retry-after": "2"}), 2),
        (httpx.Response(429, headers={"retry-after": "0.5"}), 0.5),
        (httpx.Response(429, headers={"retry-after": "soon"}), 0.25),
        (httpx.Response(429, headers={"retry-after": "-5"}), 0),
        (httpx.Response(429, headers={"retry-after": "nan"}), 0),
        (httpx.Response(429), 0.25),
        (refusal(-32005, "limit exceeded"), 0.25),
        (refusal(-32005, "daily request count exceeded", {"rate": {"backoff_seconds": 4}}), 4),
        (refusal(-32029, "too fast"), 0.25),
        (refusal([], "rate limit exceeded"), 0.25),
        (httpx.Response(502, headers={"retry-after": "1"}), 1),
        (httpx.Response(200, content=b'{"jsonrpc":"2.0","id":1,"error":"rate limit exceeded"}'), 0.25),
        (refusal(429, "Your app has exceeded its compute units per second capacity"), 0.25),
        (refusal(-32000, "Too Many Requests", status=403), 0.25),
    ],
)
def test_a_node_that_is_asked_too_often_is_left_alone_as_it_says(
    answer: httpx.Response, least_s: float
) -> None:
    node = Limits(answer)
    assert node.endpoint.ask({"id": 1, "method": "eth_chainId"})["result"] == "0x1"
    first_s, second_s = node.asked_s
    assert least_s <= second_s - first_s <= 10


def test_a_date_to_come_back_at_is_obeyed() -> None:
    date = email.utils.formatdate(time.time() + 5, usegmt=True)
    node = Limits(httpx.Response(429, headers={"retry-after": date}))
    node.endpoint.ask({})
    assert 3.5 <= node.asked_s[1] - node.asked_s[0] <= 10


@pytest.mark.parametrize(
    "value",
    ["86400", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 2000 00:00:00 GMT", "inf", "x" * 9000],
)
def test_nobody_is_left_alone_for_longer_than_a_minute(value: str) -> None:
    node = Limits(httpx.Response(429, headers={"retry-after": value}))
    with suppress(ChainUnavailable):
        node.endpoint.ask({})
    node.clock.now_s += 61
    assert node.endpoint.ask({})["result"] == "0x1"


def test_within_a_pause_nothing_is_asked_and_that_is_told_at_once() -> None:
    node = Limits(httpx.Response(429, headers={"retry-after": "50"}))
    for _ in range(5):
        with pytest.raises(ChainUnavailable, match=r"wants fewer requests \(status 429\)") as caught:
            node.endpoint.ask({})
    assert len(node.asked_s) == 1
    assert caught.value.hint


def test_after_a_refusal_it_is_asked_more_slowly_and_by_and_by_as_before() -> None:
    node = Limits(httpx.Response(429, headers={"retry-after": "1"}))
    for _ in range(2000):
        node.endpoint.ask({})
    gaps = [later - sooner for sooner, later in itertools.pairwise(node.asked_s[1:])]
    assert max(gaps[:10]) == pytest.approx(0.25, rel=0.1)
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == 0


def test_programs_that_share_a_limit_do_not_keep_each_other_out() -> None:
    """Seven of them, and each refused request renews the pause: whoever is first finds the node free."""
    clock, refused = Clock(1000.0), [0.0]
    taken: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        taken[:] = [one for one in taken if clock.now_s - one < 1]
        if clock.now_s - refused[-1] < 2 or len(taken) >= 25:
            refused.append(clock.now_s)
            return httpx.Response(429, headers={"retry-after": "2"})
        taken.append(clock.now_s)
        return GOOD

    wakes: list[float] = [1000.0] * 7
    served = [0] * 7

    def endpoint() -> Endpoint:
        transport = httpx.MockTransport(answer)
        # A turn that is not now is another program's time: this one comes back then.
        return Endpoint(
            SECRETS, timeout_s=1e-6, attempts=1, transport=transport, monotonic=clock, sleep=clock.sleep
        )

    programs = [endpoint() for _ in wakes]
    while clock.now_s < 1300:
        number = min(range(7), key=wakes.__getitem__)
        clock.now_s = max(clock.now_s, wakes[number])
        try:
            programs[number].ask({})
            served[number] += 1
        except ChainUnavailable:
            pass
        wakes[number] = clock.now_s + 0.25
    assert min(served) > 100
    assert len(refused) < 0.1 * sum(served)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(-32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."),
        refusal(-32000, "execution reverted: rate limit exceeded"),
        refusal(3, "execution reverted: Too Many Requests"),
    ],
)
def test_what_only_looks_like_a_limit_is_the_answer(answer: httpx.Response) -> None:
    node = Limits(answer)
    assert "error" in node.endpoint.ask({"method": "eth_getLogs"})
    assert len(node.asked_s) == 1


@given(st.text())
def test_no_address_shows_more_than_scheme_host_and_port(rest: str) -> None:
    for sign in "/?#":
        assert without_secrets(f"https://node.example:1{sign}{rest}") in (
            "https://node.example:1",
            "https://node.example:1/…",
            "https://…",
        )


@given(st.text())
def test_an_address_is_taken_or_refused_without_a_fault_of_its_own(text: str) -> None:
    for address in (text, f"http://{text}", f"https://{text}/x"):
        try:
            checked_url(address)
        except ValueError as error:
            assert "not an address like http" in str(error)  # noqa: PT017
        else:
            httpx.Request("POST", address)


@pytest.mark.parametrize(
    "value", ["0x1_0", "0x", "0x 1", " 0x1", "0x1 ", "1", "-0x1", "0x" + "1" * 65, 1, None, True]
)
def test_what_is_no_quantity(value: object) -> None:
    with pytest.raises(RpcError, match="not a quantity"):
        quantity(value, "x")


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("172.17.0.2", True),
        ("10.1.2.3", True),
        ("fe80::1%eth0", True),
        ("sonar", True),
        ("host.docker.internal", True),
        ("printer.local.", True),
        ("node.example.com", False),
        ("8.8.8.8", False),
        ("2606:4700::1", False),
    ],
)
def test_which_hosts_no_proxy_leads_to(host: str, near: bool) -> None:
    assert is_local(host) is near
