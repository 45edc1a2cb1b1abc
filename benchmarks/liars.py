"""The cheats that `benchmarks.cheats` measures: what each sends instead of an honest mine's answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from benchmarks.inspection import map_of
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.design import Design
from sonar.families.registry import family_of

Matrix = NDArray[np.float64]
Rng = np.random.Generator

ALL_ROUNDS = range(1, 256)


@dataclass(frozen=True)
class Sent:
    """What a mine sends in a round: the values int[d k] that open, and the rows that it claims.

    `ciphertexts` are empty for values that are encrypted afresh.
    """

    values: Sequence[int]
    rows: int
    ciphertexts: tuple[mpz, ...] = ()


History = Mapping[tuple[int, str], Sent]
"""What was sent so far, by round and address: it is public once it is revealed, as ciphertexts."""


@dataclass(frozen=True)
class Shard:
    """A mine's rows: x float64[n, f], y float64[n]. `seed`: of its noise, where the model declares some."""

    design: Design
    x: Matrix
    y: Matrix
    seed: int = 0

    @cached_property
    def map(self) -> LocalMap:
        """What an honest mine makes of the rows."""
        if self.design.spec.noise is not None:
            return map_of(self.design, self.x, self.y, self.seed)
        rows = np.column_stack([self.x, self.y])
        made: LocalMap = family_of(self.design.spec).prepare(self.design.spec, self.design.plan, [rows])
        return made

    def with_rows(self, rows: Sequence[int] | NDArray[np.int64]) -> Shard:
        """Return the shard of some of the rows, in that order."""
        return Shard(self.design, self.x[rows], self.y[rows])

    def answer(self, weights: Sequence[int]) -> list[int]:
        """Return an honest answer, opened."""
        return self.map.answer(weights, self.design.plan.weight_frac)


Forge = Callable[[int, Sequence[int], History], Sent]
"""(round, weights, what was sent before) -> what is sent."""


@dataclass(frozen=True)
class Mine:
    """Who takes part under an address, from the round `since` on."""

    address: str
    send: Forge
    since: int = 1

    @classmethod
    def honest(cls, address: str, shard: Shard) -> Mine:
        """Return a mine that answers what it was asked, on its rows."""
        return cls(address, lambda _number, weights, _sent: Sent(shard.answer(weights), shard.map.rows))


@dataclass(frozen=True)
class Cheat:
    """The cheat that replaces an honest mine with the same rows: its `mines`, under `addresses` addresses.

    `rounds`: those in which it cheats. `against_itself`: its pay is compared with the same rows' told
    honestly, not with the other mines'.
    """

    mines: Callable[[Sequence[str], Shard, Rng], list[Mine]]
    rounds: range = ALL_ROUNDS
    addresses: int = 1
    against_itself: bool = False


def _forged(
    forge: Callable[[list[int], Sequence[int], Shard, Rng], Sequence[int]], rounds: range = ALL_ROUNDS
) -> Cheat:
    """Return a cheat that derives its values from the honest ones, in some rounds."""

    def mines(names: Sequence[str], shard: Shard, rng: Rng) -> list[Mine]:
        def send(number: int, weights: Sequence[int], _sent: History) -> Sent:
            values = shard.answer(weights)
            if number in rounds:
                values = list(forge(values, weights, shard, rng))
            return Sent(values, shard.map.rows)

        return [Mine(names[0], send)]

    return Cheat(mines, rounds)


def _with(*changes: Callable[[Shard, Rng], Shard], against_itself: bool = False) -> Cheat:
    """Return a cheat that answers honestly, on rows that were changed: one address for each change."""

    def mines(names: Sequence[str], shard: Shard, rng: Rng) -> list[Mine]:
        pairs = zip(names, changes, strict=True)
        return [Mine.honest(name, change(shard, rng)) for name, change in pairs]

    return Cheat(mines, addresses=len(changes), against_itself=against_itself)


def _made_up(make: Callable[[Shard, Rng], tuple[Matrix, Matrix]]) -> Cheat:
    """Return a cheat that answers b - A w with A [d, d] and b [d, k] of its own making."""

    def mines(names: Sequence[str], shard: Shard, rng: Rng) -> list[Mine]:
        a, b = make(shard, rng)
        scale = 1 << shard.design.plan.data_frac
        ints = [np.array([[int(v) for v in row] for row in np.rint(m * scale)], dtype=object) for m in (a, b)]
        made = LocalMap(ints[0], ints[1], shard.map.rows, shard.design.plan.data_frac)
        frac = shard.design.plan.weight_frac
        return [Mine(names[0], lambda _n, weights, _s: Sent(made.answer(weights, frac), made.rows))]

    return Cheat(mines)


