"""Old keys: kept while a bounty may need them, then deleted, and with them every seed sealed for them.

Envelopes lie in stores for ever. What they hold is gone only when the key that opens them is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from capsule.wiring import Capsule
from sonar.errors import SonarError, UsageError
from sonar.manifests.model import ModelManifest
from sonar.protocol.ids import BountyId, Cid, hex32
from sonar.protocol.phase import Status

DAY_S = 86_400
POSTING_S = 3600
"""How long a key is kept at least after the next was made: a bounty that names it may be on its way."""
EACH_S = 3600.0
"""How often a capsule that serves looks for keys that nobody needs."""
LOOK_S = 30.0
"""How often it looks whether one was deleted, to drop it from memory, if nobody asks it anything."""
_SHOWN = 8


@dataclass
class Named:
    """Open bounties that name a capsule's keys, by epoch; `unread`: those whose manifests are not there."""

    by_epoch: dict[int, list[BountyId]] = field(default_factory=dict)
    unread: list[BountyId] = field(default_factory=list)


def sweep(capsule: Capsule) -> list[int]:
    """Note which bounties are closed, delete the old keys that none needs, and return their epochs.

    For the process that has the home's lock alone. Raises ChainUnavailable, RpcError, JournalError.
    """
    market, ledger = capsule.market, capsule.ledger
    now_s = market.head().timestamp_s
    for one in ledger.bounties():
        if one.closed_s is None and market.status(one.bounty) is Status.CLOSED:
            ledger.close_bounty(one.bounty, now_s)
    epochs = capsule.keys.epochs()
    named = named_by_open(capsule) if len(epochs) > 1 else Named()
    if named.unread:
        return []
    patience_s = capsule.policy.policy.retention_days * DAY_S
    needed = set(named.by_epoch) | {
        one.epoch for one in ledger.bounties() if one.closed_s is None or one.closed_s + patience_s > now_s
    }
    fresh_s = int(time.time()) - max(patience_s, POSTING_S)
    replaced = [old for old, new in pairwise(epochs) if capsule.keys.public(new).made_s <= fresh_s]
    unneeded = [epoch for epoch in replaced if epoch not in needed]
    for epoch in unneeded:
        capsule.keys.delete(epoch)
    return unneeded


def delete(capsule: Capsule, epoch: int) -> None:
    """Delete an old epoch's key at once, if no open bounty needs it.

    Raises UsageError that names the bounties, ChainUnavailable, RpcError, JournalError.
    """
    if epoch == capsule.keys.epochs()[-1]:
        raise UsageError(f"epoch {epoch} is in use", hint="`capsule rotate` begins the next one")
    named = named_by_open(capsule)
    if users := named.by_epoch.get(epoch):
        problem = f"the key of epoch {epoch} is needed by {_listed(users)}"
        raise UsageError(problem, hint="it can be deleted when they are closed; nothing was changed")
    if named.unread:
        problem = (
            f"whether the key of epoch {epoch} is needed is not known: no manifest of {_listed(named.unread)}"
        )
        raise UsageError(problem, hint="is the store whole? Try again; nothing was changed")
    capsule.keys.delete(epoch)


def _listed(bounties: list[BountyId]) -> str:
    shown = ", ".join(hex32(one) for one in bounties[:_SHOWN])
    more = len(bounties) - _SHOWN
    return (
        f"the open {'bounty' if len(bounties) == 1 else 'bounties'} {shown}{f' and {more} more' * (more > 0)}"
    )


def named_by_open(capsule: Capsule) -> Named:
    """Return which open bounties name which keys of this capsule. Raises ChainUnavailable, RpcError."""
    market, found = capsule.market, Named()
    served = {one.bounty: one.epoch for one in capsule.ledger.bounties()}
    for posted in market.bounties():
        if market.status(posted.bounty) is Status.CLOSED:
            continue
        if (epoch := served.get(posted.bounty)) is not None:
            found.by_epoch.setdefault(epoch, []).append(posted.bounty)
            continue
        try:
            for epoch in _named_in(capsule, Cid("dag-cbor", posted.model_digest)):
                found.by_epoch.setdefault(epoch, []).append(posted.bounty)
        except SonarError:
            found.unread.append(posted.bounty)
    return found


def _named_in(capsule: Capsule, manifest: Cid) -> Iterator[int]:
    cover = ModelManifest.from_bytes(capsule.store.get(manifest, ModelManifest.max_bytes)).cover
    for member in cover.members if cover.kind == "veil" else ():
        if member.account in capsule.all_accounts and capsule.keys.is_ours(member, member.account):
            yield member.epoch


class Keeping(threading.Thread):
    """Sweeps now and then, while the capsule serves; `look` drops from its memory what is deleted."""

    def __init__(self, capsule: Capsule, look: Callable[[], None]) -> None:
        super().__init__(name="keeping", daemon=True)
        self._capsule, self._look, self._stopping = capsule, look, threading.Event()

    def run(self) -> None:
        """Sweep until `stop`; a fault is told, and is no reason to end."""
        next_s = time.monotonic()
        while True:
            try:
                if time.monotonic() >= next_s:
                    next_s += EACH_S
                    for epoch in sweep(self._capsule):
                        self._capsule.progress.note(
                            f"the key of epoch {epoch} is deleted: no bounty needs it"
                        )
                self._look()
            except SonarError as fault:
                self._capsule.progress.problem(fault, "trying again in an hour")
            if self._stopping.wait(LOOK_S):
                return

    def stop(self) -> None:
        """Stop before the next sweep."""
        self._stopping.set()
