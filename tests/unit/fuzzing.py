"""Hostile inputs for decoders: this package's own errors come out or a sound value, no more.

Inputs are valid ones, changed: random bytes alone would not get past the first check. The seed comes from the
system; a failure prints it, and SONAR_FUZZ_SEED=... runs the same inputs again. `make fuzz`, which CI runs,
feeds 100,000 to a decoder that is quick; `make test` a tenth of that.
"""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Callable
from typing import Any

from sonar.errors import SonarError

INPUTS = int(os.environ.get("SONAR_FUZZ_INPUTS", "10000"))
MEMORY_CAP_KIB = 64 * 1024
"""What all inputs of one decoder may add to the process' largest size."""

JUNK: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2**31,
    2**63,
    2**64,
    -(2**63),
    2**4000,
    1.0,
    1e308,
    float("nan"),
]
JUNK += [float("inf"), "", "x", "1", b"", b"\0", [], [1], {}, {"a": 1}, "\ud800", "9" * 5000, 10**30]

Rng = random.Random
Decoder = Callable[[Any], object]


def fuzz(make: Callable[[Rng], Any], decode: Decoder, inputs: int = INPUTS) -> int:
    """Feed `inputs` hostile ones; return how many were taken for sound."""
    seed = int(os.environ.get("SONAR_FUZZ_SEED") or int.from_bytes(os.urandom(8), "big"))
    rng, taken = random.Random(seed), 0
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(inputs):
        hostile = make(rng)
        try:
            decode(hostile)
            taken += 1
        except SonarError:
            pass
        except BaseException as error:
            told = f"SONAR_FUZZ_SEED={seed}, input {i}: {hostile!r:.500} gave {error!r:.500}"
            raise AssertionError(told) from error
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib <= MEMORY_CAP_KIB, f"SONAR_FUZZ_SEED={seed}: {grown_kib} KiB more"
    return taken


_HEADS = (0, 1, 0x7F, 0x80, 0xFF, 0x1B, 0x5B, 0x9B, 0xBB, 0xD8)  # some have a meaning in CBOR


def changed_bytes(rng: Rng, data: bytes) -> bytes:
    """One to three changes: a byte set, a bit flipped, a slice cut, repeated or added, an end lost."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = int((len(out) + 1) * rng.random() ** 2)  # mostly near the head: what fails early is quick
        end = min(len(out), at + rng.choice((1, 1, 2, 4, 9, 64)))
        match rng.randrange(6):
            case 0 if at < len(out):
                out[at] = rng.choice((*_HEADS, rng.randrange(256)))
            case 1 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                del out[at:end]
            case 3:
                out[at:at] = out[at:end] * rng.choice((1, 2, 50))
            case 4:
                del out[at:]
            case _:
                out[at:at] = rng.randbytes(rng.choice((1, 2, 8, 100)))
    return bytes(out)


def changed_value(rng: Rng, value: Any) -> Any:
    """The same tree with one node replaced, dropped, added or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        rest = {other: item for other, item in value.items() if other != name}
        match rng.randrange(8):
            case 0:
                return rest
            case 1:
                return {**rest, rng.choice(("", "x", name + "x", "\ud800")): value[name]}
            case 2:
                return {**value, "more": rng.choice(JUNK)}
            case _:
                return {**value, name: changed_value(rng, value[name])}
    if isinstance(value, list | tuple) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        before, after = list(value[:at]), list(value[at + 1 :])
        match rng.randrange(8):
            case 0:
                return [*before, *after]
            case 1:
                return [*before, value[at], value[at], *after]
            case 2:
                return [*before, rng.choice(JUNK), *after]
            case _:
                return [*before, changed_value(rng, value[at]), *after]
    if isinstance(value, bool | None):
        return rng.choice(JUNK)
    if isinstance(value, int) and rng.random() < 0.5:
        return rng.choice((value + 1, value - 1, -value, value * 2, float(min(value, 2**60)), 2**62))
    if isinstance(value, str) and value and rng.random() < 0.5:
        at = rng.randrange(len(value))
        return value[:at] + rng.choice(("", "0", "g", " ", "\0", value[at] * 2)) + value[at + 1 :]
    return rng.choice(JUNK)
