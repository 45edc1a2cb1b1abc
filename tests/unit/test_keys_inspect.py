"""The tests of single updates: attackers of every kind are caught, and no honest mine is left out.

The campaigns here run in the clear on the integers that decryption would give, so that many can be run; the
last ones run through a key.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paillier_keys import small_key
from sonar.families.quadratic.inspection import ROUND_ONLY, TESTS, Opened, Rules, inspect

from pysonar.keys.key import Key, MineUpdate, RoundUpdates
from sonar.errors import UsageError
from sonar.paillier.affine import affine_update
from sonar.paillier.slots import Bounds, SlotPlan

BOUNTY = b"b" * 32
WEIGHT_FRAC, DATA_FRAC, D = 16, 20, 5
UNIT = 1 << DATA_FRAC
PLAN = SlotPlan.make(
    key_bits=1024,
    weights=D,
    bounds=Bounds(weight_max=4096 << WEIGHT_FRAC, a_row_l1_max=64 * D * UNIT, b_max=4096 * UNIT),
    mines_max=10,
    weight_rows=100,
)
Update = Sequence[int]


@dataclass
class Mine:
    """An honest mine: a fixed map of its rows."""

    a: list[list[int]]
    b: list[int]

    def update(self, w: Sequence[int]) -> list[int]:
        return [(self.b[i] << WEIGHT_FRAC) - sum(self.a[i][j] * w[j] for j in range(D)) for i in range(D)]


def mines_of(
    rng: np.random.Generator, count: int, *, mean: float = 150, unlike: float = 0.2, noise: float = 50
) -> list[Mine]:
    """Mines with 40 rows each whose features and targets are shifted against each other by `unlike`."""
    mines = []
    truth = rng.normal(0, 20, D - 1)
    for _ in range(count):
        x = rng.normal(rng.normal(0, unlike, D - 1), 1, (40, D - 1))
        phi = np.c_[np.clip(x, -8, 8), np.ones(40)]
        y = mean + x @ truth + rng.normal(0, noise, 40)
        a = np.rint(phi.T @ phi / 40 * UNIT).astype(int).tolist()
        mines.append(Mine(a, np.rint(phi.T @ y / 40 * UNIT).astype(int).tolist()))
    return mines


@dataclass
class Campaign:
    """Rounds in the clear: zero start, first step along the bias, then along gradients."""

    mines: dict[str, Mine]
    rng: np.random.Generator
    bias_curvature: int | None = UNIT
    rounds: list[Opened] = field(default_factory=list)
    failed: dict[str, tuple[int, str]] = field(default_factory=dict)
    newcomers: list[str] = field(default_factory=list)
    weights: list[int] = field(default_factory=lambda: [0] * D)

    def round(self, tampered: dict[str, Callable[[list[int]], Update]], absent: float = 0.0) -> None:
        updates: dict[str, tuple[int, ...] | None] = {}
        for name, mine in self.mines.items():
            if name in self.failed or (name not in tampered and self.rng.random() < absent):
                continue
            updates[name] = tuple(tampered.get(name, list)(mine.update(self.weights)))
        self.rounds.append(Opened(tuple(self.weights), updates))
        rules = Rules(PLAN, True, D - 1, self.bias_curvature, 2, secrets.randbits)
        verdicts = inspect(rules, self.rounds, lambda name: name not in self.failed)
        assert set(verdicts) == set(updates)
        for name, test in verdicts.items():
            if test == "newcomer":
                self.newcomers.append(name)
            elif test is not None:
                self.failed[name] = (len(self.rounds), test)
        good = [u for name, u in updates.items() if u is not None and verdicts[name] is None]
        if good:
            gradient = [sum(column) // len(good) >> DATA_FRAC for column in zip(*good, strict=True)]
            step = gradient if len(self.rounds) > 1 else [0] * (D - 1) + [gradient[-1]]
            rate = 1.0 if len(self.rounds) == 1 else 0.4
            self.weights = [w + int(rate * g) for w, g in zip(self.weights, step, strict=True)]


def run(
    seed: int, attack: Callable[[Campaign, list[int]], Update] | None, start: int, **options: float
) -> Campaign:
    rng = np.random.default_rng(seed)
    names = [f"mine {i}" for i in range(int(options.pop("count", 8)))]
    campaign = Campaign(dict(zip(names, mines_of(rng, len(names)), strict=True)), rng)
    for number in range(1, 8):
        tampered: dict[str, Callable[[list[int]], Update]] = {}
        if attack is not None and number >= start:
            tampered["mine 0"] = lambda u: attack(campaign, u)
        campaign.round(tampered, **options)
    return campaign


def replay(campaign: Campaign, u: list[int]) -> Update:
    """Another mine's update of the round before; honest when there is none yet."""
    return (campaign.rounds[-1].updates["mine 1"] or u) if campaign.rounds else u


