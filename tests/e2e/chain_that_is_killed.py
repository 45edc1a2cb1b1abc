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

from sonar.chain.rpc import Rpc
from sonar.localchain.statefile import STATE_FILE
from sonar.processes import die_with_parent


def start(args: list[str]) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sonar", *args], stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def wait_for_records(rpc: Rpc, contract: str, count: int) -> None:
    """Wait until the contract has so many: a posting and three commits, by when everybody has their ether."""
    while len(rpc.call("eth_getLogs", {"address": contract, "fromBlock": "0x0"})) < count:
        time.sleep(0.1)


def not_kept(rpc: Rpc, state: Path) -> int:
    """How many transactions a kill would cost now."""
    kept = int(json.loads(state.read_bytes())["best_block_number"])
    newest = int(rpc.call("eth_blockNumber"), 16)
    blocks = rpc.batch(*(("eth_getBlockByNumber", hex(n), False) for n in range(kept + 1, newest + 1)))
    return sum(len(block["transactions"]) for block in blocks)


def main(seed: int, kills: int, folder: Path, args: list[str]) -> int:
    draw = random.Random(seed)
    process, ready = start(args)
    first = ready
    print(json.dumps(ready), flush=True)
    wait_for_records(Rpc(ready["rpc_url"]), ready["contract"], 4)
    for _ in range(kills):
        time.sleep(draw.uniform(1, 4))
        rpc = Rpc(ready["rpc_url"])
        while not (lost := not_kept(rpc, folder / STATE_FILE)):
            time.sleep(draw.uniform(0.01, 0.1))
        rpc.close()
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
