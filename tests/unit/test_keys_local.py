"""The holder of a key on this machine: what it remembers of rounds, and what it says of ciphertexts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from pysonar.keys.updates import MineUpdate
from sonar.families.opened import Opened
from sonar.families.quadratic.inspection import ROUND_ONLY, TESTS, Rules
from sonar.paillier.affine import affine_update
from sonar.paillier.slots import SlotPlan
from tests.holder_kit import job_of, judged
from tests.unit.paillier_keys import small_key
from tests.unit.test_family_inspection import PLAN, UNIT, WEIGHT_FRAC, D, Mine, mines_of, strided

W_1, W_2, W_3 = [0] * D, strided([3 << 16, -(2 << 16), 5 << 16, 1 << 16, 150 << 16]), [127 << 16] * D

# ---- what is remembered says what all of it would say

FORGERIES = {
    "nothing": lambda u, rng: u,
    "times 3": lambda u, rng: [3 * x for x in u],
    "a bit more": lambda u, rng: [x + (1 << WEIGHT_FRAC) for x in u],
    "noise": lambda u, rng: [int(x) << WEIGHT_FRAC for x in rng.integers(-(1 << 32), 1 << 32, len(u))],
    "its first": None,
}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 2]),
    st.lists(st.sampled_from(sorted(FORGERIES)), min_size=3, max_size=7),
)
def test_a_combination_tells_what_every_round_would(seed: int, outputs: int, forgeries: list[str]) -> None:
    """Mines that come and go, one that forges, and weights of any size: the same mines fail by both pasts."""
    rng = np.random.default_rng(seed)
    plan = SlotPlan.make(key_bits=1024, weights=D * outputs, bounds=PLAN.bounds, mines_max=9, weight_rows=9, outputs=outputs)  # fmt: skip  # noqa: E501
    mines = [[mine] * outputs for mine in mines_of(rng, 5)]
    history: list[Opened] = []
    first: list[int] = []
    for forgery in forgeries:
        w = [int(x) << WEIGHT_FRAC for x in rng.integers(-200, 200, D * outputs)]
        blocks = [w[o * D : (o + 1) * D] for o in range(outputs)]
        sent = {}
        for i, maps in enumerate(mines):
            if rng.random() < 0.8 or not history:
                update = [u for one, block in zip(maps, blocks, strict=True) for u in one.update(block)]
                first = first or update
                change = FORGERIES[forgery] if i == 0 else FORGERIES["nothing"]
                sent[f"m{i}"] = tuple(change(update, rng) if change else first)
        history.append(Opened(tuple(w), sent))
        judged(Rules(plan, UNIT, 2, secrets.randbits), history, lambda mine: True)


# ---- through a key


def encrypted(key: Key, mines: dict[str, Mine], w: list[int]) -> dict[str, MineUpdate]:
    enc_w = key.encrypt_weights(w)
    return {
        name: MineUpdate.of(key.public, name, 40, affine_update(key.public, PLAN, mine.a, mine.b, enc_w))
        for name, mine in mines.items()
    }


class Asking:
    """A key's holder, asked about one round after the other."""

    def __init__(self, min_mines: int = 2) -> None:
        self.key = Key(*small_key(1024).unsafe_primes())
        self.holder, self.job = LocalHolder(self.key), job_of(PLAN, min_mines=min_mines)
        self.rounds = 0

    def ask(self, w: list[int], sent: dict[str, MineUpdate], again: bool = False) -> dict[str, str | None]:
        self.rounds += not again
        return self.holder.holds(self.job, self.rounds, w, list(sent.values()))

    def forged(self, name: str, cs: Sequence[mpz]) -> MineUpdate:
        return MineUpdate.of(self.key.public, name, 40, cs)


