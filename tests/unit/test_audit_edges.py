"""Audits at the edges: other committees and optimisers, updates that cannot be read, a key with a small
factor, a ledger after a restart, and hostile requests.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import gmpy2
import pytest
from gmpy2 import mpz

from capsule.audit.refusal import Refusal
from pysonar.bounty.request import Bounty
from pysonar.campaign.audit import audit_spec
from pysonar.keys.key import Key
from sonar.errors import BlobNotFound, ConfigError, SonarError
from sonar.families.quadratic.optimisers.gradient_descent import GradientDescentWish
from sonar.manifests.audit import Openings, SettlementRequest
from sonar.paillier.openings import FACTOR_BITS, check_openings
from sonar.protocol import codec
from sonar.settling.verdict import VEIL, WITHHELD
from tests.audit_kit.packet import request_of
from tests.audit_kit.world import World
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, changed_value, fuzz


@pytest.mark.parametrize(("members", "threshold"), [(2, 2), (3, 3), (5, 3)])
def test_committees_of_any_size(members: int, threshold: int) -> None:
    world = World(mines=3, members=members, threshold=threshold, wish=GradientDescentWish())
    request = request_of(world, world.play())
    digests = {world.auditor(place).settle(request.to_bytes()).settlement for place in range(threshold)}
    assert len(digests) == 1


def test_a_capsule_that_is_no_member_does_not_audit() -> None:
    world = World(mines=3)
    request = request_of(world, world.play())
    world.capsules = World(mines=3).capsules
    with pytest.raises(Refusal) as caught:
        world.auditor().settle(request.to_bytes())
    assert caught.value.code == "not-audited"


def test_what_was_signed_is_known_after_a_restart(tmp_path: Path) -> None:
    world = World(mines=3)
    played = world.play()
    request, journal = request_of(world, played), tmp_path / "audits.sqlite"
    first = world.auditor(journal=journal).settle(request.to_bytes())
    assert world.auditor(journal=journal).settle(request.to_bytes()) == first
    other = request.model_copy(update={"new_loss": request.new_loss + 1})
    with pytest.raises(Refusal):
        world.auditor(journal=journal).settle(other.to_bytes())
    world.settle(played, request)
    later = request_of(world, world.play(), rounds=[])
    world.auditor(journal=journal).settle(later.to_bytes())  # round 1 is known


# ---- updates that cannot be read


def test_a_malformed_update_is_malformed_to_the_auditor_too() -> None:
    world = World()
    bad = world.mines[0].address
    why = "malformed: rows: 3 is less than the bounty's 33"
    played = world.play(
        change=lambda mine, update: update.saying(rows=3) if mine == bad else update, leave_out={bad: why}
    )
    world.auditor().settle(request_of(world, played).to_bytes())


def test_an_update_that_is_gone_from_the_store_is_no_reason_to_refuse() -> None:
    """She counts it, and this capsule's store does not have it: that may pass."""
    world = World()
    played = world.play()
    request = request_of(world, played)
    mine, update = next(iter(played.updates.items()))
    del world.store._blobs[update.manifest.blobs[0].digest]
    with pytest.raises(BlobNotFound, match=mine):
        world.auditor().settle(request.to_bytes())
    world.store.put(world.public.encode_blob(update.ciphertexts))
    world.auditor().settle(request.to_bytes())


def test_a_mine_of_whose_masks_nobody_can_tell() -> None:
    """A capsule believes it where it complains of that mine itself."""
    world = World()
    mute = world.mines[0].address
    played = world.play(silent={mute})
    assert played.verdict.left_out[mute].startswith(f"test {VEIL}: ")
    request = request_of(world, played)
    world.auditor(complains=[mute]).settle(request.to_bytes())
    with pytest.raises(Refusal) as caught:
        world.auditor().settle(request.to_bytes())
    assert caught.value.code == "told-missing"


def test_withheld_is_what_the_store_does_not_have() -> None:
    world = World()
    late = world.mines[0].address
    auditor = world.auditor()

    def look() -> None:
        blob = world.tellers.sent[1, late].manifest.blobs[0].digest
        kept = world.store._blobs.pop(blob)
        auditor.look(world.chain(), 1)
        world.store._blobs[blob] = kept

    played = world.play(leave_out={late: WITHHELD}, before=look)
    auditor.settle(request_of(world, played).to_bytes())


