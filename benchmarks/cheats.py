"""What cheats earn, and what they cost others: `python -m benchmarks.cheats`, or `make cheats`.

Campaigns of six mines and six rounds, on several partitions of the diabetes rows. Store, key, tests, sums,
optimiser, scores and shares are the product's own, and what a round pays is the contract's formula
(`sonar.protocol.phase.Terms`; a test holds it against the contract). Only the mines' part is computed in the
clear, and then encrypted: opening an answer gives the same integers. Nothing here is timed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from statistics import mean

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from benchmarks.liars import CHEATS, Cheat, Mine, Sent, Shard
from benchmarks.masked import BehindCapsules
from benchmarks.opened import PLACE, opened
from pysonar.bounty.request import Bounty
from pysonar.campaign.records import Cohort
from pysonar.keys.job import Job
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.data import examples
from sonar.manifests.model import KeyManifest
from sonar.manifests.update import UpdateManifest
from sonar.protocol.ids import Address, Digest, links_of
from sonar.protocol.phase import Terms
from sonar.settling.verdict import SPARED
from sonar.store.memory import MemoryStore

Matrix = NDArray[np.float64]

MINES, ROUNDS, HOLDOUT = 6, 6, examples.HOLDOUT_ROWS
PARTITIONS = 8
KNOWN = frozenset(
    {
        "no data: A = I, b = 0.3",
        "one random slot, its last digits kept",
        "targets times three",
        "2 twins, one row less",
        "2 twins, jitter of 1%, rows overstated",
        "2 twins, jitter of 10%",
        "2 twins, jitter of 30%",
        "2 twins, jitter of 100%",
        "rows split in two",
        "honest",
    }
)
"""The cheats that earn more than the others: ARCHITECTURE says why."""


def seeded(partition: int) -> np.random.Generator:
    """Return what a cheat draws from on one partition."""
    return np.random.default_rng([partition, 1])


@lru_cache(maxsize=1)
def _primes() -> tuple[int, int]:
    """Return a key's primes. Each campaign has a ledger of its own: all begin at the same weights."""
    return Key.generate(2048).unsafe_primes()


@lru_cache(maxsize=1)
def _proof() -> bytes:
    return Key(*_primes()).proof


@lru_cache(maxsize=1)
def _zeros() -> list[mpz]:
    return Key(*_primes()).encrypt_weights([0] * 32)


class QuickHolder(LocalHolder):
    """The key's holder, whose ciphertexts hide nothing: their randomness is made of a few factors."""

    def key(self, job: Job | None = None, round: int = 1) -> KeyManifest:
        """See `KeyHolder`."""
        return KeyManifest(bits=self.public.bits, n=self.public.to_bytes(), proof=_proof())

    def encrypt(self, numbers: Sequence[int], job: Job | None = None, round: int = 1) -> list[mpz]:
        """See `KeyHolder`."""
        n, n2 = self.public.n, self.public.n2
        return [(1 + number % n * n) * math.prod(random.sample(_zeros(), 3)) % n2 for number in numbers]


class QuickVeiled(QuickHolder, BehindCapsules):
    """The same holder, which knows of single answers what capsules tell."""


@dataclass(frozen=True)
class Round:
    """A round's outcome: units by mine, who was left out and why, and the best loss in millionths."""

    paid: Mapping[str, int]
    left_out: Mapping[str, str]
    best_loss: int


