"""What `sonar chain` needs, in one import: see `sonar.processes.supervisor.Supervisor.load`."""

# ruff: noqa: F401

import eth_account

import sonar.chain.contract.market
import sonar.chain.deploying.deploy
import sonar.cli
import sonar.localchain
from sonar.chain.rpc import Rpc

Rpc("http://127.0.0.1").close()  # with the first client, httpx loads what speaks HTTP
