from dataclasses import replace
from itertools import product
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mine import consent
from mine.consent import Policy, TokenPolicy
from sonar.errors import ConfigError, ConsentError
from sonar.families.quadratic.maps import transform
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.stages import Q32_ONE, Fourier, Polynomial, Stage
from sonar.protocol.ids import ETHER, Address, BountyId, Digest
from sonar.protocol.phase import BountyState, Terms

ONE = Address("0x" + "11" * 20)
TERMS = Terms(ETHER, 10, 5, 7, 60, 60, 60, 10**16, 10**15, 10**18, 1000, 100)


def spec(columns: int, **changes: object) -> QuadraticSpec:
    names = [f"c{i}" for i in range(columns)]
    limits = {"rows_min": 1, "target_max_q32": 1}
    return QuadraticSpec.parse({"features": names, "target": "y"} | limits | changes)


def fourier(columns: int, features: int, seed: int = 0) -> Fourier:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(features, columns)) * Q32_ONE
    phases = rng.uniform(0, 6, features) * Q32_ONE
    return Fourier(weights_q32=weights.astype(int).tolist(), phases_q32=phases.astype(int).tolist())


def bounty(**changes: object) -> BountyState:
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
        (f'"{ONE}" = {{ max_stake = -5 }}', "whole numbers"),
        (f'"{ONE}" = {{ max_stake = 1.5 }}', "whole numbers"),
        (f'"{ONE}" = {{ max_stake = true }}', "whole numbers"),
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
        TERMS.fee_units, TERMS.stake_units, 60, 60, max_weights=11, max_blob_bytes=5, max_train_s=30
    )
    consent.check_bounty(bounty(min_mines=2), policy)
    consent.check_model(weights=11, key_bits=policy.min_key_bits, blob_bytes=5, policy=policy)
    consent.check_work(30.0, 60, policy)
    for rows in (50, 100):
        consent.check_rows(rows, spec(2, rows_min=50))


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


@pytest.mark.parametrize(
    ("columns", "stages", "least", "weights"),
    [
        (10, [], 33, 11),
        (1, [], 10, 2),
        (3, [], 12, 4),
        (3, [Polynomial(degree=2)], 30, 10),
        (10, [Polynomial(degree=3)], 858, 286),
        (3, [fourier(3, 12)], 39, 13),
        (3, [fourier(3, 30)], 132, 31),  # 527 sums, of rows with four numbers each
        (1, [fourier(1, 100)], 2626, 101),
    ],
)
def test_rows_that_hide_one_another(columns: int, stages: list[Stage], least: int, weights: int) -> None:
    asked = spec(columns, stages=stages)
    consent.check_rows(least, asked)
    with pytest.raises(
        ConsentError, match=f"{weights} weights of {columns} columns need at least {least} to"
    ):
        consent.check_rows(least - 1, asked)


@settings(max_examples=20)
@given(columns=st.integers(1, 4), degree=st.integers(1, 3), features=st.integers(0, 20))
def test_the_sums_tell_no_more_than_there_are_numbers_in_the_rows(
    columns: int, degree: int, features: int
) -> None:
    """How many of the sums are independent is the rank of what they are sums of."""
    stages: list[Stage] = [Polynomial(degree=degree)] if degree > 1 else []
    if features:
        stages.append(fourier(comb(columns + degree, degree) - 1, features))
    asked = spec(columns, stages=stages)
    x = np.random.default_rng(1).normal(size=(asked.weights**2, columns))
    phi = transform(asked, x)
    first, second = np.triu_indices(asked.weights)
    independent = int(np.linalg.matrix_rank(phi[:, first] * phi[:, second])) - 1 + asked.weights
    assert independent <= asked.least_rows * (columns + 1)


@pytest.mark.parametrize("rows", [49, 101])
def test_the_bounty_s_own_limits_on_rows(rows: int) -> None:
    with pytest.raises(ConsentError, match="50 to 100"):
        consent.check_rows(rows, spec(2, rows_min=50))


