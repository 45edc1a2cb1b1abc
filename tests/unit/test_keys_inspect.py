"""The tests of single updates, asked of a key: what it opens for them, and what its ledger counts.

What each test asks, and what it misses: `test_family_inspection.py`.
"""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from paillier_keys import small_key
from test_family_inspection import PLAN, UNIT, WEIGHT_FRAC, D, Mine, mines_of, strided

from pysonar.keys.keys import Key, MineUpdate, RoundUpdates
from sonar.errors import UsageError
from sonar.families.quadratic.inspection import ROUND_ONLY, TESTS
from sonar.paillier.affine import affine_update
from sonar.paillier.slots import SlotPlan

BOUNTY = b"b" * 32
W_1, W_2, W_3 = [0] * D, strided([3 << 16, -(2 << 16), 5 << 16, 1 << 16, 150 << 16]), [127 << 16] * D


def encrypted(
    key: Key, plan: SlotPlan, rows: int, mines: dict[str, Mine], w: list[int]
) -> dict[str, MineUpdate]:
    enc_w = key.encrypt_weights(w)
    return {
        name: MineUpdate(name, rows, tuple(affine_update(key.public, plan, mine.a, mine.b, enc_w)))
        for name, mine in mines.items()
    }


def ask(key: Key, history: list[RoundUpdates], **changes: object) -> dict[str, str | None]:
    options = {"unit": UNIT, "min_mines": 2, "plan": PLAN}
    options |= {"bounty": BOUNTY, "round": history[-1].round, "history": history}
    results = key.inspect(**(options | changes))  # type: ignore[arg-type]
    assert all(result.passed == (result.failed is None) for result in results.values())
    return {mine: result.failed for mine, result in results.items()}


