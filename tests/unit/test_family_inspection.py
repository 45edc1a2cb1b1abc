"""The tests of single updates: attackers of every kind are caught, and no honest mine is left out.

The campaigns here run in the clear on the integers that opening would give, so that many can be run.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar.families.opened import Opened, Rounds
from sonar.families.quadratic.design import STRIDE
from sonar.families.quadratic.inspection import ROUND_ONLY, TESTS, WHY, Rules, inspect, rules_of
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.paillier.slots import Bounds, SlotPlan

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
    rng: np.random.Generator, count: int, *, mean: float = 0, unlike: float = 0.2, noise: float = 50
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
    """Rounds in the clear: zero start, then along gradients, all but the biases on the stride."""

    mines: dict[str, Mine]
    rng: np.random.Generator
    unit: int | None = UNIT
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
        rules = Rules(PLAN, self.unit, 2, secrets.randbits)
        *before, now = self.rounds
        verdicts = inspect(rules, Rounds(before), now, lambda name: name not in self.failed)
        assert set(verdicts) == set(updates)
        for name, test in verdicts.items():
            if test == "newcomer":
                self.newcomers.append(name)
            elif test is not None:
                self.failed[name] = (len(self.rounds), test)
        good = [u for name, u in updates.items() if u is not None and verdicts[name] is None]
        if good:
            gradient = [sum(column) // len(good) >> DATA_FRAC for column in zip(*good, strict=True)]
            self.weights = strided([w + int(0.4 * g) for w, g in zip(self.weights, gradient, strict=True)])


def strided(weights: Sequence[int]) -> list[int]:
    """Weights as a campaign rounds them."""
    return [*(STRIDE * round(w / STRIDE) for w in weights[:-1]), weights[-1]]


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


@pytest.mark.parametrize("name", ["times 10", "random over the slot", "random in range"])
def test_what_must_not_earn_is_caught_in_the_first_round(name: str) -> None:
    for seed in range(5):
        assert run(seed, ATTACKS[name], 1).failed["mine 0"][0] == 1


@pytest.mark.parametrize("name", ["times 3", "times 1.25", "times -1", "times -3"])
def test_what_lies_within_the_comparisons_room_is_caught_by_the_second_round(name: str) -> None:
    for seed in range(5):
        assert run(seed, ATTACKS[name], 1).failed["mine 0"][0] <= 2


@pytest.mark.parametrize("name", [name for name in ATTACKS if "replay" not in name])
@pytest.mark.parametrize("start", [2, 3, 4])
def test_whoever_was_honest_once_is_caught_at_once(name: str, start: int) -> None:
    if name == "one value changed" and start == 2:
        return  # one unit more in one entry needs a third update to show
    for seed in range(3):
        assert run(seed, ATTACKS[name], start).failed["mine 0"][0] == start


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
        campaign.weights = strided([int(w) for w in rng.integers(-(200 << 16), 200 << 16, D)])
        assert {test for _, test in campaign.failed.values()} <= ROUND_ONLY
        campaign.failed.clear()


def test_several_local_steps_skip_what_is_not_known() -> None:
    """A map of several steps has no unit curvature along the bias, and need not curve up."""
    mine = Mine([[(-UNIT if i == j else 0) for j in range(D)] for i in range(D)], [UNIT] * D)
    for unit, expected in [(None, {}), (UNIT, {"mine 0": (2, "bias-unit")})]:
        campaign = Campaign({"mine 0": mine}, np.random.default_rng(0), unit)
        for _ in range(4):
            campaign.round({})
        assert campaign.failed == expected


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({}, UNIT),
        ({"loss": "logistic-taylor"}, UNIT // 4),
        ({"local_steps": 2, "local_rate_q32": 1 << 30}, None),
    ],
)
def test_the_rules_follow_from_the_manifest(fields: dict[str, Any], unit: int | None) -> None:
    target = {"name": "y", "centre_q32": 0, "scale_q32": 1 << 32, "clip_q32": 2 << 32}
    spec = QuadraticSpec.parse({"features": list("abcd"), "targets": [target], "rows_min": 10, **fields})
    assert rules_of(spec, PLAN, 3, secrets.randbits) == Rules(PLAN, unit, 3, secrets.randbits)


def test_equal_updates_of_one_round_are_not_copies() -> None:
    """Nobody can copy what is not revealed; and weights that stand still give everybody the same update."""
    rng = np.random.default_rng(0)
    one, other = mines_of(rng, 2, unlike=0.0, noise=10)
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

S = STRIDE
W_A, W_B, W_C = [0, 0, 0, 0, 7], [11 * S, 4 * S, -6 * S, 8 * S, 90], [5 * S, -9 * S, 2 * S, 3 * S, 40]
W_FLAT_B, W_FLAT_C = [900 * S, 40 * S, -60 * S, 80 * S, 7], [-50 * S, 1100 * S, 200 * S, 30 * S, 7]


def change_by(factor: int) -> Callable[[Mine, list[int], list[int]], Update]:
    """The honest update at the first weights, and `factor` times the honest change from there."""

    def forge(mine: Mine, first: list[int], now: list[int]) -> Update:
        u = mine.update(first)
        return [x + factor * (y - x) for x, y in zip(u, mine.update(now), strict=True)]

    return forge


def one_sided(mine: Mine, first: list[int], now: list[int]) -> Update:
    """A matrix with one entry changed and not its mirror image: positive still, with small changes only."""
    u = mine.update(now)
    return [*u[:2], u[2] - 1000 * (now[1] - first[1]), *u[3:]]


def off_by_bias_step(mine: Mine, first: list[int], now: list[int]) -> Update:
    """A[bias, bias] less by one in 2^20: symmetric, positive, and nearly the honest change."""
    u = mine.update(now)
    return [*u[:-1], u[-1] + (now[-1] - first[-1])]


def leaning(mine: Mine, first: list[int], now: list[int]) -> Update:
    """A mean of one column that its mean square does not allow."""
    a = [list(row) for row in mine.a]
    a[0][-1] = a[-1][0] = a[0][-1] + 5 * UNIT
    return Mine(a, mine.b).update(now)


def louder(mine: Mine, first: list[int], now: list[int]) -> Update:
    """Data of which all but the ones are ten times as large."""
    a = [[x * 10 ** ((i < D - 1) + (j < D - 1)) for j, x in enumerate(row)] for i, row in enumerate(mine.a)]
    return Mine(a, mine.b).update(now)


FORGERIES: dict[str, tuple[list[list[int]], Callable[[Mine, list[int], list[int]], Update]]] = {
    "range": ([W_A], lambda mine, _, now: [PLAN.update_max + 1, *mine.update(now)[1:]]),
    "lattice": ([[0] * D], lambda mine, _, now: [1 + x for x in mine.update(now)]),
    "bounded-change": ([W_A, W_B], change_by(10_000)),
    "stale": ([W_A, W_B], change_by(0)),
    "bias-unit": ([W_A, W_B], off_by_bias_step),
    "positive": ([W_A, W_FLAT_B], change_by(-1)),
    "spread": ([W_A, W_FLAT_B], leaning),
    "symmetry": ([W_A, W_B, W_C], one_sided),
    "unlike": ([W_A], lambda mine, _, now: [10 * x for x in mine.update(now)]),
    "curvature": ([W_A, W_FLAT_B, W_FLAT_C], louder),
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
    *before, now = history
    rules = Rules(PLAN, UNIT, 2, secrets.randbits)
    assert inspect(rules, Rounds(before), now, lambda mine: True) == dict.fromkeys(mines) | {"m0": test}


def test_every_test_is_tested() -> None:
    assert set(FORGERIES) | {"copy", "newcomer", "against"} == set(TESTS) == set(WHY)


def test_order_of_mines_does_not_matter() -> None:
    rng = np.random.default_rng(9)
    updates = [(f"m{i}", tuple(mine.update([0] * D))) for i, mine in enumerate(mines_of(rng, 6))]
    updates[0] = ("m0", tuple(10 * x for x in updates[0][1]))
    rules = Rules(PLAN, UNIT, 2, secrets.randbits)
    for _ in range(5):
        random.shuffle(updates)
        verdicts = inspect(rules, Rounds([]), Opened((0,) * D, dict(updates)), lambda mine: True)
        assert {mine for mine, test in verdicts.items() if test} == {"m0"}


# ---- who is compared with whom

ZERO, ALONG_BIAS, AWAY = [0] * D, [0] * (D - 1) + [1 << WEIGHT_FRAC], [STRIDE << WEIGHT_FRAC] * D
EYE = [[UNIT * (i == j) for j in range(D)] for i in range(D)]


def of_bias(bias: int, rest: int = 0, curvatures: list[list[int]] | None = None) -> Mine:
    """A mine whose mean target is `bias`, and which has `rest` for each feature."""
    return Mine(curvatures or EYE, [rest * UNIT] * (D - 1) + [bias * UNIT])


def told(
    mines: dict[str, Mine],
    *weights: list[int],
    trusted: str = "abcdef",
    unit: int | None = UNIT,
    absent_first: str = "",
    min_mines: int = 2,
) -> dict[str, str]:
    """Who fails what in the last of the rounds at `weights`, of which some mines miss the first."""
    *before, now = [
        Opened(
            tuple(w),
            {name: tuple(mine.update(w)) for name, mine in mines.items() if i or name not in absent_first},
        )
        for i, w in enumerate(weights)
    ]
    verdicts = inspect(
        Rules(PLAN, unit, min_mines, secrets.randbits), Rounds(before), now, trusted.__contains__
    )
    return {name: test for name, test in verdicts.items() if test}


def test_three_are_compared_and_the_rooms_include_their_ends() -> None:
    a, b = of_bias(40), of_bias(40)
    assert told({"a": a, "b": b, "c": of_bias(81)}, ZERO) == {"c": "unlike"}
    assert told({"a": a, "b": b, "c": of_bias(80)}, ZERO) == {}
    assert told({"a": a, "b": b, "c": of_bias(0)}, ZERO) == {}
    assert told({"a": a, "b": b, "c": of_bias(-1)}, ZERO) == {"c": "unlike"}
    assert told({"a": a, "c": of_bias(400)}, ZERO) == {}


def test_the_more_mines_differ_the_wider_is_the_room() -> None:
    mines = {"a": of_bias(40), "b": of_bias(50), "c": of_bias(20)}  # with d, half of all are within 20 of 40
    assert told(mines | {"d": of_bias(104)}, ZERO) == {}
    assert told(mines | {"d": of_bias(106)}, ZERO) == {"d": "unlike"}  # 61 off the median, 45


def test_whom_half_of_the_mines_are_far_from_speaks_for_nobody() -> None:
    halves = {"a": of_bias(10), "b": of_bias(10), "c": of_bias(100), "d": of_bias(100)}
    assert told(halves, ZERO) == {}
    assert told(halves | {"e": of_bias(10)}, ZERO) == {"c": "unlike", "d": "unlike"}


def test_who_is_left_out_or_fails_alone_is_not_compared_with() -> None:
    honest = {"a": of_bias(10), "b": of_bias(10)}
    others = {name: of_bias(300) for name in "cde"}
    assert told(honest | {"c": of_bias(21)}, ZERO) == {"c": "unlike"}
    assert told(honest | others | {"f": of_bias(-1)}, ZERO, trusted="abf") == {"f": "unlike"}
    outside = {name: Mine(EYE, [*mine.b[:-1], PLAN.bounds.b_max * 3]) for name, mine in others.items()}
    assert told(honest | outside, ZERO) == dict.fromkeys("cde", "range")


def test_newcomers_give_way_where_min_mines_others_are_left() -> None:
    mines = {name: of_bias(10) for name in "abc"}
    assert told(mines, ZERO, AWAY, absent_first="c") == {"c": "newcomer"}
    assert told(mines, ZERO, AWAY, absent_first="c", min_mines=3) == {}
    assert told(mines, ZERO, AWAY, absent_first="c", trusted="ac") == {}


def test_the_first_round_is_compared_whatever_it_starts_from() -> None:
    mines = {"a": of_bias(10), "b": of_bias(10), "c": of_bias(10, rest=1000)}
    assert told(mines, ZERO) == told(mines, AWAY) == {"c": "unlike"}
    assert told(mines, ZERO, AWAY) == {}


def test_second_updates_are_compared_where_no_unit_is_known() -> None:
    """A curvature of several local steps is not known."""
    turned = [[10 * x for x in row] for row in EYE[::-1]]
    mines = {"a": of_bias(10), "b": of_bias(10), "c": of_bias(10, curvatures=turned)}
    assert told(mines, ZERO, ALONG_BIAS, unit=None) == {"c": "curvature"}
    across = [
        [UNIT * (i == j) + 5 * UNIT * ((i == D - 1) != (j == D - 1)) for j in range(D)] for i in range(D)
    ]
    mines["c"] = of_bias(10, curvatures=across)
    assert told(mines, ZERO, ALONG_BIAS, unit=None) == {"c": "unlike"}
    assert told(mines, ZERO, ALONG_BIAS) == {}  # the unit is right, and is what such a step tells


# ---- several targets


def of_outputs(rng: np.random.Generator, outputs: int) -> tuple[list[list[int]], list[list[int]]]:
    """The map of 40 rows with several targets: A [d, d], and b by output."""
    phi = np.c_[rng.normal(0, 1, (40, D - 1)), np.ones(40)]
    y = rng.normal(0, 50, (40, outputs))
    a = np.rint(phi.T @ phi / 40 * UNIT).astype(int).tolist()
    return a, np.rint(phi.T @ y / 40 * UNIT).T.astype(int).tolist()


def answer_of(a: list[list[list[int]]], b: list[list[int]], w: list[int]) -> list[int]:
    """What a mine answers that has a matrix for each output: an honest one has the same for all."""
    parts = [w[o * D : (o + 1) * D] for o in range(len(b))]
    pairs = zip(a, b, parts, strict=True)
    return [x for matrix, cross, part in pairs for x in Mine(matrix, cross).update(part)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), outputs=st.integers(2, 4), rounds=st.integers(2, 4))
def test_one_matrix_for_all_targets(seed: int, outputs: int, rounds: int) -> None:
    """Honest answers pass; of a mine with another matrix in one output, the second one tells."""
    rng = np.random.default_rng(seed)
    plan = replace(PLAN, weights=D * outputs, outputs=outputs)
    rules = Rules(plan, UNIT, 2, secrets.randbits)
    (a, b), (other, _) = of_outputs(rng, outputs), of_outputs(rng, 1)
    two_faced = [a] * (outputs - 1) + [other]
    history: list[Opened] = []
    for _ in range(rounds):
        w = [x for _ in range(outputs) for x in strided(rng.integers(-(1 << 20), 1 << 20, D).tolist())]
        sent = {"honest": tuple(answer_of([a] * outputs, b, w)), "false": tuple(answer_of(two_faced, b, w))}
        history.append(Opened(tuple(w), sent))
        verdicts = inspect(rules, Rounds(history[:-1]), history[-1], lambda _: True)
        assert verdicts["honest"] is None
    assert verdicts["false"] == "symmetry"
