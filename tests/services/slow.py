"""Images whose reading takes time and leaves notes: something can happen in the middle of a save."""

import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import cloudpickle
import numpy as np
from many_blocks import small_blocks

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.graph.trace import ArrayReader
from chunkmed.graph.views import from_reader
from chunkmed.grid import Grid

SHAPE = (2, 6, 8, 10)
BLOCKS = 16
# Workers cannot import this file: its classes travel with the tasks.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Slow(ArrayReader):
    """An array that notes who reads it and takes its time; its values name it, and not where notes lie."""

    def __init__(self, array, notes: Path | None = None, seconds: float = 0.0):
        super().__init__(array)
        self.chunks, self.notes, self.seconds = (1, 3, 4, 5), notes, seconds

    def read(self, box):
        if self.notes is not None:
            with (self.notes / str(os.getpid())).open("a") as note:
                note.write(".")
            time.sleep(self.seconds)
        return super().read(box)


class Greedy(ArrayReader):
    """An array that takes all the memory there is, and more."""

    def read(self, box):
        taken = []
        while True:
            taken.append(np.ones(1 << 23))
            time.sleep(0.02)


def image_of(reader):
    times, *space = (tuple(float(i) for i in range(n)) for n in SHAPE)
    view = from_reader(reader, tuple((c,) * (n // c) for n, c in zip(SHAPE, (1, 3, 4, 5), strict=True)))
    return attach(view, Grid(*space, time_ms=times))


def values_of():
    return np.random.default_rng(6).integers(0, 99, SHAPE).astype(np.int16)


def save(store: Path, notes: Path | None = None, seconds: float = 0.0) -> None:
    """Save an image, block by block."""
    with small_blocks((3, 4, 5)):
        cm.save(image_of(Slow(values_of(), notes, seconds)) + 1, store, pyramid=False)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@contextmanager
def once_read(notes: Path, reads: int, then):
    """Call ``then(pid)`` in a thread for the first process that has read so often."""
    called: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and not called:
            for path in notes.iterdir():
                if path.stat().st_size >= reads:
                    called.append(int(path.name))
                    return then(called[0])
            time.sleep(0.005)
        return None

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield called
    finally:
        over.set()
        watching.join(30)
    assert called, "nobody read so often"
