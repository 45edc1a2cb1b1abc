"""Commands that hand a model on: in other programs' formats, and with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pysonar.options import HomeOption, NameArgument
from sonar.errors import UsageError
from sonar.home.files import expanded
from sonar.home.keystore import write_private
from sonar.telling.terminal import sink_for


def export(
    name: NameArgument = "",
    onnx: Annotated[
        Path | None, typer.Option("--onnx", help="Write an ONNX file, for whatever runs such models.")
    ] = None,
    safetensors: Annotated[
        Path | None,
        typer.Option("--safetensors", help="Write a safetensors file: the weights, and what they mean."),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write the best model so far in other programs' formats. Each predicts what `pysonar predict` does.

    Example: `pysonar export diabetes --onnx model.onnx`
    """
    from pysonar.wiring import open_scientist

    if onnx is None and safetensors is None:
        hint = "give --onnx model.onnx, or --safetensors model.safetensors, or both"
        raise UsageError("no file is named to write to", hint=hint)
    model = open_scientist(home, sink_for(False)).model(name)
    if onnx is not None:
        model.to_onnx(onnx)
        typer.echo(f"wrote {onnx}")
    if safetensors is not None:
        model.to_safetensors(safetensors)
        typer.echo(f"wrote {safetensors}")


def card(
    name: NameArgument = "",
    html: Annotated[Path | None, typer.Option("--html", help="Write it as a page to this file.")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write it as Markdown to this file.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Show a bounty's card: data, losses, who learned what, payments, and where the chain says so.

    Without a file, as Markdown.

    Example: `pysonar card diabetes --html card.html`
    """
    from pysonar.campaign.records import Records
    from pysonar.show.card import card_of
    from pysonar.wiring import open_scientist

    scientist = open_scientist(home, sink_for(False))
    asked = scientist.started(name)
    records = Records(scientist.journal, asked.settings.name)
    made = card_of(records, asked, scientist.network)
    for path, text in ((html, made.to_html()), (markdown, made.to_markdown())):
        if path is not None:
            write_private(expanded(path, "card"), text.encode())
            typer.echo(f"wrote {path}")
    if html is None and markdown is None:
        typer.echo(made.to_markdown(), nl=False)
