"""A folder as a hostile or careless sender leaves it: good series, and a tenth of other things."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from faults.hostile import build
from faults.hostile.bombs import bombs

import chunkmed as cm
from chunkmed.dicom import Study
from chunkmed.errors import SourceError
from chunkmed.grid import Grid
from chunkmed.private import file_identifier
from chunkmed.testing import Form, write_form

#: Small ones that are refused when they are scanned.
_BOMBS = (
    "sequences in sequences", "deflated sequences", "4 GiB element", "4 GiB item", "frames beyond the file",
    "frames that are not there", "a wide frame", "inflates to a billion frames", "4 GiB of pixels",
)  # fmt: skip


def written_series(folder: Path) -> None:
    """Write a small good series."""
    grid = Grid(z_mm=(0.0, 1.0), y_mm=(0.0, 1.0), x_mm=(0.0, 1.0), time_ms=(0.0,))
    write_form(folder, lambda t, z: [[z, 1], [2, 3]], grid, Form())


def convert_all(study: Study, folder: Path) -> tuple[int, int]:
    """Convert every stack; return how many had the values they should have, and how many were refused."""
    good = refused = 0
    for number, stack in enumerate(study.stacks):
        try:
            image = cm.convert(study, folder / f"{number}.zarr", series=stack.key, pyramid=False)
        except SourceError as error:
            hostile = [path for path in stack.pixels.paths if "hostile" in path]
            assert error.file in {file_identifier(path) for path in hostile}, error
            refused += 1
            continue
        values = image.values[0]
        series = int(values[0, 0, 0]) // 10_000
        assert all(np.array_equal(values[z], values_of(series, z)) for z in range(len(values)))
        good += 1
    return good, refused


def values_of(series: int, z: int) -> np.ndarray:
    """Return the pixels of a slice of a good series."""
    return np.arange(64, dtype=np.int32).reshape(8, 8) + 100 * z + 10_000 * series


def write_folder(folder: Path, files: int, seed: int = 1) -> tuple[int, list[Path]]:
    """Write so many files, a tenth of them hostile; return the number of good series and the others.

    Each good series has 15 or 30 slices.
    """
    hostile = files // 10
    slices = 30 if files - hostile >= 300 else 15
    count = (files - hostile) // slices
    positions = tuple(map(float, range(8)))
    grid = Grid(z_mm=tuple(map(float, range(slices))), y_mm=positions, x_mm=positions, time_ms=(0.0,))
    for series in range(count):
        form = Form(modality="CT", time_key="", names="nested", dtype="int32")
        write_form(folder / f"{series:03d}", lambda t, z, n=series: values_of(n, z), grid, form)
        _own_series(folder / f"{series:03d}", series)
    seeds = [path.read_bytes() for path in sorted((folder / "000").rglob("*.dcm"))[:3]]
    return count, [_hostile(folder, number, seeds, seed) for number in range(files - count * slices)]


def _own_series(folder: Path, series: int) -> None:
    """Give each series a UID of its own: equal grids have equal ones."""
    for path in folder.rglob("*.dcm"):
        raw = path.read_bytes()
        at = raw.index(b"\x20\0\x0e\0UI") + 8
        length = int.from_bytes(raw[at - 2 : at], "little")
        uid = f"1.2.826.{series + 1}.".encode().ljust(length - 1, b"7") + raw[at + length - 1 : at + length]
        path.write_bytes(raw[:at] + uid + raw[at + length :])


def _hostile(folder: Path, number: int, seeds: Sequence[bytes], seed: int) -> Path:
    place = folder / f"{number % 7:03d}"
    place.mkdir(exist_ok=True)
    path = place / f"hostile{number:04d}.dcm"
    return _KINDS[number % len(_KINDS)](path, number, seeds, random.Random(f"{seed}/{number}"))


Kind = Callable[[Path, int, Sequence[bytes], random.Random], Path]


def _bomb(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
    bombs()[_BOMBS[number // len(_KINDS) % len(_BOMBS)]](path)
    return path


def _truncated(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
    raw = rng.choice(seeds)
    path.write_bytes(raw[: rng.randrange(len(raw) - 1)])
    return path


def _fifo(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
    os.mkfifo(path)
    return path


def _link(target: str) -> Kind:
    def make(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
        path.symlink_to(target)
        return path

    return make


def _socket(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
    here = Path.cwd()
    # Names of sockets may have a hundred bytes.
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path.name)
    finally:
        os.chdir(here)
    return path


def _renamed(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
    odd = path.with_name(os.fsdecode(b"\xff\xfe\x1b[2J" + str(number).encode()))
    odd.write_bytes(rng.randbytes(3000))
    return odd


def _index(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
    body = build.element(0x00080016, "UI", b"1.2.840.10008.1.3.10")
    path.write_bytes(build.file_of(body + build.element(0x00041500, "CS", b"..\\..\\x ")))
    return path


def _empty(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
    path.touch()
    return path


def _damaged(path: Path, number: int, seeds: Sequence[bytes], rng: random.Random) -> Path:
    """An image that is found out when it is decoded: a series of its own."""
    stream = b"\xff\x4f\xff\x51" + rng.randbytes(60)
    path.write_bytes(build.compressed([stream], build.J2K, SeriesInstanceUID=f"1.9.{number}"))
    return path


_KINDS: tuple[Kind, ...] = (
    _bomb, _truncated, _damaged, _fifo, _bomb, _link("."), _link("nowhere"), _renamed, _bomb,
    _link("/dev/zero"), _socket, _index, _empty, _damaged,
)  # fmt: skip
