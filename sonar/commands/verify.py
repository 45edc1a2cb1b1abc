"""`sonar verify`: is a network's contract the one that this version ships, and was a bounty what it says?"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from sonar.commands.options import NetworkOption, load_network
from sonar.telling.documents import Verified
from sonar.telling.terminal import JsonFlag, WideFlag, print_json, sink_for

if TYPE_CHECKING:
    from sonar.home.settings import NetworkConfig
    from sonar.ports import Store


def verify(
    bounty: Annotated[
        str | None,
        typer.Argument(help="A bounty's id in hex, or its first digits. Default: check the contract alone."),
    ] = None,
    network: NetworkOption = None,
    wide: WideFlag = False,
    json: JsonFlag = False,
) -> None:
    """Check the network's contract; or a bounty, every round of it, by what is public.

    The contract is compared, byte for byte, with what this version of Sonar was released with. Whoever wrote
    the network file chose its hash; this asks the chain. Needs no key and no compiler. Exits with 1 if the
    code differs; it may be a contract of another version.

    Of a bounty, chain and store must agree in everything: terms, seals, updates, models, the cohort that was
    summed, evidence, shares, payments and signatures. Exits with 4 if anything is false; with 3 if nothing
    is, but something could not be checked, such as blobs that the store has no longer. Anybody can do it, at
    any time. What is not public cannot be checked: the loss on the holdout, and the sums.

    Examples: `sonar verify --network network.toml`, `sonar verify 0x3fd1`
    """
    config = load_network(network)
    if bounty is None:
        _contract(config, json=json)
    else:
        _bounty(config, bounty, wide=wide, json=json)


def _bounty(config: NetworkConfig, bounty: str, *, wide: bool, json: bool) -> None:
    from sonar.chain.contract.market import Market
    from sonar.commands.status import store_of
    from sonar.telling.progress import Progress
    from sonar.telling.verdicts import exit_code, print_verified
    from sonar.verifying.reading import posted_as, verify

    progress = Progress(sink_for(json), "verify")
    market = Market.connect(config, progress=progress)
    with ExitStack() as ending:

        def opened() -> Store:
            found = store_of(config)
            ending.callback(found.close)
            return found.store

        told = verify(market, opened, posted_as(market, bounty), progress)
    if json:
        print_json(told)
    else:
        print_verified(told, wide=wide)
    if code := exit_code(told):
        raise typer.Exit(code)


def _contract(config: NetworkConfig, *, json: bool) -> None:
    from sonar.chain.contract.abi import training_market, verify_file
    from sonar.chain.contract.market import Market
    from sonar.chain.deploying.deploy import predicted
    from sonar.errors import MarketError, RemoteError
    from sonar.protocol.keccak import keccak

    market = Market.connect(config)
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
