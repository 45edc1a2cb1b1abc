"""One capsule at its address: requests signed for it, and its answers as they came.

What an answer says is checked by who asked (`pysonar.capsules.panel`).
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, Protocol

import httpx
from eth_account.signers.local import LocalAccount

from sonar.chain.signatures import sign_digest
from sonar.errors import CapsuleFault, CapsuleRefused, CapsuleUnavailable, RemoteError
from sonar.http import TLS_HINT, client, tls_fault
from sonar.manifests.capsule import MAX_ANSWER_BYTES, Problem, SignedAnswer, SignedRequest
from sonar.protocol.capsules import request_digest
from sonar.protocol.ids import Address
from sonar.protocol.url import without_secrets
from sonar.protocol.wording import printable

Question = Literal["functional", "sum", "settlement"]
CONTENT_TYPE = "application/vnd.ipld.dag-cbor"
TIMEOUT_S = 60.0
GOOD_FOR_S = 600
"""How long a request is good, in chain time: as long as a capsule may take, and a chain's clock be off."""
FRESH_S = 1.0
"""How old the chain's time may be that a request's end is reckoned from."""
WHO = "ask whoever runs it; `pysonar run` goes on by itself once enough capsules answer"


class Capsule(Protocol):
    """A capsule that can be asked."""

    @property
    def account(self) -> Address:
        """The account that signs what it tells."""
        ...

    @property
    def place(self) -> str:
        """Where it is, for people, without secrets."""
        ...

    def identity(self) -> SignedAnswer:
        """Ask who it is. Raises CapsuleUnavailable, CapsuleFault."""
        ...

    def ask(self, question: Question, body: bytes) -> SignedAnswer:
        """Ask a question. Raises CapsuleUnavailable, CapsuleRefused, CapsuleFault."""
        ...


class Clock:
    """The chain's time, read anew after `FRESH_S`: several capsules are asked at once, and several questions
    follow each other. Safe to use from several threads.
    """

    def __init__(self, read_s: Callable[[], int], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read_s, self._monotonic, self._lock = read_s, monotonic, threading.Lock()
        self._read_at_s, self._known_s = -math.inf, 0

    def __call__(self) -> int:
        """Return the chain's time, in seconds. Raises what reading it raises."""
        with self._lock:
            now_s = self._monotonic()
            if now_s - self._read_at_s >= FRESH_S:
                self._known_s, self._read_at_s = self._read_s(), now_s
            return self._known_s


@dataclass(frozen=True)
class Asker:
    """Who asks, and on which network. `now_s` tells the chain's time."""

    chain_id: int
    contract: Address
    account: LocalAccount
    now_s: Callable[[], int]

    def signed(self, capsule: Address, body: bytes) -> bytes:
        """Return a request to one capsule, signed, good once and for a while."""
        nonce, expires_s = secrets.token_bytes(32), self.now_s() + GOOD_FOR_S
        digest = request_digest(self.chain_id, self.contract, capsule, nonce, expires_s, body)
        signature = sign_digest(self.account, digest)
        return SignedRequest(
            capsule=capsule, nonce=nonce, expires_s=expires_s, body=body, signature=signature
        ).to_bytes()


class HttpCapsule:
    """A capsule over HTTP. `transport` replaces the network, in tests.

    Each call takes `timeout_s` at most. Safe to use from several threads.
    """

    def __init__(
        self,
        account: Address,
        url: str,
        asker: Asker,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.account, self.place = account, without_secrets(url)
        self._asker, self._timeout_s = asker, timeout_s
        self._url = httpx.URL(url.rstrip("/"))
        self._http = client(self._url, transport=transport, headers={"accept": CONTENT_TYPE})

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def identity(self) -> SignedAnswer:
        """See `Capsule`."""
        return self._answer("GET", "identity", None)

    def ask(self, question: Question, body: bytes) -> SignedAnswer:
        """See `Capsule`."""
        return self._answer("POST", question, self._asker.signed(self.account, body))

    def _answer(self, method: str, path: str, content: bytes | None) -> SignedAnswer:
        try:
            status, data = self._exchange(method, path, content)
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if status == HTTPStatus.OK:
            try:
                return SignedAnswer.from_bytes(data)
            except RemoteError as error:
                raise CapsuleFault(f"{self._named} sends what is no answer: {error}", hint=WHO) from error
        raise self._refused(status, data)

    def _exchange(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        """Return the status, and at most `MAX_ANSWER_BYTES` bytes, within the time for a call."""
        until_s = time.monotonic() + self._timeout_s
        url, headers = f"{self._url}/v1/{path}", {"content-type": CONTENT_TYPE}
        parts, size = [], 0
        with self._http.stream(
            method, url, content=content, headers=headers, timeout=self._timeout_s
        ) as response:
            for part in response.iter_bytes():
                parts.append(part)
                if (size := size + len(part)) > MAX_ANSWER_BYTES:
                    told = f"{self._named} sends more than {MAX_ANSWER_BYTES} bytes"
                    raise CapsuleFault(told, hint=WHO)
                if time.monotonic() > until_s:  # httpx limits each read by itself, and bytes may drip
                    raise httpx.ReadTimeout("")
            return response.status_code, b"".join(parts)

    @property
    def _named(self) -> str:
        return f"the capsule {self.account} at {self.place}"

    def _silent(self, error: httpx.HTTPError) -> CapsuleUnavailable:
        """Return what to raise where nothing was answered."""
        told, hint = str(error) or type(error).__name__, f"is it running? {WHO}"
        if isinstance(error, httpx.TimeoutException):
            told = f"it takes more than {self._timeout_s:g} s"
        elif fault := tls_fault(error):
            told, hint = fault, TLS_HINT
        return CapsuleUnavailable(f"{self._named} does not answer: {printable(told)}", hint=hint)

    def _refused(self, status: int, data: bytes) -> CapsuleUnavailable:
        """Return what to raise for another status than 200."""
        try:
            problem = Problem.from_bytes(data)
        except RemoteError:
            hint = f"is {self.place} the address of a capsule? network.toml names it. {WHO}"
            return CapsuleUnavailable(f"{self._named} answers with status {status}, not as one", hint=hint)
        told = f"{self._named} refuses ({problem.code}): {printable(problem.problem)}"
        mine = problem.mine or ""
        return CapsuleRefused(told, problem.code, mine=mine, hint=printable(problem.hint) or WHO)
