"""open, convert, save: where DICOM, stores and the engine meet."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import chunkmed.accessors  # noqa: F401 - registers image.cm and image.meta
from chunkmed import dicom, provenance, store
from chunkmed.coords import SPACE, attach, grid_of, time_dim_of
from chunkmed.errors import InputError, SourceError, StoreError
from chunkmed.graph.box import Box, regular_chunks
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Node, Source
from chunkmed.graph.plan import make_plan
from chunkmed.graph.run import Work, run
from chunkmed.graph.views import view
from chunkmed.grid import Grid

__all__ = ["StackReader", "convert", "imread", "open", "open_labels", "save", "volread"]

PathLike = str | os.PathLike[str]
_SLAB = 16


class StackReader:
    """A DICOM stack as something to read boxes from: whole frames at a time."""

    def __init__(self, stack: dicom.Stack) -> None:
        self.stack = stack
        self.shape, self.dtype, self.token = stack.shape, np.dtype(stack.dtype), stack.token
        self.chunks = (1, 1, *stack.shape[2:])

    def read(self, box: Box) -> Array:
        """Decode the frames of a box."""
        return self.stack.read(box)


class _Write:
    """Task: write one block of whole shards, return what was written."""

    def __init__(self, writer: store.ArrayWriter) -> None:
        self.writer = writer

    def __call__(self, box: Box, arrays: Sequence[Array]) -> dict[str, tuple[int, int]]:
        return self.writer.write(box, arrays[0])


def convert(
    source: PathLike | Sequence[PathLike] | dicom.Stack | dicom.Study,
    store_path: PathLike,
    *,
    series: str | int | None = None,
    overwrite: bool = False,
) -> xr.DataArray:
    """Convert one DICOM series to an OME-Zarr store, slab by slab, and return the image.

    Parameters
    ----------
    source : path, list of paths, Stack or Study
        A folder, a file, or what :func:`chunkmed.scan` found.
    store_path : path
        Where the store goes (``heart.zarr``).
    series : str or int, optional
        Which series, where there are several: a selector of ``print(chunkmed.scan(source))``.
    overwrite : bool, default False
        Replace an existing store.

    Returns
    -------
    xarray.DataArray
        The stored image, lazy, dims (t, z, y, x), coordinates in ms and mm.

    Raises
    ------
    SourceError
        If there is no such series, or its geometry is not regular.
    StoreError
        If the store exists already or cannot be written.
    """
    stack = _stack(source, series)
    target = Path(store_path)
    for text in stack.warnings:
        warnings.warn(f"series {stack.key}: {text}", UserWarning, stacklevel=2)
    try:
        _write_stack(stack, target, overwrite)
    except SourceError as error:
        if error.kind != "value-overflow":
            raise
        _write_stack(stack.widened(), target, overwrite)
    return open(target)


def _write_stack(stack: dicom.Stack, target: Path, overwrite: bool) -> None:
    assumptions = [*stack.assumptions, *stack.warnings]
    about = {
        "assumptions": list(dict.fromkeys(assumptions)),
        "series_key": stack.key,
        "history": [provenance.step("convert", series=stack.key)],
    }
    _write(
        Source(StackReader(stack)),
        stack.grid,
        target,
        name="image",
        attributes=stack.attributes,
        about=about,
        trigger_time_ms=stack.trigger_time_ms,
        overwrite=overwrite,
    )


def _stack(source: Any, series: str | int | None) -> dicom.Stack:
    if isinstance(source, dicom.Stack):
        stack = source
    else:
        study = source if isinstance(source, dicom.Study) else dicom.scan(source)
        stack = study.select(series)
    if stack.problem is not None:
        raise stack.problem
    return stack


def _write(
    node: Node,
    grid: Grid,
    target: Path,
    *,
    name: str,
    attributes: Any,
    about: Any,
    trigger_time_ms: Any = None,
    label: bool = False,
    overwrite: bool = False,
) -> None:
    dtype = np.dtype(np.uint8) if label and node.dtype == bool else node.dtype
    # Everything that decides the bytes of the node: a write with the same fingerprint resumes.
    times = None if trigger_time_ms is None else np.asarray(trigger_time_ms).tolist()
    version = provenance.versions()["chunkmed"]
    parts = (node.token, repr(grid), times, str(dtype), name, attributes, about, version)
    fingerprint = provenance.content_hash(*parts)
    root = target.parents[1] if label else target
    with store.staged(target, fingerprint, store=root, overwrite=overwrite) as staging:
        writer = store.create_image(
            staging,
            grid,
            dtype,
            name=name,
            attributes=attributes,
            about=about,
            trigger_time_ms=trigger_time_ms,
            label=label,
        )
        # A block and its encoded chunks are held together.
        plan = make_plan([node], unit=writer.layout.shard, sink_bytes=2.5 * dtype.itemsize)
        todo = [box for box in plan.boxes if not staging.has(_object_keys(writer, box))]
        for _, written in run(Work((node,), _Write(writer)), plan, name=f"writing {target.name}", boxes=todo):
            staging.record({f"{store.IMAGE_PATH}/{key}": value for key, value in written.items()})


def _object_keys(writer: store.ArrayWriter, box: Box) -> Iterator[str]:
    return (f"{store.IMAGE_PATH}/{key}" for key in writer.keys(box))


def open(  # noqa: A001 - mirrors xarray.open_zarr, used as cm.open
    path: PathLike | Sequence[PathLike],
    *,
    label: str | None = None,
    series: str | int | None = None,
) -> xr.DataArray:
    """Open a store, or a DICOM folder or file without converting it; nothing is read yet.

    Parameters
    ----------
    path : path or list of paths
        A store that chunkmed wrote, or DICOM.
    label : str, optional
        Name of a label image of the store instead of the image itself.
    series : str or int, optional
        Which DICOM series, where there are several.

    Returns
    -------
    xarray.DataArray
        Lazy, dims (t, z, y, x).
    """
    if isinstance(path, str | os.PathLike) and store.is_store(Path(path)):
        return _open_store(Path(path), label)
    stack = _stack(path, series)
    # Frames are decoded whole: blocks are slabs of them.
    chunks = regular_chunks(stack.shape, (1, _SLAB, *stack.shape[2:]))
    data = view(Source(StackReader(stack)), chunks)
    return attach(data, stack.grid, attrs=stack.attributes, trigger_time_ms=stack.trigger_time_ms)


def _open_store(path: Path, label: str | None) -> xr.DataArray:
    found = store.open_image(path, label)
    data = view(Source(found.array))
    image = xr.DataArray(data, dims=found.dims, coords=found.coords, name=label or "image")
    image.attrs.update(found.attributes)
    return image


def save(
    image: xr.DataArray, store_path: PathLike, *, name: str | None = None, overwrite: bool = False
) -> xr.DataArray:
    """Compute an image block by block into a store, whole or not at all.

    Parameters
    ----------
    image : xarray.DataArray
        Dims (t, z, y, x) or (z, y, x), with a grid.
    store_path : path
        A new store, or with ``name`` the store that the label image belongs to.
    name : str, optional
        Save as a label image of this name: integers or a mask, on the grid of the store's image.
    overwrite : bool, default False
        Replace what is there.

    Returns
    -------
    xarray.DataArray
        The stored image, lazy.

    Raises
    ------
    InputError
        If a label image has fractions, or does not lie on the store's grid.
    StoreError
        If it exists already or cannot be written.
    """
    full = _four_dims(image)
    grid, lifted, target = grid_of(full), lift(full), Path(store_path)
    times = full.coords["trigger_time_ms"].values if "trigger_time_ms" in full.coords else None
    if times is not None and times.shape != grid.shape[:2]:
        times = times.reshape(grid.shape[:2])
    _check_ascending(grid)
    if name is None:
        about = {"history": [provenance.step("save")]}
        _write(
            lifted.node,
            grid,
            target,
            name=str(image.name or "image"),
            attributes=full.attrs,
            about=about,
            trigger_time_ms=times,
            overwrite=overwrite,
        )
        return open(target)
    if not store.is_store(target):
        raise StoreError("no such store", kind="no-store", where=str(target), fix="save the image first")
    _check_label(full, target)
    about = {"history": [provenance.step("save", name=name)]}
    folder = target / "labels" / store.check_name(name)
    _write(
        lifted.node,
        grid,
        folder,
        name=name,
        attributes={},
        about=about,
        trigger_time_ms=times,
        label=True,
        overwrite=overwrite,
    )
    store.list_label(target, provenance.step("save", name=name))
    return open(target, label=name)


def _check_ascending(grid: Grid) -> None:
    for axis, positions in zip(SPACE, (grid.z_mm, grid.y_mm, grid.x_mm), strict=True):
        if any(b <= a for a, b in itertools.pairwise(positions)):
            raise InputError(
                f"positions along {axis} do not ascend",
                kind="not-ascending",
                why="an OME-Zarr scale is positive",
                fix=f'image.sortby("{axis}") turns it round without changing where voxels lie',
            )


def _four_dims(image: xr.DataArray) -> xr.DataArray:
    """Return the image with all four dims; dims that were taken at an index come back."""
    grid = grid_of(image)
    missing = [dim for dim in grid.dims if dim not in image.dims]
    for dim in missing:
        if dim not in image.coords:
            image = image.assign_coords({dim: 0.0})
    return image.expand_dims(missing).transpose(*grid.dims) if missing else image


def _check_label(image: xr.DataArray, target: Path) -> None:
    if image.dtype.kind not in "iub":
        raise InputError(
            f"a label image of dtype {image.dtype}", kind="not-labels", fix="save integers or a mask"
        )
    check_grid(image, open(target), f"the image of {target.name}")


def check_grid(image: xr.DataArray, other: xr.DataArray, name: str) -> None:
    """Refuse two images that do not lie on the same grid."""
    mine, theirs = grid_of(image), grid_of(other)
    both_timed = time_dim_of(image) is not None and time_dim_of(other) is not None
    first = 0 if both_timed else 1
    same = mine.fingerprint == theirs.fingerprint and mine.shape[first:] == theirs.shape[first:]
    if not same or any(np.any(image.coords[a].values != other.coords[a].values) for a in SPACE):
        raise InputError(
            f"the image does not lie on the grid of {name}",
            kind="other-grid",
            why=f"{mine.shape}, steps {mine.spacing_mm}; against {theirs.shape}, steps {theirs.spacing_mm}",
            fix="resample one of them",
        )


def open_labels(path: PathLike, name: str | None = None, *, like: xr.DataArray | None = None) -> xr.DataArray:
    """Open a label image of a store, checked against the grid of ``like``.

    Parameters
    ----------
    path : path
        A store; without ``name`` its only label image, or the store's image itself.
    name : str, optional
        Name of the label image.
    like : xarray.DataArray, optional
        The image that the labels belong to.
    """
    target = Path(path)
    if name is None and store.is_store(target):
        names = store.label_names(target)
        name = names[0] if len(names) == 1 else None
    labels = open(target, label=name)
    if labels.dtype.kind not in "iub":
        raise InputError(f"{target.name} holds no labels", kind="not-labels", why=f"dtype {labels.dtype}")
    if like is not None:
        check_grid(labels, like, "the image")
    return labels


def volread(path: PathLike | Sequence[PathLike], *, series: str | int | None = None) -> xr.DataArray:
    """Read a DICOM folder as a volume, as imageio.volread does, but lazily.

    Returns
    -------
    xarray.DataArray
        Dims (z, y, x), or (t, z, y, x) for a time series; ``vol.meta["sampling"]`` in mm (and ms).
    """
    image = open(path, series=series)
    return image.isel({str(image.dims[0]): 0}) if image.shape[0] == 1 else image


def imread(path: PathLike) -> xr.DataArray:
    """Read one DICOM file as an image, as imageio.imread does, but lazily.

    Returns
    -------
    xarray.DataArray
        Dims (y, x); more where the file holds several frames.
    """
    image = open(path)
    return image.isel({str(dim): 0 for dim in image.dims[:2] if image.sizes[dim] == 1})
