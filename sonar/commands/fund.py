"""`sonar fund`: ether on a development network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonar.commands.options import NetworkOption, load_network
from sonar.errors import ConfigError
from sonar.protocol.ids import Address
from sonar.telling.documents import Funded, Gift
from sonar.telling.terminal import JsonFlag, print_json


def fund(
    to: Annotated[list[str], typer.Argument(help="Who gets it: addresses, or home folders of this machine.")],
    amount: Annotated[str, typer.Option(help="How much each gets, with its unit.")] = "10 ether",
    network: NetworkOption = None,
    json: JsonFlag = False,
) -> None:
    """Send ether from the faucet of a development network.

    Example: `sonar fund ./mine1 0xAbC… --amount "10 ether" --network ./net/network.toml`
    """
    from sonar.chain.deploying.faucet import fund as send
    from sonar.telling.amounts import format_wei, parse_wei

    amount_wei = parse_wei(amount, "--amount")
    addresses = [_address(one) for one in to]  # all are checked before any is paid
    paid = []
    for address in addresses:
        receipt = send(load_network(network), address, amount_wei)
        paid.append(Gift(address, amount_wei, receipt.tx_hash))
        if not json:
            print(f"{address} got {format_wei(amount_wei)}", flush=True)
    if json:
        print_json(Funded(paid))


def _address(text: str) -> Address:
    """Return an address as it is, or the current one of a home folder. Raises ConfigError, KeyFileError."""
    from sonar.home.accounts import current_in
    from sonar.home.files import in_full
    from sonar.protocol.ids import parse_address

    home = in_full(Path(text), "to")
    if not home.is_dir():
        try:
            return parse_address(text, "to")
        except ConfigError as error:
            error.hint = "give an address, or the home folder of a mine or scientist on this machine"
            raise
    return current_in(home / "keystore", home / "journal.sqlite")
