"""What every command line of Sonar shares: how errors, JSON, Ctrl-C and SIGTERM end a program.

An error is one message and, below it, what to do next; a traceback means a bug. Exit codes: 0 done, 1 a fault
of the environment, 2 a wrong request, 130 Ctrl-C, 143 SIGTERM. With `--json`, standard output carries JSON
and nothing else, an object or list in each line: what happens, then the answer, or the error: {"kind":
"problem", "error": …, "hint": …}.

A command that cannot print its answer ends: with 1 and a message, or silently if the reader went away (`|
head -1`). A command that cannot print its progress works on (`sonar.telling.progress`).
"""

from __future__ import annotations

import errno
import inspect
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from sonar.errors import MemoryShort, SonarError, UsageError
from sonar.telling.again import remember_home, with_home
from sonar.telling.text import LEGIBLE, RED, filled, painted, printable, width_of
from sonar.telling.versions import version_of

if TYPE_CHECKING:
    from sonar.telling.documents import PartyReady
    from sonar.telling.progress import Sink

Body = TypeVar("Body", bound=Callable[..., Any])
COMMON = "Common options"
"""The panel of a help text with the options that many commands share."""
JsonFlag = Annotated[
    bool,
    typer.Option(
        "--json",
        help="For programs: print only JSON, each event on a line, and the answer on the last.",
        rich_help_panel=COMMON,
    ),
]
WideFlag = Annotated[
    bool,
    typer.Option(
        "--wide",
        help="Show ids and addresses in full, and every column, however narrow the terminal.",
        rich_help_panel=COMMON,
    ),
]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="The keystore's password (mode 0600). [env: SONAR_PASSWORD or SONAR_PASSWORD_FILE]",
        rich_help_panel=COMMON,
    ),
]

NewPasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--new-password-file",
        metavar="FILE",
        help="The new password (mode 0600), which is asked for otherwise.",
    ),
]

# Typer carries its own copy of click and exports only some of its exceptions; this is its UsageError.
_ClickUsageError: Any = typer.BadParameter.__mro__[1]

_WRITE_FAULTS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Terminated(KeyboardInterrupt):
    """SIGTERM came: unwinds like Ctrl-C, so that files are closed, locks freed and children ended."""


_VALUES = {"path": "PATH", "str": "TEXT", "list[str]": "TEXT", "int": "NUMBER", "float": "NUMBER"}
"""The name of an option's value, by Typer's name for its type."""


class _Readable:
    """Readable help: a flag has no type, and optional parts are in brackets."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, each with the word for its value."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if param.param_type_name == "argument":
                param.metavar = param.metavar or str(param.name).upper() + "..." * (param.nargs != 1)
                param.display_type_rich = lambda ctx: ""  # its name says it
            elif getattr(param, "is_flag", False):
                param.metavar = ""
            elif param.metavar is None and (shown := getattr(param, "display_type_rich", None)):
                told = str(shown(ctx)).strip("<>")
                param.metavar = _range_of(param) or _VALUES.get(told, told)
                param._get_number_range_help_str = lambda: ""
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words after the program's name."""
        pieces = ["[OPTIONS]"]
        for param in self.get_params(ctx):
            if param.param_type_name == "argument":
                pieces.append(str(param.metavar) if param.required else f"[{param.metavar}]")
        return [*pieces, "COMMAND ..."] if isinstance(self, TyperGroup) else pieces


def _range_of(param: Any) -> str:
    """The range of an option: "2..12", or "1.." without an end; nothing if it has none."""
    ends = (getattr(param, "min", None), getattr(param, "max", None))
    return "..".join("" if end is None else str(end) for end in ends) if ends != (None, None) else ""


class _Command(_Readable, TyperCommand):
    pass


class _Group(_Readable, TyperGroup):
    pass


