"""``chunkmed scan PATH``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

__all__ = ["command"]


@click.command()
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(path: str, as_json: bool) -> None:
    """List the DICOM series below PATH, with the selectors that --series takes."""
    from chunkmed import dicom

    with _bar() as progress:
        study = dicom.scan(path, progress=progress)
    click.echo(json.dumps(dicom.described(study), indent=2) if as_json else str(study))


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows the files that are read, None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading headers"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda done, count: bars.update(task, completed=done, total=count)