# ---- no data at all


def _zeros(shard: Shard) -> tuple[Matrix, Matrix]:
    d, k = shard.map.b_int.shape
    return np.zeros((d, d)), np.zeros((d, k))


def _identity(target: float) -> Callable[[Shard, Rng], tuple[Matrix, Matrix]]:
    """Uncorrelated columns, and every feature with the same correlation with the target."""

    def make(shard: Shard, _rng: Rng) -> tuple[Matrix, Matrix]:
        a, b = _zeros(shard)
        b[:-1] = target
        return a + np.eye(len(a)), b

    return make


def _published_means(shard: Shard, _rng: Rng) -> tuple[Matrix, Matrix]:
    """Rows that are all the holdout's published means: only the bias is left."""
    a, b = _zeros(shard)
    a[-1, -1] = 1.0
    return a, b


def _mean_in_the_bias(values: list[int], _w: Sequence[int], shard: Shard, _rng: Rng) -> list[int]:
    """The target's published centre, in its scale, as the bias's entry, and nothing else."""
    target = shard.design.spec.targets[0]
    mean = int(min(target.centre / target.scale, 4.0) * (1 << shard.design.plan.scale_bits))
    return [0] * (len(values) - 1) + [mean]


def _half(values: list[int], _w: Sequence[int], shard: Shard, _rng: Rng) -> list[int]:
    return [1 << (shard.design.plan.scale_bits - 1)] * len(values)


def _random_values(values: list[int], _w: Sequence[int], shard: Shard, rng: Rng) -> list[int]:
    plan = shard.design.plan
    most = 1 << plan.data_frac
    return [int(x) << plan.weight_frac for x in rng.integers(-most, most, len(values))]


# ---- an honest answer, forged


def _times(factor: int, rounds: range = ALL_ROUNDS) -> Cheat:
    return _forged(lambda values, _w, _s, _r: [factor * value for value in values], rounds)


def _one_slot(values: list[int], _w: Sequence[int], shard: Shard, rng: Rng) -> list[int]:
    """Any integer that a correlation with the target could give, in one place."""
    most = 1 << shard.design.plan.scale_bits
    values[int(rng.integers(len(values)))] = int(rng.integers(-most, most))
    return values


def _one_fitting_slot(values: list[int], _w: Sequence[int], shard: Shard, rng: Rng) -> list[int]:
    """The same, but for its last digits, which are as the answer to the first weights would have them."""
    most, last = 1 << shard.design.plan.data_frac, 1 << shard.design.plan.weight_frac
    slot = int(rng.integers(len(values) - 1))
    values[slot] = int(rng.integers(-most, most)) * last + values[slot] % last
    return values


def _replayed() -> Cheat:
    """Its own first answer again, from round 2 on."""

    def mines(names: Sequence[str], shard: Shard, _rng: Rng) -> list[Mine]:
        def send(number: int, weights: Sequence[int], sent: History) -> Sent:
            if number == 1:
                return Sent(shard.answer(weights), shard.map.rows)
            return Sent(sent[1, names[0]].values, shard.map.rows)

        return [Mine(names[0], send)]

    return Cheat(mines, range(2, 256))


def _stolen(disguised: bool) -> Cheat:
    """What another mine revealed in the round before, from round 2 on."""

    def mines(names: Sequence[str], shard: Shard, _rng: Rng) -> list[Mine]:
        def send(number: int, weights: Sequence[int], sent: History) -> Sent:
            if number == 1:
                return Sent(shard.answer(weights), shard.map.rows)
            other = next(one for (past, mine), one in sent.items() if past == number - 1 and mine != names[0])
            return Sent(other.values, shard.map.rows, () if disguised else other.ciphertexts)

        return [Mine(names[0], send)]

    return Cheat(mines, range(2, 256))


# ---- false data


def _targets(change: Callable[[Matrix, Rng], Matrix]) -> Callable[[Shard, Rng], Shard]:
    return lambda shard, rng: Shard(shard.design, shard.x, change(shard.y, rng))


def _negated(y: Matrix, _rng: Rng) -> Matrix:
    return np.asarray(2.0 * y.mean() - y)


def _random_rows(shard: Shard, rng: Rng) -> Shard:
    """Columns of the right means and spreads, and nothing in them."""
    held = shard.design.holdout
    size = len(shard.y)
    x = rng.normal(held.x.mean(axis=0), held.x.std(axis=0), (size, held.x.shape[1]))
    return Shard(shard.design, x, rng.normal(held.y.mean(), held.y.std(), size))


# ---- more than it has


