"""How many cores a program may use, and work on long integers spread over them.

For powers, threads will do: GMP computes one without Python's lock when it is asked by
`gmpy2.powmod_base_list`, so that other threads go on meanwhile. Nothing is copied to other processes, which
matters for keys. Products of a few microseconds each go to processes: letting go of the lock around every one
makes them a sixth slower (measured, gmpy2 2.3), and what Python adds to them would still take turns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from sonar.errors import ConfigError
from sonar.processes import die_with_parent
from sonar.processes.supervisor import ProcessFailed

VARIABLE = "SONAR_CORES"
_T = TypeVar("_T")
_R = TypeVar("_R")


def cores_allowed() -> int:
    """The cores that this process may use: SONAR_CORES, if set, but never more than the system gives it.

    Raises ConfigError.
    """
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get(VARIABLE, "").strip()
    if not asked:
        return given
    if not (asked.isascii() and asked.isdigit() and int(asked[:9]) >= 1):
        raise ConfigError(VARIABLE, f"{asked[:40]!r} is not a number of cores", hint="set it to 1 or more")
    return min(given, int(asked[:9]))


def spread(
    work: Callable[[Sequence[_T]], Sequence[_R]], items: Sequence[_T], *, cores: int, at_a_time: int
) -> Iterator[Sequence[_R]]:
    """Call `work` on `at_a_time` items after the other, `cores` calls at once; yield the results in order.

    What has not begun when the caller stops, or a call raises, is not begun any more.
    """
    parts = [items[i : i + at_a_time] for i in range(0, len(items), at_a_time)]
    if cores == 1 or len(parts) < 2:
        yield from map(work, parts)
        return
    threads = ThreadPoolExecutor(cores)
    try:
        yield from threads.map(work, parts)
    finally:
        threads.shutdown(cancel_futures=True)


def in_processes(work: Callable[[_T], _R], parts: Sequence[_T]) -> Sequence[_R]:
    """The results of `work` on each of `parts`, in order, each in a process that ends with this one.

    `work` and `parts` travel by pickle, to processes that were started here: nothing secret goes along.
    Raises ProcessFailed when one cannot be started, or ends before its work is done.
    """
    if len(parts) == 1:
        return [work(parts[0])]
    context = get_context("spawn")  # a fork of a process with threads can hang
    try:
        with ProcessPoolExecutor(len(parts), context, initializer=die_with_parent) as processes:
            return list(processes.map(work, parts))
    except (BrokenProcessPool, MemoryError, OSError) as error:
        raise ProcessFailed(
            f"{len(parts)} processes for a long computation could not end it: {error}",
            hint=f"is there too little memory? {VARIABLE}=1 computes it without them",
        ) from error
