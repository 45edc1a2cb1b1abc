"""Why a capsule does not answer: a code for programs, words for people, and an HTTP status."""

from __future__ import annotations

from capsule.audit.refusal import Refusal
from sonar.errors import (
    BlobNotFound,
    BlobTooLarge,
    ChainUnavailable,
    ConfigError,
    EnvironmentFault,
    JournalError,
    ManifestError,
    RemoteError,
    RpcError,
    SonarError,
    StoreUnavailable,
)
from sonar.manifests.capsule import Problem
from sonar.protocol.ids import Address

CODES = {
    "malformed": 400,  # bytes that are no request
    "too-large": 413,
    "too-slow": 408,
    "not-found": 404,
    "network": 400,  # made for another capsule, chain or contract
    "unknown-bounty": 404,
    "not-veiled": 400,  # this capsule is no member of the bounty, or the bounty has no veil
    "signature": 401,
    "expired": 401,
    "replayed": 401,
    "policy": 403,  # what the operator does not allow
    "busy": 503,
    "questions": 429,  # more than the policy has an hour
    "phase": 409,  # too late
    "depth": 409,  # too early: not on the chain yet, or not deep enough; may pass
    "model": 409,  # a model or key that is not the bounty's, or not sound
    "vector": 403,  # what is told of no answer to a question that everybody sees
    "mine": 409,  # one mine's answer is at fault, which the problem names
    "cohort": 409,  # the set that is fixed cannot be opened: weights, dominance, too small a group
    "budget": 409,  # too many bits of one mine, which the problem names
    "restored": 409,
    "missing": 503,  # a blob that is not in the store; may pass
    "chain": 503,  # the capsule's node; may pass
    "store": 503,
    "ledger": 503,
    "not-audited": 501,
    "fault": 500,
}
"""Every code, and the status that goes with it. An audit has codes of its own (`capsule.audit.refusal`)."""
MAX_TEXT = 1000


class Refused(RemoteError):
    """A request that is not answered. `code` is one of `CODES`; `mine` whose answer is at fault."""

    def __init__(self, code: str, problem: str, *, hint: str = "", mine: Address | None = None) -> None:
        super().__init__(problem, hint=hint)
        self.code, self.mine = code, mine

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES.get(self.code, 409)

    @property
    def document(self) -> Problem:
        """What goes on the wire."""
        return Problem(code=self.code, problem=_fit(str(self)), hint=_fit(self.hint), mine=self.mine)


def _fit(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)[:MAX_TEXT]


_KINDS: tuple[tuple[type[SonarError], str], ...] = (
    (BlobTooLarge, "too-large"),
    (ManifestError, "malformed"),
    (BlobNotFound, "missing"),
    (StoreUnavailable, "store"),
    (ChainUnavailable, "chain"),
    (RpcError, "chain"),
    (JournalError, "ledger"),
    (EnvironmentFault, "busy"),
    (ConfigError, "malformed"),
    (RemoteError, "malformed"),
)
"""The first that fits says the code."""
_OWN = {
    "store": "this capsule's store does not answer",
    "chain": "this capsule's node of the chain does not answer, or makes no sense",
    "ledger": "this capsule's ledger cannot be written, so it tells nothing",
    "busy": "this capsule has too much to do",
    "fault": "this capsule failed",
}
"""What a stranger is told of our own faults: no paths and no addresses."""
_AGAIN = "ask again later, or ask the other capsules"


def refused(error: SonarError) -> Refused:
    """Return any of our errors as a refusal: the peer's own faults are named, ours are told as passing."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, Refusal):
        return Refused(error.code, str(error), hint=error.hint)
    code = next((code for kind, code in _KINDS if isinstance(error, kind)), "fault")
    if code in _OWN:
        return Refused(code, _OWN[code], hint=_AGAIN)
    return Refused(code, str(error), hint=error.hint)
