"""Vectors summed by Flower's SecAgg+, in its environment: `python secagg_job.py CLIENTS VALUES SHARES`.

Its own code, stage by stage, without its network: keys and shares, quantisation, masks, the sum, and what
takes the masks off. With 3 shares each client has two neighbours, the fewest that SecAgg+ takes; with as many
shares as clients, all others. The last line of the output is JSON: processor seconds, of the faster of two
runs, bytes of one client's masked vector, and the mean's greatest error.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from flwr.client.mod.secure_aggregation.secaggplus_mod import (
    SecAggPlusState,
    _collect_masked_vectors,
    _setup,
    _share_keys,
    _unmask,
)
from flwr.common import bytes_to_ndarray, ndarrays_to_parameters
from flwr.common.secure_aggregation.crypto.shamir import combine_shares
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_extract,
    get_parameters_shape,
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import dequantize
from flwr.common.secure_aggregation.secaggplus_constants import Key
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from numpy.typing import NDArray

THRESHOLD = 2
CLIP, TARGET, MODULUS, MAX_WEIGHT = 8.0, 1 << 22, 1 << 32, 1.0
"""The workflow's defaults, but for the weight: all clients weigh the same, so that no precision is lost."""


def neighbours(client: int, clients: int, shares: int) -> list[int]:
    """The client and the ones beside it, as the workflow arranges them."""
    half = shares >> 1
    return sorted({(client + offset) % clients for offset in range(-half, half + 1)})


def shared(clients: int, shares: int) -> tuple[list[Any], list[dict[str, Any]]]:
    """The clients' states after the keys' and the shares' stages, and the shares as they are passed on."""
    states = [SecAggPlusState() for _ in range(clients)]
    setup = {
        Key.SAMPLE_NUMBER: clients,
        Key.SHARE_NUMBER: shares,
        Key.THRESHOLD: THRESHOLD,
        Key.CLIPPING_RANGE: CLIP,
        Key.TARGET_RANGE: TARGET,
        Key.MOD_RANGE: MODULUS,
        Key.MAX_WEIGHT: MAX_WEIGHT,
    }
    keys = []
    for i, state in enumerate(states):
        state.nid = i
        told = _setup(state, setup)
        keys.append([told[Key.PUBLIC_KEY_1], told[Key.PUBLIC_KEY_2]])
    passed: list[dict[str, Any]] = [{Key.SOURCE_LIST: [], Key.CIPHERTEXT_LIST: []} for _ in states]
    for i, state in enumerate(states):
        told = _share_keys(state, {str(j): keys[j] for j in neighbours(i, clients, shares)})
        for to, text in zip(told[Key.DESTINATION_LIST], told[Key.CIPHERTEXT_LIST], strict=True):
            passed[to][Key.SOURCE_LIST].append(i)
            passed[to][Key.CIPHERTEXT_LIST].append(text)
    return states, passed


def unmasked(states: list[Any], total: list[Any], shares: int) -> list[Any]:
    """The vector's sum without masks, from the shares that clients tell."""
    clients = len(states)
    told_of: list[list[bytes]] = [[] for _ in states]
    for i, state in enumerate(states):
        told = _unmask(
            state, {Key.ACTIVE_NODE_ID_LIST: neighbours(i, clients, shares), Key.DEAD_NODE_ID_LIST: []}
        )
        for owner, share in zip(told[Key.NODE_ID_LIST], told[Key.SHARE_LIST], strict=True):
            told_of[owner].append(share)
    for each in told_of:
        mask = pseudo_rand_gen(combine_shares(each), MODULUS, get_parameters_shape(total))
        total = parameters_subtraction(total, mask)
    return list(parameters_mod(total, MODULUS))


def summed(vectors: list[NDArray[np.float64]], shares: int) -> tuple[NDArray[np.float64], int]:
    """The vectors' mean as the server gets it, and the bytes of one client's masked vector."""
    states, passed = shared(len(vectors), shares)
    total: list[Any] = []
    sent = 0
    for state, texts, vector in zip(states, passed, vectors, strict=True):
        told = _collect_masked_vectors(state, texts, 1, ndarrays_to_parameters([vector]))
        masked = [bytes_to_ndarray(each) for each in told[Key.MASKED_PARAMETERS]]
        sent = sum(len(each) for each in told[Key.MASKED_PARAMETERS])
        total = parameters_addition(total, masked) if total else masked
    ratio, plain = factor_extract(unmasked(states, parameters_mod(total, MODULUS), shares))
    (mean,) = dequantize(plain, CLIP, TARGET)
    return (mean - (len(vectors) - 1) * CLIP) * (TARGET / ratio), sent


def main(clients: int, values: int, shares: int) -> None:
    """All stages, twice, timed but for the making of the vectors."""
    vectors = [np.random.default_rng([2017, i]).normal(size=values) for i in range(clients)]
    seconds = []
    for _ in range(2):
        start = time.process_time()
        mean, sent = summed(vectors, shares)
        seconds.append(time.process_time() - start)
    error = float(np.abs(mean - np.mean(vectors, axis=0)).max())
    print(json.dumps({"seconds": min(seconds), "bytes": sent, "error": error}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