def replay_own(campaign: Campaign, u: list[int]) -> Update:
    return (campaign.rounds[-1].updates["mine 0"] or u) if campaign.rounds else u


def average_of_others(campaign: Campaign, u: list[int]) -> Update:
    """What anybody can compute on the ciphertexts of the round before."""
    if not campaign.rounds:
        return u
    sent = [v for name, v in campaign.rounds[-1].updates.items() if name != "mine 0" and v]
    return [sum(column) // len(sent) for column in zip(*sent, strict=True)]


ATTACKS: dict[str, Callable[[Campaign, list[int]], Update]] = {
    "times 10": lambda _, u: [10 * x for x in u],
    "times 3": lambda _, u: [3 * x for x in u],
    "times 1.25": lambda _, u: [x * 5 // 4 for x in u],
    "times -3": lambda _, u: [-3 * x for x in u],
    "times -1": lambda _, u: [-x for x in u],
    "random over the slot": lambda _, u: [secrets.randbelow(2 * PLAN.total_max) - PLAN.total_max for _ in u],
    "random in range": lambda _, u: [secrets.randbelow(PLAN.update_max // 64) for _ in u],
    "replay": replay,
    "replay own": replay_own,
    "zeros": lambda _, u: [0] * D,
    "one value changed": lambda _, u: [u[0] + 1, *u[1:]],
}


@pytest.mark.parametrize("start", [1, 2, 3, 4])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_attackers_are_caught_and_nobody_else(
    attack: Callable[[Campaign, list[int]], Update], start: int
) -> None:
    """At once, but for changes so small or so consistent that they need one or two rounds more to show."""
    for seed in range(3):
        campaign = run(seed, attack, start)
        assert set(campaign.failed) == {"mine 0"}
        number, test = campaign.failed["mine 0"]
        assert start <= number <= start + 2
        assert test in TESTS


@pytest.mark.parametrize(
    "name",
    ["times 10", "times 3", "times -3", "times 1.25", "times -1", "random over the slot", "random in range"],
)
@pytest.mark.parametrize("start", [1, 2, 4])
def test_what_must_not_earn_is_caught_in_its_first_round(name: str, start: int) -> None:
    for seed in range(3):
        campaign = run(seed, ATTACKS[name], start)
        if (name, start) == ("times -1", 1):
            assert campaign.failed["mine 0"] == (1, "bias-start")
        if (name, start) == ("times 1.25", 1):
            assert (
                campaign.failed["mine 0"][0] <= 2
            )  # within the comparison's room, then not 1.25 times a step
        else:
            assert campaign.failed["mine 0"][0] == start


def test_a_stale_average_of_others_is_caught_within_three_rounds() -> None:
    for seed in range(5):
        campaign = run(seed, average_of_others, 2)
        assert set(campaign.failed) == {"mine 0"}
        assert campaign.failed["mine 0"][0] <= 4


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.4]), st.integers(1, 10))
def test_no_honest_mine_is_left_out(seed: int, absent: float, count: int) -> None:
    """Nor is one that comes late left out more than once."""
    campaign = run(seed, None, 1, absent=absent, count=count)
    assert campaign.failed == {}
    first_round = {name for opened in campaign.rounds[:1] for name in opened.updates}
    assert len(set(campaign.newcomers)) == len(campaign.newcomers)
    assert first_round.isdisjoint(campaign.newcomers)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.4]))
