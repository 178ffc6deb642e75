"""open, save: where DICOM, stores and the engine meet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

import chunkmed.accessors  # noqa: F401 - registers image.cm and image.meta
from chunkmed import dicom, provenance, store
from chunkmed.conversion import convert, open_dicom
from chunkmed.coords import SPACE, check_grid, grid_of, is_channel
from chunkmed.dicom import Choices
from chunkmed.errors import InputError, StoreError
from chunkmed.graph.lift import lift
from chunkmed.grid import Grid
from chunkmed.stored import open_store
from chunkmed.writing import write_image

__all__ = ["convert", "imread", "open", "open_labels", "save", "volread"]

PathLike = str | os.PathLike[str]


def open(  # noqa: A001 - mirrors xarray.open_zarr, used as cm.open
    path: PathLike | store.ObjectPath | Sequence[PathLike] | dicom.Stack | dicom.Study,
    *,
    label: str | None = None,
    level: int = 0,
    series: str | int | None = None,
    allow_missing: bool = False,
    allow_irregular: bool = False,
    merge_series: bool = False,
    frames: str | None = None,
) -> xr.DataArray:
    """Open a store, or a DICOM folder or file without converting it; nothing is read yet.

    Parameters
    ----------
    path : path, URL, list of paths, Stack or Study
        A store that chunkmed wrote, in a folder or on an object store, or DICOM.
    label : str, optional
        Name of a label image of the store instead of the image itself.
    level : int, default 0
        Resolution: 0 is the full one, -1 the coarsest that the store has.
    series : str or int, optional
        Which DICOM series, where there are several.
    allow_missing, allow_irregular, merge_series : bool, default False
        What of DICOM to accept, see :func:`convert`.
    frames : {"t", "z"}, optional
        What the frames of a DICOM file are whose headers do not say it.

    Returns
    -------
    xarray.DataArray
        Lazy, dims (t, z, y, x).
    """
    choices = Choices(allow_missing, allow_irregular, merge_series, frames)
    one: Any = path if isinstance(path, str | os.PathLike | store.ObjectPath) else None
    if one is not None and store.is_store(target := store.locate(one)):
        if choices != Choices():
            raise InputError("these options are for DICOM", kind="not-dicom", fix="leave them out")
        return open_store(target, label, level)
    if label is not None or level:
        raise InputError("DICOM has no label images and levels", kind="not-a-store", fix="convert it first")
    source: Any = path
    return open_dicom(source, series, choices)


def save(
    image: xr.DataArray,
    store_path: PathLike | store.ObjectPath,
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
    store_path : path or URL
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
    grid, lifted, target = grid_of(full), lift(full), store.locate(store_path)
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


def _check_label(image: xr.DataArray, target: store.Place) -> None:
    if image.dtype.kind not in "iub":
        raise InputError(
            f"a label image of dtype {image.dtype}", kind="not-labels", fix="save integers or a mask"
        )
    check_grid(image, open(target), f"the image of {target.name}")


def open_labels(
    path: PathLike | store.ObjectPath, name: str | None = None, *, like: xr.DataArray | None = None
) -> xr.DataArray:
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
    target = store.locate(path)
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