class CommandLine(typer.Typer):
    """A command line whose help is readable."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Body], Body]:
        """As Typer's; each command of the help's "Example: `...`" gets a line of its own, to be copied."""

        def add(body: Body) -> Body:
            help_text = str(settings.pop("help", None) or inspect.getdoc(body) or "")
            given = {"cls": _Command, "help": _EXAMPLES.sub(_lined_up, help_text), **settings}
            return super(CommandLine, self).command(name, **given)(body)

        return add


_EXAMPLES = re.compile(r"^(Examples?): (`[^`]+`(?:,\s+`[^`]+`)*)$", re.MULTILINE)


def _lined_up(found: re.Match[str]) -> str:
    commands = re.findall(r"`([^`]+)`", found[2])
    return "\n\n    ".join([f"{found[1]}:", "\n    ".join(" ".join(each.split()) for each in commands)])


def new_app(help_text: str, program: str = "") -> CommandLine:
    """Return an empty command line with our settings. Run that of a `program` with `run_app`."""
    app = CommandLine(
        cls=_Group,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        rich_markup_mode="markdown",
    )
    if program:
        app.callback()(_with_version(program))
    return app


def _with_version(program: str) -> Any:
    def show(asked: bool) -> None:
        if asked:
            print(f"{program} {version_of(program)}")
            raise typer.Exit

    option: Any = typer.Option(
        False, "--version", "-V", help="Show the version and exit.", is_eager=True, callback=show
    )

    def options(version: bool = option) -> None:
        del version  # reported before anything runs

    return options


def run_app(app: typer.Typer, name: str, argv: Sequence[str] | None = None) -> int:
    """Run the command line of one of our packages, by its name, and return the exit code.

    Errors are reported as the module's docstring says.
    """
    code = lost = None
    args = list(sys.argv[1:] if argv is None else argv)
    remember_home(name, args)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=LEGIBLE)  # a locale without "…" is no reason to stop
    try:
        code = _run(app, name, args)
    except OSError as error:
        if error.errno not in _WRITE_FAULTS:
            raise
        lost = error
    finally:
        lost = _flush() or lost
        remember_home(name)
    if lost is not None and lost.errno != errno.EPIPE:
        problem = f"the output cannot be written: {lost.strerror or lost}"
        tell_error(problem, "make room where it goes, or send it elsewhere")
        return code or 1
    return 1 if code is None else code


def _flush() -> OSError | None:
    """Flush what was printed, and return why standard output accepts no more.

    A broken stream's buffer is dropped: the interpreter would fail on it at its end.
    """
    lost = None
    for stream in (sys.stderr, sys.stdout):
        try:
            if stream is not None:  # whoever started us may have closed it
                stream.flush()
        except OSError as error:
            lost = error if stream is sys.stdout else None
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return lost


_TYPERS_WORDS = {
    "Input should be greater than or equal to": "must be at least",
    "Input should be less than or equal to": "must be at most",
    "Input should be a valid integer, unable to parse string as an integer": "must be a whole number",
    "Input should be a valid number, unable to parse string as a number": "must be a number",
}


def _in_our_words(message: str) -> str:
    """Return Typer's message about an option as we say such things."""
    for theirs, ours in _TYPERS_WORDS.items():
        message = message.replace(theirs, ours)
    return re.sub(r"^Invalid value for '(.+?)': must", r"\1: must", message)


def _run(app: typer.Typer, name: str, args: list[str]) -> int:
    as_json = "--json" in (args[: args.index("--")] if "--" in args else args)
    terminated = False

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True
        raise Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        code = app(args=args, prog_name=name, standalone_mode=False)
        # Typer turns every KeyboardInterrupt into exit code 130.
        return 143 if terminated else code if isinstance(code, int) else 0
    except SonarError as error:
        tell_error(str(error), error.hint, as_json=as_json)
        return 2 if isinstance(error, UsageError) else 1
    except _ClickUsageError as error:
        if message := error.format_message():  # without one, the help was shown instead
            path = error.ctx.command_path if error.ctx else name
            tell_error(_in_our_words(message), f"see `{path} --help`", as_json=as_json)
        return 2
    except (MemoryError, ImportError) as error:
        if isinstance(error, ImportError) and "failed to map segment" not in str(error):
            raise
        short = MemoryShort("there is not enough memory for this command")
        tell_error(str(short), short.hint, as_json=as_json)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 143 if terminated else 130
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def told_when_stopped(again: str, as_json: bool, more: str = "") -> Iterator[None]:
    """Say after Ctrl-C or SIGTERM that nothing is lost, and which command continues the work."""
    try:
        yield
    except KeyboardInterrupt:
        told = f"Stopped. Nothing is lost; start again with `{again}`. {more}".rstrip()
        told = with_home(told)
        with suppress(OSError):
            if as_json:
                from sonar.telling.progress import Note

                print_json(Note(told))
            else:
                print(told, file=sys.stderr, flush=True)
        raise


def tell_error(message: str, hint: str = "", *, as_json: bool = False) -> None:
    """Report an error: for people on standard error, or as JSON on standard output. If that cannot be
    written, only the exit code reports it.
    """
    message, hint = with_home(message), with_home(hint)
    with suppress(OSError):
        if as_json:
            from sonar.telling.progress import Problem

            print_json(Problem(message, hint))
            return
        width = width_of(sys.stderr)
        told = filled(f"error: {printable(message)}", width, len("error: "))
        print(told.replace("error:", painted("error:", RED, sys.stderr), 1), file=sys.stderr)
        if hint:
            print(filled(f"  hint: {printable(hint)}", width, len("  hint: ")), file=sys.stderr)


def print_json(document: Any) -> None:
    """Print one document, or a list of them, on one line of standard output, at once."""
    from sonar.telling.documents import write  # with pydantic, and neither help nor a wrong option needs it

    print(write(document), flush=True)


def print_ready(ready: PartyReady, as_json: bool, data: str = "") -> None:
    """Print what `init` made, and what to do next; `data` says what it holds, if anything."""
    if as_json:
        print_json(ready)
        return
    from sonar.telling.tables import print_named

    named = {"account": ready.address, "home": ready.home, "network": ready.network, "data": data}
    print_named([*named.items(), ("next", ready.next)])


def sink_for(as_json: bool) -> Sink:
    """Return where progress goes: JSON lines on standard output, or text on standard error."""
    from sonar.telling.progress import JsonLinesSink, PlainSink

    return JsonLinesSink(sys.stdout) if as_json else PlainSink()
