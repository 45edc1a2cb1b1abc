"""A round's cost to the scientist late in a campaign and early: processor time and memory.

python -m benchmarks.campaign MINES ROUNDS      one campaign, as JSON; in a process of its own

The mines' part is left out: their maps are computed in the clear, and the scientist's key encrypts what they
would send. Everything after the revealed digests is PySonar's own work on its own files.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from benchmarks.opened import PLACE, opened
from benchmarks.race import Result
from pysonar.bounty.request import Bounty
from pysonar.campaign.records import Cohort
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.data import examples
from sonar.data.table import Table
from sonar.families.quadratic.answer import LocalMap
from sonar.families.registry import family_of
from sonar.manifests.update import UpdateManifest
from sonar.protocol.ids import Address, Digest, links_of
from sonar.store.memory import MemoryStore

EARLY, LATE, MANY, LAST = 3, 40, 255, 100
SHARDS = 10


def campaign(quick: bool) -> Result:
    """Collecting, judging and computing a round; `quick` leaves the campaign of 255 mines out."""
    ten = _in_a_process(10, LATE + 2)
    early, late = (median(ten["seconds"][n - 2 : n + 1]) for n in (EARLY, LATE))
    ratio = {f"round {LATE} / round {EARLY}": late / early}
    medians = {f"round {EARLY}": early, f"round {LATE}": late}
    if not quick:
        many = _in_a_process(MANY, LAST)
        medians[f"{MANY} mines at round {LAST}"] = median(many["seconds"][-3:])
        medians |= {f"MiB at round {n}": many["mib"][n - 1] for n in (10, LAST)}
        ratio[f"MiB at round {LAST} / round 10"] = many["mib"][-1] / many["mib"][9]
    note = "processor time of collecting, judging and computing a round, 2048 bits, ten mines where no number"
    return Result(ratio, medians, note=f"{note} is said; MiB: resident memory, {MANY} mines")


@dataclass
class Bench:
    """A campaign's rounds without a chain."""

    folder: Path
    mines: int
    rounds: int
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.bounty = Bounty.example("diabetes", cohort=self.mines, rounds=self.rounds, key_bits=2048)
        design = self.bounty.design
        key = Key.generate(2048)
        key.save(self.folder / "key", "bench", dev=True)
        self.holder = LocalHolder(key)
        self.job, self.records, self.work, self.model = opened(
            self.bounty, self.holder, self.folder, self.store
        )
        self.weights = list(design.start)
        table = examples.load("diabetes")
        self.maps = [self._map(examples.shard(table, i, SHARDS)) for i in range(SHARDS)]

    def _map(self, table: Table) -> LocalMap:
        design = self.bounty.design
        rows = table.matrix(design.spec.columns)
        made: LocalMap = family_of(design.spec).prepare(design.spec, design.plan, [rows])
        return made

    def reveal(self, number: int) -> Cohort:
        """Have every mine send its update; return the cohort."""
        plan = self.bounty.design.plan
        w = np.array(self.weights, dtype=object).reshape(plan.features, plan.outputs, order="F")
        values = [
            (m.b_int.astype(object) << plan.weight_frac) - m.a_int.astype(object) @ w for m in self.maps
        ]
        packed = [plan.pack([int(u) for u in values[i % SHARDS].ravel(order="F")]) for i in range(self.mines)]
        ciphertexts = iter(self.holder.encrypt([number for each in packed for number in each]))
        self.store = self.work._gatherer._store = MemoryStore()  # what is settled is not read again
        digests = {}
        for i, each in enumerate(packed):
            mine = Address(f"0x{i + 1:040d}")
            blob = self.holder.public.encode_blob([next(ciphertexts) for _ in each])
            digests[str(mine)] = bytes(self._publish(number, mine, blob))
        return Cohort(digests, list(digests), 0)

    def _publish(self, number: int, mine: Address, blob: bytes) -> Digest:
        self.store.put(blob)
        manifest = UpdateManifest(
            chain_id=PLACE[0],
            contract=PLACE[1],
            bounty=self.job.bounty,
            round=number,
            mine=mine,
            model=self.model.cid(),
            key=self.holder.public.fingerprint,
            rows=40,
            ciphertexts=self.bounty.design.plan.ciphertexts,
            blobs=links_of(blob),
        )
        return self.store.put(manifest.to_bytes(), "dag-cbor").digest

    def run(self) -> Iterator[tuple[float, float]]:
        """The rounds, one after the other: processor seconds of each, and MiB after it."""
        best = self.bounty.design.initial_loss
        for number in range(1, self.rounds + 1):
            cohort = self.reveal(number)
            self.records.put(cohort, number)
            gc.collect()
            start = time.process_time()
            self.work.collect(number, cohort, self.model.digest(), last_try=True)
            verdict = self.work.judge(number)
            outcome = self.work.compute(number)
            seconds = time.process_time() - start
            if len(verdict.accepted) != self.mines or not outcome.sums:
                raise RuntimeError(f"round {number} left out {verdict.left_out}")
            self.work.prepare(number, self.model, best)
            self.weights, best = outcome.weights, min(best, outcome.loss)
            gc.collect()
            yield seconds, psutil.Process().memory_info().rss / 2**20


def one_run(mines: int, rounds: int) -> dict[str, list[float]]:
    """Seconds and MiB by round."""
    with tempfile.TemporaryDirectory() as folder:
        found = list(Bench(Path(folder), mines, rounds).run())
    return {"seconds": [seconds for seconds, _ in found], "mib": [mib for _, mib in found]}


def _in_a_process(mines: int, rounds: int) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "benchmarks.campaign", str(mines), str(rounds)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, list[float]] = json.loads(answer)
    return result


if __name__ == "__main__":
    print(json.dumps(one_run(int(sys.argv[1]), int(sys.argv[2]))))