def test_a_key_tests_ciphertexts_and_its_ledger_counts() -> None:
    key = Key(*small_key(1024).unsafe_primes())
    mines = {f"m{i}": mine for i, mine in enumerate(mines_of(np.random.default_rng(3), 4))}
    w_1, w_2 = W_1, W_2
    first = RoundUpdates(1, w_1, encrypted(key, PLAN, 40, mines, w_1))
    assert ask(key, [first]) == dict.fromkeys(mines)
    assert key.ledger.totals(BOUNTY) == {}

    sent = encrypted(key, PLAN, 40, mines, w_2)
    sent["m0"] = MineUpdate("m0", 40, tuple(key.public.mul_plain(c, -3) for c in sent["m0"].ciphertexts))
    blinding = key.public.blinding(secrets.randbelow)
    stolen = [key.public.rerandomise(c, blinding) for c in first.updates["m2"].ciphertexts]
    sent["m1"] = MineUpdate("m1", 40, tuple(stolen))
    sent["hostile"] = MineUpdate("hostile", 40, (key.public.n,))
    sent["filler"] = MineUpdate("filler", 40, tuple(key.encrypt_weights([key.public.n // 3])))
    second = RoundUpdates(2, w_2, sent)
    verdicts = {
        "m1": "copy",
        "m2": None,
        "m3": None,
        "hostile": "range",
        "filler": "range",
    }
    for _ in range(2):
        answer = ask(key, [first, second])
        assert answer.pop("m0") in TESTS
        assert answer == verdicts

    third = RoundUpdates(3, w_1, encrypted(key, PLAN, 40, mines, w_1))
    assert ask(key, [first, second, third])["m1"] not in {None, *ROUND_ONLY}  # honest again, too late
    failed = {mine: revealed.failed_tests for mine, revealed in key.ledger.totals(BOUNTY).items()}
    assert [number for number, _ in failed["m1"]] == [2, 3]
    assert failed["m1"][0] == (2, "copy")
    assert failed["hostile"] == failed["filler"] == [(2, "range")]
    assert len(failed["m0"]) == 1
    assert failed.keys() == {"m0", "m1", "hostile", "filler"}


def test_a_comparison_counts_for_its_round_only() -> None:
    key = Key(*small_key(1024).unsafe_primes())
    rng = np.random.default_rng(3)
    mines = {f"m{i}": mine for i, mine in enumerate(mines_of(rng, 4))} | {
        "unlike": mines_of(rng, 1, mean=800)[0]
    }
    w_1, w_2 = W_1, W_2
    first = RoundUpdates(1, w_1, encrypted(key, PLAN, 40, mines, w_1))
    assert ask(key, [first]) == dict.fromkeys(mines) | {"unlike": "unlike"}
    second = RoundUpdates(2, w_2, encrypted(key, PLAN, 40, mines, w_2))
    assert ask(key, [first, second]) == dict.fromkeys(mines)


def test_honest_data_that_look_like_a_replay_are_left_out_of_that_round_only() -> None:
    """Twins, one of which was absent while the weights stood; and rows that a step makes no difference to."""
    key = Key(*small_key(1024).unsafe_primes())
    one, other, blind = mines_of(np.random.default_rng(3), 3)
    blind.a = [[0 if 0 in (i, j) else x for j, x in enumerate(row)] for i, row in enumerate(blind.a)]
    w_1, w_2 = W_1, W_2
    w_4, w_5 = [W_2[0] + (127 << WEIGHT_FRAC), *W_2[1:]], [254 << WEIGHT_FRAC] * D
    twins = {"twin": one, "its twin": one, "other": other, "blind": blind}
    history, verdicts = [], []
    for number, w in enumerate([w_1, w_2, w_2, w_4, w_5], 1):
        present = {name: mine for name, mine in twins.items() if (number, name) != (2, "twin")}
        history.append(RoundUpdates(number, w, encrypted(key, PLAN, 40, present, w)))
        verdicts.append({name: test for name, test in ask(key, history).items() if test})
    assert verdicts == [{}, {}, {"twin": "copy"}, {"blind": "stale"}, {}]


def test_a_newcomer_is_left_out_of_its_round_only_and_held_to_what_it_sent_then() -> None:
    key = Key(*small_key(1024).unsafe_primes())
    mines = {f"m{i}": mine for i, mine in enumerate(mines_of(np.random.default_rng(3), 5))}
    early = {name: mine for name, mine in mines.items() if name not in ("m0", "m1")}
    w_1, w_2, w_3 = W_1, W_2, W_3
    first = RoundUpdates(1, w_1, encrypted(key, PLAN, 40, early, w_1))
    sent = encrypted(key, PLAN, 40, mines, w_2)
    sent["m0"] = MineUpdate("m0", 40, tuple(key.public.mul_plain(c, 2) for c in sent["m0"].ciphertexts))
    second = RoundUpdates(2, w_2, sent)
    newcomers = {"m0": "newcomer", "m1": "newcomer"}
    assert ask(key, [first, second]) == dict.fromkeys(early) | newcomers
    assert ask(key, [first, second], min_mines=4, bounty=b"x" * 32) == dict.fromkeys(mines)
    third = RoundUpdates(3, w_3, encrypted(key, PLAN, 40, mines, w_3))
    assert ask(key, [first, second, third]) == dict.fromkeys(mines) | {"m0": "bias-unit"}


def test_malformed_histories_are_refused() -> None:
    key = small_key(1024)
    one = RoundUpdates(1, [0] * D, {})
    two = RoundUpdates(2, [0] * D, {})
    for history, number in [([], 1), ([one], 2), ([two, one], 1), ([one, one], 1)]:
        with pytest.raises(UsageError, match="history"):
            ask(key, history, round=number) if history else key.inspect(
                bounty=BOUNTY,
                round=1,
                plan=PLAN,
                history=[],
                unit=None,
                min_mines=2,
            )
    with pytest.raises(UsageError, match="plan's 5 values"):
        ask(key, [RoundUpdates(1, [0], {})])
    assert ask(key, [one, two]) == {}