def test_a_key_tests_ciphertexts_and_its_ledger_counts() -> None:
    asking = Asking()
    key = asking.key
    mines = {f"m{i}": mine for i, mine in enumerate(mines_of(np.random.default_rng(3), 4))}
    w_1, w_2 = W_1, W_2
    first = encrypted(key, mines, w_1)
    assert asking.ask(w_1, first) == dict.fromkeys(mines)
    assert asking.holder.revealed(asking.job) == {}

    sent = encrypted(key, mines, w_2)
    sent["m0"] = asking.forged("m0", [key.public.mul_plain(c, -3) for c in sent["m0"].ciphertexts])
    blinding = key.public.blinding(secrets.randbelow)
    stolen = [key.public.rerandomise(c, blinding) for c in first["m2"].ciphertexts]
    sent["m1"] = asking.forged("m1", stolen)
    sent["filler"] = asking.forged("filler", key.encrypt_weights([key.public.n // 3]))
    verdicts = {"m1": "copy", "m2": None, "m3": None, "filler": "range"}
    for again in (False, True):
        answer = asking.ask(w_2, sent, again)
        assert answer.pop("m0") in TESTS
        assert answer == verdicts

    # Honest again, too late.
    assert asking.ask(w_1, encrypted(key, mines, w_1))["m1"] not in {None, *ROUND_ONLY}
    failed = {mine: one.failed_tests for mine, one in asking.holder.revealed(asking.job).items()}
    assert [number for number, _ in failed["m1"]] == [2, 3]
    assert failed["m1"][0] == (2, "copy")
    assert failed["filler"] == [(2, "range")]
    assert len(failed["m0"]) == 1
    assert failed.keys() == {"m0", "m1", "filler"}


def test_a_comparison_counts_for_its_round_only() -> None:
    asking = Asking()
    rng = np.random.default_rng(3)
    mines = {f"m{i}": mine for i, mine in enumerate(mines_of(rng, 4))} | {
        "unlike": mines_of(rng, 1, mean=800)[0]
    }
    w_1, w_2 = W_1, W_2
    assert asking.ask(w_1, encrypted(asking.key, mines, w_1)) == dict.fromkeys(mines) | {"unlike": "unlike"}
    assert asking.ask(w_2, encrypted(asking.key, mines, w_2)) == dict.fromkeys(mines)


def test_honest_data_that_look_like_a_replay_are_left_out_of_that_round_only() -> None:
    """Twins, one of which was absent while the weights stood; and rows that a step makes no difference to."""
    asking = Asking()
    one, other, blind = mines_of(np.random.default_rng(3), 3)
    blind.a = [[0 if 0 in (i, j) else x for j, x in enumerate(row)] for i, row in enumerate(blind.a)]
    w_1, w_2 = W_1, W_2
    w_4, w_5 = [W_2[0] + (127 << WEIGHT_FRAC), *W_2[1:]], [254 << WEIGHT_FRAC] * D
    twins = {"twin": one, "its twin": one, "other": other, "blind": blind}
    verdicts = []
    for number, w in enumerate([w_1, w_2, w_2, w_4, w_5], 1):
        present = {name: mine for name, mine in twins.items() if (number, name) != (2, "twin")}
        answer = asking.ask(w, encrypted(asking.key, present, w))
        verdicts.append({name: test for name, test in answer.items() if test})
    assert verdicts == [{}, {}, {"twin": "copy"}, {"blind": "stale"}, {}]


@pytest.mark.parametrize("min_mines", [2, 4])
def test_a_newcomer_is_left_out_of_its_round_only_and_held_to_what_it_sent_then(min_mines: int) -> None:
    asking = Asking(min_mines)
    key = asking.key
    mines = {f"m{i}": mine for i, mine in enumerate(mines_of(np.random.default_rng(3), 5))}
    early = {name: mine for name, mine in mines.items() if name not in ("m0", "m1")}
    w_1, w_2, w_3 = W_1, W_2, W_3
    asking.ask(w_1, encrypted(key, early, w_1))
    sent = encrypted(key, mines, w_2)
    sent["m0"] = asking.forged("m0", [key.public.mul_plain(c, 2) for c in sent["m0"].ciphertexts])
    if min_mines == 4:  # without them there are too few
        assert asking.ask(w_2, sent) == dict.fromkeys(mines)
        return
    assert asking.ask(w_2, sent) == dict.fromkeys(early) | {"m0": "newcomer", "m1": "newcomer"}
    assert asking.ask(w_3, encrypted(key, mines, w_3)) == dict.fromkeys(mines) | {"m0": "bias-unit"}
