"""A node's address: one HTTP exchange with it, however it answers.

Theory of operation. Passing faults (a server in trouble, an answer that is cut off) are retried a few times.
A node that says that it is asked too often is obeyed, and asked more slowly from then on. Lasting faults (no
permission, another program, a certificate that is not trusted) raise ChainUnusable at once, but only if the
node has never served this process. If it has, the fault may pass, and a program with a stake at risk must not
give up.
"""

from __future__ import annotations

import http
import json
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
from pydantic_core import from_json

from sonar.chain.nearby import Http, Nearby, takes
from sonar.errors import ChainUnavailable, ChainUnusable, ConfigError, RpcError, SonarError
from sonar.http import TLS_HINT, checked_url, client, retry_after_s, tls_fault
from sonar.protocol.url import is_local, without_secrets

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_PAUSE_S = 60.0
"""The longest pause that a node can ask for: a window may end meanwhile."""
MAX_WAIT_S = 10.0
"""How long one call waits for its turn: a program that was told to stop must notice."""
_BUSY = frozenset({408, 425, 502, 503, 504})
_REFUSES_US = frozenset({401, 402, 403, 407})
_TOO_LARGE = frozenset({400, 413, 414, 422})

_FIRST_PAUSE_S = 0.1

# Without this, Python writes each of stamina's retries to standard error where nothing configured logging.
logging.getLogger("stamina").addHandler(logging.NullHandler())


class TooMany(httpx.HTTPError):
    """The node says that it is asked too often. `pause_s`: how long it wants to be left alone, if it says."""

    def __init__(self, told: str, pause_s: float | None) -> None:
        super().__init__(told)
        self.pause_s = pause_s


class NotTaken(httpx.HTTPError):
    """Several requests at once were answered by an HTTP status; each by itself may be answered."""


class _Lasting(httpx.HTTPError):
    """Asking again does not help. `asked`: asking for something else may; the request itself is at fault."""

    def __init__(self, told: str, hint: str, *, asked: bool = False) -> None:
        super().__init__(told)
        self.hint, self.asked = hint, asked


