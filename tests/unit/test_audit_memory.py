"""What an auditor remembers of earlier rounds is not read again, and has bounds."""

from __future__ import annotations

import pytest

from capsule.audit import memory
from capsule.audit.memory import Memories, Memory
from sonar.protocol.ids import BountyId, Cid, Digest
from sonar.settling.updates import ReadUpdate
from tests.audit_kit.packet import request_of
from tests.audit_kit.world import World

ROUNDS = 3


def read_in_the_last_audit(monkeypatch: pytest.MonkeyPatch) -> tuple[set[Digest], set[Digest]]:
    """What one auditor reads in the last of `ROUNDS` audits; and the updates of the rounds before."""
    world = World()
    auditor, reads, get = world.auditor(0), set[Digest](), world.store.get

    def counted(cid: Cid, max_bytes: int) -> bytes:
        reads.add(Digest(cid.digest))
        return get(cid, max_bytes)

    monkeypatch.setattr(world.store, "get", counted)
    earlier = set[Digest]()
    for number in range(1, ROUNDS + 1):
        reads.clear()
        played = world.play()
        asked = request_of(world, played, rounds=[])
        auditor.settle(asked.to_bytes())
        if number < ROUNDS:
            earlier |= {update.manifest.digest() for update in played.updates.values()}
            world.settle(played, asked)
    return reads, earlier


def test_the_updates_of_earlier_rounds_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, earlier = read_in_the_last_audit(monkeypatch)
    assert earlier
    assert not reads & earlier


def test_what_has_no_room_is_read_again_and_audits_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_BYTES", 0)
    reads, earlier = read_in_the_last_audit(monkeypatch)
    assert reads >= earlier


def test_an_update_is_that_of_its_place_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, update = next(iter(World().play().updates.items()))
    digest, model = update.manifest.digest(), Digest(b"m" * 32)
    read = ReadUpdate(mine, 40, update.ciphertexts, bytes(600), digest)
    kept = Memory()
    monkeypatch.setattr(memory, "MOST_BYTES", 1200)
    kept.keep((1, mine, digest), model, read)
    kept.keep((2, mine, digest), model, read)  # there is no room for it
    assert kept.updates([(1, mine, digest)], model) == {mine: read}
    assert kept.updates([(2, mine, digest)], model) == {}
    assert kept.updates([(1, mine, digest)], Digest(b"n" * 32)) == {}


def test_the_bounties_audited_last_are_remembered() -> None:
    memories, first = Memories(), Digest(b"f" * 32)
    bounties = [BountyId(bytes([number]) * 32) for number in range(6)]
    known = [memories.of(bounty, first) for bounty in bounties]
    assert memories.of(bounties[5], first) is known[5]
    assert memories.of(bounties[0], first) is not known[0]
    assert memories.of(bounties[5], Digest(b"g" * 32)) is not known[5]
