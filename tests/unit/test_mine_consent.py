from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mine import consent
from mine.consent import Policy, TokenPolicy
from sonar.errors import ConfigError, ConsentError
from sonar.protocol.ids import ETHER, Address, BountyId, Digest
from sonar.protocol.phase import BountyState, Terms

ONE = Address("0x" + "11" * 20)
TERMS = Terms(ETHER, 10, 5, 7, 60, 60, 60, 10**16, 10**15, 10**18, 1000, 100)


def bounty(**changes: Any) -> BountyState:
    terms = replace(TERMS, **changes)
    return BountyState(
        BountyId(b"b" * 32),
        ONE,
        0,
        1,
        0,
        0,
        False,
        terms,
        terms.escrow_units,
        terms.initial_loss,
        Digest(b"m" * 32),
    )


def test_sane_terms_pass() -> None:
    consent.check_bounty(bounty(), Policy())


def test_an_allowed_token_has_limits_of_its_own() -> None:
    """Those in wei say nothing about a token."""
    policy = Policy(min_fee_wei=10**18, max_stake_wei=0, tokens={ONE: TokenPolicy(TERMS.stake_units)})
    consent.check_bounty(bounty(asset=ONE), policy)


def test_tokens_in_the_policy_s_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'[tokens]\n"{ONE}" = {{ max_stake = 50_000_000, min_fee = 0 }}\n')
    assert dict(Policy.load(tmp_path).tokens) == {ONE: TokenPolicy(50_000_000, 0)}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('"0x12" = { max_stake = 1 }', "is not an address"),
        (f'"{ONE}" = 5', "must be a table"),
        (f'"{ONE}" = {{ min_fee = 5 }}', "must be a table"),
        (f'"{ONE}" = {{ max_stake = 5, fee = 1 }}', "must be a table"),
        (f'"{ONE}" = {{ max_stake = -5 }}', "must be a whole number, 0 or more"),
        (f'"{ONE}" = {{ max_stake = 1.5 }}', "must be a whole number, 0 or more"),
        (f'"{ONE}" = {{ max_stake = true }}', "must be a whole number, 0 or more"),
    ],
)
def test_tokens_that_are_none(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "mine.toml").write_text(f"[tokens]\n{line}\n")
    with pytest.raises(ConfigError, match=told) as caught:
        Policy.load(tmp_path)
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "policy", "field", "limit"),
    [
        ({"asset": ONE}, Policy(), "terms.asset", f'"{ONE}" = {{ max_stake = 10000000000000000 }}'),
        ({"asset": ONE, "stake_units": 6}, Policy(tokens={ONE: TokenPolicy(5)}), "terms.stake_units", "5"),
        (
            {"asset": ONE, "fee_units": 4},
            Policy(tokens={ONE: TokenPolicy(10**17, 5)}),
            "terms.fee_units",
            "5",
        ),
        ({"initial_loss": 100}, Policy(), "terms.target_loss", "100"),
        ({"min_mines": 1}, Policy(), "terms.min_mines", "1"),
        ({"fee_units": 4}, Policy(min_fee_wei=5), "terms.fee_units", "5"),
        ({"stake_units": 6}, Policy(max_stake_wei=5), "terms.stake_units", "5"),
        ({"commit_window_s": 9}, Policy(min_window_s=10), "terms.commit_window_s", "10 s"),
        ({"reveal_window_s": 9}, Policy(min_window_s=10), "terms.reveal_window_s", "10 s"),
        ({"settle_window_s": 9}, Policy(min_window_s=10), "terms.settle_window_s", "10 s"),
        ({"commit_window_s": 61}, Policy(max_window_s=60), "terms.commit_window_s", "60 s"),
        ({"reveal_window_s": (1 << 24) - 1}, Policy(), "terms.reveal_window_s", "604800 s"),
        ({"settle_window_s": 61}, Policy(max_window_s=60), "terms.settle_window_s", "60 s"),
        ({"quiet_s": 9}, Policy(min_window_s=10), "terms.quiet_s", "10 s"),
        ({"overdue_bps": 4_999}, Policy(), "terms.overdue_bps", "5000"),
    ],
)
def test_a_refusal_names_the_term_its_limit_and_what_to_do(
    changes: dict[str, object], policy: Policy, field: str, limit: str
) -> None:
    with pytest.raises(ConsentError) as caught:
        consent.check_bounty(bounty(**changes), policy)
    assert str(caught.value).startswith(field)
    assert limit in str(caught.value) + caught.value.hint
    assert caught.value.hint


