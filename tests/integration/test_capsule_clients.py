"""Clients that are no scientist: slow, silent, oversize, many at once, and 100,000 hostile requests."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest

from capsule.problems import CODES
from capsule.serve import routes, server
from sonar.manifests.capsule import MAX_REQUEST_BYTES, FunctionalAnswer, Problem
from sonar.veil.functionals import spread
from tests.served_kit import Cap, Town, town_of
from tests.town_kit import Posted
from tests.unit.fuzzing import INPUTS, MEMORY_CAP_KIB, changed_bytes, fuzz

pytestmark = pytest.mark.xdist_group("capsule_clients")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Cap, Posted]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes, "BODY_S", 1.0)
        patch.setattr(server, "HEADERS_S", 1.0)
        with town_of(tmp_path_factory.mktemp("capsules"), 2, 1) as (town, (capsule,)):
            posted = town.post([capsule], threshold=1)
            town.answer(posted)
            yield town, capsule, posted


def connected(capsule: Cap) -> socket.socket:
    place = urlsplit(capsule.url)
    return socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=20)


def problem(reply: httpx.Response) -> Problem:
    return Problem.from_bytes(reply.content)


def until_closed_s(connection: socket.socket) -> float:
    start_s = time.monotonic()
    while connection.recv(1 << 16):
        pass
    return time.monotonic() - start_s


def still_serves(town: Town, capsule: Cap, posted: Posted) -> None:
    mine = town.mines[0].address
    request = town.functional(posted, 1, [(mine, 4, 0)], [spread(posted.plan, [1, 2, 3])])
    assert isinstance(town.ask(capsule, request), FunctionalAnswer)


def test_clients_that_say_nothing_or_drip_are_sent_away(world: tuple[Town, Cap, Posted]) -> None:
    _, capsule, _ = world
    with connected(capsule) as silent:
        assert until_closed_s(silent) < 10
    with connected(capsule) as half:
        half.sendall(b"POST /v1/sum HTTP/1.1\r\nhost: x\r\n")
        assert until_closed_s(half) < 10
    with connected(capsule) as second:
        second.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200" in second.recv(1 << 16)
        second.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        assert until_closed_s(second) < 10
    with connected(capsule) as drip:
        drip.sendall(b"POST /v1/sum HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n12")
        start_s = time.monotonic()
        told = b""
        while part := drip.recv(1 << 16):
            told += part
        assert b"408" in told.split(b"\r\n")[0]
        assert b"too-slow" in told
        assert time.monotonic() - start_s < 10
    still_serves(*world)


def test_bodies_that_are_too_large_are_refused_before_they_are_read(world: tuple[Town, Cap, Posted]) -> None:
    _, capsule, _ = world
    with connected(capsule) as client:
        client.sendall(
            b"POST /v1/sum HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (MAX_REQUEST_BYTES + 1)
        )
        assert b"413" in client.recv(1 << 16).split(b"\r\n")[0]

    def chunks() -> Iterator[bytes]:
        for _ in range(MAX_REQUEST_BYTES // (1 << 16) + 2):
            yield bytes(1 << 16)

    try:
        reply = httpx.post(f"{capsule.url}/v1/functional", content=chunks(), timeout=30)
        assert (reply.status_code, problem(reply).code) == (413, "too-large")
    except httpx.TransportError:
        pass  # the capsule hung up while we still sent, which is as good
    with connected(capsule) as client:
        with suppress(ConnectionError):
            client.sendall(b"GET /v1/identity HTTP/1.1\r\nx: " + b"y" * (16 * server.HEADER_BYTES))
        assert b" 400 " in client.recv(1 << 16).split(b"\r\n")[0]
    still_serves(*world)


def test_many_bodies_at_once_take_no_more_memory_than_they_may(
    world: tuple[Town, Cap, Posted], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, capsule, _ = world
    monkeypatch.setattr(routes, "MOST_HELD_BYTES", 5000)
    waiting = [connected(capsule) for _ in range(4)]
    for one in waiting:
        one.sendall(b"POST /v1/sum HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n" + bytes(1000))
    time.sleep(0.3)
    reply = httpx.post(f"{capsule.url}/v1/sum", content=b"x" * 1500)
    assert (reply.status_code, problem(reply).code) == (503, "busy")
    assert problem(httpx.post(f"{capsule.url}/v1/sum", content=b"x" * 500)).code == "malformed"
    for one in waiting:
        one.close()
    time.sleep(0.3)
    assert problem(httpx.post(f"{capsule.url}/v1/sum", content=b"x" * 4500)).code == "malformed"
    still_serves(*world)


def test_other_routes_and_methods_are_problems_too(world: tuple[Town, Cap, Posted]) -> None:
    _, capsule, _ = world
    for reply in (
        httpx.get(f"{capsule.url}/"),
        httpx.get(f"{capsule.url}/v1/sum"),
        httpx.post(f"{capsule.url}/v1/identity"),
        httpx.post(f"{capsule.url}/v1/nothing", content=b"x"),
    ):
        assert (reply.status_code, problem(reply).code) == (404, "not-found")
    assert httpx.get(f"{capsule.url}/healthz").json() == {"ready": True}
    told = httpx.get(f"{capsule.url}/metrics").text
    assert 'capsule_requests_total{kind="functional",outcome="answered"}' in told
    assert 'capsule_refusals_total{code="too-large"}' in told


@pytest.mark.slow
def test_hostile_requests_get_problems_and_nothing_else(world: tuple[Town, Cap, Posted]) -> None:
    """A signed request, changed: a tenth of them signed anew, so that the inner body is hostile as well."""
    town, capsule, posted = world
    mine = town.mines[0].address
    request = town.functional(posted, 1, [(mine, 4, 0)], [spread(posted.plan, [3, 2, 1])])
    seed = int(os.environ.get("SONAR_FUZZ_SEED") or int.from_bytes(os.urandom(8), "big"))
    rng, now_s = random.Random(seed), town.market.head().timestamp_s
    body = request.to_bytes()
    signed = town.signed(body, capsule.address, expires_s=now_s + 3000).to_bytes()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count, lock = max(INPUTS // 20, 100), threading.Lock()

    def one(number: int) -> None:
        with lock:
            if number % 10:
                data = changed_bytes(rng, signed)
            else:
                inner = changed_bytes(rng, body) or b"x"
                data = town.signed(inner, capsule.address, expires_s=now_s + 3000).to_bytes()
            kind = rng.choice(("functional", "sum", "settlement"))
        reply = client.post(f"{capsule.url}/v1/{kind}", content=data)
        if reply.status_code != 200:
            found = problem(reply)
            assert CODES[found.code] == reply.status_code, f"SONAR_FUZZ_SEED={seed}"
            assert found.code != "fault", f"SONAR_FUZZ_SEED={seed}: {data.hex()}"

    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(count)))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib <= 2 * MEMORY_CAP_KIB
    still_serves(town, capsule, posted)


def test_hostile_requests_to_the_service_itself(world: tuple[Town, Cap, Posted]) -> None:
    """Many more than HTTP could carry: our own errors come out, or an answer."""
    town, capsule, posted = world
    still_serves(*world)
    mine = town.mines[0].address
    body = town.functional(posted, 1, [(mine, 4, 0)], [spread(posted.plan, [1, 2, 3])]).to_bytes()
    signed = town.signed(body, capsule.address, expires_s=town.market.head().timestamp_s + 3000).to_bytes()

    def answer(data: bytes) -> None:
        capsule.service.answer("functional", data)

    fuzz(lambda rng: changed_bytes(rng, signed), answer)


def test_requests_at_once_tell_no_more_than_the_budget(world: tuple[Town, Cap, Posted]) -> None:
    town, capsule, _ = world
    posted = town.post([capsule], threshold=1, bits=10)
    town.answer(posted)
    mine = town.mines[1].address

    def one(number: int) -> bool:
        request = town.functional(posted, 1, [(mine, 3, 0)], [spread(posted.plan, [number, 1, 1])])
        found = town.ask(capsule, request)
        assert isinstance(found, FunctionalAnswer) or getattr(found, "code", "") == "budget"
        return isinstance(found, FunctionalAnswer)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(one, range(12))) == 3
    assert capsule.party.ledger.bits_of(posted.bounty) == {mine: 9}


def test_the_end_of_an_answer_does_not_wait_for_its_beginning_to_be_acknowledged() -> None:
    """Nagle's algorithm would keep it back for 40 ms, as clients put off what they acknowledge."""
    prompt: list[int] = []

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            taken = transport.get_extra_info("socket")
            prompt.append(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def connect() -> None:
        made = server.listening("127.0.0.1", 0)
        async with await asyncio.get_running_loop().create_server(Accepted, sock=made):
            reader, writer = await asyncio.open_connection(*made.getsockname())
            await reader.read()
            writer.close()

    asyncio.run(connect())
    assert prompt == [1]
