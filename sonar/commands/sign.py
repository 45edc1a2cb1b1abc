"""`sonar sign`: the signature of a bounty's settler over a settlement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonar.errors import UsageError
from sonar.telling.documents import Signed
from sonar.telling.terminal import JsonFlag, PasswordFileOption, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sonar.home.settlement import Settlement
    from sonar.protocol.ids import Address


def sign(
    settlement: Annotated[
        Path, typer.Argument(help="The file from the bounty's scientist.", metavar="SETTLEMENT.JSON")
    ],
    home: Annotated[
        Path, typer.Option("--home", help="The home of a mine or scientist whose account is the settler.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where to write it. [default: beside the file, as .signature]"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
    password_file: PasswordFileOption = None,
    json: JsonFlag = False,
) -> None:
    """Sign a settlement as the settler that the bounty's terms name. Nothing is sent.

    Shows what is signed, and asks. The signature counts for this settlement alone.

    Example: `sonar sign diabetes-1.json --home ./settler`
    """
    from sonar.home import keystore
    from sonar.home.files import in_full
    from sonar.home.settlement import SUFFIX, read_settlement, write_signature
    from sonar.protocol.ids import Address, hex32, parse_address

    asked = read_settlement(settlement)
    folder = in_full(home, "--home") / "keystore"
    named = parse_address(asked.settler, "settler")
    # A home whose account has changed has several keys: the settler may be any of them.
    key = keystore.find(folder, named if named in keystore.addresses(folder) else None)
    _check_settler(asked, Address(key.stem))
    if not json:
        typer.echo("\n".join(_in_words(asked)))
    if not yes:
        _confirm(json)
    account = keystore.load(key, keystore.read_password(password_file))
    target = in_full(output or settlement.with_suffix(SUFFIX), "--output")
    digest: Any = asked.check()  # computed from the fields; the library has a type of its own for it
    write_signature(target, bytes(account.unsafe_sign_hash(digest).signature))
    signed = Signed(Address(account.address), hex32(digest), str(target), asked.chain_id, asked.contract)
    if json:
        print_json(signed)
        return
    typer.echo(
        f"signed     {target}\nnext       give it to the scientist, to lie beside her {settlement.name}"
    )


def _check_settler(asked: Settlement, own: Address) -> None:
    """Check that the settlement waits for this account's signature. Raises UsageError."""
    from sonar.protocol.ids import parse_address

    if parse_address(asked.settler, "settler") != own:
        hint = (
            f"sign with the home of {asked.settler}; if it is a contract, write the signature that it "
            "accepts into the file, in hex"
        )
        raise UsageError(f"the settler is {asked.settler}, and this home's account is {own}", hint=hint)


def _in_words(asked: Settlement) -> Iterator[str]:
    """Print what is signed, a line each. All values are checked, so none can control a terminal."""
    from sonar.telling.text import clock

    yield f"settlement of round {asked.round} of the bounty {asked.bounty}"
    yield f"counts on  chain {asked.chain_id}, for the contract {asked.contract} there, and nowhere else"
    yield f"until      {clock(asked.until_s)}, as the file says; this is not signed"
    yield f"loss       {asked.new_loss / 10_000:.4f}% of the null model's"
    yield f"model      {asked.new_model_digest}"
    yield f"evidence   {asked.evidence_digest}"
    for award in asked.awards:
        yield f"award      {award.mine}  {award.share_bps / 100:.2f}% of what the round earns"
    yield f"digest     {asked.digest}"


def _confirm(json: bool) -> None:
    """Ask whether to sign. Raises UsageError when the answer is no, or nobody can answer."""
    if json:
        raise UsageError("nothing was signed: with --json nobody is asked", hint="--yes signs without asking")
    try:
        agreed = typer.confirm("Sign it?")
    except typer.Abort:
        typer.echo()
        raise UsageError("nothing was signed: nobody answered", hint="--yes signs without asking") from None
    if not agreed:
        raise UsageError("nothing was signed", hint="tell the bounty's scientist what is wrong with it")