def payments(terms: Terms, losses: tuple[int, int], shares_bps: Mapping[str, int]) -> dict[str, int]:
    """Return what the contract pays each mine of a cohort, in units: its share of the reward, and the fees.

    `losses`: the best before the round and after it, in millionths. The fees of all who revealed go in equal
    parts to those who have a share.
    """
    gained = terms.reward_at(losses[1]) - terms.reward_at(losses[0])
    sharers = sum(share > 0 for share in shares_bps.values())
    fee = terms.fee_units * len(shares_bps) // sharers if sharers else 0
    return {mine: gained * share // 10_000 + (fee if share else 0) for mine, share in shares_bps.items()}


@dataclass
class Campaign:
    """A bounty's rounds without a chain, between the scientist's own code and mines of any kind."""

    folder: Path
    bounty: Bounty
    mines: Sequence[Mine]
    capsules: bool = False
    store: MemoryStore = field(default_factory=MemoryStore)
    sent: dict[tuple[int, str], Sent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.holder = (QuickVeiled if self.capsules else QuickHolder)(Key(*_primes()))
        self.job, self.records, self.work, self.model = opened(
            self.bounty, self.holder, self.folder, self.store
        )

    def run(self) -> list[Round]:
        """Return every round, till the last or till the target is reached."""
        rounds, weights, best = [], self.bounty.design.start, self.bounty.initial_loss
        for number in range(1, self.bounty.terms.rounds + 1):
            cohort = self._revealed(number, weights)
            self.records.put(cohort, number)
            self.work.collect(number, cohort, self.model.digest(), last_try=True)
            verdict = self.work.judge(number)
            outcome = self.work.compute(number)
            self.work.prepare(number, self.model, best)
            losses = best, min(best, outcome.loss)
            paid = payments(self.bounty.terms, losses, outcome.shares_bps)
            weights, best = tuple(outcome.weights), losses[1]
            rounds.append(Round(paid, verdict.left_out, best))
            if best <= self.bounty.terms.target_loss:
                break
        return rounds

    def _revealed(self, number: int, weights: Sequence[int]) -> Cohort:
        digests = {}
        for mine in self.mines:
            if number < mine.since:
                continue
            sent = mine.send(number, weights, self.sent)
            if not sent.ciphertexts:
                values = [int(value) for value in sent.values]
                sent = Sent(sent.values, sent.rows, tuple(self.holder.encrypt(self.job.plan.pack(values))))
            self.sent[number, mine.address] = sent
            digests[mine.address] = bytes(self._published(number, mine.address, sent))
        return Cohort(dict(sorted(digests.items())), list(digests), 0)

    def _published(self, number: int, mine: str, sent: Sent) -> Digest:
        blob = self.holder.public.encode_blob(sent.ciphertexts)
        self.store.put(blob)
        manifest = UpdateManifest(
            chain_id=PLACE[0],
            contract=PLACE[1],
            bounty=self.job.bounty,
            round=number,
            mine=Address(mine),
            model=self.model.cid(),
            key=self.holder.public.fingerprint,
            rows=sent.rows,
            ciphertexts=len(sent.ciphertexts),
            blobs=links_of(blob),
        )
        return self.store.put(manifest.to_bytes(), "dag-cbor").digest


@dataclass(frozen=True)
class Partition:
    """One way to deal the diabetes rows: the first held out, the rest in equal parts for the mines.

    `epsilon`: what mines' noise leaves to be learned of a row; None for none.
    """

    seed: int
    epsilon: float | None = None

    @cached_property
    def rows(self) -> tuple[Matrix, Matrix]:
        table = examples.load("diabetes")
        order = np.random.default_rng(self.seed).permutation(table.rows)
        return (
            table.matrix(examples.DIABETES_FEATURES)[order],
            table.column(examples.DIABETES_TARGET)[order],
        )

    def bounty(self, cohort: int) -> Bounty:
        """Return the bounty of the rows held out, for so many mines."""
        x, y = self.rows
        return Bounty.of(
            x[:HOLDOUT],
            y[:HOLDOUT],
            target="target",
            features=examples.DIABETES_FEATURES,
            name="cheats",
            cohort=cohort,
            rounds=ROUNDS,
            key_bits=2048,
            reward="1 ether",
            **({} if self.epsilon is None else {"privacy": {"epsilon": self.epsilon}}),
        )

    def shards(self, bounty: Bounty) -> list[Shard]:
        """Return each mine's rows."""
        x, y = self.rows
        parts = np.array_split(np.arange(HOLDOUT, len(y)), MINES)
        return [Shard(bounty.design, x[rows], y[rows], seed) for seed, rows in enumerate(parts)]


def played(
    partition: Partition, cheat: Cheat | None, capsules: bool = False
) -> tuple[list[Round], list[str], list[str]]:
    """Return the rounds of one campaign, and the addresses of the cheat and of the honest mines.

    The cheat stands in place of the first mine; None has that mine stay away.
    """
    cheats = 0 if cheat is None else cheat.addresses
    bounty = partition.bounty(MINES - 1 + cheats)
    own, *others = partition.shards(bounty)
    rng = seeded(partition.seed)
    honest = [Mine.honest(f"0x{i:040x}", shard) for i, shard in enumerate(others, 1)]
    names = [f"0x{i:040x}" for i in range(MINES, MINES + cheats)]
    mines = [*(cheat.mines(names, own, rng) if cheat else ()), *honest]
    with tempfile.TemporaryDirectory() as folder:
        rounds = Campaign(Path(folder), bounty, mines, capsules).run()
    return rounds, names, [mine.address for mine in honest]


def _total(rounds: Iterable[Round], mines: Iterable[str]) -> int:
    mines = list(mines)
    return sum(each.paid.get(mine, 0) for each in rounds for mine in mines)


def _left_out(rounds: Iterable[Round], mines: Sequence[str], spared: bool) -> int:
    reasons = [each.left_out[mine] for each in rounds for mine in mines if mine in each.left_out]
    return sum((reason == SPARED) == spared for reason in reasons)


@dataclass(frozen=True)
class Found:
    """One cheat on one partition.

    `paid`: what it got in the rounds in which it cheats; `honest`: what one honest mine got in them, or, for
    a cheat that is measured against its own data told honestly, what these got. `others`: what one honest
    mine got in all rounds, in parts of what it got beside the same mine told honestly. `model`: the loss in
    parts of that without the mine. `counted`: in how many of its rounds it was in the sum. `wrongly`: how
    often a test left an honest mine out of a round; `companions`: how often a lot did, for others' privacy.
    """

    paid: float
    honest: float
    others: float
    model: float
    counted: float
    wrongly: int
    companions: int


def measured(
    seed: int, names: Sequence[str], capsules: bool = False, epsilon: float | None = None
) -> dict[str, Found]:
    """Return the cheats of these names on one partition."""
    partition, found = Partition(seed, epsilon), {}
    told, (told_name,), told_others = played(partition, CHEATS["honest"], capsules)
    without, _, _ = played(partition, None, capsules)
    for name in names:
        cheat = CHEATS[name]
        rounds, own, others = played(partition, cheat, capsules)
        cheated = [each for number, each in enumerate(rounds, 1) if number in cheat.rounds]
        fair = _total(cheated, others) / len(others)
        if cheat.against_itself:
            fair = _total((told[number - 1] for number in cheat.rounds if number <= len(told)), [told_name])
        found[name] = Found(
            paid=_total(cheated, own) / 1e18,
            honest=fair / 1e18,
            others=_total(rounds, others) / _total(told, told_others),
            model=rounds[-1].best_loss / without[-1].best_loss,
            counted=sum(mine not in each.left_out for each in cheated for mine in own)
            / (len(cheated) * len(own)),
            wrongly=_left_out(rounds, others, False),
            companions=_left_out(rounds, others, True),
        )
    return found


@dataclass(frozen=True)
class Line:
    """One cheat over all partitions, see `Found`: `pay` is a ratio of sums, the rest but `worst` are means.

    `worst`: the largest `model` of all. `honest_left_out`: how often an honest mine failed a test of a round;
    `companions`: how often one stayed out of a sum by lot, so that no sum shows what a single mine gave.
    """

    pay: float
    others: float
    model: float
    worst: float
    counted: float
    honest_left_out: int
    companions: int


def table(
    partitions: int,
    names: Sequence[str] = tuple(CHEATS),
    capsules: bool = False,
    epsilon: float | None = None,
) -> dict[str, Line]:
    """Return each cheat over so many partitions."""
    one = partial(measured, names=names, capsules=capsules, epsilon=epsilon)
    with ProcessPoolExecutor(2) as pool:
        all_found = list(pool.map(one, range(partitions)))
    return {name: _line([one[name] for one in all_found]) for name in names}


def _line(found: Sequence[Found]) -> Line:
    return Line(
        pay=sum(one.paid for one in found) / sum(one.honest for one in found),
        others=mean(one.others for one in found),
        model=mean(one.model for one in found),
        worst=max(one.model for one in found),
        counted=mean(one.counted for one in found),
        honest_left_out=sum(one.wrongly for one in found),
        companions=sum(one.companions for one in found),
    )


def markdown(lines: Mapping[str, Line]) -> str:
    """Return the table as ARCHITECTURE has it."""
    head = ["cheat", "pay", "others earn", "model", "worst model", "in the sum"]
    rows = [
        [
            name,
            f"{line.pay:.0%}",
            f"{line.others:.0%}",
            f"{line.model:.2f}",
            f"{line.worst:.2f}",
            f"{line.counted:.0%}",
        ]
        for name, line in lines.items()
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cheats", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one document")
    parser.add_argument(
        "--partitions", type=int, default=PARTITIONS, help="ways to deal the rows (%(default)s)"
    )
    parser.add_argument(
        "--only", action="append", choices=[*CHEATS], help="this cheat alone; may be repeated"
    )
    parser.add_argument(
        "--capsules", action="store_true", help="single answers are known by functionals alone"
    )
    parser.add_argument("--epsilon", type=float, help="mines add noise: what it leaves to learn of a row")
    given = parser.parse_args()
    lines = table(given.partitions, given.only or tuple(CHEATS), given.capsules, given.epsilon)
    if given.json:
        cheats = {name: asdict(line) for name, line in lines.items()}
        print(
            json.dumps({"mines": MINES, "rounds": ROUNDS, "partitions": given.partitions, "cheats": cheats})
        )
    else:
        print(markdown(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
