"""Label images, wherever they come from, on the grid of the image they belong to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from chunkmed import store
from chunkmed.coords import attach, check_grid, four_dims, grid_of
from chunkmed.errors import InputError, SourceError
from chunkmed.foreign import Described, is_foreign, open_foreign
from chunkmed.formats.dicom_seg import Segmentation, SegReader, is_segmentation, read_segmentation
from chunkmed.formats.seg_placing import own_grid, placed_in
from chunkmed.graph.nodes import Source
from chunkmed.graph.views import view
from chunkmed.label_names import LABELS, named
from chunkmed.matching import Turn, on_grid_of, turned, whole_numbers
from chunkmed.stored import open_store

__all__ = ["open_labels"]

PathLike = str | os.PathLike[str]


def open_labels(
    path: Any,
    name: str | None = None,
    *,
    like: xr.DataArray | None = None,
    names: Mapping[int, str] | None = None,
    spacing_mm: Any = None,
    dims: Any = None,
) -> xr.DataArray:
    """Open a label image of a store, NIfTI, DICOM SEG or another format, on the grid of an image.

    Parameters
    ----------
    path : path or array
        A store, a NIfTI file, a DICOM segmentation (BINARY or LABELMAP), or whatever else
        :func:`chunkmed.open` reads.
    name : str, optional
        Of a store the label image, by default its only one, or the store's image itself; of a
        segmentation the one segment that is read.
    like : xarray.DataArray, optional
        The image that the labels belong to: axes in another order or direction are turned, other grids
        refused. Labels without time stand for every time point of it.
    names : mapping of int to str, optional
        Names of labels, ``{1: "LV"}``: tables of :func:`chunkmed.measure` have them as coordinates. By
        default those of the segmentation, or of the store.
    spacing_mm, dims : optional
        As in :func:`chunkmed.open`; with ``like`` arrays and TIFF files of its shape need no spacing.

    Returns
    -------
    xarray.DataArray
        Lazy; integers. Labels stored as floats become int32, and are refused where one is no whole number.

    Raises
    ------
    InputError
        ``not-labels``; ``other-grid``, naming what differs; ``bad-names``.
    SourceError, StoreError
        If the file cannot be read.

    Examples
    --------
    >>> import chunkmed as cm
    >>> lv = open_labels("lv.nii.gz", like=cm.open("sax.zarr"), names={1: "LV"})  # doctest: +SKIP
    >>> cm.measure(lv, what=["volume_ml"]).volume_ml.sel(label="LV")  # doctest: +SKIP
    """
    if like is not None:
        grid_of(like)  # refuses an image that has none
    place = store.locate(path) if isinstance(path, str | os.PathLike | store.ObjectPath) else None
    if place is not None and store.is_store(place) and store.is_ours(place):
        return _named(_stored(place, name, like), names)
    if isinstance(path, str | os.PathLike) and Path(path).is_file() and is_segmentation(path):
        return _named(_segmentation(path, name, like), names)
    return _named(_foreign(path, name, like, spacing_mm, dims), names)


def _named(labels: xr.DataArray, names: Mapping[int, str] | None) -> xr.DataArray:
    return labels if names is None else named(labels, names)


def _stored(target: store.Place, name: str | None, like: xr.DataArray | None) -> xr.DataArray:
    if name is None:
        found = store.label_names(target)
        name = found[0] if len(found) == 1 else None
    labels = open_store(target, name)
    if labels.dtype.kind not in "iub":
        raise InputError(f"{target.name} holds no labels", kind="not-labels", why=f"dtype {labels.dtype}")
    if like is not None:
        check_grid(labels, like, "the image")
    return labels


def _foreign(
    path: Any, name: str | None, like: xr.DataArray | None, spacing_mm: Any, dims: Any
) -> xr.DataArray:
    where = Path(path).name if isinstance(path, str | os.PathLike) else "the array"
    if not is_foreign(path):
        if isinstance(path, str | os.PathLike) and not Path(path).exists():
            what = "no such file or folder"
            raise SourceError(what, kind="no-such-path", where=str(path), fix="check the path")
        raise InputError(
            "these are no labels",
            kind="not-labels",
            why="a store, a NIfTI file, a DICOM segmentation, a TIFF stack or an array is read",
            fix="check the path",
        )
    spacing = spacing_mm
    try:
        labels = open_foreign(path, Described(spacing, None, None, dims), label=name)
    except InputError as error:
        # An array says nothing of its grid: it is taken by its shape.
        if error.kind != "no-spacing" or like is None:
            raise
        return _by_shape(open_foreign(path, Described(1.0, None, None, dims), label=name), like, where)
    labels = whole_numbers(labels.rename(LABELS).drop_attrs(deep=False))
    return labels if like is None else on_grid_of(labels, like, where)


def _by_shape(labels: xr.DataArray, like: xr.DataArray, where: str) -> xr.DataArray:
    mine, theirs = labels.shape[1:4], grid_of(four_dims(like)).shape[1:]
    if mine != theirs:
        error = InputError(
            "the labels do not lie on the grid of the image",
            kind="other-grid",
            why=f"shape {mine}, the image has {theirs}",
        )
        error.where = where
        raise error
    return turned(whole_numbers(labels), Turn((0, 1, 2), (False, False, False)), like, where)


def _segmentation(path: PathLike, name: str | None, like: xr.DataArray | None) -> xr.DataArray:
    found = read_segmentation(path)
    only = None if name is None else _segment(found, name)
    known = {n: text for n, text in found.segments.items() if n > 0 and only in (None, n)}
    if like is None:
        planes, count, grid = own_grid(found)
        labels = attach(view(Source(SegReader(found, planes, count, only))), grid, name=LABELS)
        return named(labels, _distinct(known))
    target = grid_of(four_dims(like))
    placed = placed_in(found, target)
    if isinstance(placed, str):
        error = InputError(
            "the segmentation does not lie on the grid of the image",
            kind="other-grid",
            why=placed,
            fix='resample it: cm.resample_like(cm.open_labels(path), image, method="nearest")',
        )
        error.where = found.where
        raise error
    reader = SegReader(found, placed.planes, placed.count, only)
    bare = xr.DataArray(view(Source(reader)), dims=("t", "z", "y", "x"), name=LABELS)
    out = turned(bare, Turn(placed.axes, placed.reversed), like, found.where)
    return named(out, _distinct(known))


def _segment(found: Segmentation, name: str) -> int:
    fits = [number for number, text in found.segments.items() if text == name]
    if len(fits) != 1:
        known = ", ".join(map(repr, found.segments.values()))
        raise InputError(
            f"{'no' if not fits else 'more than one'} segment is called {name!r}",
            kind="no-label",
            why=found.where,
            fix=f"it has: {known}",
        )
    return fits[0]


def _distinct(names: Mapping[int, str]) -> dict[int, str]:
    """Return names that tell segments apart: those that several share have their number with them."""
    texts = list(names.values())
    return {n: t if t and texts.count(t) == 1 else f"{t or 'segment'} {n}" for n, t in names.items()}
