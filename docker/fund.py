"""Fill the account of a keystore up from the faucet of a development network.

python fund.py KEYSTORE "2 ether"
"""

import os
import sys
from pathlib import Path

from sonar.amounts import parse_wei
from sonar.chain.faucet import fund
from sonar.chain.market import Market
from sonar.errors import SonarError
from sonar.keystore import find
from sonar.settings import NetworkConfig
from sonar.terminal import tell_error


def main(keystore: str, amount: str) -> int:
    """Give the account `amount`, unless it has half of that; print what it got."""
    network = NetworkConfig.load(Path(os.environ["SONAR_NETWORK"]))
    address, wanted_wei = find(Path(keystore)).stem, parse_wei(amount, "amount")
    if Market.connect(network).ether(address) < wanted_wei // 2:
        fund(network, address, wanted_wei)
        print(f"{address} got {amount} from the faucet", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except SonarError as error:
        tell_error(str(error), error.hint)
        sys.exit(1)
