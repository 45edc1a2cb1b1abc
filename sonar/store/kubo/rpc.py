"""Kubo's RPC API over HTTP: one call, one answer of bounded size, and every failure in words.

`api_url` may carry a name and a password (`http://sonar:…@127.0.0.1:5001`), which no message shows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic_core import from_json

from sonar.errors import StoreRefused, StoreUnavailable

OLDEST = (0, 30)
"""Older nodes lack settings that keep a swarm private."""
MAX_ANSWER_BYTES = 1 << 20
_CONNECT_S = 2.0


def checked_version(text: str, where: str) -> str:
    """Return the version of the Kubo at `where`. Raises StoreUnavailable for one too old, or no Kubo."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})\.", text)
    if found is None:
        raise StoreUnavailable(f"{where} is no Kubo node", hint=_ADDRESS)
    if (int(found[1]), int(found[2])) < OLDEST:
        raise StoreUnavailable(
            f"the Kubo at {where} has version {text}",
            hint=f"install {OLDEST[0]}.{OLDEST[1]} or newer; 0.42 is what this was tested with",
        )
    return text


class KuboRpc:
    """One Kubo node's API. Checks at the first call that it is one, and of a version that will do."""

    def __init__(self, api_url: str, *, timeout_s: float = 10.0) -> None:
        url = httpx.URL(api_url)
        self.shown = str(url.copy_with(username=None, password=None)) if url.userinfo else api_url
        self._timeout_s = timeout_s
        self._client = httpx.Client(base_url=f"{api_url.rstrip('/')}/api/v0/", trust_env=False)
        self._version = ""

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def version(self) -> str:
        """Return the node's version. Raises StoreUnavailable for one that is too old, or no Kubo."""
        if not self._version:
            answer = self._json(self._post("version", {}, None, self._timeout_s, MAX_ANSWER_BYTES))
            self._version = checked_version(str(answer.get("Version", "")), self.shown)
        return self._version

    def call(self, command: str, *, timeout_s: float | None = None, **options: str | bool) -> dict[str, Any]:
        """Return the JSON answer of a command (its last line, where it answers several).

        `arg` is the command's argument. Raises StoreRefused when Kubo says no, else StoreUnavailable.
        """
        return self._json(self._ask(command, options, None, timeout_s, MAX_ANSWER_BYTES))

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
        return self._ask(command, options, data, timeout_s, max_bytes)

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
            reason = str(error) or type(error).__name__
            raise StoreUnavailable(f"no Kubo answers at {self.shown}: {reason}", hint=_ADDRESS) from error
        if not answer.is_success:
            raise self._refusal(command, answer.status_code, body)
        return body

    def _refusal(self, command: str, status: int, body: bytes) -> StoreUnavailable:
        if status in (401, 403):
            return StoreUnavailable(
                f"the Kubo at {self.shown} refuses us ({status})",
                hint="its API.Authorizations ask for a name and a password: put them into the api_url",
            )
        if status == 404:
            return StoreUnavailable(f"{self.shown} is no RPC API of Kubo (404 for {command})", hint=_ADDRESS)
        try:
            told = str(from_json(body)["Message"])[:500]
        except (ValueError, KeyError, TypeError):
            told = body[:200].decode(errors="replace").strip() or f"status {status}"
        hint = "free some disk space where its repository is" if "no space left" in told else ""
        return StoreRefused(f"the Kubo at {self.shown} refused {command}: {told}", told, hint=hint)

    def _json(self, body: bytes) -> dict[str, Any]:
        try:
            answer = from_json(body.strip().rpartition(b"\n")[2] or b"{}")
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise StoreUnavailable(f"{self.shown} is no Kubo node: its answer makes no sense", hint=_ADDRESS)
        return answer


def _read(answer: httpx.Response, max_bytes: int, until_s: float) -> bytes:
    """Read the answer, and stop a byte after the limit: the sender says nothing reliable about its length."""
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > max_bytes:
            break
        if time.monotonic() > until_s:  # httpx limits each read by itself, and bytes may drip
            raise httpx.ReadTimeout("")
    return bytes(body[: max_bytes + 1])


_ADDRESS = "is it running, and is its API's address right?"
_BUSY = "is the machine, or its disk, overloaded?"
