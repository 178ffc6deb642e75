"""NIfTI files as something to read boxes from: single files, plain or gzipped."""

from __future__ import annotations

import os
import stat
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import SourceError
from chunkmed.formats import gzipped
from chunkmed.formats.affine import LONGEST_SIDE, LPS_FROM_RAS, placed_grid
from chunkmed.formats.nifti_extension import extension_grid
from chunkmed.formats.nifti_header import LARGEST_HEADER, NiftiHeader, parse_header
from chunkmed.grid import Grid
from chunkmed.provenance import content_hash
from chunkmed.reused import empty

__all__ = ["NiftiReader"]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]

_GZIP_MAGIC = b"\x1f\x8b"
#: Deflate makes no more of a byte.
_MOST_INFLATED = 1032
#: Of extensions more is not looked at.
_MOST_EXTENSION = 1 << 22
#: Decompressing one value, one core.
_INFLATING_NS_PER_BYTE = 3.0


class NiftiReader:
    """The values of a NIfTI file, scaled, as (t, z, y, x) or (t, z, y, x, 3); cheap to send to a worker.

    Parameters
    ----------
    path : path
        A file ``.nii`` or ``.nii.gz``: told by its first bytes, not by its name.

    Raises
    ------
    SourceError
        As :func:`chunkmed.formats.nifti_header.parse_header`; ``no-such-path``, ``unreadable``,
        ``truncated-file``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(Path(path).absolute())
        self.where = Path(path).name
        self._file: _Plain | _Packed | None = None
        self._lock = threading.Lock()
        raw, self.compressed, self._seen = _start(self.path, self.where)
        self.header = parse_header(raw, self.where)
        self._check_size()
        self.shape, self.dtype = self.header.shape, output_dtype(self.header)
        self.chunks = (1, 1, *self.shape[2:])
        #: What is read at once: rows, or the whole slice where all before it is decompressed anyway.
        self.granule = self.chunks if self.compressed else (1, 1, 1, *self.shape[3:])
        self.reading_ns = _INFLATING_NS_PER_BYTE * self.header.stored.itemsize if self.compressed else None
        self.token = content_hash("nifti", self.path, self._seen)
        #: Values that are scaled are made elsewhere.
        self.reuses = self.header.slope == 1.0 and self.header.inter == 0.0

    def _check_size(self) -> None:
        there, needed = self._seen[0], self.header.offset + self.header.nbytes
        if there * (_MOST_INFLATED if self.compressed else 1) < needed:
            raise SourceError(
                "the file is cut off",
                kind="truncated-file",
                where=self.where,
                why=f"{there} bytes{' of gzip' if self.compressed else ''}; header and values are {needed}",
                fix="get a whole copy of the file",
            )

    @property
    def grid(self) -> Grid:
        """Where the voxels lie: as chunkmed wrote it, where the header still says the same."""
        raw = self._opened().bytes(0, min(self.header.offset, _MOST_EXTENSION))
        header = self.header
        shape = header.shape
        times = header.time_start_ms + np.arange(min(shape[0], LONGEST_SIDE + 1)) * (
            header.time_step_ms or 1.0
        )
        told = placed_grid(
            LPS_FROM_RAS @ header.affine_ras,
            shape[1:4],
            self.where,
            time_ms=tuple(np.round(times, 6).tolist()),
            time_known=header.time_step_ms is not None or shape[0] == 1,
        )
        return extension_grid(raw, header, told) or told

    def read(self, box: Box) -> Array:
        """Return the scaled values of a box; only its rows are read.

        Raises
        ------
        SourceError
            ``truncated-file``, ``damaged-file``, ``file-changed``, ``unreadable``.
        """
        stored = self._stored(box)
        if self.header.slope == 1.0 and self.header.inter == 0.0:
            return stored.astype(self.dtype, copy=False)
        return scaled(stored, self.header.slope, self.header.inter, self.dtype)

    def _stored(self, box: Box) -> Array:
        """Return the values as they are in the file: rows whole, then cut."""
        shape, itemsize = self.header.shape, self.header.stored.itemsize
        (y0, y1), inner = box[2], box[3:]
        row = int(np.prod(shape[3:])) * itemsize
        out = empty([b - a for a, b in box], self.header.stored)
        rows = np.empty([y1 - y0, *shape[3:]], self.header.stored)
        cut = (slice(None), *(slice(a, b) for a, b in inner))
        with self._opened().reading() as at:
            for (t, z), place in self._planes(box):
                start = self.header.offset + ((t * shape[1] + z) * shape[2] + y0) * row
                at(start, rows.reshape(-1).view(np.uint8).data)
                out[place] = rows[cut]
            if box[0][1] == shape[0] and box[1][1] == shape[1] and y1 == shape[2]:
                at(self.header.offset + self.header.nbytes, memoryview(b""))
        return out

    def _planes(self, box: Box) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        (t0, t1), (z0, z1) = box[:2]
        for t in range(t0, t1):
            for z in range(z0, z1):
                yield (t, z), (t - t0, z - z0)

    def _opened(self) -> _Plain | _Packed:
        with self._lock:
            if self._file is None:
                kind = _Packed if self.compressed else _Plain
                self._file = kind(self.path, self.where, self._seen, self.header)
            return self._file

    @property
    def label(self) -> str:
        """What ``explain`` calls it."""
        return "read NIfTI"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def output_dtype(header: NiftiHeader) -> np.dtype[Any]:
    """Return the dtype of the scaled values: integers stay integers, wide enough for every one.

    Fractional scales give float32, float64 where that is needed to tell stored values apart.
    """
    stored, slope, inter = header.stored.newbyteorder("="), header.slope, header.inter
    if slope == 1.0 and inter == 0.0:
        return stored
    if stored.kind == "f":
        return stored
    limits = np.iinfo(stored)
    if slope == int(slope) and inter == int(inter):
        ends = [int(end) * int(slope) + int(inter) for end in (limits.min, limits.max)]
        for name in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"):
            fits = np.iinfo(name)
            if fits.bits >= limits.bits and fits.min <= min(ends) and max(ends) <= fits.max:
                return np.dtype(name)
    return np.dtype(np.float32 if stored.itemsize <= 2 else np.float64)


def scaled(stored: Array, slope: float, inter: float, dtype: np.dtype[Any]) -> Array:
    """Return ``stored * slope + inter`` in ``dtype``: integers exactly, others rounded once."""
    if dtype.kind in "iu":
        # Integers wrap modulo 2^n: since the ends fit, everything in between is exact.
        factor, offset = (np.array(int(n) % 2**64, np.uint64).astype(dtype) for n in (slope, inter))
        return np.asarray(stored.astype(dtype) * factor + offset)
    out = stored.astype(np.float64)
    out *= slope
    out += inter
    return out.astype(dtype)


class _Reading:
    """A place that values are read from; entering gives ``at(offset, buffer)``."""

    def __init__(self, at: Any, done: Callable[[], None] | None = None) -> None:
        self._at, self._done = at, done

    def __enter__(self) -> Any:
        return self._at

    def __exit__(self, *_: object) -> None:
        if self._done is not None:
            self._done()


class _Plain:
    """An uncompressed file."""

    def __init__(self, path: str, where: str, seen: tuple[int, int], header: NiftiHeader) -> None:
        self.where, self._handle = where, _open_same(path, where, seen)
        # Not __del__: at the end of Python modules may be gone already.
        weakref.finalize(self, os.close, self._handle)

    def bytes(self, start: int, stop: int) -> bytes:
        """Return a range of the file."""
        return os.pread(self._handle, stop - start, start)

    def reading(self) -> _Reading:
        """Return what reads at any place."""
        return _Reading(self._fill)

    def _fill(self, start: int, out: memoryview) -> None:
        done = 0
        while done < len(out):
            try:
                got = os.preadv(self._handle, [out[done:]], start + done)
            except OSError as error:
                raise _unreadable(self.where, error) from error
            if not got:
                raise SourceError("the file is cut off", kind="truncated-file", where=self.where)
            done += got


class _Packed:
    """A gzipped file: a cursor goes forward through the planes of a box."""

    def __init__(self, path: str, where: str, seen: tuple[int, int], header: NiftiHeader) -> None:
        os.close(_open_same(path, where, seen))
        self.where, self._file = where, gzipped.GzipFile(path, header.offset + header.nbytes)

    def bytes(self, start: int, stop: int) -> bytes:
        """Return a range of the decompressed file."""
        out = bytearray(stop - start)
        self._file.fill(self._file.cursor(start), memoryview(out))
        return bytes(out)

    def reading(self) -> _Reading:
        """Return what reads at places that ascend."""
        cursor: Any = None

        def at(start: int, out: memoryview) -> None:
            nonlocal cursor
            cursor = self._file.cursor(start) if cursor is None else self._file.move(cursor, start)
            if len(out):
                self._file.fill(cursor, out)
            else:
                gzipped.check_end(cursor)

        def done() -> None:
            if cursor is not None:
                self._file.keep(cursor)

        return _Reading(at, done)


def _start(path: str, where: str) -> tuple[bytes, bool, tuple[int, int]]:
    """Return the header's bytes, whether the file is gzipped, and its size and time in ns."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise SourceError("no such file", kind="no-such-path", where=where, fix="check the path") from error
    except OSError as error:
        raise _unreadable(where, error) from error
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise SourceError("this is no file", kind="not-a-file", where=where)
        raw = os.pread(handle, LARGEST_HEADER, 0)
    finally:
        os.close(handle)
    compressed = raw[:2] == _GZIP_MAGIC
    if compressed:
        raw = gzipped.first_bytes(path, LARGEST_HEADER)
    return raw, compressed, (about.st_size, about.st_mtime_ns)


def _open_same(path: str, where: str, seen: tuple[int, int]) -> int:
    """Open a file that must still be the one whose header was read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(where, error) from error
    about = os.fstat(handle)
    if (about.st_size, about.st_mtime_ns) != seen:
        os.close(handle)
        raise SourceError("the file has changed", kind="file-changed", where=where, fix="open it again")
    return handle


def _unreadable(where: str, error: OSError) -> SourceError:
    return SourceError(
        "the file cannot be read", kind="unreadable", where=where, why=error.strerror or str(error)
    )
