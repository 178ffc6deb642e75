"""open, convert, save: where DICOM, stores and the engine meet."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import chunkmed.accessors  # noqa: F401 - registers image.cm and image.meta
from chunkmed import dicom, provenance, store
from chunkmed.coords import CHANNEL, SPACE, attach, check_grid, grid_of, is_channel
from chunkmed.errors import InputError, SourceError, StoreError
from chunkmed.graph.box import Box, regular_chunks
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Source
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.writing import write_image

__all__ = ["StackReader", "convert", "imread", "open", "open_labels", "save", "volread"]

PathLike = str | os.PathLike[str]
_SLAB = 16


class StackReader:
    """A DICOM stack as something to read boxes from: whole frames at a time."""

    def __init__(self, stack: dicom.Stack) -> None:
        self.stack = stack
        self.shape, self.dtype, self.token = stack.shape, np.dtype(stack.dtype), stack.token
        self.chunks = (1, 1, *stack.shape[2:])
        #: What is read at once: rows of uncompressed frames, else all of a frame.
        self.granule = (1, 1, *stack.granule)

    def read(self, box: Box) -> Array:
        """Decode the frames of a box."""
        return self.stack.read(box)


def convert(
    source: PathLike | Sequence[PathLike] | dicom.Stack | dicom.Study,
    store_path: PathLike,
    *,
    series: str | int | None = None,
    allow_missing: bool = False,
    allow_irregular: bool = False,
    frames: str | None = None,
    overwrite: bool = False,
    pyramid: bool = True,
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
    allow_missing : bool, default False
        Accept a series in which slices are missing. Positions stay what they are; where slices are
        missing stands among the assumptions.
    allow_irregular : bool, default False
        Accept slices at uneven distances, or beside the line of the others; likewise.
    frames : {"t", "z"}, optional
        What the frames of a file are that says nothing about them: time points or slices.
    overwrite : bool, default False
        Replace an existing store, its label images included; what chunkmed did not write never.
    pyramid : bool, default True
        Write coarser levels too, for viewers.

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
    stack = _stack(source, series, allow_missing, allow_irregular, frames)
    target = _resolved(store_path)
    for text in stack.warnings:
        warnings.warn(f"series {stack.key}: {text}", UserWarning, stacklevel=2)
    try:
        _write_stack(stack, target, overwrite, pyramid)
    except SourceError as error:
        if error.kind != "value-overflow":
            raise
        _write_stack(stack.widened(), target, overwrite, pyramid)
    return open(target)


def _write_stack(stack: dicom.Stack, target: Path, overwrite: bool, pyramid: bool) -> None:
    assumptions = [*stack.assumptions, *stack.warnings]
    about = {
        "assumptions": list(dict.fromkeys(assumptions)),
        "series_key": stack.key,
        "history": [provenance.step("convert", series=stack.key)],
    }
    write_image(
        Source(StackReader(stack)),
        stack.grid,
        target,
        name="image",
        attributes=stack.attributes,
        about=about,
        trigger_time_ms=stack.trigger_time_ms,
        overwrite=overwrite,
        pyramid=pyramid,
    )


def _stack(
    source: Any,
    series: str | int | None,
    allow_missing: bool = False,
    allow_irregular: bool = False,
    frames: str | None = None,
) -> dicom.Stack:
    if isinstance(source, dicom.Stack):
        stack = source
    else:
        study = source if isinstance(source, dicom.Study) else dicom.scan(source)
        stack = study.select(series)
    stack = stack.accepting(allow_missing=allow_missing, allow_irregular=allow_irregular, frames=frames)
    if stack.problem is not None:
        raise stack.problem
    return stack


def open(  # noqa: A001 - mirrors xarray.open_zarr, used as cm.open
    path: PathLike | Sequence[PathLike],
    *,
    label: str | None = None,
    level: int = 0,
    series: str | int | None = None,
    allow_missing: bool = False,
    allow_irregular: bool = False,
    frames: str | None = None,
) -> xr.DataArray:
    """Open a store, or a DICOM folder or file without converting it; nothing is read yet.

    Parameters
    ----------
    path : path or list of paths
        A store that chunkmed wrote, or DICOM.
    label : str, optional
        Name of a label image of the store instead of the image itself.
    level : int, default 0
        Resolution: 0 is the full one, -1 the coarsest that the store has.
    series : str or int, optional
        Which DICOM series, where there are several.
    allow_missing, allow_irregular, frames
        What is accepted of DICOM, as in :func:`convert`.

    Returns
    -------
    xarray.DataArray
        Lazy, dims (t, z, y, x).
    """
    if isinstance(path, str | os.PathLike) and store.is_store(target := _resolved(path)):
        return _open_store(target, label, level)
    if label is not None or level:
        raise InputError("DICOM has no label images and levels", kind="not-a-store", fix="convert it first")
    stack = _stack(path, series, allow_missing, allow_irregular, frames)
    # Frames are decoded whole: blocks are slabs of them.
    chunks = regular_chunks(stack.shape, (1, _SLAB, *stack.shape[2:]))
    data = view(Source(StackReader(stack)), chunks)
    return attach(data, stack.grid, attrs=stack.attributes, trigger_time_ms=stack.trigger_time_ms)


def _open_store(path: Path, label: str | None, level: int) -> xr.DataArray:
    found = store.open_image(path, label, level)
    data = view(Source(found.array))
    image = xr.DataArray(data, dims=found.dims, coords=found.coords, name=label or "image")
    image.attrs.update(found.attributes)
    # OME-Zarr has channels before space; images have them last, as every colour image in Python.
    return image.transpose(..., CHANNEL) if CHANNEL in image.dims else image


def save(
    image: xr.DataArray,
    store_path: PathLike,
    *,
    name: str | None = None,
    overwrite: bool = False,
    pyramid: bool = True,
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
        Replace what is there: an image with its label images, or one label image. What chunkmed did
        not write is never replaced.
    pyramid : bool, default True
        Write coarser levels too, for viewers: means (padding and NaN left out), for a label image
        the most frequent label.

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
    grid, lifted, target = grid_of(full), lift(full), _resolved(store_path)
    times = _trigger_times(full)
    _check_positions(grid)
    if name is None:
        about = {"history": [provenance.step("save")]}
        write_image(
            lifted.node,
            grid,
            target,
            name=str(image.name or "image"),
            attributes=full.attrs,
            about=about,
            trigger_time_ms=times,
            overwrite=overwrite,
            pyramid=pyramid,
        )
        return open(target)
    if not store.is_store(target):
        raise StoreError("no such store", kind="no-store", where=str(target), fix="save the image first")
    _check_label(full, target)
    about = {"history": [provenance.step("save", name=name)]}
    folder = target / "labels" / store.check_name(name)
    write_image(
        lifted.node,
        grid,
        folder,
        name=name,
        attributes={},
        about=about,
        trigger_time_ms=times,
        label=True,
        overwrite=overwrite,
        pyramid=pyramid,
    )
    return open(target, label=name)


def _resolved(path: PathLike) -> Path:
    """Return where a store really lies: through a link it would have a second lock."""
    return Path(path).resolve()


def _trigger_times(image: xr.DataArray) -> Any:
    """Return the time of each slice as (t, z), None where there is none."""
    if "trigger_time_ms" not in image.coords:
        return None
    dims = image.dims[:2]
    times = image.coords["trigger_time_ms"].variable.set_dims({dim: image.sizes[dim] for dim in dims})
    return times.transpose(*dims).values


def _check_positions(grid: Grid) -> None:
    if 0 in grid.shape:
        raise InputError("an empty image", kind="empty-image", why=f"shape {grid.shape}")
    for axis, positions in zip(SPACE, (grid.z_mm, grid.y_mm, grid.x_mm), strict=True):
        if not np.all(np.isfinite(positions)):
            raise InputError(f"positions along {axis} are not all numbers", kind="bad-positions")
        # As they are stored: rounded to a millionth.
        if np.any(np.diff(np.round(positions, 6)) <= 0):
            raise InputError(
                f"positions along {axis} do not ascend",
                kind="not-ascending",
                why="an OME-Zarr scale is positive",
                fix=f'image.sortby("{axis}") turns it round without changing where voxels lie',
            )


def _four_dims(image: xr.DataArray) -> xr.DataArray:
    """Return the image with all four dims (and channels); dims that were taken at an index come back."""
    grid = grid_of(image)
    missing = [dim for dim in grid.dims if dim not in image.dims]
    for dim in missing:
        if dim not in image.coords:
            image = image.assign_coords({dim: 0.0})
    # By name: an image that was transposed is stored in the order that the dims of a store have.
    channel = [dim for dim in image.dims if is_channel(image, dim)]
    return image.expand_dims(missing).transpose(*grid.dims, *channel)


def _check_label(image: xr.DataArray, target: Path) -> None:
    if image.dtype.kind not in "iub":
        raise InputError(
            f"a label image of dtype {image.dtype}", kind="not-labels", fix="save integers or a mask"
        )
    check_grid(image, open(target), f"the image of {target.name}")


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
    target = _resolved(path)
    if name is None and store.is_store(target):
        names = store.label_names(target)
        name = names[0] if len(names) == 1 else None
    labels = open(target, label=name)
    if labels.dtype.kind not in "iub":
        raise InputError(f"{target.name} holds no labels", kind="not-labels", why=f"dtype {labels.dtype}")
    if like is not None:
        grid_of(like)  # refuses an image that has none
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
