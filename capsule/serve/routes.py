"""The routes, as a Starlette application: bodies within a limit and in time, answers or `Problem`s."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from capsule.problems import Refused, refused
from capsule.serve.metrics import Metrics
from capsule.service import Service
from capsule.services import Services
from sonar.errors import SonarError

T = TypeVar("T")
CBOR = "application/vnd.ipld.dag-cbor"
BODY_S = 20.0
"""How long a body may take to come."""
MOST_HELD_BYTES = 32 << 20
"""The most bytes of all bodies that are in memory, until they are answered; who sends more must wait."""


class Api:
    """Handlers for one service. Work runs on `workers` threads; what waits for one is held by its client."""

    def __init__(self, service: Service | Services, *, workers: int = 2) -> None:
        self._service, self._metrics = service, Metrics()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="capsule")
        self._held_bytes = 0

    def app(self) -> Starlette:
        """Return the application."""
        posts = [
            Route(f"/v1/{kind}", self._handler(kind), methods=["POST"])
            for kind in ("functional", "sum", "settlement")
        ]
        return Starlette(
            routes=[
                Route("/v1/identity", self._identity, methods=["GET"]),
                Route("/v1/answers/{digest}", self._answered, methods=["GET"]),
                Route("/healthz", self._healthz, methods=["GET"]),
                Route("/metrics", self._told, methods=["GET"]),
                *posts,
            ],
            exception_handlers={404: _not_found, 405: _not_found, 500: _fault},
        )

    def close(self) -> None:
        """Let work that has begun come to its end."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _identity(self, _request: Request) -> Response:
        return Response(self._service.identity, media_type=CBOR)

    async def _answered(self, request: Request) -> Response:
        """Give what was told to a request before: other capsules compare it when they audit."""
        try:
            digest = bytes.fromhex(request.path_params["digest"])
        except ValueError:
            digest = b""
        try:
            found = await self._work(lambda: self._service.answered(digest))
        except Refused as refusal:
            return _problem(refusal)
        if found is None:
            return _problem(Refused("not-found", "no such request was answered"))
        return Response(found, media_type=CBOR)

    async def _healthz(self, _request: Request) -> Response:
        return JSONResponse({"ready": True})

    async def _told(self, _request: Request) -> Response:
        bits, sums = await self._work(self._service.totals)
        return PlainTextResponse(self._metrics.text(bits, sums))

    def _handler(self, kind: str) -> Callable[[Request], object]:
        async def handle(request: Request) -> Response:
            start_s = time.monotonic()
            outcome, response = await self._answer(kind, request)
            self._metrics.request(kind, outcome, time.monotonic() - start_s)
            return response

        return handle

    async def _answer(self, kind: str, request: Request) -> tuple[str, Response]:
        body = bytearray()
        try:
            await self._read(request, body)
            answer = await self._work(lambda: self._service.answer(kind, bytes(body)))
            return "answered", Response(answer, media_type=CBOR)
        except SonarError as error:
            refusal = refused(error)
        except Exception:  # noqa: BLE001 - a stranger learns nothing of a bug, and the operator reads it
            self._service.report_bug()
            refusal = Refused("fault", "this capsule failed", hint="tell its operator; ask the others")
        finally:
            self._held_bytes -= len(body)
        with suppress(SonarError):
            await self._work(lambda: self._service.count(refusal))
        return refusal.code, _problem(refusal)

    async def _work(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, act)

    async def _read(self, request: Request, body: bytearray) -> None:
        """Read the body, if it keeps to size and time. Raises Refused."""
        limit = self._service.max_body_bytes
        said = request.headers.get("content-length", "")
        if said.isascii() and said.isdigit() and int(said) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    if len(body) + len(chunk) > limit:
                        raise _too_large(limit)
                    if self._held_bytes + len(chunk) > MOST_HELD_BYTES:
                        raise Refused("busy", "too many requests at once", hint="ask again in a second")
                    body += chunk
                    self._held_bytes += len(chunk)
        except TimeoutError:
            raise Refused("too-slow", f"the body did not come within {BODY_S:.0f} s") from None
        except ClientDisconnect:
            raise Refused("too-slow", "the client went away") from None


def _too_large(limit: int) -> Refused:
    return Refused("too-large", f"the body has more than {limit} bytes", hint="ask for less in each request")


def _problem(refusal: Refused) -> Response:
    headers = {"connection": "close"} if refusal.code in ("too-large", "too-slow", "busy") else {}
    return Response(refusal.document.to_bytes(), status_code=refusal.status, media_type=CBOR, headers=headers)


async def _not_found(request: Request, _error: Exception) -> Response:
    told = Refused("not-found", f"there is no {request.method} {request.url.path[:100]}")
    return _problem(told)


async def _fault(_request: Request, _error: Exception) -> Response:
    return _problem(Refused("fault", "this capsule failed", hint="tell its operator"))
