"""What `capsule init` and `capsule run` need, in one import: see `Supervisor.load`."""

# ruff: noqa: F401

import eth_account
import numpy.ma
import uvicorn.lifespan.off
import uvicorn.loops.asyncio
import uvicorn.protocols.http.h11_impl

import capsule.cli
import capsule.running
import capsule.service
import capsule.setup
import sonar.chain.contract.market
import sonar.store.choose
