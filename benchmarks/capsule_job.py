"""A capsule's sums in a process of its own: `python capsule_job.py MINES WORDS`.

2 of 3 capsules: the masks of two classes, by weights. It prints JSON: processor seconds, the process's peak
memory in MiB, and a digest of what is told.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from pathlib import Path

from sonar.protocol.ids import Digest
from sonar.veil.streams import Place
from sonar.veil.sums import class_word_sums


def main(mines: int, words: int) -> None:
    """Both classes, chunk by chunk, as they would go out."""
    sent = hashlib.sha256()
    start = time.process_time()
    for number in range(2):
        answers = [(40 + i % 2, _hash(f"seed {number} {i}"), _place(i)) for i in range(mines)]
        for chunk in class_word_sums(words, answers):
            sent.update(chunk.data)
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib(), "sha256": sent.hexdigest()}))


def peak_mib() -> float:
    """The process's own peak; `getrusage` would count what it was forked from, so it is for other systems."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _place(mine: int) -> Place:
    return Place(Digest(_hash("question")), _hash(f"nonce {mine}"), 1)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