class Pace:
    """How fast a node is asked: as fast as it answers, until it says that this is too fast.

    Several of our programs may share a node's limit, and a refused request may count against it too. So a
    program that is refused several times in a row waits for a random time from a growing range: whoever comes
    first then finds the node free.
    """

    LEAST_S, MOST_S, EASING = 0.25, 2.0, 0.995

    def __init__(self, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._monotonic, self._sleep = monotonic, sleep
        self._lock = threading.Lock()
        self._free_s = 0.0  # before that, nothing is asked
        self._gap_s = 0.0  # between two requests
        self._refused = 0  # in a row

    def take(self, requests: int, until_s: float) -> bool:
        """Wait for the next turn; False, at once, if that comes after `until_s`."""
        with self._lock:
            now_s = self._monotonic()
            turn_s = max(now_s, self._free_s)
            if turn_s > until_s:
                return False
            self._free_s = turn_s + min(self._gap_s * requests, self.MOST_S)
        if turn_s > now_s:
            self._sleep(turn_s - now_s)
        return True

    def served(self) -> None:
        """The node has answered: ask it a little faster."""
        with self._lock:
            self._refused = 0
            self._gap_s = self._gap_s * self.EASING if self._gap_s > self.LEAST_S / 8 else 0.0

    def refused(self, pause_s: float | None) -> None:
        """Leave the node alone for `pause_s` or more, and ask it half as fast afterwards."""
        with self._lock:
            self._gap_s = min(max(2 * self._gap_s, self.LEAST_S), self.MOST_S)
            self._refused += 1
            pause_s = 2 * self._gap_s if pause_s is None else pause_s
            spread_s = max(pause_s, self._gap_s) * (2 ** min(self._refused, 6) - 1)
            pause_s += random.uniform(0.0, spread_s)  # noqa: S311 - no secret
            self._free_s = max(self._free_s, self._monotonic() + min(pause_s, MAX_PAUSE_S))


class Endpoint:
    """The HTTP side of a node. Safe to use from several threads. Arguments as of `sonar.chain.rpc.Rpc`."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        attempts: int,
        transport: httpx.BaseTransport | None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.shown = without_secrets(url)
        try:
            self._url = httpx.URL(checked_url(url))
        except ValueError as error:
            raise ConfigError("rpc_url", f"{self.shown!r} is {error}") from error
        self._attempts, self._timeout_s, self._monotonic = attempts, timeout_s, monotonic
        self._pace = Pace(monotonic, sleep)
        self._served = False
        self._limit = "too many in one batch"
        self._http = _http(self._url, transport)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ask(self, body: Any) -> Any:
        """Return the node's answer to `body`, a request or a list of them: a JSON-RPC answer, or a list.

        Raises ChainUnavailable, ChainUnusable, RpcError, and for a list NotTaken.
        """
        content, requests = json.dumps(body), len(body) if isinstance(body, list) else 1
        until_s = self._monotonic() + min(self._timeout_s, MAX_WAIT_S)
        while self._pace.take(requests, until_s):
            try:
                answer = self._try(content, many=isinstance(body, list))
                self._served = True
                self._pace.served()
                return answer
            except TooMany as error:
                self._pace.refused(error.pause_s)
                self._limit = str(error)
        raise ChainUnavailable(
            f"the chain's node at {self.shown} wants fewer requests ({self._limit})",
            hint="it is asked more slowly from now on; a node of your own, or a higher limit, is faster",
        )

    def refused(self) -> None:
        """Ask more slowly: some of what was asked at once was refused as too much."""
        self._pace.refused(None)

    def _try(self, content: str, *, many: bool) -> Any:
        until_s = self._monotonic() + self._timeout_s
        try:
            try:
                return self._post(content, until_s, many=many)
            except httpx.HTTPError as error:
                if self._attempts == 1 or not _passes(error):
                    raise
            return self._again(content, until_s, many=many)
        except (TooMany, NotTaken):
            raise
        except httpx.HTTPError as error:
            raise self._fault(error) from error

    def _again(self, content: str, until_s: float, *, many: bool) -> Any:
        import stamina  # loads asyncio and more, which a node that answers needs not

        time.sleep(_FIRST_PAUSE_S)
        for attempt in stamina.retry_context(
            on=_passes,
            attempts=self._attempts - 1,
            wait_initial=2 * _FIRST_PAUSE_S,
            wait_max=2.0,
            timeout=self._timeout_s,
        ):
            with attempt:
                return self._post(content, until_s, many=many)
        raise AssertionError("unreachable")

    def _fault(self, error: httpx.HTTPError) -> SonarError:
        """Return what to raise for what went wrong."""
        where, told = f"the chain's node at {self.shown}", str(error) or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            told = f"it takes more than {self._timeout_s:g} s"
        elif fault := tls_fault(error):
            error = _Lasting(fault, TLS_HINT)
            told = fault
        if isinstance(error, _Lasting) and self._served and error.asked:
            return RpcError(f"{where} refuses the request: {told}")
        if isinstance(error, _Lasting):
            kind = ChainUnavailable if self._served else ChainUnusable
            return kind(f"{where} does not serve us: {told}", hint=error.hint)
        return ChainUnavailable(f"{where} does not answer: {told}", hint=_ADDRESS)

    def _post(self, content: str, until_s: float, *, many: bool) -> Any:
        left_s = max(until_s - self._monotonic(), 0.001)
        with self._http.stream("POST", self._url, content=content, timeout=left_s) as response:
            pause_s = retry_after_s(response.headers.get("retry-after"), time.time())
            if response.status_code == 429 or (response.status_code in _BUSY and pause_s is not None):
                raise TooMany(f"status {response.status_code}", pause_s)
            data = self._read(response, until_s)
        try:
            answer = from_json(data)
        except ValueError as error:
            if response.is_success and data and str(error).startswith("EOF"):
                raise httpx.TransportError("its answer is cut off") from error
            answer = None
        if isinstance(answer, list):
            return answer
        if isinstance(answer, dict) and ("jsonrpc" in answer or "result" in answer or "error" in answer):
            if (pause_s := too_many(answer.get("error"), logs="eth_getLogs" in content)) is not None:
                raise TooMany(_message(answer), pause_s or None)
            if response.is_success or "jsonrpc" in answer:
                return answer
        raise _not_a_nodes(response, many=many)

    def _read(self, response: httpx.Response, until_s: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            if (size := size + len(part)) > MAX_ANSWER_BYTES:
                raise RpcError(f"the node's answer is larger than the limit of {MAX_ANSWER_BYTES} bytes")
            if self._monotonic() > until_s:  # httpx limits each read by itself, and bytes may drip
                raise httpx.ReadTimeout("")
        return b"".join(parts)


def _http(url: httpx.URL, transport: httpx.BaseTransport | None) -> Http:
    headers = {"content-type": "application/json"}
    if transport is None and is_local(url.host) and takes(url):
        return Nearby(url, headers)
    return client(url, transport=transport, headers=headers)


def _not_a_nodes(response: httpx.Response, *, many: bool) -> httpx.HTTPError:
    """Return what to raise for an answer from something that is not a node."""
    status = response.status_code
    told = f"status {status} {_phrase(status)}".rstrip()
    if many and status not in _REFUSES_US:
        return NotTaken(told)
    if response.is_success:
        kind = response.headers.get("content-type", "").partition(";")[0][:40]
        found = f"status {status} and {kind or 'something'}"
        return _Lasting(f"it answers {found}, which is not JSON-RPC", _ADDRESS, asked=True)
    if response.is_redirect:
        to = without_secrets(response.headers.get("location", "nowhere"))
        return _Lasting(
            f"{told}, to {to}", "if you trust that address, make it rpc_url in network.toml, with its key"
        )
    if status >= 500 or status in _BUSY:
        return httpx.TransportError(told)
    hint = _KEY if status in _REFUSES_US else _ADDRESS
    return _Lasting(told, hint, asked=status in _TOO_LARGE)


def _phrase(status: int) -> str:
    try:
        return f"({http.HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def _passes(error: Exception) -> bool:
    """Whether to ask again; a timeout means that all the time is used up."""
    return (
        isinstance(error, httpx.TransportError)
        and not isinstance(error, httpx.TimeoutException)
        and not tls_fault(error)
    )


_TOO_MANY_CODES = frozenset({429, -32029, -32097})
_LIMIT_EXCEEDED = -32005
"""Of EIP-1474: too many requests; with some providers also too many logs, or too long a batch."""
_TOO_MANY_WORDS = (
    "too many requests",
    "rate limit",
    "rate-limit",
    "ratelimit",
    "requests per",
    "request rate",
    "throttl",
    "compute units",
)
_TOO_LONG_WORDS = ("more than", "range", "results", "logs", "batch", "size")


def too_many(error: Any, *, logs: bool) -> float | None:
    """Return the pause in seconds that a JSON-RPC error asks for, 0 if it names none; None if it is about
    something else than how often the node is asked. `logs`: logs were asked for, of which it may be too many.
    """
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return None
    code, message = error.get("code"), str(error.get("message")).lower()
    if type(code) is not int:
        code = 0
    if code == 3 or "revert" in message:  # the words are a contract's
        return None
    limited = code in _TOO_MANY_CODES or any(words in message for words in _TOO_MANY_WORDS)
    if code == _LIMIT_EXCEEDED and not logs:
        limited = limited or not any(words in message for words in _TOO_LONG_WORDS)
    if not limited:
        return None
    data = error.get("data")
    rate = data.get("rate") if isinstance(data, dict) else None
    pause_s = rate.get("backoff_seconds") if isinstance(rate, dict) else None  # as Infura says it
    return float(pause_s) if isinstance(pause_s, int | float) and 0 < pause_s < 1 << 31 else 0.0


def _message(answer: dict[str, Any]) -> str:
    error = answer["error"]
    return str(error.get("message") if isinstance(error, dict) else error)[:200]


_ADDRESS = (
    "is it running? `sonar chain` starts a local one; rpc_url in network.toml names it, "
    "with the key that the node may require"
)
_KEY = "the node asks for a key, or refuses ours: put it into rpc_url in network.toml as your provider says"