def test_exact_tests_pass_the_most_unlike_honest_mines(seed: int, absent: float) -> None:
    """Rows of wild scales, constant and empty columns, duplicated columns, targets of any sign."""
    rng = np.random.default_rng(seed)
    mines = {}
    for i in range(4):
        rows = int(rng.integers(1, 30))
        phi = rng.normal(0, 10.0 ** rng.uniform(-6, 0.9), (rows, D - 1)).clip(-8, 8)
        phi[:, 0] = rng.choice([0.0, 1e-6, 8.0])
        phi[:, 1] = phi[:, 2]
        phi = np.c_[phi, np.ones(rows)]
        y = rng.normal(rng.uniform(-200, 200), 100, rows)
        a = np.rint(phi.T @ phi / rows * UNIT).astype(int).tolist()
        mines[f"mine {i}"] = Mine(a, np.rint(phi.T @ y / rows * UNIT).astype(int).tolist())
    campaign = Campaign(mines, rng)
    for _ in range(7):
        campaign.round({}, absent)
        campaign.weights = [int(w) for w in rng.integers(-(200 << 16), 200 << 16, D)]
        assert {test for _, test in campaign.failed.values()} <= ROUND_ONLY
        campaign.failed.clear()


def test_several_local_steps_skip_what_is_not_known() -> None:
    """A map of several steps has no unit curvature along the bias, and need not curve up."""
    mine = Mine([[(-UNIT if i == j else 0) for j in range(D)] for i in range(D)], [UNIT] * D)
    for bias_curvature, expected in [(None, {}), (UNIT, {"mine 0": (2, "bias-unit")})]:
        campaign = Campaign({"mine 0": mine}, np.random.default_rng(0), bias_curvature)
        for _ in range(4):
            campaign.round({})
        assert campaign.failed == expected


def test_targets_around_zero_are_not_compared() -> None:
    """Means of centred targets have any sign and size: the median speaks for nobody; no test."""
    skipped = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mines = mines_of(rng, 9, mean=0)
        campaign = Campaign({f"mine {i}": m for i, m in enumerate(mines)}, rng)
        campaign.round({})
        skipped += campaign.failed == {}
    assert skipped >= 15


IN_ROOM: dict[str, Callable[[list[int]], Update]] = {
    "times 10": lambda u: [10 * x for x in u],
    "times -3": lambda u: [-3 * x for x in u],
    "random in range": lambda u: [(secrets.randbelow(2 << 32) - (1 << 32)) << WEIGHT_FRAC for _ in u],
}


@pytest.mark.parametrize("name", IN_ROOM)
@pytest.mark.parametrize("count", [3, 8])
def test_what_must_not_earn_is_caught_at_once_with_targets_around_zero(name: str, count: int) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        mines = dict(enumerate(mines_of(rng, count, mean=0, unlike=0.0, noise=10)))
        updates = {str(i): tuple(mine.update([0] * D)) for i, mine in mines.items()}
        rules = Rules(PLAN, False, D - 1, UNIT, 2, secrets.randbits)
        honest = dict.fromkeys(updates)
        assert inspect(rules, [Opened((0,) * D, updates)], lambda mine: True) == honest
        forged = updates | {"0": tuple(IN_ROOM[name](list(updates["0"])))}
        assert inspect(rules, [Opened((0,) * D, forged)], lambda mine: True) == honest | {"0": "unlike"}


