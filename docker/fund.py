"""See to it that the account of a keystore has ether: python fund.py KEYSTORE "2 ether".

From the network's faucet, if its key is here; else it waits until somebody has sent some. It waits for the
chain too: `docker compose restart` starts everything at once.
"""

import os
import sys
from functools import partial
from pathlib import Path

from sonar.chain.contract.market import Market
from sonar.chain.deploying.faucet import fund
from sonar.errors import SonarError
from sonar.home.accounts import current_in
from sonar.home.settings import NetworkConfig
from sonar.protocol.ids import Address
from sonar.telling.amounts import parse_wei
from sonar.telling.progress import Done, PlainSink, Progress, Waiting
from sonar.telling.terminal import tell_error
from sonar.telling.waiting import drive, patiently

POLL_S = 2.0


def see_to_ether(keystore: str, amount: str) -> int:
    """Return 0 when the account has half of `amount` or more, and 1 when that cannot be."""
    try:
        network, progress = NetworkConfig.load(Path(os.environ["SONAR_NETWORK"])), Progress(PlainSink())
        address = current_in(Path(keystore), Path(keystore).parent / "journal.sqlite")
        wanted_wei = parse_wei(amount, "amount")
        market = patiently(partial(Market.connect, network), progress)
        drive(partial(_look, network, market, address, wanted_wei), progress, poll_s=POLL_S)
        return 0
    except SonarError as error:
        tell_error(str(error), error.hint)
        return 1


def _look(network: NetworkConfig, market: Market, address: Address, wanted_wei: int) -> Waiting | Done:
    if market.ether(address) >= wanted_wei // 2:
        return Done(f"{address} has ether")
    if network.faucet is None or not os.access(
        network.faucet.key_file, os.R_OK
    ):  # it is the network's host's
        return Waiting(f"ether; whoever runs the network can send it: sonar fund {address}")
    fund(network, address, wanted_wei)
    return Waiting("the faucet's ether")


if __name__ == "__main__":
    sys.exit(see_to_ether(*sys.argv[1:]))
