"""The measure of audits: what a capsule takes to recompute a settlement before it signs it."""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks.race import Result, timed
from tests.audit_kit.packet import request_of
from tests.audit_kit.world import World, shared_key

MINES = 10


def veil_audit(rounds: int, mines: int = MINES, bits: int = 2048) -> Result:
    """A round of ten mines, as one capsule of three audits it: all of it, from signatures to evidence.

    It is the second round, so that answers are tested against earlier ones.
    """
    world = World(mines=mines, key=shared_key(bits))
    first = world.play()
    asked = request_of(world, first, rounds=[])
    auditors = [world.auditor(0) for _ in range(rounds)]
    for auditor in auditors:
        auditor.settle(asked.to_bytes())
    world.settle(first, asked)
    body = request_of(world, world.play(), rounds=[]).to_bytes()
    seconds = [timed(partial(auditor.settle, body))[0] for auditor in auditors]
    note = f"processor time; the request has {len(body) / 1000:.0f} kB"
    return Result({}, {"sonar": median(seconds)}, rounds=rounds, note=note)
