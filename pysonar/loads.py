"""What `pysonar init` and `pysonar run` need, in one import: see `Supervisor.load`."""

# ruff: noqa: F401

import eth_account
import numpy.ma

import pysonar.bounty.explain
import pysonar.bounty.request
import pysonar.campaign.lifecycle
import pysonar.cli
import pysonar.keys.local
import pysonar.show.views
import pysonar.wiring
import sonar.chain.sending.outbox
import sonar.store.choose
