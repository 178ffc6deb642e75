"""Where every frame of a stack lies on disk, in columns: small to pickle, read box by box."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.decode import Plane, Seen, read_planes
from chunkmed.dicom.headers import Frame, Header, Layout
from chunkmed.dicom.walk import common_folder
from chunkmed.provenance import content_hash
from chunkmed.reused import empty

__all__ = ["Box", "Pixels", "pixels_of"]

Array = npt.NDArray[Any]
Span = tuple[int, int]
Box = Sequence[Span]


@dataclass(frozen=True, eq=False)
class Pixels:
    """The frames (t, z) of a stack and the files that hold them."""

    folder: str
    names: tuple[str, ...]
    """Files, relative to the folder."""
    files: npt.NDArray[np.int64]
    """Per file: size in bytes, mtime in ns, start of the pixel data, number of its layout: (n, 4)."""
    layouts: tuple[Layout, ...]
    places: npt.NDArray[np.int32]
    """Number of the file and of the frame in it: (t, z, 2); -1 where there is none: NaN is read."""
    rescale: npt.NDArray[np.float64]
    """Slope and intercept: (t, z, 2), or (1, 1, 2) when they are the same everywhere."""

    @property
    def channels(self) -> int:
        """Colours of a voxel, the last axis of what is read; 0 where there is no such axis."""
        samples = self.layouts[0].samples
        return samples if samples > 1 else 0

    @property
    def needs_whole_frames(self) -> bool:
        """Whether a part of a frame takes decoding all of it."""
        return any(layout.compressed or layout.deflated for layout in self.layouts)

    @property
    def paths(self) -> list[str]:
        """The files."""
        return [os.path.join(self.folder, name) for name in self.names]  # noqa: PTH118 - may not be UTF-8

    def turned(self) -> Pixels:
        """Return the same frames with time points as slices and slices as time points."""
        return replace(self, places=self.places.swapaxes(0, 1), rescale=self.rescale.swapaxes(0, 1))

    def token(self, *extra: object) -> str:
        """Return a text that changes with the files, their sizes and times, and the frames taken."""
        # Absolute paths: the same names in another folder are other images.
        parts = [self.folder, self.names, self.files.tolist(), self.places.tolist(), self.rescale.tolist()]
        return content_hash(*parts, *extra)

    def read(self, box: Box, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the rescaled values (t, z, y, x[, c]) of a box; see ``Stack.read``."""
        (t0, t1), (z0, z1), rows, columns = box[:4]
        c0, c1 = box[4] if len(box) > 4 else (0, self.channels)
        shape: tuple[int, ...] = (t1 - t0, z1 - z0, rows[1] - rows[0], columns[1] - columns[0])
        if self.channels:
            shape = (*shape, c1 - c0)
        out = empty(shape, dtype)
        if out.size == 0:
            return out
        planes = (
            self._plane((t, z), (rows, columns), slice(c0, c1), out[t - t0, z - z0])
            for t in range(t0, t1)
            for z in range(z0, z1)
        )
        read_planes(plane for plane in planes if plane is not None)
        return out

    def _plane(
        self, at: tuple[int, int], part: tuple[Span, Span], channels: slice, out: Array
    ) -> Plane | None:
        """Return what to read for (t, z); None, and NaN in its place, where there is no frame."""
        file, frame = self.places[at].tolist()
        if file < 0:
            out[...] = np.nan
            return None
        size, mtime_ns, offset, layout = self.files[file].tolist()
        path = os.path.join(self.folder, self.names[file])  # noqa: PTH118 - names may not be UTF-8
        slope, intercept = self.rescale[at[0] % len(self.rescale), at[1] % self.rescale.shape[1]].tolist()
        seen = Seen(path, size, mtime_ns, offset)
        return Plane(seen, self.layouts[layout], (frame, *part), (slope, intercept), channels, out)


def pixels_of(frames: Sequence[Sequence[Frame | None]]) -> Pixels:
    """Return the columns of frames (t, z); None where one is missing."""
    headers: dict[str, Header] = {}
    for volume in frames:
        headers |= {frame.file.path: frame.file for frame in volume if frame is not None}
    folder = common_folder(headers)
    layouts = list(dict.fromkeys(header.layout for header in headers.values()))
    columns = [
        (header.size, header.mtime_ns, header.pixel_offset, layouts.index(header.layout))
        for header in headers.values()
    ]
    numbers = {path: i for i, path in enumerate(headers)}
    places = [[(numbers[f.file.path], f.index) if f else (-1, -1) for f in volume] for volume in frames]
    rescale = np.array([[(f.slope, f.intercept) if f else (1.0, 0.0) for f in v] for v in frames])
    same = len({(f.slope, f.intercept) for v in frames for f in v if f}) == 1
    first = next((t, z) for t, volume in enumerate(frames) for z, f in enumerate(volume) if f)
    return Pixels(
        folder=folder,
        names=tuple(os.path.relpath(path, folder) for path in headers),
        files=np.array(columns, dtype=np.int64),
        layouts=tuple(layouts),
        places=np.array(places, dtype=np.int32),
        rescale=rescale[first][None, None] if same else rescale,
    )
