"""What opendp and dp-accounting say, in their environment: `python privacy_job.py`, JSON in and out.

Asked {"prices": [[rho, epsilon, delta, orders], ...], "scales": [...], "draws": count} it answers with
`prices`, for each what either has for epsilon and for delta (dp-accounting only tries the orders that are
given); and `draws`, opendp's noise of each scale, with the processor seconds that it took.
"""

from __future__ import annotations

import json
import math
import sys
import time
from typing import Any

import opendp.prelude as dp
from dp_accounting import ZCDpEvent
from dp_accounting.rdp import RdpAccountant

dp.enable_features("contrib")


def priced(rho: float, epsilon: float, delta: float, orders: list[float]) -> dict[str, float]:
    """Both accountants' epsilon for a rho at `delta`, and their delta at `epsilon`."""
    scale = math.sqrt(0.5 / rho)
    noise = dp.m.make_gaussian(dp.atom_domain(T=int), dp.absolute_distance(T=float), scale=scale)
    profile = dp.c.make_zCDP_to_approxDP(noise).map(1.0)
    accountant = RdpAccountant(orders=orders)
    accountant.compose(ZCDpEvent(rho=rho))
    return {
        "rho": noise.map(1.0),
        "opendp epsilon": profile.epsilon(delta),
        "opendp delta": profile.delta(epsilon),
        "dp-accounting epsilon": float(accountant.get_epsilon(delta)),
        "dp-accounting delta": float(accountant.get_delta(epsilon)),
    }


def drawn(scale: float, count: int) -> dict[str, Any]:
    """So many draws of opendp's discrete Gaussian, from its own randomness."""
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    noise = dp.m.make_gaussian(*space, scale=scale)
    zeros = [0] * count
    start = time.process_time()
    values = noise(zeros)
    return {"seconds": time.process_time() - start, "values": values}


def main() -> None:
    """Answer one question."""
    asked = json.load(sys.stdin)
    answer = {
        "prices": [priced(*each) for each in asked.get("prices", [])],
        "draws": [drawn(scale, asked["draws"]) for scale in asked.get("scales", [])],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
