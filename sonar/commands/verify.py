"""`sonar verify`: is the contract of a network the one that this version ships?"""

from __future__ import annotations

from contextlib import suppress

import typer

from sonar.commands.options import NetworkOption, load_network
from sonar.telling.documents import Verified
from sonar.telling.terminal import JsonFlag, print_json


def verify(network: NetworkOption = None, json: JsonFlag = False) -> None:
    """Check the network's contract, byte for byte, against what this version of Sonar was released with.

    Whoever wrote the network file chose its hash; this asks the chain. Needs no key and
    no compiler. Exits with 1 if the code differs; it may be a contract of another version.

    Example: `sonar verify --network network.toml`
    """
    from sonar.chain.contract.abi import training_market, verify_file
    from sonar.chain.contract.market import Market
    from sonar.chain.deploying.deploy import predicted
    from sonar.errors import MarketError, RemoteError
    from sonar.protocol.keccak import keccak

    market = Market.connect(load_network(network))
    code, window_s = market.code(market.address), 0
    with suppress(MarketError, RemoteError):  # another contract may not even have one
        window_s = market.min_window_s()
    shipped = 1 <= window_s < 2**24 and code == training_market().runtime_code(window_s)
    everywhere = shipped and market.address == predicted(window_s)
    found = Verified(
        contract=market.address,
        chain_id=market.chain_id,
        code_hash=keccak(code).hex(),
        shipped=shipped,
        min_window_s=window_s,
        same_on_every_chain=everywhere,
        solc=training_market().solc,
        sources=str(verify_file()),
    )
    if json:
        print_json(found)
    else:
        same = "the code that this version ships" if shipped else "OTHER CODE THAN THIS VERSION SHIPS"
        where = "the address that it has on every chain" if everywhere else "an address of this chain's own"
        typer.echo(f"contract  {market.address} on chain {market.chain_id}: {same}")
        typer.echo(f"code hash {found.code_hash}, as the network file says")
        if shipped:
            typer.echo(f"address   {where}, with windows of {window_s} s and more")
            typer.echo(f"sources   {verify_file()} (solc {found.solc})")
    if not shipped:
        raise typer.Exit(1)
