"""Old keys: kept while a bounty may need them, then deleted, and with them every seed sealed for them.

Envelopes lie in stores for ever. What they hold is gone only when the key that opens them is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from capsule.wiring import Capsule
from sonar.chain.contract.market import Market
from sonar.errors import SonarError
from sonar.manifests.model import ModelManifest
from sonar.protocol.ids import Cid
from sonar.protocol.phase import Status

if TYPE_CHECKING:
    from sonar.ports import Store

DAY_S = 86_400
EACH_S = 3600.0
"""How often a capsule that serves looks for keys that nobody needs."""


def sweep(capsule: Capsule) -> list[int]:
    """Note which bounties are closed, delete the old keys that none needs, and return their epochs.

    Raises ChainUnavailable, RpcError, JournalError.
    """
    market, ledger = capsule.market, capsule.ledger
    now_s = market.head().timestamp_s
    for one in ledger.bounties():
        if one.closed_s is None and market.status(one.bounty) is Status.CLOSED:
            ledger.close_bounty(one.bounty, now_s)
    old = capsule.keys.epochs()[:-1]
    if not old:
        return []
    needed = set(_named_by_open(capsule, market, capsule.store))
    patience_s = capsule.policy.policy.retention_days * DAY_S
    needed |= {
        one.epoch for one in ledger.bounties() if one.closed_s is None or one.closed_s + patience_s > now_s
    }
    unneeded = [] if None in needed else [epoch for epoch in old if epoch not in needed]
    for epoch in unneeded:
        capsule.keys.delete(epoch)
    return unneeded


def _named_by_open(capsule: Capsule, market: Market, store: Store) -> Iterator[int | None]:
    """The epochs of this capsule that open bounties name; None for one whose manifest cannot be read now."""
    for posted in market.bounties():
        if market.status(posted.bounty) is Status.CLOSED:
            continue
        try:
            data = store.get(Cid("dag-cbor", posted.model_digest), ModelManifest.max_bytes)
            cover = ModelManifest.from_bytes(data).cover
        except SonarError:
            yield None
            continue
        for member in cover.members if cover.kind == "veil" else ():
            if member.account == capsule.address:
                yield member.epoch


class Keeping(threading.Thread):
    """Sweeps now and then, while the capsule serves; `forget` drops a deleted key from its memory."""

    def __init__(self, capsule: Capsule, forget: Callable[[int], None]) -> None:
        super().__init__(name="keeping", daemon=True)
        self._capsule, self._forget, self._stopping = capsule, forget, threading.Event()

    def run(self) -> None:
        """Sweep until `stop`; a fault is told, and is no reason to end."""
        while True:
            try:
                for epoch in sweep(self._capsule):
                    self._forget(epoch)
                    self._capsule.progress.note(f"the key of epoch {epoch} is deleted: no bounty needs it")
            except SonarError as fault:
                self._capsule.progress.problem(fault, "trying again in an hour")
            if self._stopping.wait(EACH_S):
                return

    def stop(self) -> None:
        """Stop before the next sweep."""
        self._stopping.set()
