"""A settlement whose new model comes with another key: what is wrong with it is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from capsule.audit.refusal import Refusal
from pysonar.keys.key import Key, Secret
from sonar.manifests.model import KeyManifest
from sonar.protocol.ids import Cid, Digest
from tests.audit_kit.packet import request_of
from tests.audit_kit.world import World


def described(key: Key, **changes: Any) -> KeyManifest:
    public = key.public
    found = KeyManifest(bits=public.bits, n=public.to_bytes(), proof=key.proof)
    return found.model_copy(update=changes)


def refusal(model: dict[str, Any], key: KeyManifest | None = None) -> Refusal:
    """What an auditor says of a first round whose new model is changed so."""
    world = World()
    if key is not None:
        world.store.put(key.to_bytes(), "dag-cbor")
    played = world.play()
    assert played.new_model is not None
    changed = played.new_model.model_copy(update=model)
    world.store.put(changed.to_bytes(), "dag-cbor")
    request = request_of(world, played).model_copy(update={"new_model": changed.digest()})
    with pytest.raises(Refusal) as caught:
        world.auditor(0).settle(request.to_bytes())
    return caught.value


def other(world: World, bits: int = 0) -> Key:
    return Key(*Secret.generate(bits or world.public.bits).primes())


def test_a_key_without_its_proof_is_refused() -> None:
    world = World()
    key = described(other(world), proof=world.key.proof)
    told = refusal({"key": key.cid()}, key)
    assert told.code == "key"
    assert "proof" in str(told)


def test_a_key_of_another_size_is_refused() -> None:
    key = described(other(World(), 2048))
    told = refusal({"key": key.cid()}, key)
    assert told.code == "key"
    assert "the size of the key of round 2" in str(told)


def test_weights_under_another_key_than_the_model_says_are_refused() -> None:
    key = described(other(World()))
    assert refusal({"key": key.cid()}, key).code in ("model", "weights", "opening")


@pytest.mark.parametrize("field", ["name", "zero_start", "holdout"])
def test_what_may_not_change_with_the_key_is_refused(field: str) -> None:
    value = {"name": "other", "zero_start": False, "holdout": Digest(b"x" * 32)}[field]
    told = refusal({field: value})
    assert told.code == "model"
    assert field in str(told)


def test_the_first_model_s_key_is_the_chain_s() -> None:
    world = World()
    key = described(other(world))
    world.store.put(key.to_bytes(), "dag-cbor")
    world.posted = replace(world.posted, key_digest=key.digest())
    played = world.play()
    with pytest.raises(Refusal, match="the key that the model links"):
        world.auditor(0).settle(request_of(world, played).to_bytes())
    assert Cid("dag-cbor", key.digest()) == key.cid()
