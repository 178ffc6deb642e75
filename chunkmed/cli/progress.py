"""Progress of the sinks: bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

import click

from chunkmed.graph.plan import Plan
from chunkmed.graph.run import Observer, observing

__all__ = ["Progress"]


class _Lines:
    """One line when a pass is done."""

    def start(self, name: str, tasks: int, plan: Plan) -> None:
        """Remember what starts."""
        self.name, self.tasks, self.voxels, self.nbytes = name, tasks, 0, 0
        self.since = time.monotonic()

    def advance(self, voxels: int, nbytes: int) -> None:
        """Count."""
        self.voxels, self.nbytes = self.voxels + voxels, self.nbytes + nbytes

    def finish(self) -> None:
        """Print."""
        seconds = max(time.monotonic() - self.since, 1e-3)
        rates = f"{self.voxels / seconds / 1e6:.1f} Mvoxel/s, {self.nbytes / seconds / 1e6:.1f} MB/s read"
        click.echo(f"{self.name}: {self.tasks} blocks, {seconds:.1f} s, {rates}", err=True)


class _Bars:
    """A bar per pass, with blocks, rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self.bars = RichProgress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("blocks {task.fields[rate]:>7.1f} MB/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )

    def start(self, name: str, tasks: int, plan: Plan) -> None:
        """Add a bar."""
        self.nbytes, self.since = 0, time.monotonic()
        self.bar = self.bars.add_task(name, total=tasks, rate=0.0)

    def advance(self, voxels: int, nbytes: int) -> None:
        """Move the bar by one block."""
        self.nbytes += nbytes
        rate = self.nbytes / max(time.monotonic() - self.since, 1e-3) / 1e6
        self.bars.update(self.bar, advance=1, rate=rate)

    def finish(self) -> None:
        """Leave the bar where it is."""


class Progress:
    """Show the progress of everything inside the ``with`` block."""

    def __enter__(self) -> Progress:
        self._bars = _Bars() if sys.stderr.isatty() else None
        observer: Observer = self._bars or _Lines()
        self._context: Any = observing(observer)
        if self._bars is not None:
            self._bars.bars.start()
        self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._context.__exit__(kind, error, traceback)
        if self._bars is not None:
            self._bars.bars.stop()
