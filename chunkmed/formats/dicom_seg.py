"""DICOM segmentations as label images: BINARY and LABELMAP, any number of segments.

Source: DICOM PS3.3 C.8.20 (Segmentation), C.7.6.16.2 (functional groups); frames that are all background
may be left out of the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.decode import Plane, Seen, read_planes
from chunkmed.dicom.headers import Layout
from chunkmed.dicom.read import NotAnImageError, read_whole_header
from chunkmed.dicom.walk import open_regular
from chunkmed.errors import SourceError
from chunkmed.provenance import content_hash, keyed_identifier

__all__ = ["SegFrame", "SegReader", "Segmentation", "is_segmentation", "read_segmentation"]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]

CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_SOP_CLASS = 0x00080016
_MOST_SEGMENTS = 65535


@dataclass(frozen=True)
class SegFrame:
    """One frame of a segmentation."""

    number: int
    """In the file."""
    segment: int
    """Which segment it shows; 0: its values are the numbers of segments."""
    position_lps: tuple[float, float, float]
    """Of the centre of its first voxel, mm."""


@dataclass(frozen=True)
class Segmentation:
    """What the header of a segmentation says."""

    path: str
    seen: Seen
    kind: str
    """BINARY or LABELMAP."""
    layout: Layout
    spacing_mm: tuple[float, float]
    """Along y, x."""
    depth_mm: float | None
    """Along the normal, where the header says it."""
    row: tuple[float, float, float]
    """LPS direction of a row."""
    column: tuple[float, float, float]
    frames: tuple[SegFrame, ...]
    segments: Mapping[int, str]
    """Name of each segment."""
    frame_key: str

    @property
    def where(self) -> str:
        """What errors name."""
        return Path(self.path).name


def is_segmentation(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a DICOM segmentation."""
    try:
        dataset = read_whole_header(os.fspath(path), [_SOP_CLASS]).dataset
    except NotAnImageError:
        return False
    return str(dataset.get("SOPClassUID", "")) in CLASSES


def read_segmentation(path: str | os.PathLike[str]) -> Segmentation:
    """Read the header of a segmentation.

    Raises
    ------
    SourceError
        ``not-a-segmentation``, ``unsupported-segmentation``, ``damaged-file``, ``truncated-file``.
    """
    where = Path(path).name
    try:
        found = read_whole_header(os.fspath(path), None)
    except NotAnImageError as error:
        raise SourceError(
            "the file cannot be read", kind="unreadable", where=where, why=str(error)
        ) from error
    dataset = found.dataset
    if str(dataset.get("SOPClassUID", "")) not in CLASSES:
        raise SourceError("this is no DICOM segmentation", kind="not-a-segmentation", where=where)
    try:
        out = _described(dataset, found, str(Path(path).absolute()))
    except SourceError:
        raise
    except Exception as error:  # values that are not what the standard says
        raise SourceError(
            "the header of a segmentation does not make sense",
            kind="damaged-file",
            where=where,
            why=f"{type(error).__name__}: a tag is missing or holds something else",
        ) from error
    _check(out, found)
    return out


def _described(dataset: Any, found: Any, path: str) -> Segmentation:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    every = list(dataset.PerFrameFunctionalGroupsSequence)
    measures = _group(shared, every[0], "PixelMeasuresSequence")
    orientation = _group(shared, every[0], "PlaneOrientationSequence").ImageOrientationPatient
    kind = str(dataset.SegmentationType)
    frames = tuple(_frame(number, group, shared, kind) for number, group in enumerate(every))
    depth = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return Segmentation(
        path=path,
        seen=Seen(path, found.size, found.mtime_ns, found.offset),
        kind=kind,
        layout=found.layout,
        spacing_mm=(float(measures.PixelSpacing[0]), float(measures.PixelSpacing[1])),
        depth_mm=None if depth is None else float(depth),
        row=_triple(orientation[:3]),
        column=_triple(orientation[3:]),
        frames=frames,
        segments={int(s.SegmentNumber): str(s.get("SegmentLabel", "")) for s in dataset.SegmentSequence},
        frame_key=keyed_identifier(str(uid)) if (uid := dataset.get("FrameOfReferenceUID")) else "",
    )


def _group(shared: Any, frame: Any, name: str) -> Any:
    return (shared.get(name) or frame[name])[0]


def _frame(number: int, group: Any, shared: Any, kind: str) -> SegFrame:
    position = _group(shared, group, "PlanePositionSequence").ImagePositionPatient
    segment = 0
    if kind != "LABELMAP":
        segment = int(_group(shared, group, "SegmentIdentificationSequence").ReferencedSegmentNumber)
    return SegFrame(number, segment, _triple(position))


def _triple(values: Any) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in values)
    return a, b, c


