"""Openings that auditors are going to ask for, computed while capsules are waited for.

Whoever has decrypted or encrypted knows the plaintexts already; what is left are roots. GMP takes them
without Python's lock, and an audited round has pauses enough in which a core is free.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from gmpy2 import mpz

from pysonar.keys.key import Key
from sonar.errors import SonarError

Opening = tuple[int, int]
_Index = dict[tuple[mpz, ...], slice]
_KEPT = 4
"""How many lots are kept: a round's answers, its new weights, which are the next one's, and a spare one."""


class OpenedAhead:
    """Openings by the ciphertexts as they were announced. In memory only."""

    def __init__(self) -> None:
        self._lots: deque[tuple[_Index, Future[list[Opening]]]] = deque(maxlen=_KEPT)

    def begin(self, key: Key, groups: Sequence[Sequence[mpz]], plain: Sequence[int]) -> None:
        """Begin to open these: `plain` is what they hold, one after the other. Does not wait."""
        index, flat = _Index(), list[mpz]()
        for group in groups:
            index[tuple(group)] = slice(len(flat), len(flat) + len(group))
            flat += group
        future: Future[list[Opening]] = Future()

        def work() -> None:
            try:
                future.set_result(key.unsafe_open(flat, plain))
            except BaseException as error:  # noqa: BLE001 - it is raised where the openings are asked for
                future.set_exception(error)

        self._lots.append((index, future))
        threading.Thread(target=work, name="openings", daemon=True).start()

    def open(self, key: Key, ciphertexts: Sequence[mpz]) -> list[Opening]:
        """Return plaintext and randomness of each, from what was begun or anew. Raises EnvironmentFault."""
        wanted = tuple(ciphertexts)
        for index, future in self._lots:
            if wanted in index:
                with suppress(SonarError):  # a fault of then may have passed
                    return future.result()[index[wanted]]
        return key.unsafe_open(ciphertexts)
