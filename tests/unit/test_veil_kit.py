"""What the kit's honest updates and lies are: a test that uses one must know that it lies as it says."""

from __future__ import annotations

import pytest
from gmpy2 import mpz

from pysonar.keys.key import Key
from sonar.errors import ManifestError
from sonar.paillier.slots import VEIL_FREE_BITS, SlotPlan
from sonar.protocol.ids import Address
from sonar.store.memory import MemoryStore
from sonar.veil.masks import read_wraps
from tests import veil_kit as kit
from tests.integration.mine_kit import scientist_key, slot_plan

VALUES = [5, -7, 1 << 30]
CAPSULES = kit.make_capsules(3)
COVER = kit.cover_of(CAPSULES, 2)


@pytest.fixture(scope="module")
def key() -> Key:
    return scientist_key()


@pytest.fixture(scope="module")
def plan() -> SlotPlan:
    return SlotPlan.from_dict(slot_plan().to_dict(), free_bits=VEIL_FREE_BITS)


@pytest.fixture(scope="module")
def honest(key: Key, plan: SlotPlan) -> kit.Update:
    return kit.veil_over(kit.plain_update(key.public, plan, VALUES), key.public, plan, COVER)


def values_of(update: kit.Update, key: Key, plan: SlotPlan) -> list[int]:
    bare = kit.without_veil(update, key.public) if update.seeds else update
    return plan.unpack(key.unsafe_decrypt(list(bare.ciphertexts)), weight=1)


def test_a_veiled_update_is_the_plain_one_without_its_masks(
    key: Key, plan: SlotPlan, honest: kit.Update
) -> None:
    assert values_of(honest, key, plan) == VALUES
    masked = key.unsafe_decrypt(list(honest.ciphertexts))
    assert abs(masked[0]) >> (key.public.bits - 60)  # uniform, where the plain one leaves 41 bits free
    assert len(read_wraps(plan, honest.veil.wraps)) == plan.ciphertexts


def test_any_two_capsules_hold_all_seeds_and_none_does_alone(honest: kit.Update) -> None:
    held = [kit.opened(capsule, COVER, honest.manifest) for capsule in CAPSULES]
    assert [sorted(seeds) for seeds in held] == [[1, 2], [0, 2], [0, 1]]
    for seeds in held:
        assert all(honest.seeds[c] == seed for c, seed in seeds.items())


def test_lies_about_envelopes_reach_those_that_they_are_for(honest: kit.Update) -> None:
    for lie, fault in (
        (kit.bad_envelope(honest, 1), "does not open"),
        (kit.false_seeds(honest, COVER, 1), "another hash"),
    ):
        with pytest.raises(ManifestError, match=fault):
            kit.opened(CAPSULES[1], COVER, lie.manifest)
        for place in (0, 2):
            assert kit.opened(CAPSULES[place], COVER, lie.manifest)
    for lie in (kit.swapped_envelopes(honest), kit.anothers(honest, Address("0x" + "22" * 20))):
        with pytest.raises(ManifestError, match="does not open"):
            kit.opened(CAPSULES[0], COVER, lie.manifest)


def test_lies_about_numbers(key: Key, plan: SlotPlan, honest: kit.Update) -> None:
    (wrap,), (false,) = (
        read_wraps(plan, update.veil.wraps) for update in (honest, kit.false_wraps(honest, plan, by=-1))
    )
    assert (wrap - false) % (1 << plan.slot_bits) == 1
    junk = kit.junk_above_slots(honest, key.public, plan, amount=3)
    above = plan.slots_per_ciphertext * plan.slot_bits
    (was,), (found,) = (
        key.unsafe_decrypt(list(kit.without_veil(update, key.public).ciphertexts))
        for update in (honest, junk)
    )
    assert found - was == 3 << above


def test_new_seeds_and_an_old_nonce(key: Key, plan: SlotPlan, honest: kit.Update) -> None:
    again = kit.reseeded(honest, key.public, plan, COVER)
    assert values_of(again, key, plan) == VALUES
    assert not set(again.veil.seeds) & set(honest.veil.seeds)
    replay = kit.replayed(honest, 2)
    assert (replay.manifest.round, replay.veil, replay.ciphertexts) == (2, honest.veil, honest.ciphertexts)


def test_what_is_published_is_there_but_what_is_withheld(key: Key, honest: kit.Update) -> None:
    whole, part = MemoryStore(), MemoryStore()
    assert honest.put(whole, key.public) == honest.put(part, key.public, blob=False)
    assert all(map(whole.has, honest.manifest.blobs))
    assert not any(map(part.has, honest.manifest.blobs))
    assert mpz(honest.ciphertexts[0]) > 0