def _check(found: Segmentation, header: Any) -> None:
    numbers = [
        *found.spacing_mm,
        *found.row,
        *found.column,
        *(v for f in found.frames for v in f.position_lps),
    ]
    why, bits = "", found.layout.bits_allocated
    if found.kind not in ("BINARY", "LABELMAP"):
        why = f"it is {found.kind}: values are parts of a whole, not labels"
    elif (found.kind, bits) not in (("BINARY", 1), ("BINARY", 8), ("LABELMAP", 8), ("LABELMAP", 16)):
        why = f"{found.kind} with {bits} bits"
    elif bits == 1 and (found.layout.compressed or found.layout.deflated):
        why = f"single bits in the transfer syntax {found.layout.transfer_syntax}"
    elif len(found.frames) != found.layout.frames:
        why = f"{len(found.frames)} frames described, {found.layout.frames} announced"
    elif not np.all(np.isfinite(numbers)) or min(found.spacing_mm) <= 0:
        why = "its positions and spacing are no numbers"
    elif not found.segments or not 0 <= max(found.segments) <= _MOST_SEGMENTS or min(found.segments) < 0:
        why = f"segments {sorted(found.segments)[:9]}"
    if why:
        raise SourceError(
            "this segmentation is not read", kind="unsupported-segmentation", where=found.where, why=why
        )
    layout = found.layout
    needed = -(-len(found.frames) * layout.rows * layout.columns * layout.bits_allocated // 8)
    if not layout.compressed and header.limit - header.offset < needed:
        raise SourceError(
            "the file is cut off",
            kind="truncated-file",
            where=found.where,
            why=f"{max(0, header.limit - header.offset)} of {needed} bytes of pixel data",
        )


class SegReader:
    """The labels of a segmentation as (1, planes, rows, columns); cheap to send to a worker.

    Parameters
    ----------
    found : Segmentation
        The file.
    planes : sequence of int
        For each frame the number of the plane where it lies.
    count : int
        How many planes there are.
    only : int, optional
        Read this segment alone.
    """

    def __init__(
        self, found: Segmentation, planes: Sequence[int], count: int, only: int | None = None
    ) -> None:
        self.found, self.only = found, only
        self.shape = (1, count, found.layout.rows, found.layout.columns)
        highest = max(found.segments) if only is None else only
        self.dtype = np.dtype(np.uint8 if highest < 256 else np.uint16)
        self.chunks = self.granule = (1, 1, *self.shape[2:])
        self.token = content_hash("seg", found.path, found.seen, list(planes), count, only)
        self._frames: dict[int, list[SegFrame]] = {}
        for frame, plane in zip(found.frames, planes, strict=True):
            if only is None or frame.segment in (0, only):
                self._frames.setdefault(plane, []).append(frame)

    @property
    def label(self) -> str:
        """What ``explain`` calls it."""
        return "read DICOM SEG"

    def read(self, box: Box) -> Array:
        """Return the labels of a box.

        Raises
        ------
        SourceError
            ``overlapping-segments`` where two share a voxel, ``file-changed``, ``truncated-file``,
            ``undecodable``, ``unknown-segment``.
        """
        _, (z0, z1), (y0, y1), (x0, x1) = box
        out = np.zeros([b - a for a, b in box], self.dtype)
        for z in range(z0, z1):
            for frame in self._frames.get(z, ()):
                values = self._frame(frame)[y0:y1, x0:x1]
                self._add(out[:, z - z0], values[None], frame)
        return out

    def _add(self, plane: Array, values: Array, frame: SegFrame) -> None:
        if frame.segment:
            values = (values != 0) * self.dtype.type(frame.segment)
        elif self.only is not None:
            values = (values == self.only) * self.dtype.type(self.only)
        elif values.size and int(values.max()) not in (0, *self.found.segments):
            raise SourceError(
                f"a voxel of segment {int(values.max())}, which is not described",
                kind="unknown-segment",
                where=self.found.where,
            )
        shared = (plane != 0) & (values != 0)
        if shared.any():
            one, other = int(plane[shared][0]), int(values[shared][0])
            names = self.found.segments
            raise SourceError(
                f"segments {one} ({names.get(one, '')}) and {other} ({names.get(other, '')}) share voxels",
                kind="overlapping-segments",
                where=self.found.where,
                why="a label image has one label per voxel",
                fix="open one segment at a time: cm.open_labels(path, name_of_the_segment)",
            )
        np.maximum(plane, values.astype(self.dtype), out=plane)

    def _frame(self, frame: SegFrame) -> Array:
        """Return the stored values of a frame."""
        layout = self.found.layout
        if layout.bits_allocated == 1:
            return self._bits(frame.number)
        out = np.empty((layout.rows, layout.columns), np.uint8 if layout.bits_allocated == 8 else np.uint16)
        part = (frame.number, (0, layout.rows), (0, layout.columns))
        read_planes([Plane(self.found.seen, layout, part, (1.0, 0.0), slice(None), out)])
        return out

    def _bits(self, number: int) -> Array:
        """Return a frame of single bits: frames follow each other without a gap, even within a byte."""
        seen, layout = self.found.seen, self.found.layout
        size = layout.rows * layout.columns
        first, last = number * size // 8, -(-(number + 1) * size // 8)
        raw = _bytes(seen, seen.offset + first, last - first)
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
        start = number * size - first * 8
        return bits[start : start + size].reshape(layout.rows, layout.columns)


def _bytes(seen: Seen, start: int, count: int) -> bytes:
    """Return bytes of a file that must be the one whose header was read."""
    try:
        handle = open_regular(seen.path)
    except OSError as error:
        raise SourceError(
            "the file cannot be read", kind="unreadable", where=seen.name, why=str(error.strerror)
        ) from error
    try:
        about = os.fstat(handle)
        if (about.st_size, about.st_mtime_ns) != (seen.size, seen.mtime_ns):
            raise SourceError(
                "the file has changed", kind="file-changed", where=seen.name, fix="open it again"
            )
        raw = os.pread(handle, count, start)
    finally:
        os.close(handle)
    if len(raw) < count:
        raise SourceError("the file is cut off", kind="truncated-file", where=seen.name)
    return raw
