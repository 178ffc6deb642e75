"""open, save: where DICOM, stores and the engine meet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

import chunkmed.accessors  # noqa: F401 - registers image.cm and image.meta
from chunkmed import provenance, store
from chunkmed.conversion import convert, open_dicom, refuse_dicom_options
from chunkmed.coords import CHANNEL, SPACE, check_grid, four_dims, grid_of, time_dim_of
from chunkmed.dicom import Choices
from chunkmed.errors import InputError, StoreError
from chunkmed.foreign import Described, is_foreign, open_foreign, refuse_described
from chunkmed.formats.kinds import is_picture
from chunkmed.formats.picture import PictureReader
from chunkmed.graph.lift import lift
from chunkmed.graph.views import from_reader
from chunkmed.grid import Grid
from chunkmed.label_names import ATTRIBUTE, names_of
from chunkmed.labelled import open_labels
from chunkmed.stored import open_store
from chunkmed.writing import write_image

__all__ = ["convert", "imread", "open", "open_labels", "save", "volread"]

PathLike = str | os.PathLike[str]


def open(  # noqa: A001 - mirrors xarray.open_zarr, used as cm.open
    path: Any,
    *,
    label: str | None = None,
    level: int = 0,
    series: str | int | None = None,
    allow_missing: bool = False,
    allow_irregular: bool = False,
    merge_series: bool = False,
    frames: str | None = None,
    spacing_mm: Any = None,
    origin_mm: Any = None,
    time_ms: Any = None,
    dims: Sequence[str] | None = None,
    channel: str | int | None = None,
) -> xr.DataArray:
    """Open an image without converting it; nothing but headers is read yet.

    Parameters
    ----------
    path : path, URL, list of paths, Stack, Study or array
        A store of chunkmed, in a folder or on an object store, or another OME-Zarr (0.1 to 0.5); DICOM;
        NIfTI (``.nii``, ``.nii.gz``); a TIFF file, a list or a pattern of them (``"scan/*.tif"``, one
        slice each); a zarr array; a zarr, dask or NumPy array.
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
    spacing_mm : float, str, sequence or mapping, optional
        Size of a voxel: one number or text with a unit (``"6.5 um"``) for all axes, or those of z, y, x.
        For images that do not say it: plain TIFF, arrays, OME-Zarr without units.
    origin_mm : float, sequence or mapping, optional
        Position of the first voxel along z, y, x.
    time_ms : float or sequence, optional
        Step between time points, or the time of each.
    dims : sequence of str, optional
        What the axes of an array are: t, z, y, x, c (channels), in any order. By default the last of
        (t, z, y, x).
    channel : str or int, optional
        Which channel of an image that has several, by number or by the name that OME-Zarr gives it.

    Returns
    -------
    xarray.DataArray
        Lazy, dims (t, z, y, x); a last dim c for colours.

    Raises
    ------
    SourceError, StoreError
        If there is nothing that can be read, with the file and the reason.
    InputError
        ``no-spacing``, ``no-channel``, ``bad-dims`` ...

    Examples
    --------
    >>> import numpy as np
    >>> image = open(np.zeros((3, 4, 5), np.int16), spacing_mm=(2.5, 1, 1))
    >>> dict(image.sizes), image.cm.spacing
    ({'t': 1, 'z': 3, 'y': 4, 'x': 5}, {'z': 2.5, 'y': 1.0, 'x': 1.0})
    """
    choices = Choices(allow_missing, allow_irregular, merge_series, frames)
    described = Described(spacing_mm, origin_mm, time_ms, dims, channel)
    if is_foreign(path):
        refuse_dicom_options(series, choices)
        return open_foreign(path, described, label=label, level=level)
    refuse_described(described)
    one: Any = path if isinstance(path, str | os.PathLike | store.ObjectPath) else None
    if one is not None and store.is_store(target := store.locate(one)):
        refuse_dicom_options(series, choices)
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
    overwrite: store.Overwrite = False,
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
    overwrite : bool or "changed", default False
        Replace what is there: an image with its label images, or one label image. What chunkmed did
        not write is never replaced. ``"changed"`` leaves alone what the very same call made.
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

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> image = cm.open(np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4), spacing_mm=(5.0, 1.0, 1.0))
    >>> stored = save(image, "image.zarr")
    >>> save(image > 11, "image.zarr", name="bright").dtype, cm.open("image.zarr").cm.grid.spacing_mm
    (dtype('uint8'), (5.0, 1.0, 1.0))
    """
    if not isinstance(image, xr.DataArray):
        raise InputError(
            f"a {type(image).__name__} is no image",
            kind="bad-argument",
            fix="give an xarray.DataArray: cm.open(array, spacing_mm=...) makes one",
        )
    full = four_dims(image)
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
    full = _at_all_times(full, image, target)
    grid, lifted = grid_of(full), lift(full)
    _check_label(full, target)
    about = {"history": [provenance.step("save", name=name)]}
    folder = target / "labels" / store.check_name(name)
    write_image(
        lifted.node,
        grid,
        folder,
        name=name,
        attributes=_label_attributes(image),
        about=about,
        trigger_time_ms=times,
        label=True,
        overwrite=overwrite,
        pyramid=pyramid,
    )
    return open(target, label=name)


