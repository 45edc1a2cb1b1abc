"""`sonar chain`, whose processes are killed and started again, when what was mined is not on the disk yet.

Usage: python -m tests.e2e.chain_that_is_killed SEED KILLS FOLDER ARGUMENTS; these of `sonar`, with that home.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sonar.chain.rpc import Request, Rpc
from sonar.localchain.statefile import STATE_FILE
from sonar.processes import die_with_parent


def start(args: list[str]) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sonar", *args], stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def records(rpc: Rpc, contract: str) -> int:
    """How many records the contract has made: eleven in a round of three mines."""
    return len(rpc.call("eth_getLogs", {"address": contract, "fromBlock": "0x0"}))


def wait_for_records(rpc: Rpc, contract: str, count: int) -> None:
    while records(rpc, contract) < count:
        time.sleep(0.05)


def not_kept(rpc: Rpc, state: Path) -> int:
    """How many transactions a kill would cost now."""
    kept = int(json.loads(state.read_bytes())["best_block_number"])
    newest = int(rpc.call("eth_blockNumber"), 16)
    blocks = rpc.batch(
        *(Request("eth_getBlockByNumber", (hex(n), False)) for n in range(kept + 1, newest + 1))
    )
    return sum(len(block["transactions"]) for block in blocks)


def main(seed: int, kills: int, folder: Path, args: list[str]) -> int:
    draw = random.Random(seed)
    process, ready = start(args)
    first = ready
    print(json.dumps(ready), flush=True)
    rpc = Rpc(ready["rpc_url"])
    wait_for_records(rpc, ready["contract"], 4)  # a posting and three commits: by then all have their ether
    for _ in range(kills):
        wait_for_records(rpc, ready["contract"], records(rpc, ready["contract"]) + draw.randint(1, 25))
        while not (lost := not_kept(rpc, folder / STATE_FILE)):
            time.sleep(draw.uniform(0.01, 0.1))
        os.kill(ready["pid"], signal.SIGKILL)
        process.kill()
        process.wait()
        process, ready = start(args)
        for same in ("chain_id", "contract", "rpc_url"):
            assert ready[same] == first[same], same
        print(f"killed with {lost} transactions that were not kept", file=sys.stderr, flush=True)
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
