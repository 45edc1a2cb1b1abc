"""`sonar fund`: ether on a development network."""

from __future__ import annotations

from typing import Annotated

import typer

from sonar.commands.options import NetworkOption, load_network
from sonar.terminal import JsonFlag, print_json


def fund(
    address: Annotated[str, typer.Argument(help="Who gets it.")],
    amount: Annotated[str, typer.Option(help="How much, with its unit.")] = "10 ether",
    network: NetworkOption = None,
    json: JsonFlag = False,
) -> None:
    """Send ether from the faucet of a development network.

    Example: `sonar fund 0xAbC… --amount "10 ether" --network ./net/network.toml`
    """
    from sonar.amounts import format_wei, parse_wei
    from sonar.chain.faucet import fund as send

    amount_wei = parse_wei(amount, "--amount")
    receipt = send(load_network(network), address, amount_wei)
    if json:
        print_json({"address": address, "amount_wei": amount_wei, "tx_hash": receipt.tx_hash})
    else:
        print(f"{address} got {format_wei(amount_wei)}")
