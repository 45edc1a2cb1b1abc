"""A capsule's key for envelopes counts if the capsule's account signed it, for this chain and contract."""

from __future__ import annotations

import pytest

from sonar.chain.signatures import key_fault
from sonar.manifests.model import CapsuleKey
from sonar.protocol.ids import Address
from tests.veil_kit import HERE, Capsule

OURS, OTHER = Capsule(), Capsule()


def test_the_account_s_own_key_has_no_fault() -> None:
    assert key_fault(OURS.signed(), HERE.chain_id, HERE.address) == ""


@pytest.mark.parametrize(
    "key",
    [OURS.signed(by=OTHER), OURS.signed(epoch=2), OURS.signed(hpke=OTHER.key.public)],
    ids=["signed by another account", "of another epoch", "another key"],
)
def test_what_the_account_did_not_sign_is_not_its_key(key: CapsuleKey) -> None:
    fault = key_fault(key, HERE.chain_id, HERE.address)
    assert fault.endswith(f"not by {OURS.address}")


def test_whoever_signed_in_its_place_is_named() -> None:
    fault = key_fault(OURS.signed(by=OTHER), HERE.chain_id, HERE.address)
    assert fault == f"signed by {OTHER.address}, not by {OURS.address}"
    unsigned = OURS.signed().model_copy(update={"signature": bytes(65)})
    assert key_fault(unsigned, HERE.chain_id, HERE.address) == f"signed by nobody, not by {OURS.address}"


def test_a_signature_counts_on_its_chain_and_contract_alone() -> None:
    assert key_fault(OURS.signed(), HERE.chain_id + 1, HERE.address)
    assert key_fault(OURS.signed(), HERE.chain_id, Address("0x" + "5" * 40))
