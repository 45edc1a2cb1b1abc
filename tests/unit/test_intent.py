"""What a transaction is for: one key for each intent, and no other text is one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.chain.sending.intent import PREFIX, Action, Intent
from sonar.errors import JournalError, LocalProtocolError
from sonar.protocol.ids import ETHER, Address, BountyId

BOUNTY = BountyId(b"\xab" * 32)
TEXT = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), max_size=70)
INTENTS = st.builds(Intent, st.sampled_from(Action), TEXT, st.integers(0, 255), TEXT, st.integers(0, 10**6))


@given(INTENTS)
def test_a_key_is_read_back(intent: Intent) -> None:
    assert Intent.read(intent.key) == intent
    assert intent.key.startswith(intent.attempts)


@given(INTENTS, INTENTS)
def test_different_intents_have_different_keys(one: Intent, other: Intent) -> None:
    assert (one.key == other.key) == (one == other)
    assert one.key.startswith(other.attempts) == (replace(one, attempt=0) == replace(other, attempt=0))


def test_the_keys_that_are_in_journals() -> None:
    commit = Intent.of_round(Action.COMMIT, BOUNTY, 2)
    assert commit.key == f"outbox/{BOUNTY.hex()}/002/commit//0000"
    assert commit.approval.again(3).key == f"outbox/{BOUNTY.hex()}/002/approve/commit/0003"
    assert Intent.of_posting("diabetes").key == "outbox/diabetes/000/post//0000"
    me = Address("0x" + "11" * 20)
    assert Intent.of_claim(me).key == f"outbox/{me}/000/withdraw/{ETHER}/0000"


@given(st.one_of(st.text(), st.text().map(PREFIX.__add__)))
def test_no_other_text_is_a_key(text: str) -> None:
    try:
        intent = Intent.read(text)
    except JournalError:
        return
    assert intent.key == text


@pytest.mark.parametrize(
    "key",
    [
        "outbox/commit/ab/1",
        "outbox/ab/2/commit//0000",
        "outbox/ab/002/commit//0",
        "outbox/ab/256/commit//0000",
        "outbox/ab/002/comit//0000",
        "ab/002/commit//0000",
    ],
)
def test_a_key_of_another_form_is_refused_with_what_to_do(key: str) -> None:
    with pytest.raises(JournalError, match="this version does not know") as caught:
        Intent.read(key)
    assert "new home" in caught.value.hint


@pytest.mark.parametrize("wrong", [{"subject": "a/b"}, {"detail": "/"}, {"round": 256}, {"attempt": -1}])
def test_an_intent_that_no_key_could_name_is_our_own_fault(wrong: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        Intent(Action.COMMIT, **wrong)  # type: ignore[arg-type]
