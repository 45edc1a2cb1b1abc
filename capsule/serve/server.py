"""uvicorn with limits on clients: connections that say nothing, or too slowly, are closed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sonar.errors import ConfigError, PortInUse

CONNECTIONS = 128
HEADERS_S = 10.0
"""How long a client may take from connecting, or from its last answer, to the end of its next headers."""
WHOLE_S = 300.0
"""How long a request may take in all, its answer's sending included."""
HEADER_BYTES = 16 << 10


class _Prompt(H11Protocol):
    """HTTP/1.1; uvicorn itself waits for ever for a first request, and for the rest of a next one."""

    _waited: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._waited is not None:
            self._waited.cancel()

    def _wait(self) -> None:
        if self._waited is not None:
            self._waited.cancel()
        self._waited = self.loop.call_later(HEADERS_S, self._close_silent)

    def _close_silent(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Bounded:
    """Ends a request that takes too long, as one whose client does not read the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application within `WHOLE_S`."""
        async with asyncio.timeout(WHOLE_S if scope["type"] == "http" else None):
            await self._app(scope, receive, send)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises PortInUse, ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only of a socket that names its protocol does asyncio turn off Nagle's algorithm. With it, the end of an
    # answer waits for its beginning to be acknowledged, which clients put off for 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(CONNECTIONS)
    except OSError as error:
        made.close()
        if error.errno == 98:
            raise PortInUse(port, "--listen", host) from error
        raise ConfigError(
            "--listen", f"{host}:{port} cannot be listened on: {error.strerror}", hint="name another address"
        ) from error
    return made


class Server(uvicorn.Server):
    """Serves an application on a socket until it is told to stop. `ready` is called when it listens."""

    def __init__(self, app: ASGIApp, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            Bounded(app),
            http=_Prompt,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=int(HEADERS_S),
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=HEADER_BYTES,
        )
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def serve_on(self, made: socket.socket) -> None:
        """Serve until SIGTERM or Ctrl-C, which then do what they would have done."""
        self.run(sockets=[made])


def url_of(made: socket.socket) -> str:
    """Return where a listening socket is reached on this machine."""
    host, port, *_ = made.getsockname()
    shown: Any = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
