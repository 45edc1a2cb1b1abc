"""Is this container well? Ends with 1 and a line that says what is not; Docker keeps it with its health, and
what lasts is said once in the container's log as well.

python health.py CHECK ..., each of: chain, disk, ipfs, jupyter, capsule. The standard library, and what of
Sonar needs no more: ten mines run it every few seconds, and an import of anything else would cost more than
the check.
"""

import base64
import json
import os
import shutil
import sys
import time
import tomllib
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sonar.errors import ConfigError
from sonar.home.files import read_text
from sonar.protocol.url import is_local, without_secrets

TIMEOUT_S = 3
TOLD_AFTER = 5  # looks; as many as Docker takes, by the images' HEALTHCHECK, until it says `unhealthy`
STANDSTILL_S = 60
LEAST_FREE_BYTES = 16 << 20
DEFAULT_HOME = "/var/lib/sonar/home"
SLOT = Path("/tmp/slot")  # noqa: S108 - the container's own
FAILED = Path("/tmp/failed-checks")  # noqa: S108
LOG = Path("/proc/1/fd/2")  # what the container's first process writes its errors to


class Unwell(Exception):
    """What is wrong."""


def fetch(url: str, body: Any = None, **headers: str) -> Any:
    """Return the JSON that `url` answers, to a POST of `body` unless that is None."""
    data = None if body is None else json.dumps(body).encode()
    headers["content-type"] = "application/json"
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the operator's own addresses
    # Docker puts the proxies of its config.json into every container; they do not lead to its neighbours.
    proxies = urllib.request.ProxyHandler({} if is_local(urlsplit(url).hostname or "") else None)
    with urllib.request.build_opener(proxies).open(request, timeout=TIMEOUT_S) as answer:
        return json.load(answer)


def basic(login: str) -> dict[str, str]:
    """Return the header that shows who we are, of "name:password"."""
    return {"authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def ask(url: str, method: str, *params: Any) -> Any:
    """Return what the chain's node answers. `url` may hold a name and a password."""
    login, _, place = urlsplit(url).netloc.rpartition("@")
    headers = basic(unquote(login)) if login else {}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return fetch(urlsplit(url)._replace(netloc=place).geturl(), body, **headers)["result"]


def network() -> dict[str, Any]:
    """Return the network file."""
    path = Path(os.environ["SONAR_NETWORK"])
    try:
        return tomllib.loads(read_text(path, "SONAR_NETWORK"))
    except (ConfigError, ValueError) as error:
        raise Unwell(f"no network file to be read at {path}: {error}") from error


def check_chain() -> None:
    """The network's chain answers, is the right one, has the contract, and moves."""
    known = network()
    url = known["rpc_url"]
    place = without_secrets(url)  # the rest may be secret, and this line is kept
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
    behind_s = time.time() - newest_s
    if known.get("dev") and behind_s > STANDSTILL_S:
        raise Unwell(
            f"the newest block is {behind_s:.0f} s old: restart a chain that stands still, or set this clock"
        )
    if known.get("dev") and -behind_s > STANDSTILL_S:
        raise Unwell(
            f"the newest block is {-behind_s:.0f} s ahead of this clock: set the one of the two that is wrong"
        )


def home() -> Path:
    """Where this party keeps what is its own."""
    return Path(SLOT.read_text().strip() if SLOT.exists() else os.environ.get("SONAR_HOME", DEFAULT_HOME))


def check_disk() -> None:
    """There is room for a journal, and for an IPFS node's blocks."""
    if (free := shutil.disk_usage(home()).free) < LEAST_FREE_BYTES:
        raise Unwell(f"only {free >> 10} KiB are free at {home()}: journal and IPFS node need disk space")


def check_ipfs() -> None:
    """The party's own IPFS node answers and has company, where the network asks for IPFS."""
    store = network()["store"]
    if store["kind"] != "kubo":
        return
    repo = home() / "ipfs"
    try:
        host, _, port = (repo / "api").read_text().strip().removeprefix("/ip4/").partition("/tcp/")
        users = json.loads((repo / "config").read_bytes())["API"]["Authorizations"]
        login = basic(users["sonar"]["AuthSecret"].removeprefix("basic:"))
        api = f"http://{host}:{port}/api/v0"
        own = fetch(f"{api}/id", {}, **login)["ID"]
        peers = fetch(f"{api}/swarm/peers", {}, **login)["Peers"]
    except FileNotFoundError as error:
        raise Unwell(f"the IPFS node in {repo} does not run: this container's log says why") from error
    except (OSError, ValueError, KeyError) as error:
        raise Unwell(f"the IPFS node in {repo} does not answer: {error}") from error
    others = [peer for peer in store.get("bootstrap", []) if not peer.endswith(own)]
    if others and not peers:
        raise Unwell(f"no connection to {others[0]}: is it running, and is the swarm key the network's?")


def check_jupyter() -> None:
    """JupyterLab answers."""
    try:
        fetch("http://127.0.0.1:8888/api")
    except (OSError, ValueError) as error:
        raise Unwell(f"JupyterLab does not answer: {error}") from error


def check_capsule() -> None:
    """The capsule answers."""
    try:
        fetch("http://127.0.0.1:8551/healthz")
    except (OSError, ValueError) as error:
        raise Unwell(f"the capsule does not answer: {error}") from error


def keep_log(problem: str) -> None:
    """Say in the container's log what has been wrong for some time, and then when nothing is any more."""
    before = int(FAILED.read_text()) if FAILED.exists() else 0
    failed = before + 1 if problem else 0
    FAILED.write_text(str(failed))
    if failed == TOLD_AFTER or before >= TOLD_AFTER > failed:
        with LOG.open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S')}  {f'not well: {problem}' if problem else 'well again'}\n")


CHECKS = {
    "chain": check_chain,
    "disk": check_disk,
    "ipfs": check_ipfs,
    "jupyter": check_jupyter,
    "capsule": check_capsule,
}

if __name__ == "__main__":
    wrong = ""
    try:
        for name in sys.argv[1:]:
            CHECKS[name]()
    except Unwell as problem:
        wrong = str(problem)
        print(wrong)
    with suppress(OSError, ValueError):
        keep_log(wrong)
    sys.exit(bool(wrong))