@given(
    others=st.integers(0, 6) | st.integers(7, 20),
    values=st.lists(st.sampled_from([-1.0, 0.5, 7.0]), min_size=20, max_size=20),
    chunk=st.integers(9, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_column_that_singles_out_fewer_than_five_rows_is_refused(
    others: int, values: list[float], chunk: int, seed: int
) -> None:
    column = np.full(40, 3.0)
    column[:others] = values[:others]
    np.random.default_rng(seed).shuffle(column)
    table = np.column_stack([np.arange(40.0), column])
    chunks = [table[i : i + chunk] for i in range(0, 40, chunk)]
    if 0 < others < 5:
        with pytest.raises(ConsentError, match="column 'flag'"):
            consent.check_columns(chunks, ["age", "flag"])
    else:
        consent.check_columns(chunks, ["age", "flag"])


def test_a_short_key_is_refused_unless_the_operator_says_insecure() -> None:
    model = {"weights": 11, "blob_bytes": 100}
    with pytest.raises(ConsentError, match=r"key\.n: has 1024 bits, below your floor of 2048"):
        consent.check_model(key_bits=1024, policy=Policy(), **model)
    consent.check_model(key_bits=1024, policy=Policy(insecure_keys=True), **model)
    with pytest.raises(ConsentError, match=r"key\.n"):
        consent.check_model(key_bits=512, policy=Policy(insecure_keys=True), **model)


def test_a_model_that_is_too_large_is_refused() -> None:
    with pytest.raises(ConsentError, match="above your limit of 10"):
        consent.check_model(weights=11, key_bits=2048, blob_bytes=1, policy=Policy(max_weights=10))
    with pytest.raises(ConsentError, match="above your limit of 5"):
        consent.check_model(weights=1, key_bits=2048, blob_bytes=6, policy=Policy(max_blob_bytes=5))


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
    ("train_s", "window_s", "policy", "field"),
    [(61.0, 10_000, Policy(), "model.plan"), (31.0, 60, Policy(), "terms.commit_window_s")],
)
def test_work_that_makes_the_mine_late_is_refused(
    train_s: float, window_s: int, policy: Policy, field: str
) -> None:
    with pytest.raises(ConsentError, match=field):
        consent.check_work(train_s, window_s, policy)
    consent.check_work(train_s / 2, 2 * window_s, policy)


FLAGS = np.array([[0, 0]] * 20 + [[1, 0]] * 10 + [[0, 1]] * 10 + [[1, 1]] * 4, dtype=float)
GRADES = np.array([[0, 0]] * 10 + [[1, 0]] * 10 + [[2, 0]] * 4 + [[0, 1]] * 10 + [[1, 1]] * 10, dtype=float)


@pytest.mark.parametrize(
    ("table", "degree", "refused"),
    [
        (FLAGS, 1, ""),  # the columns by themselves are `check_columns`'s
        (FLAGS, 2, "columns 'a', 'b'"),
        (np.vstack([FLAGS, [[1, 1]]]), 2, ""),
        (FLAGS[:40], 3, ""),  # nobody has both
        (GRADES, 1, ""),
        (GRADES, 2, "columns 'a': have"),
        (np.vstack([GRADES, [[2, 1]]]), 2, ""),  # five have grade 2; with b, it takes three factors
        (np.vstack([GRADES, [[2, 1]]]), 3, "columns 'a', 'b'"),
        (np.column_stack([np.arange(44.0), FLAGS[:, 0]]), 3, ""),
    ],
)
def test_products_single_out_no_fewer_than_five_rows(table: Any, degree: int, refused: str) -> None:
    if not refused:
        consent.check_combinations(table, ["a", "b"], degree)
        return
    with pytest.raises(ConsentError, match=refused) as caught:
        consent.check_combinations(table, ["a", "b"], degree)
    assert "more rows" in caught.value.hint


@given(
    values=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    degree=st.sampled_from([2, 3]),
    seed=st.integers(0, 99),
)
def test_combinations_are_refused_where_the_map_can_tell_them_apart(
    values: list[int], degree: int, seed: int
) -> None:
    """One row has a combination of its own: is its flag a weighted sum of the map's features?"""
    full = np.array(list(product(*map(range, values))), dtype=float)
    others = full[~np.isclose(full, [v - 1 for v in values]).all(axis=1)]
    table = np.vstack([np.repeat(others, 6, axis=0), full[-1:]])
    np.random.default_rng(seed).shuffle(table)
    alone = (table == full[-1]).all(axis=1).astype(float)
    phi = transform(spec(len(values), stages=[Polynomial(degree=degree)]), table)
    error = phi @ np.linalg.lstsq(phi, alone, rcond=None)[0] - alone
    told = bool(np.abs(error).max() < 1e-6)
    assert told == (sum(v - 1 for v in values) <= degree)
    if told:
        with pytest.raises(ConsentError, match="fewer than 5 rows"):
            consent.check_combinations(table, "abc"[: len(values)], degree)


def test_cosines_of_few_kinds_of_rows_single_out_no_fewer_than_five() -> None:
    ages, sexes = (part.ravel() for part in np.meshgrid(np.arange(20.0), [0.0, 1.0]))
    table = np.repeat(np.column_stack([ages, sexes]), 5, axis=0)
    consent.check_distinct(table, 40)
    consent.check_distinct(table[1:], 39)
    with pytest.raises(ConsentError, match="40 kinds, no more than the 40 weights"):
        consent.check_distinct(table[1:], 40)
    phi = transform(spec(2, stages=[fourier(2, 39)]), table / [5, 1])
    alone = (table == table[0]).all(axis=1).astype(float)
    assert phi @ np.linalg.lstsq(phi, alone, rcond=1e-14)[0] == pytest.approx(alone, abs=0.02)