def test_equal_updates_of_one_round_are_not_copies() -> None:
    """Nobody can copy what is not revealed; and weights that stand still give everybody the same update."""
    rng = np.random.default_rng(0)
    one, other = mines_of(rng, 2)
    campaign = Campaign({"a": one, "b": one, "c": other}, rng)
    campaign.round({})
    campaign.weights = [0] * D
    campaign.round({})
    assert campaign.failed == {}
    campaign.weights = [0] * D
    campaign.mines["late"] = one
    campaign.round({})
    assert campaign.failed == {"late": (3, "copy")}


# ---- mines that come late


def late_run(seed: int, attack: Callable[[list[int]], Update], first: int, others: int = 3) -> Campaign:
    """Seven rounds; mine 0 comes in round `first`, with `attack` of its honest updates."""
    rng = np.random.default_rng(seed)
    late, *early = mines_of(rng, 1 + others)
    campaign = Campaign({f"mine {i}": mine for i, mine in enumerate(early, 1)}, rng)
    for number in range(1, 8):
        if number == first:
            campaign.mines["mine 0"] = late
        campaign.round({"mine 0": attack} if number >= first else {})
    return campaign


def in_range(_: list[int]) -> Update:
    return [(secrets.randbelow(2 * PLAN.bounds.b_max) - PLAN.bounds.b_max) << WEIGHT_FRAC for _ in range(D)]


LATE: dict[str, Callable[[list[int]], Update]] = {
    "random in range": in_range,
    "times 10": lambda u: [10 * x for x in u],
    "times -1": lambda u: [-x for x in u],
}


@pytest.mark.parametrize("attack", LATE)
@pytest.mark.parametrize("first", [2, 3, 5])
def test_a_cheat_that_comes_late_is_never_aggregated(attack: str, first: int) -> None:
    for seed in range(5):
        campaign = late_run(seed, LATE[attack], first)
        assert campaign.newcomers == ["mine 0"]
        assert set(campaign.failed) == {"mine 0"}
        assert campaign.failed["mine 0"][0] == first + 1


def test_an_honest_mine_that_comes_late_is_compared_like_the_others() -> None:
    for seed in range(20):
        campaign = late_run(seed, list, 3)
        assert (campaign.newcomers, campaign.failed) == (["mine 0"], {})


def test_newcomers_are_taken_where_too_few_others_are_left() -> None:
    """As where everybody is new in each round; a cheat among them fails no less by the other tests."""
    rng = np.random.default_rng(1)
    mines = dict(zip("abcdef", mines_of(rng, 6), strict=True))
    campaign = Campaign({}, rng)
    for names in ("ab", "ac", "de"):
        campaign.mines = {name: mines[name] for name in names}
        campaign.round({"d": lambda u: [PLAN.update_max + 1, *u[1:]]} if "d" in names else {})
    assert (campaign.newcomers, campaign.failed) == ([], {"d": (3, "range")})
    campaign.mines = mines
    campaign.round({})
    assert (campaign.newcomers, list(campaign.failed)) == (["f"], ["d"])


# ---- each test by itself: an honest mine passes where exactly one test fails for the other

W_A, W_B, W_C = [0, 0, 0, 0, 7], [11, 4, -6, 8, 90], [5, -9, 2, 3, 40]
W_BIAS = [0, 0, 0, 0, 7 + 4096]
W_FLAT_B, W_FLAT_C = [900, 40, -60, 80, 7], [-50, 1100, 200, 30, 7]


def change_by(factor: int) -> Callable[[Mine, list[int], list[int]], Update]:
    """The honest update at the first weights, and `factor` times the honest change from there."""

    def forge(mine: Mine, first: list[int], now: list[int]) -> Update:
        u = mine.update(first)
        return [x + factor * (y - x) for x, y in zip(u, mine.update(now), strict=True)]

    return forge


