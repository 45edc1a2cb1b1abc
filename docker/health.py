"""Is this container well? Ends with 1 and one line that says what is not; Docker keeps it with its health.

python health.py CHECK ..., each of: chain, ipfs, jupyter. The standard library alone: ten mines run it every few
seconds, and an import of anything else would cost more than the check.
"""

import json
import os
import sys
import time
import tomllib
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 3
STANDSTILL_S = 60
IPFS_API = "http://127.0.0.1:5001/api/v0/id"


class Unwell(Exception):
    """What is wrong, and what to do."""


def fetch(url: str, body: Any = None) -> Any:
    """Return the JSON that `url` answers, to a POST of `body` unless that is None."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return json.load(answer)


def check_chain() -> None:
    """The network file's chain answers, is the right one, has the contract, and moves."""
    path = os.environ["SONAR_NETWORK"]
    try:
        with open(path, "rb") as file:
            network = tomllib.load(file)
    except FileNotFoundError:
        raise Unwell(f"there is no network file at {path}") from None
    calls = (("eth_chainId", []), ("eth_getCode", [network["contract"], "latest"]), ("eth_getBlockByNumber", ["latest", False]))
    try:
        chain_id, code, head = (
            fetch(network["rpc_url"], {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})["result"]
            for method, params in calls
        )
    except (OSError, ValueError, KeyError) as error:
        raise Unwell(f"the chain at {network['rpc_url']} does not answer: {error}") from error
    if int(chain_id, 16) != network["chain_id"]:
        raise Unwell(f"{network['rpc_url']} is chain {int(chain_id, 16)}, not {network['chain_id']}")
    if code == "0x":
        raise Unwell(f"the chain has no contract at {network['contract']}: another chain, or an old network file")
    behind_s = time.time() - int(head["timestamp"], 16)
    if network.get("dev") and behind_s > STANDSTILL_S:
        raise Unwell(f"the newest block is {behind_s:.0f} s old: the chain stands still, or a clock is wrong")


def check_ipfs() -> None:
    """The IPFS daemon answers, where the network asks for IPFS."""
    with open(os.environ["SONAR_NETWORK"], "rb") as file:
        if tomllib.load(file)["store"]["kind"] != "kubo":
            return
    try:
        fetch(IPFS_API, {})
    except (OSError, ValueError) as error:
        raise Unwell(f"the IPFS daemon does not answer: {error}") from error


def check_jupyter() -> None:
    """JupyterLab answers."""
    try:
        fetch("http://127.0.0.1:8888/api")
    except (OSError, ValueError) as error:
        raise Unwell(f"JupyterLab does not answer: {error}") from error


CHECKS = {"chain": check_chain, "ipfs": check_ipfs, "jupyter": check_jupyter}

if __name__ == "__main__":
    try:
        for name in sys.argv[1:]:
            CHECKS[name]()
    except Unwell as problem:
        print(problem)
        sys.exit(1)
