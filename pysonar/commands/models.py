"""Commands that hand a model on: in other programs' formats, and with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pysonar.options import HomeOption, NameArgument
from sonar.errors import UsageError
from sonar.home.files import expanded
from sonar.telling.terminal import JsonFlag, print_json, sink_for


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
    as_json: JsonFlag = False,
) -> None:
    """Write the best model so far in other programs' formats. Each predicts what `pysonar predict` does.

    Example: `pysonar export diabetes --onnx model.onnx`
    """
    from pysonar.show.documents import Exported
    from pysonar.wiring import open_scientist

    if onnx is None and safetensors is None:
        hint = "give --onnx model.onnx, or --safetensors model.safetensors, or both"
        raise UsageError("no file is named to write to", hint=hint)
    model = open_scientist(home, sink_for(as_json)).model(name)
    if onnx is not None:
        model.to_onnx(onnx)
    if safetensors is not None:
        model.to_safetensors(safetensors)
    written = [str(path) for path in (onnx, safetensors) if path is not None]
    if as_json:
        print_json(Exported(list(model.features), list(model.targets), written))
    else:
        _say_written(written)


def card(
    name: NameArgument = "",
    html: Annotated[Path | None, typer.Option("--html", help="Write it as a page to this file.")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write it as Markdown to this file.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show a bounty's card: data, losses, who learned what, payments, and where the chain says so.

    Without a file, as Markdown.

    Example: `pysonar card diabetes --html card.html`
    """
    from pysonar.campaign.records import Records
    from pysonar.show.card import card_of
    from pysonar.show.documents import CardTold
    from pysonar.wiring import open_scientist
    from sonar.home.keystore import write_private

    scientist = open_scientist(home, sink_for(as_json))
    asked = scientist.started(name)
    records = Records(scientist.journal, asked.settings.name)
    made = card_of(records, asked, scientist.network)
    for path, text in ((html, made.to_html()), (markdown, made.to_markdown())):
        if path is not None:
            write_private(expanded(path, "card"), text.encode())
    written = [str(path) for path in (html, markdown) if path is not None]
    if as_json:
        print_json(CardTold(made.title, made.to_markdown(), written))
    elif written:
        _say_written(written)
    else:
        typer.echo(made.to_markdown(), nl=False)


def _say_written(files: list[str]) -> None:
    for file in files:
        typer.echo(f"wrote {file}")
