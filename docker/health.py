"""Is this container well? Ends with 1 and a line that says what is not; Docker keeps it with its health.

python health.py CHECK ..., each of: chain, ipfs, jupyter. The standard library alone: ten mines run it every
few seconds, and an import of anything else would cost more than the check.
"""

import base64
import json
import os
import sys
import time
import tomllib
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 3
STANDSTILL_S = 60
SLOT = Path("/tmp/slot")  # noqa: S108 - the container's own


class Unwell(Exception):
    """What is wrong."""


def fetch(url: str, body: Any = None, **headers: str) -> Any:
    """Return the JSON that `url` answers, to a POST of `body` unless that is None."""
    data = None if body is None else json.dumps(body).encode()
    headers["content-type"] = "application/json"
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the operator's own addresses
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        return json.load(answer)


def ask(url: str, method: str, *params: Any) -> Any:
    """Return what the chain's node answers."""
    return fetch(url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})["result"]


def network() -> dict[str, Any]:
    """Return the network file."""
    path = Path(os.environ["SONAR_NETWORK"])
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unwell(f"no network file to be read at {path}: {error}") from error


def check_chain() -> None:
    """The network's chain answers, is the right one, has the contract, and moves."""
    known = network()
    url = known["rpc_url"]
    place = urlsplit(url).netloc.rpartition("@")[2]  # the rest may be secret, and this line is kept
    try:
        chain_id = int(ask(url, "eth_chainId"), 16)
        code = ask(url, "eth_getCode", known["contract"], "latest")
        # The standard library has no keccak. Others' nodes need not offer it, and the programs check anyway.
        code_hash = ask(url, "web3_sha3", code) if known.get("dev") else known["code_hash"]
        newest_s = int(ask(url, "eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unwell(f"the chain at {place} does not answer: {error}") from error
    if chain_id != known["chain_id"]:
        raise Unwell(f"{place} is chain {chain_id}, not {known['chain_id']}")
    if code == "0x":
        raise Unwell(f"no contract at {known['contract']}: another chain, or an old network file")
    if code_hash != known["code_hash"]:
        raise Unwell(f"{known['contract']} holds another contract than the network file says")
    if known.get("dev") and (behind_s := time.time() - newest_s) > STANDSTILL_S:
        raise Unwell(f"the newest block is {behind_s:.0f} s old: the chain stands still, or a clock is wrong")


def check_ipfs() -> None:
    """The party's own IPFS node answers, where the network asks for IPFS."""
    if network()["store"]["kind"] != "kubo":
        return
    repo = Path(SLOT.read_text().strip() if SLOT.exists() else os.environ["SONAR_HOME"]) / "ipfs"
    try:
        host, _, port = (repo / "api").read_text().strip().removeprefix("/ip4/").partition("/tcp/")
        users = json.loads((repo / "config").read_bytes())["API"]["Authorizations"]
        login = base64.b64encode(users["sonar"]["AuthSecret"].removeprefix("basic:").encode()).decode()
        fetch(f"http://{host}:{port}/api/v0/id", {}, authorization=f"Basic {login}")
    except (OSError, ValueError, KeyError) as error:
        raise Unwell(f"the IPFS node in {repo} does not answer: {error}") from error


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