def across(mine: Mine, first: list[int], now: list[int]) -> Update:
    """A change across the step, which no curvature along it shows."""
    u, d = mine.update(now), [y - x for x, y in zip(first, now, strict=True)]
    return [u[0] + 100 * UNIT * d[1], u[1] - 100 * UNIT * d[0], *u[2:]]


def one_sided(mine: Mine, first: list[int], now: list[int]) -> Update:
    """A matrix with one entry changed and not its mirror image: positive still, with small changes only."""
    u = mine.update(now)
    return [*u[:2], u[2] - 1000 * (now[1] - first[1]), *u[3:]]


def off_by_bias_step(mine: Mine, first: list[int], now: list[int]) -> Update:
    u = mine.update(now)
    return [*u[:-1], u[-1] - (now[-1] - first[-1])]


FORGERIES: dict[str, tuple[list[list[int]], Callable[[Mine, list[int], list[int]], Update]]] = {
    "range": ([W_A], lambda mine, _, now: [PLAN.update_max + 1, *mine.update(now)[1:]]),
    "lattice": ([[0] * D], lambda mine, _, now: [1 + x for x in mine.update(now)]),
    "bounded-change": ([W_A, W_B], change_by(10_000)),
    "stale": ([W_A, W_B], change_by(0)),
    "bias-unit": ([W_A, W_BIAS], off_by_bias_step),
    "positive": ([W_A, W_B], change_by(-1)),
    "spread": ([W_A, W_B], change_by(2)),
    "symmetry": ([W_A, W_B, W_C], one_sided),
    "unlike": ([W_A, W_B], across),
    "curvature": ([W_A, W_FLAT_B, W_FLAT_C], change_by(8)),
}


@pytest.mark.parametrize("test", FORGERIES)
def test_each_test_catches_what_no_other_does(test: str) -> None:
    path, forge = FORGERIES[test]
    mines = {f"m{i}": mine for i, mine in enumerate(mines_of(np.random.default_rng(5), 6, unlike=0.0))}
    history = []
    for weights in path:
        updates = {name: tuple(mine.update(weights)) for name, mine in mines.items()}
        updates["m0"] = tuple(forge(mines["m0"], path[0], weights))
        history.append(Opened(tuple(weights), updates))
    rules = Rules(PLAN, True, D - 1, UNIT, 2, secrets.randbits)
    assert inspect(rules, history, lambda mine: True) == dict.fromkeys(mines) | {"m0": test}


def test_every_test_is_tested() -> None:
    assert set(FORGERIES) | {"copy", "bias-start", "newcomer"} == set(TESTS)


# ---- through a key


def encrypted(
    key: Key, plan: SlotPlan, rows: int, mines: dict[str, Mine], w: list[int]
) -> dict[str, MineUpdate]:
    enc_w = key.encrypt_weights(w)
    return {
        name: MineUpdate(name, rows, tuple(affine_update(key.public, plan, mine.a, mine.b, enc_w)))
        for name, mine in mines.items()
    }


def ask(key: Key, history: list[RoundUpdates], **changes: object) -> dict[str, str | None]:
    options = {"zero_start": True, "bias_index": D - 1, "bias_curvature": UNIT, "min_mines": 2, "plan": PLAN}
    options |= {"bounty": BOUNTY, "round": history[-1].round, "history": history}
    results = key.inspect(**(options | changes))  # type: ignore[arg-type]
    assert all(result.passed == (result.failed is None) for result in results.values())
    return {mine: result.failed for mine, result in results.items()}


