"""An update of 1,000 weights: its time on all cores allowed, and its memory.

python -m benchmarks.large      one run, as JSON; in a process of its own, so that the memory is its own
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from statistics import median
from typing import Any

import numpy as np
import phe
import psutil

from benchmarks.contenders import slot_plan
from benchmarks.race import Result, timed
from pysonar.keys.key import Key
from pysonar.keys.phe_compat import to_phe_public
from sonar.cores import cores_allowed, in_processes
from sonar.paillier.affine import affine_update

WEIGHTS, SAMPLE = 1000, 200


def update_d1000_seconds(rounds: int) -> Result:
    """Wall time of the affine product for 1,000 weights at 2048 bits; phe + Gram on a sample."""
    runs = [_in_a_process() for _ in range(rounds)]
    seconds = median(run["seconds"] for run in runs)
    peers = _phe_gram_s()
    return Result(
        {"phe + Gram": peers / seconds},
        {"sonar": seconds, "phe + Gram": peers, "peak MiB": max(run["peak_mib"] for run in runs)},
        rounds=rounds,
        note=f"wall time, {runs[0]['cores']} core(s); phe: {SAMPLE} of {WEIGHTS**2:,} products, scaled; "
        "peak MiB is the resident memory of all processes together",
    )


def one_run() -> dict[str, Any]:
    """Seconds and peak MiB of one update, whose result is checked on some rows."""
    rng = np.random.default_rng(1000)
    key, plan = Key.generate(2048), slot_plan(2048, WEIGHTS, a_row_l1_max=64)
    phi = rng.normal(size=(3 * WEIGHTS, WEIGHTS))
    a = np.rint(phi.T @ phi / len(phi) * 2**20).astype(np.int64)
    del phi
    b, w = rng.integers(-(2**30), 2**30, WEIGHTS), rng.integers(-(2**25), 2**25, WEIGHTS)
    enc_w, cores = key.encrypt_weights(w.tolist()), cores_allowed()
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(peak, done))
    watcher.start()
    try:
        seconds, update = timed(
            lambda: affine_update(key.public, plan, a, b, enc_w, parts=cores, run=in_processes),
            time.perf_counter,
        )
    finally:
        done.set()
        watcher.join()
    found = plan.unpack(key.unsafe_decrypt(update), weight=1)
    for i in (0, WEIGHTS // 2, WEIGHTS - 1):
        if found[i] != (int(b[i]) << plan.weight_frac) - int(a[i].astype(object) @ w.astype(object)):
            raise RuntimeError(f"value {i} of the update is wrong")
    return {"seconds": seconds, "peak_mib": peak[0] / 2**20, "cores": cores}


def _watch(peak: list[int], done: threading.Event) -> None:
    me = psutil.Process()
    while not done.wait(0.05):
        try:
            total = sum(each.memory_info().rss for each in (me, *me.children(recursive=True)))
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], total)


def _in_a_process() -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.large"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(answer)
    return result


def _phe_gram_s() -> float:
    """What phe would take for A w, with one rounding for all numbers as ours has."""
    public = to_phe_public(Key.generate(2048).public)
    values = np.random.default_rng(7).normal(size=SAMPLE) / 50
    encrypted = public.encrypt(12.5, precision=2**-16)

    def work() -> Any:
        encoded = [phe.EncodedNumber.encode(public, float(x), precision=2**-20) for x in values]
        first, *rest = (encrypted * x for x in encoded)
        return sum(rest, start=first)

    return timed(work)[0] * WEIGHTS**2 / SAMPLE


if __name__ == "__main__":
    print(json.dumps(one_run()))
