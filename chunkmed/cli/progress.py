"""Progress of the sinks: bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import click

from chunkmed.graph.plan import Plan
from chunkmed.graph.run import Observer, observing

__all__ = ["Progress", "scanning"]

#: A scan of fewer files is over before a bar would be read.
_MANY_FILES = 500


class _Lines:
    """One line when a pass is done."""

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def start(self, name: str, tasks: int, plan: Plan) -> None:
        """Remember what starts."""
        self.name, self.count, self.voxels, self.nbytes = name, _count(self.unit, tasks, plan), 0, 0
        self.since = time.monotonic()

    def advance(self, voxels: int, nbytes: int) -> None:
        """Count."""
        self.voxels, self.nbytes = self.voxels + voxels, self.nbytes + nbytes

    def finish(self) -> None:
        """Print."""
        seconds = max(time.monotonic() - self.since, 1e-3)
        speed = (
            f"{self.count / seconds:.0f} slices/s"
            if self.unit == "slices"
            else f"{self.voxels / seconds / 1e6:.1f} Mvoxel/s"
        )
        rates = f"{speed}, {self.nbytes / seconds / 1e6:.1f} MB/s read"
        click.echo(f"{self.name}: {self.count:.0f} {self.unit}, {seconds:.1f} s, {rates}", err=True)


class _Bars:
    """A bar per pass, with blocks or slices, rate and time left."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self.bars = RichProgress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.completed:>6.0f}/{task.total:.0f} " + unit),
            TextColumn("{task.fields[rate]:>7.1f} MB/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )

    def start(self, name: str, tasks: int, plan: Plan) -> None:
        """Add a bar."""
        self.nbytes, self.since = 0, time.monotonic()
        count = _count(self.unit, tasks, plan)
        # Blocks at the rim are smaller: slices go by voxels, blocks by their number.
        self.per_voxel = 1 / math.prod(plan.shape[2:]) if self.unit == "slices" else None
        self.bar = self.bars.add_task(name, total=count, rate=0.0)

    def advance(self, voxels: int, nbytes: int) -> None:
        """Move the bar by one block."""
        self.nbytes += nbytes
        rate = self.nbytes / max(time.monotonic() - self.since, 1e-3) / 1e6
        step = 1.0 if self.per_voxel is None else voxels * self.per_voxel
        self.bars.update(self.bar, advance=step, rate=rate)

    def finish(self) -> None:
        """Leave the bar where it is."""


def _count(unit: str, tasks: int, plan: Plan) -> float:
    """Return how many blocks are left, or how many slices that is."""
    if unit != "slices":
        return tasks
    return math.prod(plan.shape[:2]) * tasks / max(1, plan.tasks)


class Progress:
    """Show the progress of everything inside the ``with`` block.

    Parameters
    ----------
    unit : {"blocks", "slices"}
        What is counted.
    """

    def __init__(self, unit: str = "blocks") -> None:
        self.unit = unit

    def __enter__(self) -> Progress:
        self._bars = _Bars(self.unit) if sys.stderr.isatty() else None
        observer: Observer = self._bars or _Lines(self.unit)
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


@contextmanager
def scanning() -> Iterator[Callable[[int, int], None] | None]:
    """Show the progress of a scan of many files on a terminal; give what a scan calls."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("headers"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("headers", total=None, visible=False)

        def progress(done: int, total: int) -> None:
            if total >= _MANY_FILES and (done % 100 == 0 or done == total):
                bars.update(bar, completed=done, total=total, visible=True)

        yield progress