def test_a_key_tests_ciphertexts_and_its_ledger_counts() -> None:
    key = Key(*small_key(1024).unsafe_primes())
    mines = {f"m{i}": mine for i, mine in enumerate(mines_of(np.random.default_rng(3), 4))}
    w_1, w_2 = [0] * D, [0] * (D - 1) + [150 << WEIGHT_FRAC]
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
        "unlike": mines_of(rng, 1, mean=500)[0]
    }
    w_1, w_2 = [0] * D, [0] * (D - 1) + [150 << WEIGHT_FRAC]
    first = RoundUpdates(1, w_1, encrypted(key, PLAN, 40, mines, w_1))
    assert ask(key, [first]) == dict.fromkeys(mines) | {"unlike": "bias-start"}
    second = RoundUpdates(2, w_2, encrypted(key, PLAN, 40, mines, w_2))
    assert ask(key, [first, second]) == dict.fromkeys(mines)
    around_zero = ask(key, [first], bounty=b"x" * 32, zero_start=False)
    assert around_zero == dict.fromkeys(mines) | {"unlike": "unlike"}


def test_honest_data_that_look_like_a_replay_are_left_out_of_that_round_only() -> None:
    """Twins, one of which was absent while the weights stood; and rows that a step makes no difference to."""
    key = Key(*small_key(1024).unsafe_primes())
    one, other, blind = mines_of(np.random.default_rng(3), 3)
    blind.a = [[0 if 0 in (i, j) else x for j, x in enumerate(row)] for i, row in enumerate(blind.a)]
    w_1, w_2 = [0] * D, [0] * (D - 1) + [150 << WEIGHT_FRAC]
    w_4, w_5 = [1 << WEIGHT_FRAC, *w_2[1:]], [2 << WEIGHT_FRAC] * D
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
    w_1, w_2, w_3 = [0] * D, [0] * (D - 1) + [150 << WEIGHT_FRAC], [1 << 16, 0, 0, 0, 150 << WEIGHT_FRAC]
    first = RoundUpdates(1, w_1, encrypted(key, PLAN, 40, early, w_1))
    sent = encrypted(key, PLAN, 40, mines, w_2)
    sent["m0"] = MineUpdate("m0", 40, tuple(key.public.mul_plain(c, 2) for c in sent["m0"].ciphertexts))
    second = RoundUpdates(2, w_2, sent)
    newcomers = {"m0": "newcomer", "m1": "newcomer"}
    assert ask(key, [first, second]) == dict.fromkeys(early) | newcomers
    assert ask(key, [first, second], min_mines=4, bounty=b"x" * 32) == dict.fromkeys(mines)
    third = RoundUpdates(3, w_3, encrypted(key, PLAN, 40, mines, w_3))
    assert ask(key, [first, second, third]) == dict.fromkeys(mines) | {"m0": "curvature"}


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
                zero_start=True,
                bias_index=0,
                bias_curvature=None,
                min_mines=2,
            )
    with pytest.raises(UsageError, match="plan's 5 values"):
        ask(key, [RoundUpdates(1, [0], {})])
    with pytest.raises(UsageError, match="bias_index 5"):
        ask(key, [one], bias_index=D)
    assert ask(key, [one, two]) == {}


def test_order_of_mines_does_not_matter() -> None:
    rng = np.random.default_rng(9)
    updates = [(f"m{i}", tuple(mine.update([0] * D))) for i, mine in enumerate(mines_of(rng, 6))]
    updates[0] = ("m0", tuple(10 * x for x in updates[0][1]))
    rules = Rules(PLAN, True, D - 1, UNIT, 2, secrets.randbits)
    for _ in range(5):
        random.shuffle(updates)
        verdicts = inspect(rules, [Opened((0,) * D, dict(updates))], lambda mine: True)
        assert {mine for mine, test in verdicts.items() if test} == {"m0"}


# ---- who is compared with whom

ZERO, ALONG_BIAS, AWAY = [0] * D, [0] * (D - 1) + [1 << WEIGHT_FRAC], [1 << WEIGHT_FRAC] * D
EYE = [[UNIT * (i == j) for j in range(D)] for i in range(D)]


def of_bias(bias: int, rest: int = 1, curvatures: list[list[int]] | None = None) -> Mine:
    """A mine whose mean target is `bias`, and which has `rest` for each feature."""
    return Mine(curvatures or EYE, [rest * UNIT] * (D - 1) + [bias * UNIT])


