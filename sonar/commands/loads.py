"""What `sonar chain` needs, in one import: see `sonar.processes.supervisor.Supervisor.load`."""

# ruff: noqa: F401

import eth_account
import httpcore  # which httpx loads when it makes a client

import sonar.chain.contract.market
import sonar.chain.deploying.deploy
import sonar.cli
import sonar.localchain