def test_what_is_exactly_at_its_limit_is_taken() -> None:
    policy = Policy(
        TERMS.fee_units, TERMS.stake_units, 60, 60, 9_000, max_weights=11, max_blob_bytes=5, max_train_s=30
    )
    consent.check_bounty(bounty(min_mines=2, overdue_bps=9_000, quiet_s=60), policy)
    consent.check_model(values=11, visible=False, key_bits=policy.min_key_bits, blob_bytes=5, policy=policy)
    consent.check_work(30.0, replace(TERMS, quiet_s=60), policy)


def test_an_escrow_that_cannot_cover_the_terms_is_refused() -> None:
    state = bounty()
    consent.check_bounty(state, Policy())
    with pytest.raises(ConsentError, match="escrow"):
        consent.check_bounty(replace(state, escrow_units=state.escrow_units - 1), Policy())
    consent.check_bounty(replace(state, escrow_units=0, closed=True), Policy())  # paid out


@given(round_number=st.integers(1, 7), loss=st.integers(0, 1000), revealed=st.integers(0, 10))
def test_what_is_owed_shrinks_as_rounds_are_settled(round_number: int, loss: int, revealed: int) -> None:
    now = replace(bounty(), round=round_number, best_loss=loss)
    later = replace(now, round=round_number + 1, best_loss=max(loss - 100, 0))
    spent = TERMS.reward_at(later.best_loss) - TERMS.reward_at(loss) + TERMS.fee_units * revealed
    assert consent.owed(now) - spent >= consent.owed(later) >= 0


def test_a_short_key_is_refused_unless_the_operator_says_insecure() -> None:
    model: dict[str, Any] = {"values": 11, "visible": False, "blob_bytes": 100}
    with pytest.raises(ConsentError, match=r"key\.n: has 1024 bits, below your floor of 2048"):
        consent.check_model(key_bits=1024, policy=Policy(), **model)
    consent.check_model(key_bits=1024, policy=Policy(insecure_keys=True), **model)
    with pytest.raises(ConsentError, match=r"key\.n"):
        consent.check_model(key_bits=512, policy=Policy(insecure_keys=True), **model)


def test_a_model_that_is_too_large_is_refused() -> None:
    with pytest.raises(ConsentError, match="above your limit of 10"):
        consent.check_model(
            values=11, visible=False, key_bits=2048, blob_bytes=1, policy=Policy(max_weights=10)
        )
    with pytest.raises(ConsentError, match="above your limit of 5"):
        consent.check_model(
            values=1, visible=False, key_bits=2048, blob_bytes=6, policy=Policy(max_blob_bytes=5)
        )


def test_the_operator_s_limit_on_rounds() -> None:
    consent.check_uses(99, Policy(max_rounds=100))
    with pytest.raises(ConsentError, match="limit is 100"):
        consent.check_uses(100, Policy(max_rounds=100))


def test_the_policy_of_a_home(tmp_path: Path) -> None:
    assert Policy.load(tmp_path) == Policy()
    (tmp_path / "mine.toml").write_text(
        "[policy]\nmin_fee_wei = 7\nmax_stake_wei = 0\ninsecure_keys = true\n"
    )
    assert Policy.load(tmp_path) == Policy(min_fee_wei=7, max_stake_wei=0, insecure_keys=True)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[policy]\nmin_fee = 7\n", "policy.min_fee"),
        ("[policy]\nmin_fee_wei = -1\n", "policy.min_fee_wei: must be a whole number"),
        ("[policy]\nmin_fee_wei = true\n", "policy.min_fee_wei: must be a whole number"),
        ("[policy]\ninsecure_keys = 1\n", "policy.insecure_keys: must be true or false"),
        ("[polcy]\n", "polcy"),
        ("policy = 3\n", "policy"),
        ("[policy\n", "mine.toml"),
    ],
)
def test_a_wrong_policy_names_its_field(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match=field.replace(".", r"\.")):
        Policy.load(tmp_path)


@pytest.mark.parametrize(
    ("train_s", "window_s", "quiet_s", "field"),
    [
        (61.0, 10_000, 0, "model.plan"),
        (31.0, 60, 0, "terms.commit_window_s"),
        (31.0, 600, 60, "terms.quiet_s"),
    ],
)
def test_work_that_makes_the_mine_late_is_refused(
    train_s: float, window_s: int, quiet_s: int, field: str
) -> None:
    terms, policy = replace(TERMS, commit_window_s=window_s, quiet_s=quiet_s), Policy()
    with pytest.raises(ConsentError, match=field):
        consent.check_work(train_s, terms, policy)
    consent.check_work(train_s / 2, replace(terms, commit_window_s=2 * window_s), policy)
