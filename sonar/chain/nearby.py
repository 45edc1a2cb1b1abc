"""HTTP with a node on this machine or in its network, by Python's own client.

A program at work asks its node dozens of times a second, and httpx takes three times as long for each
exchange as this does. What httpx is for (TLS, proxies, passwords in addresses) such a node has no need of;
where one of them is needed, `sonar.http.client` serves. Answers and faults are httpx's: whoever asks cannot
tell the difference.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Protocol

import httpx

_CHUNK_BYTES = 1 << 16


class Http(Protocol):
    """Who sends requests to one service; `httpx.Client` is one."""

    def stream(
        self, method: str, url: httpx.URL, *, content: str, timeout: float
    ) -> AbstractContextManager[httpx.Response]:
        """Send a request, and give the answer, whose body is still to be read; `timeout`, in seconds, is for
        each step. Raises httpx.TransportError.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Nearby:
    """Exchanges with one address that `takes` is for. Safe to use from several threads. See `Http`."""

    def __init__(self, url: httpx.URL, headers: Mapping[str, str]) -> None:
        self._host, self._port, self._headers = url.host, url.port or 80, dict(headers)
        self._idle: deque[HTTPConnection] = deque()

    def close(self) -> None:
        """See `Http`."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def stream(
        self, method: str, url: httpx.URL, *, content: str, timeout: float
    ) -> Iterator[httpx.Response]:
        """See `Http`."""
        connection, is_done = self._connected(timeout), False
        try:
            with _faults(httpx.ReadTimeout, httpx.ReadError):
                connection.request(method, url.raw_path.decode(), content.encode(), self._headers)
                response = connection.getresponse()
            yield httpx.Response(response.status, headers=response.getheaders(), stream=_Body(response))
            is_done = (response.isclosed() or response.length == 0) and not response.will_close
            response.close()  # else the connection takes no other request
        finally:
            if is_done:
                self._idle.append(connection)
            else:
                connection.close()

    def _connected(self, timeout_s: float) -> HTTPConnection:
        """A connection that was kept and is still open, or a new one."""
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if _is_silent(connection.sock):
                    connection.sock.settimeout(timeout_s)
                    return connection
                connection.close()
        connection = HTTPConnection(self._host, self._port, timeout=timeout_s)
        with _faults(httpx.ConnectTimeout, httpx.ConnectError):
            connection.connect()
        return connection


class _Body(httpx.SyncByteStream):
    """What is left of an answer."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _faults(httpx.ReadTimeout, httpx.ReadError):
            while part := self._response.read1(_CHUNK_BYTES):
                yield part
            if self._response.length:
                raise httpx.RemoteProtocolError(f"the last {self._response.length} bytes did not come")


def takes(url: httpx.URL) -> bool:
    """Tell whether an address that no proxy serves is one for `Nearby`."""
    return url.scheme == "http" and not url.userinfo


def _is_silent(sock: socket.socket) -> bool:
    """Tell whether the other side has neither closed a connection, nor said what nobody asked for."""
    sock.setblocking(False)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@contextmanager
def _faults(timeout: type[httpx.TimeoutException], fault: type[httpx.NetworkError]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise timeout(str(error)) from error
    except OSError as error:  # `RemoteDisconnected` is one too
        raise fault(str(error)) from error
    except (HTTPException, ValueError) as error:
        raise httpx.RemoteProtocolError(f"{type(error).__name__}: {error}"[:200]) from error
