"""The command line: one file per command; parse, one API call, print."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import warnings
from typing import Any

import click

from chunkmed.errors import ChunkmedError, InputError

__all__ = ["cli", "main"]

_COMMANDS = {
    "convert": "convert a DICOM series to an OME-Zarr store",
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
}


class _Lazy(click.Group):
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
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """DICOM series to measurements at any size."""
    ctx.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit 0 when all is done, 1 on failure, 2 on wrong usage."""
    given = sys.argv[1:] if arguments is None else arguments
    warnings.showwarning = _print_warning  # type: ignore[assignment]
    # Schedulers of clusters ask with it, and kill later: what runs is let go as with Ctrl-C.
    signal.signal(signal.SIGTERM, _terminated)
    if "--debug" in given:
        cli.main(given, prog_name="chunkmed")
    try:
        code = cli.main(given, prog_name="chunkmed", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        ended = isinstance(error.__cause__ or error.__context__ or error, _TerminatedError)
        what = "terminated" if ended else "interrupted"
        said = "what is finished is kept, nothing half-written shows: the same command goes on from there"
        code = _fail(f"{what}; {said}", 143 if ended else 130)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except ChunkmedError as error:
        code = _fail(_one_line(str(error)), 2 if isinstance(error, InputError) else 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        what = _one_line(f"{type(error).__name__}: {error}")
        code = _fail(f"unexpected {what}; this is a fault of chunkmed: run with --debug and report it", 1)
    sys.exit(code if isinstance(code, int) else 0)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, on the way of Ctrl-C."""


def _terminated(*_: Any) -> None:
    raise _TerminatedError


def _fail(message: str, code: int) -> int:
    click.echo(f"chunkmed: {message}", err=True)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _print_warning(message: Any, category: Any, *_: Any) -> None:
    # What chunkmed warns of is for the user; libraries' deprecations are not.
    if issubclass(category, UserWarning):
        click.echo(f"warning: {_one_line(str(message))}", err=True)