def told(
    mines: dict[str, Mine],
    *weights: list[int],
    trusted: str = "abcdef",
    zero_start: bool = True,
    bias_curvature: int | None = UNIT,
    absent_first: str = "",
    min_mines: int = 2,
) -> dict[str, str]:
    """Who fails what in the last of the rounds at `weights`, of which some mines miss the first."""
    history = [
        Opened(
            tuple(w),
            {name: tuple(mine.update(w)) for name, mine in mines.items() if i or name not in absent_first},
        )
        for i, w in enumerate(weights)
    ]
    rules = Rules(PLAN, zero_start, D - 1, bias_curvature, min_mines, secrets.randbits)
    return {name: test for name, test in inspect(rules, history, trusted.__contains__).items() if test}


def test_three_are_compared_and_the_rooms_include_their_ends() -> None:
    a, b = of_bias(40), of_bias(40)
    assert told({"a": a, "b": b, "c": of_bias(81)}, ZERO) == {"c": "bias-start"}
    assert told({"a": a, "b": b, "c": of_bias(80)}, ZERO) == {}
    assert told({"a": a, "b": b, "c": of_bias(20)}, ZERO) == {}
    assert told({"a": a, "b": b, "c": of_bias(19)}, ZERO) == {"c": "bias-start"}
    assert told({"a": a, "c": of_bias(400)}, ZERO) == {}


def test_a_median_that_half_of_the_mines_are_far_from_speaks_for_nobody() -> None:
    halves = {"a": of_bias(10), "b": of_bias(10), "c": of_bias(100), "d": of_bias(100)}
    assert told(halves, ZERO) == {}
    assert told(halves | {"e": of_bias(10)}, ZERO) == {"c": "bias-start", "d": "bias-start"}


def test_who_is_left_out_or_fails_alone_sets_no_median() -> None:
    honest = {"a": of_bias(10), "b": of_bias(10)}
    others = {name: of_bias(100) for name in "cde"}
    assert told(honest | others, ZERO) == {"a": "bias-start", "b": "bias-start"}
    assert told(honest | others, ZERO, trusted="ab") == {}
    outside = {name: Mine(EYE, [*mine.b[:-1], PLAN.bounds.b_max * 3]) for name, mine in others.items()}
    assert told(honest | outside, ZERO) == dict.fromkeys("cde", "range")


def test_newcomers_give_way_where_min_mines_others_are_left() -> None:
    mines = {name: of_bias(10) for name in "abc"}
    assert told(mines, ZERO, ALONG_BIAS, absent_first="c") == {"c": "newcomer"}
    assert told(mines, ZERO, ALONG_BIAS, absent_first="c", min_mines=3) == {}
    assert told(mines, ZERO, ALONG_BIAS, absent_first="c", trusted="ac") == {}


def test_whole_updates_are_compared_from_zero_weights_where_means_are_not() -> None:
    mines = {"a": of_bias(10), "b": of_bias(10), "c": of_bias(10, rest=1000)}
    assert told(mines, ZERO, zero_start=False) == {"c": "unlike"}
    assert told(mines, ZERO, zero_start=True) == {}
    assert told(mines, AWAY, zero_start=False) == {}


def test_second_updates_are_compared_where_the_step_tests_no_bias_unit() -> None:
    """A curvature of several local steps is not known, so that a step along the bias alone tells nothing."""
    leaning = [
        [UNIT * (i == j) + 5 * UNIT * ((i == D - 1) != (j == D - 1)) for j in range(D)] for i in range(D)
    ]
    mines = {"a": of_bias(10), "b": of_bias(10), "c": of_bias(10, curvatures=leaning)}
    assert told(mines, ZERO, ALONG_BIAS, bias_curvature=None) == {"c": "unlike"}
    assert told(mines, ZERO, ALONG_BIAS) == {}
