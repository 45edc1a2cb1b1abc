"""Counts for Prometheus, in its text format (version 0.0.4)."""

from __future__ import annotations

import threading
from collections import Counter

_BOUNDS_S = (0.01, 0.05, 0.25, 1.0, 5.0, 25.0)


class Metrics:
    """What happened since the start. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._refusals: Counter[str] = Counter()
        self._seconds: Counter[tuple[str, str]] = Counter()
        self._sums: Counter[str] = Counter()

    def request(self, kind: str, outcome: str, seconds: float) -> None:
        """Count a request: its kind, "answered" or the refusal's code, and how long it took."""
        answered = outcome == "answered"
        with self._lock:
            self._requests[kind, "answered" if answered else "refused"] += 1
            if not answered:
                self._refusals[outcome] += 1
            for bound in (*(str(each) for each in _BOUNDS_S if seconds <= each), "+Inf"):
                self._seconds[kind, bound] += 1
            self._sums[kind] += round(seconds * 1e6)

    def text(self, bits_told: int, sums_opened: int) -> str:
        """Return all of it, with two counts from the ledger."""
        with self._lock:
            lines = [
                "# TYPE capsule_requests_total counter",
                *(
                    f'capsule_requests_total{{kind="{kind}",outcome="{outcome}"}} {count}'
                    for (kind, outcome), count in sorted(self._requests.items())
                ),
                "# TYPE capsule_refusals_total counter",
                *(
                    f'capsule_refusals_total{{code="{code}"}} {count}'
                    for code, count in sorted(self._refusals.items())
                ),
                "# TYPE capsule_bits_told_total counter",
                f"capsule_bits_told_total {bits_told}",
                "# TYPE capsule_sums_opened_total counter",
                f"capsule_sums_opened_total {sums_opened}",
                "# TYPE capsule_request_seconds histogram",
            ]
            for kind, total_us in sorted(self._sums.items()):
                lines += [
                    f'capsule_request_seconds_bucket{{kind="{kind}",le="{bound}"}} '
                    f"{self._seconds[kind, str(bound)]}"
                    for bound in (*_BOUNDS_S, "+Inf")
                ]
                lines += [
                    f'capsule_request_seconds_sum{{kind="{kind}"}} {total_us / 1e6}',
                    f'capsule_request_seconds_count{{kind="{kind}"}} {self._seconds[kind, "+Inf"]}',
                ]
        return "\n".join(lines) + "\n"