def test_an_update_that_capsules_found_too_late_may_be_one_of_whose_masks_nobody_could_tell() -> None:
    """A mine serves it to the scientist first. Else nobody would sign, and overdue bounties pay all alike."""
    world = World()
    late = world.mines[0].address
    auditor = world.auditor()

    def look() -> None:
        blob = world.tellers.sent[1, late].manifest.blobs[0].digest
        kept = world.store._blobs.pop(blob)
        auditor.look(world.chain(), 1)
        world.store._blobs[blob] = kept

    played = world.play(silent=[late], before=look)
    assert played.verdict.left_out[late].startswith("test veil")
    auditor.settle(request_of(world, played).to_bytes())


# ---- a key with a small factor


def test_openings_ground_for_a_key_with_a_small_factor_pass_no_auditor() -> None:
    """n = p q with p = 10,007: a plaintext that is off by n / p passes a batch once in p tries, whatever the
    length of its factors; ten batches it does not.
    """
    p, q = 10_007, int(gmpy2.next_prime(mpz(3) << 1008))
    key = Key(p, q)
    n = int(key.public.n)
    plain = [secrets.randbelow(n) for _ in range(12)]
    ciphertexts = [key.public.encrypt(m, 1 + i) for i, m in enumerate(plain, 1)]
    honest = list(zip(plain, range(2, 14), strict=True))
    check_openings(key.public, ciphertexts, honest, secrets.randbits)
    false = [((m + n // p) % n, r) for m, r in honest]

    def ground(bits: int) -> int:  # what a cheat would wish for: every factor a multiple of p
        return secrets.randbelow((1 << bits) // p) * p

    assert FACTOR_BITS < 24
    check_openings(key.public, ciphertexts, false, ground)
    lucky = iter([True] * 12 * 9)  # nine batches of twelve factors each, and one of the verifier's own

    def nearly(bits: int) -> int:
        return ground(bits) if next(lucky, False) else secrets.randbits(bits)

    with pytest.raises(SonarError, match="is not that of"):
        check_openings(key.public, ciphertexts, false, nearly)
    for _ in range(30):
        with pytest.raises(SonarError):
            check_openings(key.public, ciphertexts, false, secrets.randbits)


# ---- hostile requests


@pytest.fixture(scope="module")
def valid() -> bytes:
    world = World(mines=3)
    return request_of(world, world.play()).to_bytes()


def test_hostile_requests_are_refused_in_words(valid: bytes) -> None:
    tree = codec.decode(valid, max_bytes=SettlementRequest.max_bytes)

    def make(rng: Rng) -> bytes:
        if rng.random() < 0.8:
            return changed_bytes(rng, valid)
        try:
            return codec.encode(changed_value(rng, tree))
        except SonarError:  # the change has no encoding
            return valid[:-1]

    def decode(data: bytes) -> None:
        assert SettlementRequest.from_bytes(data).to_bytes() == data

    assert fuzz(make, decode, INPUTS // 20) > 0


def test_an_auditor_refuses_hostile_requests_and_never_fails(valid: bytes) -> None:
    world = World(mines=3)
    request = request_of(world, world.play())
    auditor, tree = world.auditor(), codec.decode(request.to_bytes(), max_bytes=SettlementRequest.max_bytes)

    def make(rng: Rng) -> bytes:
        try:
            return codec.encode(changed_value(rng, tree))
        except SonarError:
            return b""

    fuzz(make, auditor.settle, 150)


def test_openings_say_how_many_are_expected() -> None:
    openings = Openings.of([(1, 2), (3, 4)], 128)
    assert openings.read(128, 2, "w") == [(1, 2), (3, 4)]
    with pytest.raises(SonarError, match=r"w.plain: has 256 bytes; 3 numbers of 128 bytes"):
        openings.read(128, 3, "w")
    with pytest.raises(SonarError, match="randomness"):
        openings.model_copy(update={"randomness": b"x"}).read(128, 2, "w")


# ---- a class that the auditor does not hold


def test_a_silent_holder_is_asked_by_the_auditor_itself() -> None:
    """The scientist hands on what her own capsule tells of a class, and says that the other one is down."""
    world = World()
    played = world.play()
    request = request_of(world, played)
    *before, last = request.rounds
    assert last.sum is not None
    assert played.cohort is not None
    me, hers, other = world.capsules
    honest = [world.tellers.tell_sum(one, played.cohort) for one in (me, hers)]

    def with_sums(answers: list[bytes]) -> bytes:
        heard = last.sum.model_copy(update={"answers": tuple(answers)})  # type: ignore[union-attr]
        changed = last.model_copy(update={"sum": heard})
        return request.model_copy(update={"rounds": (*before, changed)}).to_bytes()

    told = world.tellers.tell_sum(other, played.cohort)
    own = {world.tellers.sum_request(played.cohort): honest[0]}
    world.auditor(0, own=own, others={other.address: told}).settle(with_sums(honest))
    world.auditor(0, own=own).settle(with_sums(honest))  # it cannot be reached: an open point, and said so

    lie = world.tellers.tell_sum(other, played.cohort, add=1 << 20)
    for said, code in ((lie, "capsules-differ"), (b"", "told-missing"), (told[:-1], "answer")):
        with pytest.raises(Refusal) as caught:
            world.auditor(0, own=own, others={other.address: said}).settle(with_sums(honest))
        assert caught.value.code == code


def test_an_auditor_that_was_not_asked_takes_nobodys_word_for_its_own_class() -> None:
    world = World()
    played = world.play()
    request = request_of(world, played)
    *before, last = request.rounds
    assert last.sum is not None
    heard = last.sum.model_copy(update={"answers": last.sum.answers[1:]})
    asked = request.model_copy(update={"rounds": (*before, last.model_copy(update={"sum": heard}))})
    with pytest.raises(Refusal, match=r"holds class \d, and was not asked"):
        world.auditor(0).settle(asked.to_bytes())
    world.auditor(1).settle(asked.to_bytes())


def test_a_holdout_that_no_auditor_takes_is_refused_before_anything_is_posted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounty = Bounty.example("diabetes", r2=0.3)
    assert audit_spec(bounty).optimiser
    monkeypatch.setattr("pysonar.campaign.audit.MAX_HOLDOUT_BYTES", 8 * 11 * 41)
    with pytest.raises(ConfigError, match="42 rows of 11 numbers") as caught:
        audit_spec(bounty)
    assert "at most 41 rows" in caught.value.hint


def test_several_targets_and_ciphertexts() -> None:
    world = World(mines=4, targets=("target", "bmi", "bp"))
    assert world.plan.ciphertexts > 1
    auditor = world.auditor()
    for _ in range(2):
        played = world.play()
        assert played.cohort is not None
        request = request_of(world, played, rounds=[])
        auditor.settle(request.to_bytes())
        world.settle(played, request)
    assert world.best < 1_000_000
    assert auditor.again(world.posted.bounty) == {1: "", 2: ""}


def test_twins_are_one_to_the_auditor_too_in_every_round() -> None:
    world = World(mines=6)
    world.mines[1].rows = world.mines[0].rows
    auditor = world.auditor()
    for _ in range(3):
        played = world.play()
        request = request_of(world, played, rounds=[])
        auditor.settle(request.to_bytes())
        world.settle(played, request)
        assert set(played.verdict.twins) == {mine.address for mine in world.mines[:2]}
    assert world.sums.keys() == {1, 2, 3}


def test_an_update_that_another_sent_before_is_a_copy_to_the_auditor_too() -> None:
    world = World(mines=6)
    first = world.play()
    request = request_of(world, first)
    auditor = world.auditor()
    auditor.settle(request.to_bytes())
    world.settle(first, request)
    thief, owner = world.mines[0].address, world.mines[1].address
    stolen = first.updates[owner]
    played = world.play(
        change=lambda mine, update: (
            update.carrying(world.public, stolen.ciphertexts) if mine == thief else update
        )
    )
    assert played.verdict.left_out[thief].startswith(("copy: ", "test "))
    auditor.settle(request_of(world, played, rounds=[]).to_bytes())
