"""TIFF stacks as something to read boxes from: one file per slice, multi-page, ImageJ and OME files.

Uncompressed planes are read by their rows; of others only the strips or tiles that a box touches are
decoded.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from chunkmed.errors import SourceError
from chunkmed.formats.placing import Placing
from chunkmed.formats.tiff_axes import axes_of, placing_of
from chunkmed.formats.tiff_segments import read_page
from chunkmed.provenance import content_hash
from chunkmed.reused import empty

__all__ = ["TiffReader", "open_tiff"]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]
PathLike = str | os.PathLike[str]

#: Files that are kept open while their pages are decoded.
_OPEN_FILES = 16
#: Of a strip or a tile, decoded.
_SEGMENT_BYTES = 2**31
#: Strips and tiles of deflate or LZW, one core.
_DECODING_NS = 8.0


def open_tiff(paths: Sequence[PathLike]) -> tuple[TiffReader, tuple[str, ...], Placing]:
    """Open TIFF files as one image; only their headers are read.

    Returns
    -------
    reader : TiffReader
        The values, axes as they lie in the files.
    axes : tuple of str
        Name of each axis: t, c, z, y, x.
    placing : Placing
        Steps that OME or ImageJ wrote.

    Raises
    ------
    SourceError
        ``no-such-path``, ``not-tiff``, ``unreadable``, ``bad-shape``, ``unequal-slices``, ``missing-slices``.
    """
    if not paths:
        raise SourceError("no such file", kind="no-such-path", fix="check the pattern")
    first = _Described.of(paths[0])
    planes, seen = [first.planes], [first.seen]
    for number, path in enumerate(paths[1:], 1):
        other = _Described.of(path)
        if (other.shape, other.dtype, other.axes) != (first.shape, first.dtype, first.axes):
            raise _unequal(path, other, paths[0], first)
        planes.append(other.planes + np.array([number, 0, 0]))
        seen.append(other.seen)
    axes, shape = axes_of(first.axes, first.shape, len(paths), Path(paths[0]).name)
    names = tuple(str(Path(path).absolute()) for path in paths)
    reader = TiffReader(names, tuple(seen), np.concatenate(planes), shape, first.dtype, first.stored)
    reader.trailing = len(axes) - axes.index("y")
    reader.finish(first.segment)
    return reader, axes, first.placing


class TiffReader:
    """The planes of TIFF files; cheap to send to a worker.

    Parameters
    ----------
    paths : tuple of str
        Files.
    seen : tuple of (int, int)
        Size and time in ns of each.
    planes : ndarray, shape (n, 3)
        Number of the file, of the page in it, and where uncompressed values begin (-1: they are packed).
    shape : tuple of int
        Of the image: axes that number planes, then those of a plane.
    dtype, stored : dtype
        Of the values, and of the values as they lie in the files.
    """

    def __init__(
        self,
        paths: tuple[str, ...],
        seen: tuple[tuple[int, int], ...],
        planes: npt.NDArray[np.int64],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        stored: np.dtype[Any],
    ) -> None:
        self.paths, self.seen, self.planes = paths, seen, planes
        self.shape, self.dtype, self.stored = shape, dtype, stored
        self.trailing = 2
        self.token = content_hash("tiff", paths, seen, shape)

    fresh = reuses = True

    def finish(self, segment: tuple[int, int]) -> None:
        """Say what is read at once: rows, or strips and tiles of a size (y, x)."""
        lead = (1,) * (len(self.shape) - self.trailing)
        packed = bool((self.planes[:, 2] < 0).any())
        inner = self.shape[len(lead) :]
        self.chunks = (*lead, *inner)
        self.granule = (*lead, *(segment if packed else (1, inner[1])), *inner[2:])
        self.reading_ns = _DECODING_NS if packed else None

    @property
    def label(self) -> str:
        """What ``explain`` calls it."""
        return "read TIFF"

    def read(self, box: Box) -> Array:
        """Return the values of a box.

        Raises
        ------
        SourceError
            ``file-changed``, ``unreadable``, ``truncated-file``, ``damaged-file``.
        """
        lead = len(self.shape) - self.trailing
        out = empty([b - a for a, b in box], self.dtype)
        for place, number in self._touched(box[:lead]):
            file, page, offset = (int(n) for n in self.planes[number])
            if offset >= 0:
                out[place] = self._rows(file, offset, box[lead:])
            else:
                out[place] = self._decoded(file, page, box[lead:])
        return out

    def _touched(self, box: Box) -> Iterator[tuple[tuple[int, ...], int]]:
        sizes = self.shape[: len(box)]
        for place in np.ndindex(*(b - a for a, b in box)):
            index = tuple(a + i for (a, _), i in zip(box, place, strict=True))
            yield place, int(np.ravel_multi_index(index, sizes)) if sizes else 0

    def _rows(self, file: int, offset: int, box: Box) -> Array:
        (y0, y1), *inner = box
        shape = (y1 - y0, *self.shape[len(self.shape) - self.trailing + 1 :])
        row = int(np.prod(shape[1:])) * self.stored.itemsize
        rows = np.empty(shape, self.stored)
        handle = self._handle(file)
        try:
            _fill(handle, rows.reshape(-1).view(np.uint8).data, offset + y0 * row, self.paths[file])
        finally:
            os.close(handle)
        return rows[(slice(None), *(slice(a, b) for a, b in inner))]

    def _handle(self, file: int) -> int:
        path = self.paths[file]
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _unreadable(path, error) from error
        about = os.fstat(handle)
        if (about.st_size, about.st_mtime_ns) != self.seen[file]:
            os.close(handle)
            raise SourceError(
                "the file has changed", kind="file-changed", where=Path(path).name, fix="open it again"
            )
        return handle

    def _decoded(self, file: int, page: int, box: Box) -> Array:
        handle = self._handle(file)
        try:
            found = read_page(_opened(self.paths[file], self.seen[file]), page, handle, box)
        except SourceError:
            raise
        except Exception as error:  # codecs raise whatever they like
            raise _damaged(self.paths[file], page, error) from error
        finally:
            os.close(handle)
        return found.astype(self.dtype, copy=False)


class _Described:
    """What the header of one file says."""

    def __init__(self, path: PathLike, file: tifffile.TiffFile) -> None:
        series = file.series[0]
        keyframe = series.keyframe
        self.axes, self.shape = str(series.axes), tuple(int(n) for n in series.shape)
        self.dtype = np.dtype(series.dtype).newbyteorder("=")
        self.stored = self.dtype.newbyteorder(file.byteorder)
        about = Path(path).stat()
        self.seen = about.st_size, about.st_mtime_ns
        self.placing = placing_of(file)
        self.segment = _segment(keyframe)
        self.planes = _planes(series, path)
        _check_segment(self, path)
        _check_size(self, path)

    @classmethod
    def of(cls, path: PathLike) -> _Described:
        """Return what a file says, every failure as an error of ours."""
        try:
            with tifffile.TiffFile(path) as file:
                return cls(path, file)
        except SourceError:
            raise
        except FileNotFoundError as error:
            raise SourceError(
                "no such file", kind="no-such-path", where=Path(path).name, fix="check the path"
            ) from error
        except OSError as error:
            raise _unreadable(path, error) from error
        except Exception as error:  # parsers raise whatever they like
            raise SourceError(
                "this is not a TIFF file that can be read",
                kind="not-tiff",
                where=Path(path).name,
                why=f"{type(error).__name__}: {error}",
            ) from error


def _segment(keyframe: Any) -> tuple[int, int]:
    """Return how many rows and columns a tile or a strip has."""
    if keyframe.is_tiled:
        return int(keyframe.tilelength), int(keyframe.tilewidth)
    return min(int(keyframe.rowsperstrip), int(keyframe.imagelength)), int(keyframe.imagewidth)


def _planes(series: Any, path: PathLike) -> npt.NDArray[np.int64]:
    """Return a row for each plane: file 0, number of the page, offset of uncompressed values or -1."""
    keyframe = series.keyframe
    at = str(series.axes).find("Y")
    wanted = int(np.prod(series.shape[:at]))
    size = int(np.prod(series.shape[at:])) * np.dtype(series.dtype).itemsize
    if series.dataoffset is not None and keyframe.is_memmappable:
        count = int(series.nbytes) // size
        return np.stack(
            [np.zeros(count), np.zeros(count), series.dataoffset + np.arange(count) * size], axis=1
        ).astype(np.int64)
    rows = []
    for number, page in enumerate(series.pages):
        if page is None or not isinstance(page.index, int) or _elsewhere(page, path):
            raise SourceError(
                "a plane is missing",
                kind="missing-slices",
                where=Path(path).name,
                why=f"plane {number} of {len(series.pages)} is not in this file",
            )
        plain = keyframe.is_memmappable and page.is_contiguous
        rows.append((0, page.index, int(page.dataoffsets[0]) if plain else -1))
    if len(rows) != wanted:
        raise SourceError(
            "the planes of a TIFF file cannot be told one by one",
            kind="bad-shape",
            where=Path(path).name,
            why=f"{len(rows)} pages for {wanted} planes of {series.axes} {series.shape}: colours lie apart",
            fix="write it with samples side by side (planar configuration 1)",
        )
    return np.array(rows, np.int64)


def _elsewhere(page: Any, path: PathLike) -> bool:
    return Path(page.parent.filehandle.path).resolve() != Path(path).resolve()


def _check_segment(described: _Described, path: PathLike) -> None:
    """Refuse strips and tiles that take more memory to decode than any image needs."""
    samples = described.shape[-1] if described.axes.endswith("S") else 1
    size = int(np.prod(described.segment)) * described.dtype.itemsize * samples
    if (described.planes[:, 2] < 0).any() and size > _SEGMENT_BYTES:
        raise SourceError(
            "the parts that a TIFF file is compressed in are too large",
            kind="too-large",
            where=Path(path).name,
            why=f"{size} bytes are decoded at once",
            fix="write it in tiles",
        )


def _check_size(described: _Described, path: PathLike) -> None:
    """Refuse a file that ends before its last uncompressed plane does."""
    plane = int(np.prod(described.shape)) * described.dtype.itemsize // len(described.planes)
    needed = int(described.planes[:, 2].max()) + plane
    if described.planes[:, 2].max() >= 0 and described.seen[0] < needed:
        raise SourceError(
            "the file is cut off",
            kind="truncated-file",
            where=Path(path).name,
            why=f"{described.seen[0]} of {needed} bytes",
            fix="get a whole copy of the file",
        )


# What it complains of is an error of ours already.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_files: OrderedDict[tuple[str, tuple[int, int]], tifffile.TiffFile] = OrderedDict()
_files_lock = threading.Lock()


def _opened(path: str, seen: tuple[int, int]) -> tifffile.TiffFile:
    """Return a file whose pages can be asked for; those used last stay."""
    with _files_lock:
        file = _files.pop((path, seen), None) or tifffile.TiffFile(path)
        _files[path, seen] = file
        while len(_files) > _OPEN_FILES:
            # Not closed here: another thread may be at it; it closes itself when nobody is.
            _files.popitem(last=False)
    return file


def _fill(handle: int, out: memoryview, at: int, path: str) -> None:
    while out:
        got = os.preadv(handle, [out], at)
        if not got:
            raise SourceError("the file is cut off", kind="truncated-file", where=Path(path).name)
        out, at = out[got:], at + got


def _unequal(path: PathLike, other: _Described, first: PathLike, wanted: _Described) -> SourceError:
    return SourceError(
        "the slices differ",
        kind="unequal-slices",
        where=Path(path).name,
        why=f"{other.axes} {other.shape} {other.dtype}; {Path(first).name} is "
        f"{wanted.axes} {wanted.shape} {wanted.dtype}",
        fix="leave out what does not belong to the stack",
    )


def _unreadable(path: PathLike, error: OSError) -> SourceError:
    return SourceError(
        "the file cannot be read",
        kind="unreadable",
        where=Path(path).name,
        why=error.strerror or str(error),
    )


def _damaged(path: str, page: int, error: Exception) -> SourceError:
    return SourceError(
        "a page cannot be decoded",
        kind="damaged-file",
        where=f"{Path(path).name}, page {page}",
        why=f"{type(error).__name__}: {error}",
        fix="get a whole copy of the file",
    )