def _label_attributes(labels: xr.DataArray) -> dict[str, Any]:
    """Return the names of labels as they are stored."""
    names = names_of(labels)
    return {ATTRIBUTE: {str(number): name for number, name in names.items()}} if names else {}


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


def _at_all_times(full: xr.DataArray, image: xr.DataArray, target: store.Place) -> xr.DataArray:
    """Return labels that have no time axis at every time point of the store's image."""
    theirs = open(target)
    dim = time_dim_of(theirs)
    if time_dim_of(image) is not None or dim is None or dim in image.coords or theirs.sizes[dim] == 1:
        return full
    one = full.isel({full.dims[0]: 0}, drop=True)
    return one.expand_dims({dim: theirs.coords[dim]}).assign_coords(theirs.coords)


def _check_label(image: xr.DataArray, target: store.Place) -> None:
    if image.dtype.kind not in "iub":
        raise InputError(
            f"a label image of dtype {image.dtype}", kind="not-labels", fix="save integers or a mask"
        )
    check_grid(image, open(target), f"the image of {target.name}")


def volread(path: PathLike | Sequence[PathLike], *, series: str | int | None = None) -> xr.DataArray:
    """Read a DICOM folder as a volume, as imageio.volread does, but lazily.

    Returns
    -------
    xarray.DataArray
        Dims (z, y, x), or (t, z, y, x) for a time series; ``vol.meta["sampling"]`` in mm (and ms).

    Examples
    --------
    >>> from chunkmed.testing import BeatingEllipsoid, write_study
    >>> heart = BeatingEllipsoid(time_points=2, size=(12, 48, 64), spacing_mm=(10.0, 3.0, 3.0))
    >>> files = write_study("study", heart)
    >>> volread("study").meta["sampling"]
    (450.0, 10.0, 3.0, 3.0)
    """
    image = open(path, series=series)
    return image.isel({str(image.dims[0]): 0}) if image.shape[0] == 1 else image


def imread(path: PathLike) -> xr.DataArray:
    """Read one DICOM file, or a picture (JPEG, PNG), as an image, as imageio.imread does, but lazily.

    Returns
    -------
    xarray.DataArray
        Dims (y, x); more where the file holds several frames. Pictures have no millimetres, and a last
        dim c where they have colours.

    Raises
    ------
    SourceError
        As :func:`open` does.

    Examples
    --------
    >>> from chunkmed.testing import BeatingEllipsoid, write_study
    >>> heart = BeatingEllipsoid(time_points=2, size=(12, 48, 64), spacing_mm=(10.0, 3.0, 3.0))
    >>> files = write_study("study", heart)
    >>> imread(files[0]).shape
    (48, 64)
    """
    if isinstance(path, str | os.PathLike) and is_picture(path):
        picture = from_reader(PictureReader(path))
        return xr.DataArray(picture, dims=("y", "x", CHANNEL)[: picture.ndim], name="image")
    image = open(path)
    return image.isel({str(dim): 0 for dim in image.dims[:2] if image.sizes[dim] == 1})
