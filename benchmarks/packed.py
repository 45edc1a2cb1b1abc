"""Long vectors of small integers: encrypted packed, summed over parties, decrypted; and what is sent for it.

Wall time, since ours works on all cores (SONAR_CORES limits them); peers work on as many as they choose.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.keys.key import Key
from pysonar.keys.phe_compat import to_phe_public, unsafe_to_phe_private
from sonar.cores import cores_allowed
from sonar.paillier.packed import PackedPlan

VALUES, VALUE_BITS, PARTIES = 10_000, 16, 10
Runner = Callable[[], float]


def packed_sum(bits: int, rounds: int, quick: bool = False) -> dict[str, Any]:
    """Ten parties' vectors of 10,000 16-bit values: encrypt all, add up, decrypt; every sum is checked.

    A fresh key object makes its tables in each round, and that time counts. `phe` would take a quarter of an
    hour: it is timed on a sample of the values and scaled.
    """
    key, plan = Key.generate(bits), PackedPlan(bits, VALUES, VALUE_BITS, PARTIES)
    primes = key.unsafe_primes()
    data = np.random.default_rng(2017).integers(-(1 << 15), 1 << 15, size=(PARTIES, VALUES))
    public, secret = to_phe_public(key.public), unsafe_to_phe_private(key)
    sample = 4 if quick else 20

    def sonar() -> float:
        fresh = Key(*primes)
        elapsed, total = _timed(
            lambda: fresh.decrypt_packed_sum(plan, [fresh.encrypt_packed(plan, vector) for vector in data])
        )
        _same(total, data.sum(axis=0))
        return elapsed

    def phe() -> float:
        some = data[:, :sample].tolist()

        def work() -> list[int]:
            encrypted = [[public.encrypt(value) for value in vector] for vector in some]
            return [
                secret.decrypt(sum(column[1:], start=column[0])) for column in zip(*encrypted, strict=True)
            ]

        elapsed, total = _timed(work)
        _same(np.array(total), data[:, :sample].sum(axis=0))
        return elapsed * VALUES / sample

    note = (
        f"phe: {sample} of {VALUES} values timed, scaled; sonar: {cores_allowed()} cores, its tables counted"
    )
    return _race({"sonar": sonar, "phe": phe}, rounds, note)


def encrypt_vs_heu(rounds: int, quick: bool = False) -> dict[str, Any]:
    """10,000 16-bit values, in 99 plaintexts of a 2048-bit key, encrypted; tables are made before.

    sf-heu is given the plaintexts ready made, one by one and as an array; ours packs them too.
    """
    try:
        from heu import numpy as heu_numpy
        from heu import phe as heu_phe
    except ImportError:
        return {"ratio": {}, "medians": {}, "unit": "s", "rounds": 0, "missing": ["sf-heu"]}
    key, plan = Key.generate(2048), PackedPlan(2048, VALUES, VALUE_BITS, PARTIES)
    values = np.random.default_rng(2017).integers(-(1 << 15), 1 << 15, size=VALUES)
    times = 1 if quick else 5
    schema = heu_phe.SchemaType.ZPaillier
    kit = heu_numpy.setup(schema, 2048)
    single = heu_phe.setup(schema, 2048)
    plain = [heu_phe.Plaintext(schema, int(m)) for m in plan.pack(values)]
    array = kit.array([int(m) for m in plan.pack(values)], heu_phe.BigintEncoder(schema))
    encrypt, encrypt_array, decrypt = (
        single.encryptor().encrypt,
        kit.encryptor().encrypt,
        single.decryptor().decrypt,
    )
    key.encrypt_packed(plan, values)

    def sonar() -> float:
        elapsed, cs = _timed(lambda: [key.encrypt_packed(plan, values) for _ in range(times)][-1])
        _same(key.decrypt_packed_sum(plan, [cs, key.encrypt_packed(plan, 0 * values)]), values)
        return elapsed / times

    def heu() -> float:
        elapsed, cs = _timed(lambda: [[encrypt(m) for m in plain] for _ in range(times)][-1])
        _same(plan.unpack([int(str(decrypt(c))) for c in cs], addends=1), values)
        return elapsed / times

    def heu_as_array() -> float:
        return _timed(lambda: [encrypt_array(array) for _ in range(times)])[0] / times

    note = "sonar encrypts on one core; sf-heu ZPaillier, given packed plaintexts"
    return _race({"sonar": sonar, "sf-heu": heu, "sf-heu array": heu_as_array}, rounds, note)


def bytes_per_value() -> dict[str, Any]:
    """The size of a 16-bit value on the wire with room for ten addends, measured on blobs."""
    medians: dict[str, float] = {}
    for bits in (2048, 3072):
        key, plan = Key.generate(bits), PackedPlan(bits, VALUES, VALUE_BITS, PARTIES)
        blob = key.public.encode_blob(key.encrypt_packed(plan, np.zeros(VALUES, dtype=np.int64)))
        medians[f"sonar {bits}"] = len(blob) / VALUES
        medians[f"phe {bits}"] = float(
            key.public.ciphertext_bytes
        )  # a ciphertext a value, without its exponent
    ratio = {f"phe {bits}": medians[f"phe {bits}"] / medians[f"sonar {bits}"] for bits in (2048, 3072)}
    return {"ratio": ratio, "medians": medians, "unit": "bytes", "rounds": 1}


def _race(runners: dict[str, Runner], rounds: int, note: str) -> dict[str, Any]:
    """Interleaved rounds in random order; medians in seconds, and each peer's ratio to ours."""
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name in random.sample(list(runners), len(runners)):
            seconds[name].append(runners[name]())
    medians = {name: median(times) for name, times in seconds.items()}
    ratio = {name: value / medians["sonar"] for name, value in medians.items() if name != "sonar"}
    return {"ratio": ratio, "medians": medians, "unit": "s", "rounds": rounds, "note": note}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    gc.collect()
    start = time.perf_counter()
    answer = call()
    return time.perf_counter() - start, answer


def _same(found: NDArray[np.int64], expected: NDArray[np.int64]) -> None:
    if not np.array_equal(found, expected):
        raise RuntimeError("a contender's result is wrong")
