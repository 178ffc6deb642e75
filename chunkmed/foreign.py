"""Images that others wrote, as lazy images: OME-Zarr, raw zarr, NIfTI, TIFF stacks, arrays."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from chunkmed import dicom, store
from chunkmed.coords import CHANNEL, attach
from chunkmed.errors import InputError, SourceError
from chunkmed.formats.kinds import kind_of
from chunkmed.formats.nifti import NiftiReader
from chunkmed.formats.placing import Placing
from chunkmed.graph.box import regular_chunks, whole
from chunkmed.graph.nodes import Crop, Node, Source
from chunkmed.graph.trace import node_of
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.label_names import LABELS

__all__ = ["Described", "is_foreign", "open_foreign"]

_DIMS = ("t", "z", "y", "x")
#: How many axes an array has without names -> what they are.
_USUAL = {2: _DIMS[2:], 3: _DIMS[1:], 4: _DIMS}
#: Slices of a file that is read through anyway make a block of the dask array.
_SLAB = 16
_GLOB = frozenset("*?[")


@dataclass(frozen=True)
class Described:
    """What a user says of an image that does not say it itself."""

    spacing_mm: Any = None
    origin_mm: Any = None
    time_ms: Any = None
    dims: Sequence[str] | None = None
    channel: str | int | None = None

    @property
    def placing(self) -> Placing:
        """What is said of positions."""
        return Placing(self.spacing_mm, self.origin_mm, self.time_ms)


def is_foreign(source: Any) -> bool:
    """Whether a source is neither DICOM nor a store of ours; no voxel is read."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if store.is_url(source):
            return False
        if _is_glob(source):
            return True
        return (store.is_zarr(path) and not store.is_ours(path)) or bool(kind_of(path))
    if _is_list_of_paths(source):
        return kind_of(source[0]) == "tiff"
    ours = isinstance(source, dicom.Stack | dicom.Study)
    return not ours and hasattr(source, "shape") and hasattr(source, "dtype")


def _is_list_of_paths(source: Any) -> bool:
    kind = isinstance(source, Sequence) and not isinstance(source, str | bytes)
    return kind and len(source) > 0 and all(isinstance(each, str | os.PathLike) for each in source)


def _is_glob(source: str | os.PathLike[str]) -> bool:
    return bool(_GLOB & set(os.fspath(source))) and not Path(source).exists()


def _globbed(source: str | os.PathLike[str]) -> list[str]:
    return sorted(glob.glob(os.fspath(source)), key=_natural)  # noqa: PTH207 - absolute patterns too


def _natural(name: str) -> list[Any]:
    """Return a key by which slice 10 comes after slice 9."""
    digits = "".join(c if c.isdecimal() else " " for c in name).split()
    rest = "".join(" " if c.isdecimal() else c for c in name).split()
    return [rest, [int(each) for each in digits], name]


def open_foreign(
    source: Any, described: Described, *, label: str | None = None, level: int = 0
) -> xr.DataArray:
    """Return an image that others wrote, lazily, dims (t, z, y, x); see :func:`chunkmed.open`."""
    if not isinstance(source, str | os.PathLike) and not _is_list_of_paths(source):
        _no_levels(label, level)
        return _array(source, described)
    if isinstance(source, str | os.PathLike) and store.is_zarr(Path(source)):
        return _zarr(Path(source).resolve(), described, label, level)
    _no_levels(label, level)
    if isinstance(source, str | os.PathLike) and not _is_glob(source) and kind_of(source) == "nifti":
        return _nifti(source, described)
    paths = source if _is_list_of_paths(source) else _globbed(source) if _is_glob(source) else [source]
    if not paths or kind_of(paths[0]) != "tiff":
        raise _no_stack(source, paths)
    return _tiff(list(paths), described)


def _no_levels(label: str | None, level: int) -> None:
    if label is not None or level:
        raise InputError(
            "this has no label images and levels", kind="not-a-store", fix="save it as a store first"
        )


def _nifti(path: str | os.PathLike[str], described: Described) -> xr.DataArray:
    if described != Described():
        raise InputError(
            "a NIfTI file says itself where its voxels lie", kind="not-needed", fix="leave these options out"
        )
    reader = NiftiReader(path)
    if not reader.header.oriented and reader.grid.known:
        warnings.warn(
            f"{reader.where}: the header does not say how the image lies in the patient: "
            "x, y and z are taken to run to the right, the front and the head",
            UserWarning,
            stacklevel=4,
        )
    # All before a slice is decompressed with it: blocks are slabs of whole slices.
    chunks = regular_chunks(reader.shape, (1, _SLAB, *reader.shape[2:]))
    return attach(view(Source(reader), chunks), reader.grid)