def _overstated(factor: int) -> Cheat:
    def mines(names: Sequence[str], shard: Shard, _rng: Rng) -> list[Mine]:
        rows = factor * shard.map.rows
        return [Mine(names[0], lambda _n, weights, _s: Sent(shard.answer(weights), rows))]

    return Cheat(mines, against_itself=True)


def _same(shard: Shard, rng: Rng) -> Shard:
    """The same rows; with noise of its own, where there is any: a twin has another home."""
    return shard if shard.design.spec.noise is None else replace(shard, seed=int(rng.integers(1 << 32)))


def _shuffled(shard: Shard, rng: Rng) -> Shard:
    return _same(shard.with_rows(rng.permutation(len(shard.y))), rng)


def _one_less(shard: Shard, _rng: Rng) -> Shard:
    return shard.with_rows(np.arange(1, len(shard.y)))


def _jittered(part: float) -> Callable[[Shard, Rng], Shard]:
    """Noise of `part` of the spread on every column, the target too."""

    def change(shard: Shard, rng: Rng) -> Shard:
        x = shard.x + part * shard.x.std(axis=0) * rng.normal(size=shard.x.shape)
        return Shard(shard.design, x, shard.y + part * shard.y.std() * rng.normal(size=len(shard.y)))

    return change


def _every(step: int, start: int) -> Callable[[Shard, Rng], Shard]:
    return lambda shard, _rng: shard.with_rows(np.arange(start, len(shard.y), step))


def _twins(count: int, change: Callable[[Shard, Rng], Shard] = _same) -> Cheat:
    return _with(_same, *[change] * (count - 1), against_itself=True)


def _boasting(factor: int, twins: Cheat) -> Cheat:
    """The same mines, each of which says that it has `factor` times its rows."""

    def mines(names: Sequence[str], shard: Shard, rng: Rng) -> list[Mine]:
        def boast(send: Forge) -> Forge:
            def sent(number: int, weights: Sequence[int], history: History) -> Sent:
                made = send(number, weights, history)
                return replace(made, rows=factor * made.rows)

            return sent

        return [replace(mine, send=boast(mine.send)) for mine in twins.mines(names, shard, rng)]

    return replace(twins, mines=mines)


LATER, ONE = range(3, 256), range(4, 5)
CHEATS: dict[str, Cheat] = {
    "honest": _with(_same),
    "no data: zeros": _forged(lambda values, _w, _s, _r: [0] * len(values)),
    "no data: the mean in the bias": _forged(_mean_in_the_bias),
    "no data: half a deviation everywhere": _forged(_half),
    "no data: A = I, b = 0": _made_up(_identity(0.0)),
    "no data: A = I, b = 0.3": _made_up(_identity(0.3)),
    "no data: A = I, b = 1": _made_up(_identity(1.0)),
    "no data: the published means as rows": _made_up(_published_means),
    "x3": _times(3),
    "x-3": _times(-3),
    "x7": _times(7),
    "x3 from round 3": _times(3, LATER),
    "x-3 from round 3": _times(-3, LATER),
    "x7 from round 3": _times(7, LATER),
    "x3 in round 1 only": _times(3, range(1, 2)),
    "x3 in round 4 only": _times(3, ONE),
    "x-3 in round 4 only": _times(-3, ONE),
    "x7 in round 4 only": _times(7, ONE),
    "replay of its own first answer": _replayed(),
    "replay of another's answer": _stolen(disguised=False),
    "replay of another's answer, re-randomised": _stolen(disguised=True),
    "one random slot": _forged(_one_slot),
    "one random slot, its last digits kept": _forged(_one_fitting_slot),
    "random values": _forged(_random_values),
    "shuffled targets": _with(_targets(lambda y, rng: rng.permutation(y))),
    "negated targets": _with(_targets(_negated)),
    "targets times three": _with(_targets(lambda y, _rng: y.mean() + 3.0 * (y - y.mean()))),
    "random data": _with(_random_rows),
    "rows overstated 1,000 times": _overstated(1_000),
    "2 twins": _twins(2),
    "3 twins": _twins(3),
    "5 twins": _twins(5),
    "2 twins, rows in another order": _twins(2, _shuffled),
    "2 twins, one row less": _twins(2, _one_less),
    "2 twins, jitter of 1%": _twins(2, _jittered(0.01)),
    "2 twins, jitter of 1%, rows overstated": _boasting(1_000, _twins(2, _jittered(0.01))),
    "2 twins, jitter of 10%": _twins(2, _jittered(0.1)),
    "2 twins, jitter of 30%": _twins(2, _jittered(0.3)),
    "2 twins, jitter of 100%": _twins(2, _jittered(1.0)),
    "rows split in two": _with(_every(2, 0), _every(2, 1), against_itself=True),
}
