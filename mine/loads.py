"""What `mine init` and `mine run` need, in one import: see `sonar.processes.supervisor.Supervisor.load`."""

# ruff: noqa: F401

import cryptography.hazmat.backends.openssl.backend
import eth_account
import numpy.ma

import mine.cli
import mine.data.dataset
import mine.node
import mine.service
import mine.setup
import mine.work.workshop
import sonar.chain.contract.token
import sonar.store.choose