def _tiff(paths: list[str | os.PathLike[str]], described: Described) -> xr.DataArray:
    from chunkmed.formats.tiff import open_tiff

    reader, axes, placing = open_tiff(paths)
    return _arranged(Source(reader), described.dims or axes, described.placing.over(placing), described)


def _zarr(path: Path, described: Described, label: str | None, level: int) -> xr.DataArray:
    found = store.open_foreign(path, label, level)
    dims = described.dims or found.dims
    channel = found.channels.get(str(described.channel), described.channel)
    wanted = Described(described.spacing_mm, described.origin_mm, described.time_ms, dims, channel)
    placing = wanted.placing.over(Placing(found.spacing_mm, found.origin_mm, found.time_ms, found.direction))
    image = _arranged(Source(found.array), dims, placing, wanted, found.channels)
    image.name = "image" if label is None else LABELS
    return image


def _array(array: Any, described: Described) -> xr.DataArray:
    dims = described.dims
    if isinstance(array, xr.DataArray):
        dims, array = dims or tuple(str(dim) for dim in array.dims), array.data
    if store.is_zarr_array(array):
        node: Node = Source(store.foreign_array(array))
    elif isinstance(array, da.Array | np.ndarray):
        node = node_of(array)
    else:
        raise InputError(
            f"an object of type {type(array).__name__} cannot be opened",
            kind="bad-source",
            fix="give a path, a NumPy, dask or zarr array",
        )
    return _arranged(node, dims, described.placing, described)


def _arranged(
    node: Node,
    dims: Sequence[str] | None,
    placing: Placing,
    described: Described,
    channels: Any = None,
) -> xr.DataArray:
    """Return a node with axes in any order as an image (t, z, y, x), or (t, z, y, x, c) for colours."""
    names = _named(node, dims)
    _check_values(node)
    spans, kept = list(whole(node.shape)), dict(zip(names, range(len(names)), strict=True))
    if CHANNEL in kept and (described.channel is not None or not _is_colour(node, names)):
        at = kept.pop(CHANNEL)
        number = _channel(described.channel, node.shape[at], channels or {})
        spans[at] = (number, number + 1)
    order = [kept.get(dim) for dim in (*_DIMS, *([CHANNEL] if CHANNEL in kept else []))]
    if order != list(range(len(node.shape))) or tuple(spans) != whole(node.shape):
        node = Crop(node, tuple(spans), order)
    grid: Grid = placing.grid(node.shape[:4], has_z="z" in names)
    return attach(view(node), grid)


def _named(node: Node, dims: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(dims) if dims is not None else _USUAL.get(len(node.shape), ())
    known = {*_DIMS, CHANNEL}
    fits = len(names) == len(node.shape) and len(set(names)) == len(names) and set(names) <= known
    if not fits or not {"y", "x"} <= set(names):
        raise InputError(
            f"an array of shape {node.shape} with the axes {', '.join(names) or 'of no names'} is no image",
            kind="bad-dims",
            why="y and x are needed, t, z and c (channels) may be there",
            fix='say what its axes are: dims=("z", "y", "x")',
        )
    if 0 in node.shape:
        raise InputError("an empty image", kind="empty-image", why=f"shape {node.shape}")
    return names


def _check_values(node: Node) -> None:
    if node.dtype.kind not in "biuf":
        raise InputError(f"values of dtype {node.dtype} are no image", kind="bad-dtype", fix="astype first")


def _is_colour(node: Node, names: tuple[str, ...]) -> bool:
    return names[-1] == CHANNEL and node.shape[-1] == 3 and node.dtype == np.uint8


def _channel(wanted: str | int | None, count: int, known: dict[str, int]) -> int:
    if wanted is None and count == 1:
        return 0
    if isinstance(wanted, int) and -count <= wanted < count:
        return wanted % count
    names = ", ".join(map(repr, known)) or f"0 to {count - 1}"
    raise InputError(
        f"the image has {count} channels" if wanted is None else f"there is no channel {wanted!r}",
        kind="no-channel",
        fix=f"choose one with channel=: {names}",
    )


def refuse_described(described: Described) -> None:
    """Refuse what a user says of an image that says it itself."""
    if described != Described():
        raise InputError(
            "spacing_mm, origin_mm, time_ms, dims and channel are for images without them",
            kind="not-needed",
            why="stores and DICOM say themselves where voxels lie",
            fix="leave them out",
        )


def _no_stack(source: Any, paths: Sequence[Any]) -> SourceError:
    return SourceError(
        "these are no slices of a stack" if paths else "no file fits this pattern",
        kind="not-tiff" if paths else "no-such-path",
        where=Path(paths[0]).name if paths else str(source),
        fix="TIFF files are read by a pattern; give a DICOM series by its folder",
    )
