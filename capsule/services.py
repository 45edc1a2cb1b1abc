"""One capsule under several accounts: the one that new bounties name, and those that it had before."""

from __future__ import annotations

from collections.abc import Mapping

from capsule.problems import Refused
from capsule.service import Service
from sonar.manifests.capsule import SignedRequest
from sonar.protocol.ids import Address


class Services:
    """Gives each request to the service of the account that it is for. Safe to use from several threads.

    All share ledger, witness and store, so that bits of a mine are counted together.
    """

    def __init__(self, newest: Service, former: Mapping[Address, Service]) -> None:
        self._newest, self._former = newest, former

    @property
    def max_body_bytes(self) -> int:
        """The most bytes of a request."""
        return self._newest.max_body_bytes

    @property
    def identity(self) -> bytes:
        """Who this capsule is, signed by its newest account."""
        return self._newest.identity

    def answer(self, kind: str, data: bytes) -> bytes:
        """Return the signed answer to a signed request. Raises as `Service.answer`."""
        capsule = SignedRequest.from_bytes(data).capsule
        return self._former.get(capsule, self._newest).answer(kind, data)

    def look(self) -> None:
        """Take up keys that were made, and drop those that were deleted."""
        for one in (self._newest, *self._former.values()):
            one.look()

    def answered(self, request: bytes) -> bytes | None:
        """Return the signed answer to a request, by the digest of its body. Raises Refused (restored)."""
        found, unable = None, None
        for one in (self._newest, *self._former.values()):
            try:
                found = found or one.answered(request)
            except Refused as refusal:
                unable = refusal
        if found is None and unable is not None:
            raise unable
        return found

    def count(self, refusal: Refused) -> None:
        """Count a refusal."""
        self._newest.count(refusal)

    def totals(self) -> tuple[int, int]:
        """How many bits were told, and how many sums opened, ever."""
        return self._newest.totals()

    def report_bug(self) -> None:
        """Write an unexpected exception where the operator reads it."""
        self._newest.report_bug()
