"""What the user sees when something fails: one block, or one JSON document; never a traceback unasked."""

from __future__ import annotations

import json
import platform
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from chunkmed.errors import ChunkmedError

__all__ = [
    "INTERRUPTED",
    "SOME_FAILED",
    "TERMINATED",
    "described",
    "help_in",
    "interrupted",
    "show",
    "with_options",
]

#: Exit codes beside 0, all done, and those of the errors: 1, failed, and 2, wrong usage.
SOME_FAILED, INTERRUPTED, TERMINATED = 3, 130, 143
_RESUMES = "what is finished is kept, nothing half-written shows: the same command goes on from there"
_IDENTIFIER = re.compile(r"\bfile ([0-9a-f]{12})\b")
_ARGUMENT = re.compile(r"\b(\w+)=")
_PACKAGE = Path(__file__).parents[1]
_INDENT, _NARROWEST, _MOST_FILES = 10, 40, 6


def described(error: BaseException) -> tuple[ChunkmedError, int]:
    """Return an exception as one of chunkmed's own, and the exit code that goes with it."""
    if isinstance(error, ChunkmedError):
        return error, error.exit_code
    if isinstance(error, click.ClickException):
        usage = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "chunkmed"
        fix = f"see {usage} --help"
        return ChunkmedError(error.format_message().rstrip("."), kind="usage", fix=fix), error.exit_code
    if isinstance(error, MemoryError):
        fix = "give --memory a smaller size, or fewer --workers"
        return ChunkmedError("the memory is used up", kind="out-of-memory", kept=_RESUMES, fix=fix), 1
    if isinstance(error, OSError) and error.strerror:
        what = f"the system refused: {error.strerror}"
        return ChunkmedError(what, kind="system-error", where=_raised_in(error), kept=_RESUMES), 1
    return _unexpected(error), 1


def help_in(error: BaseException) -> str:
    """Return the help that is shown for a group without a command, empty for other errors."""
    # Before 8.2 click printed it itself.
    kind = getattr(click.exceptions, "NoArgsIsHelpError", ())
    return error.format_message() if isinstance(error, kind) and isinstance(error, click.UsageError) else ""


def interrupted(terminated: bool) -> tuple[ChunkmedError, int]:
    """Return what Ctrl-C (or SIGTERM) becomes."""
    if terminated:
        return ChunkmedError("terminated", kind="terminated", kept=_RESUMES), TERMINATED
    return ChunkmedError("interrupted", kind="interrupted", kept=_RESUMES), INTERRUPTED


def _unexpected(error: BaseException) -> ChunkmedError:
    """Return the report of a fault of chunkmed: no text of the exception, which may quote a header."""
    from chunkmed.provenance import versions

    known = versions()
    about = f"chunkmed {known['chunkmed']}, Python {known['python']}, {platform.system()}"
    return ChunkmedError(
        f"an unexpected {type(error).__name__}",
        kind="unexpected",
        where=_raised_in(error),
        why=f"this is a fault of chunkmed ({about})",
        kept=_RESUMES,
        fix="run it again with --debug and report what it prints, without names and dates of patients",
    )


def _raised_in(error: BaseException) -> str:
    """Return the place in chunkmed that an exception came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _PACKAGE in Path(frame.filename).parents] or list(frames)
    if not ours:
        return ""
    return f"{'/'.join(Path(ours[-1].filename).parts[-2:])}:{ours[-1].lineno}, {ours[-1].name}"


def with_options(error: ChunkmedError, options: Mapping[str, str]) -> ChunkmedError:
    """Name the options of a command where a message names arguments of Python; return the error.

    Examples
    --------
    >>> error = ChunkmedError("too small", kind="budget-too-small", fix='give memory="4 GB" with workers=1')
    >>> with_options(error, {"memory": "--memory", "workers": "--workers"}).fix
    'give memory="4 GB" with workers=1 (--memory, --workers)'
    """
    named = [options[name] for name in dict.fromkeys(_ARGUMENT.findall(error.fix)) if name in options]
    if left := [option for option in named if option not in error.fix]:
        error.fix += f" ({', '.join(left)})"
    return error


def show(error: ChunkmedError, code: int, *, as_json: bool) -> None:
    """Print an error: a block for people on stderr, or a JSON document on stdout."""
    if as_json:
        told = error.as_dict() | {"message": str(error), "exit_code": code}
        click.echo(json.dumps({"error": told}, indent=2))
        return
    wide = sys.stderr.isatty()
    click.echo("\n".join(_block(error, shutil.get_terminal_size().columns if wide else None)), err=True)


def _block(error: ChunkmedError, columns: int | None) -> Iterator[str]:
    """Yield what, where, why, what was kept and what to do; wrapped where a terminal shows it."""
    head = click.style("chunkmed:", fg="red", bold=True)
    yield f"{head} {click.style(_one_line(error.what), bold=True)} [{error.kind}]"
    parts = (("where", error.place), ("why", error.why), ("kept", error.kept), ("to do", error.fix))
    rows = [(name, _one_line(text)) for name, text in parts if text]
    # A terminal is the user's alone: there the names of files may show, which logs must not hold.
    for name, text in [*rows, *_files(error, columns is not None)]:
        lines = [text] if columns is None else textwrap.wrap(text, max(_NARROWEST, columns - _INDENT - 2))
        yield f"  {click.style(f'{name:<{_INDENT - 2}}', dim=True)}{lines[0]}"
        yield from (" " * _INDENT + line for line in lines[1:])


def _files(error: ChunkmedError, named: bool) -> Iterator[tuple[str, str]]:
    found = list(dict.fromkeys(_IDENTIFIER.findall(f"{error.place} {error.why}")))[:_MOST_FILES]
    if found and not named:
        yield "files", f"chunkmed which {' '.join(found)} says which they are"
        return
    from chunkmed.private import paths_of

    for number, identifier in enumerate(found):
        paths = ", ".join(_printable(path) for path in paths_of(identifier))
        yield "" if number else "files", f"{identifier} is {paths or 'not known on this machine'}"


def _printable(path: str) -> str:
    text = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _one_line(text: str) -> str:
    return _printable(" ".join(text.split()))
