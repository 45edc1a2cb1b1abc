"""Kubo's RPC API over HTTP: one call, one answer of bounded size, and every failure in words.

`api_url` may carry a name and a password (`http://sonar:…@127.0.0.1:5001`), or a key in its path or query;
no message shows them. Lasting faults (another program, no permission) raise StoreUnusable, unless the node
has served us before: then they may pass.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic_core import from_json

from sonar.errors import ConfigError, StoreRefused, StoreUnavailable, StoreUnusable
from sonar.http import TLS_HINT, checked_url, client, tls_fault
from sonar.protocol.url import without_secrets

OLDEST = (0, 30)
"""Older nodes lack settings that keep a swarm private."""
MAX_ANSWER_BYTES = 1 << 20
_CONNECT_S = 2.0
EXAMPLE = "http://127.0.0.1:5001"
_PASSING = frozenset({408, 425, 429, 502, 503, 504})


def checked_version(text: str, where: str) -> str:
    """Return the version of the Kubo at `where`. Raises StoreUnusable for one too old, or no Kubo."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})\.", text)
    if found is None:
        raise StoreUnusable(f"{where} is not a Kubo node", hint=_ADDRESS)
    if (int(found[1]), int(found[2])) < OLDEST:
        raise StoreUnusable(
            f"the Kubo at {where} has version {text}",
            hint=f"install {OLDEST[0]}.{OLDEST[1]} or newer; 0.42 is what this was tested with",
        )
    return text


