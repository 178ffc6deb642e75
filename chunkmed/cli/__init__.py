"""The command line: one file per command; parse, one API call, print."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import traceback
import warnings
from typing import Any

import click

from chunkmed.cli.groups import Group

__all__ = ["cli", "main"]

_COMMANDS = {
    "cohort": "run a recipe on many series: plan, run, status, resume, retry, group",
    "convert": "convert a DICOM series to an OME-Zarr store",
    "errors": "list the kinds of errors, or say what one means",
    "demo": "write a phantom study as DICOM, run the main job on it, compare with the truth",
    "export": "write an image as NIfTI, or labels as a DICOM segmentation",
    "info": "say what a store holds: image, levels, label images, history",
    "plan": "say what running a recipe on a store will cost, before it runs",
    "plot": "write a picture of a store: slices side by side, or three views through a point",
    "recipe": "list, show and check recipes",
    "run": "run a recipe on a DICOM folder or a store",
    "scan": "list the series below a path",
    "verify": "check every object of a store against what was written",
    "view": "show a store in the browser, with neuroglancer",
    "which": "say which files keyed identifiers stand for",
}


class _Lazy(Group):
    """Commands are imported when they are called: help must not wait for them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"chunkmed.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chunkmed")
@click.option("--debug", is_flag=True, help="Show the traceback of errors.")
def cli(debug: bool) -> None:
    """DICOM series to measurements at any size.

    Exit codes: 0 all done, 1 failed, 2 wrong usage, 3 some cases failed (each is named).
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit 0 when all is done, 1 on failure, 2 on wrong usage, 3 if some cases fail."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug, as_json = _asked(given, "--debug"), _asked(given, "--json")
    if debug:
        given.remove("--debug")
    warnings.showwarning = _print_warning  # type: ignore[assignment]
    if not debug:
        threading.excepthook = _thread_failed
    # Schedulers of clusters ask with it, and kill later: what runs is let go as with Ctrl-C.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = _run(given, debug, as_json)
    except BrokenPipeError:
        # Who read the output has gone: nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _run(given: list[str], debug: bool, as_json: bool) -> int:
    """Run a command; return the exit code, whatever happens told."""
    from chunkmed.cli import failure

    try:
        code = cli.main(given, prog_name="chunkmed", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        raise
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        ended = isinstance(error.__cause__ or error.__context__ or error, _TerminatedError)
        told, code = failure.interrupted(ended)
        kept: BaseException = error
    except Exception as error:
        if text := failure.help_in(error):
            click.echo(text)
            return 2
        told, code = failure.described(error)
        kept = error
    if debug:
        traceback.print_exception(kept)
    failure.show(failure.with_options(told, _options(given)), code, as_json=as_json)
    return int(code)


def _options(given: list[str]) -> dict[str, str]:
    """Return the options of the command that is called, by the names of their arguments."""
    command: click.Command = cli
    for word in given:
        found = (
            command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        )
        command = found or command
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {str(param.name): param.opts[-1] for param in options}


def _asked(given: list[str], option: str) -> bool:
    """Return whether an option that every command knows is given, before or after the command."""
    return option in (given[: given.index("--")] if "--" in given else given)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, on the way of Ctrl-C."""


def _terminated(*_: Any) -> None:
    raise _TerminatedError


def _thread_failed(raised: threading.ExceptHookArgs) -> None:
    click.echo(f"warning: a thread ended with {raised.exc_type.__name__} (--debug shows where)", err=True)


def _print_warning(message: Any, category: Any, *_: Any) -> None:
    # What chunkmed warns of is for the user; libraries' deprecations are not.
    if issubclass(category, UserWarning):
        click.echo(f"warning: {' '.join(str(message).split())}", err=True)
