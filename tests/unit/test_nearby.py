"""Exchanges with a node nearby: connections are kept, and whatever is wrong is one of httpx's faults."""

from __future__ import annotations

import itertools
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from sonar.chain.nearby import Nearby, takes
from tests.chain_kit import serving

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"


def exchange(http: Nearby, url: str, timeout_s: float = 5.0) -> bytes:
    with http.stream("POST", httpx.URL(url), content="{}", timeout=timeout_s) as response:
        return b"".join(response.iter_bytes())


@contextmanager
def at(url: str) -> Iterator[Nearby]:
    http = Nearby(httpx.URL(url), {"x-mine": "1"})
    try:
        yield http
    finally:
        http.close()


class Counting:
    """A server that counts who connects, and closes each connection after so many answers."""

    def __init__(self, answers: int, answer: bytes) -> None:
        self.connections, self._answers, self._answer = 0, answers, answer

    def __call__(self, connection: socket.socket) -> None:
        self.connections += 1
        for _ in range(self._answers):
            if not (request := asked(connection)):
                return
            assert b"x-mine: 1" in request
            connection.sendall(self._answer)


def asked(connection: socket.socket) -> bytes:
    """Read a whole request; nothing if the other side has gone.

    Who closes a connection with bytes unread resets it, and what was answered may be lost.
    """
    request = b""
    while not request.endswith(b"{}"):
        if not (part := connection.recv(65536)):
            return b""
        request += part
    return request


@pytest.mark.parametrize(
    "answer",
    [HEAD + b"\r\nok", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"],
)
def test_a_connection_is_kept(answer: bytes) -> None:
    talk = Counting(9, answer)
    with serving(talk) as url, at(url) as http:
        assert [exchange(http, url) for _ in range(9)] == [b"ok"] * 9
    assert talk.connections == 1


def test_a_connection_that_the_node_has_closed_is_made_anew() -> None:
    talk = Counting(2, HEAD + b"\r\nok")
    with serving(talk) as url, at(url) as http:
        for number in range(6):
            if number % 2 == 0 and number:
                until_closed(http)
            assert exchange(http, url) == b"ok"
    assert talk.connections == 3


def until_closed(http: Nearby) -> None:
    """Wait until the other side of the only connection has closed it."""
    (connection,) = http._idle
    connection.sock.settimeout(5)
    assert connection.sock.recv(1, socket.MSG_PEEK) == b""


def test_one_that_the_node_closes_with_its_answer_is_not_kept() -> None:
    talk = Counting(1, HEAD + b"connection: close\r\n\r\nok")
    with serving(talk) as url, at(url) as http:
        assert [exchange(http, url) for _ in range(3)] == [b"ok"] * 3
    assert talk.connections == 3


def test_a_body_that_nobody_reads_is_not_the_next_answer() -> None:
    numbers = itertools.count(1)

    def talk(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(HEAD + b"\r\n%02d" % next(numbers))

    with serving(talk) as url, at(url) as http:
        with http.stream("POST", httpx.URL(url), content="{}", timeout=5) as unread:
            assert unread.status_code == 200
        assert exchange(http, url) != b"01"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nx: " + bytes(70_000), httpx.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH_9.7\r\n", httpx.RemoteProtocolError),
        (b"\xff\xfe\0", httpx.RemoteProtocolError),
        (b"", httpx.TransportError),
    ],
)
def test_what_is_no_whole_answer_is_a_fault_that_may_pass(said: bytes, fault: type[Exception]) -> None:
    def talk(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(said)

    with serving(talk) as url, at(url) as http, pytest.raises(fault):
        exchange(http, url)


def test_nobody_there_is_told_as_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with at(url) as http, pytest.raises(httpx.ConnectError):
        exchange(http, url)


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def begins(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(HEAD + b"\r\n")
    silent(connection)


@pytest.mark.parametrize("talk", [silent, begins])
def test_a_node_that_hangs_is_waited_for_as_long_as_was_said(talk: Callable[[socket.socket], None]) -> None:
    with serving(talk) as url, at(url) as http, pytest.raises(httpx.ReadTimeout):
        exchange(http, url, 0.1)


def test_several_threads_have_a_connection_each() -> None:
    """Each asks for a number of its own, and gets that one."""

    class Echo(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while path := self.rfile.readline():
                while self.rfile.readline() != b"\r\n":
                    pass
                self.rfile.read(2)
                said = path.split(b"/")[1].split()[0]
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(said), said))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with at(url) as http, ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda number: exchange(http, f"{url}/{number}"), range(200)))
            assert len(http._idle) <= 4
        server.shutdown()
    assert found == [str(number).encode() for number in range(200)]


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("http://127.0.0.1:8545", True),
        ("http://[::1]:8545/path?query", True),
        ("https://127.0.0.1:8545", False),
        ("http://user:password@127.0.0.1", False),
    ],
)
def test_addresses_that_need_more_are_left_to_httpx(url: str, is_taken: bool) -> None:
    assert takes(httpx.URL(url)) == is_taken