class KuboRpc:
    """One Kubo node's API. Checks at the first call that it is one, and of a version that will do.

    Raises ConfigError if `api_url` is not an address.
    """

    def __init__(self, api_url: str, *, timeout_s: float = 10.0) -> None:
        self.shown = without_secrets(api_url)
        try:
            url = httpx.URL(checked_url(api_url, EXAMPLE))
        except ValueError as error:
            raise ConfigError("store.api_url", f"{self.shown!r} is {error}") from error
        self._timeout_s = timeout_s
        path = url.path.rstrip("/").removesuffix("/api/v0")
        base = url.copy_with(path=f"{path}/api/v0/", query=None)
        self._client = client(url, base_url=base, params=url.params)
        self._version = ""
        self._served: set[str] = set()  # the commands that were

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def version(self) -> str:
        """Return the node's version. Raises StoreUnusable for one that is too old, or no Kubo."""
        if not self._version:
            try:
                body = self._post("version", {}, None, self._timeout_s, MAX_ANSWER_BYTES)
                answer = self._json("version", body)
                self._version = checked_version(str(answer.get("Version", "")), self.shown)
            except (StoreUnusable, StoreRefused) as fault:
                raise self._lasting("version", str(fault), fault.hint or _ADDRESS) from fault
            self._served.add("version")
        return self._version

    def call(self, command: str, *, timeout_s: float | None = None, **options: str | bool) -> dict[str, Any]:
        """Return the JSON answer of a command (its last line, where it answers several).

        `arg` is the command's argument. Raises StoreRefused when Kubo says no, else StoreUnavailable.
        """
        answer = self._json(command, self._ask(command, options, None, timeout_s, MAX_ANSWER_BYTES))
        self._served.add(command)
        return answer

    def fetch(
        self,
        command: str,
        *,
        data: bytes | None = None,
        timeout_s: float | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        **options: str | bool,
    ) -> bytes:
        """Return the answer, cut one byte after `max_bytes`. `data` is sent as a file. Raises as `call`."""
        body = self._ask(command, options, data, timeout_s, max_bytes)
        self._served.add(command)
        return body

    def _ask(
        self,
        command: str,
        options: Mapping[str, str | bool],
        data: bytes | None,
        timeout_s: float | None,
        max_bytes: int,
    ) -> bytes:
        self.version()
        params = {
            name.replace("_", "-"): value if isinstance(value, str) else str(value).lower()
            for name, value in options.items()
        }
        return self._post(command, params, data, timeout_s or self._timeout_s, max_bytes)

    def _post(
        self, command: str, params: dict[str, str], data: bytes | None, timeout_s: float, max_bytes: int
    ) -> bytes:
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        files = {"file": ("blob", data)} if data is not None else None
        until_s = time.monotonic() + timeout_s
        try:
            with self._client.stream("POST", command, params=params, files=files, timeout=timeout) as answer:
                body = _read(answer, max_bytes if answer.is_success else MAX_ANSWER_BYTES, until_s)
        except httpx.ReadTimeout as error:
            raise StoreUnavailable(
                f"the Kubo at {self.shown} took more than {timeout_s:g} s for {command}", hint=_BUSY
            ) from error
        except httpx.HTTPError as error:
            self._version = ""  # whatever answers next time may be another program
            if fault := tls_fault(error):
                told = f"the Kubo at {self.shown} does not serve us: {fault}"
                raise self._lasting(command, told, TLS_HINT) from error
            reason = str(error) or type(error).__name__
            raise StoreUnavailable(f"no Kubo answers at {self.shown}: {reason}", hint=_ADDRESS) from error
        if not answer.is_success:
            raise self._refusal(command, answer, body)
        return body

    def _lasting(self, command: str, problem: str, hint: str) -> StoreUnavailable:
        """Return the error for a lasting fault, unless the command was served before."""
        return (StoreUnavailable if command in self._served else StoreUnusable)(problem, hint=hint)

    def _refusal(self, command: str, answer: httpx.Response, body: bytes) -> StoreUnavailable:
        status = answer.status_code
        if status in (401, 403):
            problem, hint = f"the Kubo at {self.shown} refuses us ({status}) for {command}", _LOGIN
        elif answer.is_redirect:
            to = without_secrets(answer.headers.get("location", "nowhere"))
            problem, hint = f"{self.shown} sends us to {to} ({status})", "if you trust that address, give it"
        elif status in _PASSING:
            return StoreUnavailable(f"the Kubo at {self.shown} is not available ({status})", hint=_BUSY)
        elif (told := _message(body)) is not None:
            hint = "free some disk space where its repository is" if "no space left" in told else ""
            return StoreRefused(f"the Kubo at {self.shown} refused {command}: {told}", told, hint=hint)
        elif status >= 500:
            said = body[:200].decode(errors="replace").strip() or f"status {status}"
            problem, hint = f"the Kubo at {self.shown} refused {command}: {said}", _ADDRESS
        else:
            problem, hint = f"{self.shown} is not an RPC API of Kubo ({status} for {command})", _ADDRESS
        return self._lasting(command, problem, hint)

    def _json(self, command: str, body: bytes) -> dict[str, Any]:
        try:
            answer = from_json(body.strip().rpartition(b"\n")[2] or b"{}")
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            problem = f"{self.shown} is not a Kubo node: its answer makes no sense"
            raise self._lasting(command, problem, _ADDRESS)
        return answer


def _message(body: bytes) -> str | None:
    """Return what Kubo says of a command that it refused, or None if this is none of its answers."""
    try:
        return str(from_json(body)["Message"])[:500]
    except (ValueError, KeyError, TypeError):
        return None


def _read(answer: httpx.Response, max_bytes: int, until_s: float) -> bytes:
    """Read the answer, and stop a byte after the limit: the declared length is not reliable."""
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > max_bytes:
            break
        if time.monotonic() > until_s:  # httpx limits each read by itself, and bytes may drip
            raise httpx.ReadTimeout("")
    return bytes(body[: max_bytes + 1])


_ADDRESS = "is it running, and is its API's address right?"
_LOGIN = (
    "its API.Authorizations ask for a name and a password, or do not allow this: put both into the api_url, "
    "or allow it"
)
_BUSY = "is the machine, or its disk, overloaded?"
