"""See to it that the account of a keystore has ether: python fund.py KEYSTORE "2 ether".

From the network's faucet, if its key is here; else it waits until somebody has sent some.
"""

import os
import sys
import time
from pathlib import Path

from sonar.amounts import parse_wei
from sonar.chain.faucet import fund
from sonar.chain.market import Market
from sonar.errors import SonarError
from sonar.keystore import find
from sonar.settings import NetworkConfig
from sonar.terminal import tell_error

POLL_S = 2.0


def see_to_ether(keystore: str, amount: str) -> int:
    """Return 0 when the account has half of `amount` or more, and 1 when that cannot be."""
    try:
        network = NetworkConfig.load(Path(os.environ["SONAR_NETWORK"]))
        address, wanted_wei = find(Path(keystore)).stem, parse_wei(amount, "amount")
        market = Market.connect(network)
        if market.ether(address) >= wanted_wei // 2:
            return 0
        if network.faucet is not None:
            fund(network, address, wanted_wei)
            print(f"{address} got {amount} from the faucet", flush=True)
            return 0
        print(f"waiting for ether; whoever runs the network can send it: sonar fund {address}", flush=True)
        while market.ether(address) < wanted_wei // 2:
            time.sleep(POLL_S)
        return 0
    except SonarError as error:
        tell_error(str(error), error.hint)
        return 1


if __name__ == "__main__":
    sys.exit(see_to_ether(*sys.argv[1:]))
