"""Measure all labels and time points in one pass over the images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import overload

import xarray as xr

from chunkmed.coords import broadcast, canonical, grid_of, has_grid
from chunkmed.errors import InputError
from chunkmed.graph.lift import Lifted, lift
from chunkmed.graph.reduce import Axes, check_dtype
from chunkmed.label_names import names_of
from chunkmed.measures.about import About
from chunkmed.measures.dataset import dataset_of
from chunkmed.measures.gathering import gather, parts_of
from chunkmed.measures.longform import write_rows
from chunkmed.measures.parts import Found
from chunkmed.measures.ranked import collected_of, with_ranked
from chunkmed.measures.records import Measure, record_of

__all__ = ["USUAL", "about_of", "checked_records", "measure", "on_one_grid", "reported"]


#: What is measured by default.
USUAL = ("count", "volume_ml")


@overload
def measure(
    labels: xr.DataArray,
    image: xr.DataArray | None = None,
    what: str | Measure | Sequence[str | Measure] = USUAL,
    *,
    out: None = None,
) -> xr.Dataset: ...


@overload
def measure(
    labels: xr.DataArray,
    image: xr.DataArray | None = None,
    what: str | Measure | Sequence[str | Measure] = USUAL,
    *,
    out: str | os.PathLike[str],
) -> Path: ...


def measure(
    labels: xr.DataArray,
    image: xr.DataArray | None = None,
    what: str | Measure | Sequence[str | Measure] = USUAL,
    *,
    out: str | os.PathLike[str] | None = None,
) -> xr.Dataset | Path:
    """Measure all labelled objects in one pass over labels and image.

    Percentiles and medians of other values than integers of 16 bits take one to three passes more.

    Parameters
    ----------
    labels : xarray.DataArray
        Integers, 0 is background; a mask counts as label 1. Dims (t, z, y, x) or fewer.
    image : xarray.DataArray, optional
        Values, on the same grid.
    what : str, Measure or sequence of them
        Names of :data:`MEASURES`, ``"percentile_15"``, records as ``measures.histogram(0, 255, 256)``.
    out : path, optional
        Write a Parquet file instead, one row per time point and label, for more labels than a Dataset
        is good for: memory is that of the sums, some 500 bytes per label.

    Returns
    -------
    xarray.Dataset or Path
        Dims (t, label), or (label) without time; positions have one more, ``axis``. The count of
        a label that a time point lacks is 0, its other values NaN (``touches_border``: False). Units in
        ``attrs["units"]``. Labels that have names (:func:`chunkmed.open_labels`) are told by them,
        ``table.sel(label="LV")``, their numbers are the coordinate ``number``. With ``out`` the path of the
        file.

    Raises
    ------
    InputError
        For unknown measures, grids that differ, or millimetres that the image does not have.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> labels = xr.DataArray(np.array([[0, 1, 1], [2, 2, 2]]), dims=("y", "x"))
    >>> measure(labels, what=["count"])["count"].values.tolist()
    [2, 3]
    """
    names = names_of(labels)
    labels, image = on_one_grid(labels, image)
    lifted = lift(labels).one_channel()
    about = about_of(labels, lifted)
    records = checked_records(what, image, about)
    values = None if image is None or not any(r.needs_values for r in records) else lift(image).node
    found = gather(lifted.node, values, about, collected_of(parts_of(records), values))
    found = with_ranked(found, records, lifted.node, values, about)
    return reported(found, records, about, labels, image, out, names)


def reported(
    found: Sequence[Found],
    records: Sequence[Measure],
    about: About,
    labels: xr.DataArray,
    image: xr.DataArray | None,
    out: str | os.PathLike[str] | None,
    names: Mapping[int, str] | None = None,
) -> xr.Dataset | Path:
    """Return what was found as a Dataset, or write it."""
    units = str(image.attrs.get("units", "")) if image is not None else ""
    if out is not None:
        return write_rows(Path(out), found, records, about, labels, units)
    return dataset_of(found, records, about, labels, units, names or {})


def about_of(labels: xr.DataArray, lifted: Lifted) -> About:
    """Return grid and axes of an image."""
    axes = Axes(lifted.node.shape, lifted.time_axis, lifted.space_axes)
    return About(grid_of(labels) if has_grid(labels) else None, axes, tuple(labels.dims[-2:]) == ("y", "x"))


def checked_records(
    what: str | Measure | Sequence[str | Measure], image: xr.DataArray | None, about: About
) -> list[Measure]:
    """Return the measures, the count first; what cannot be measured is refused before anything is read."""
    wanted = [what] if isinstance(what, str | Measure) else what
    found: dict[str, Measure] = {}
    for record in map(record_of, ["count", *wanted]):
        other = found.setdefault(record.name, record)
        if (other.parts, other.percent) != (record.parts, record.percent):
            raise InputError(
                f"two measures are called {record.name!r}",
                kind="same-name",
                fix='give name="..." to one of them',
            )
    records = list(found.values())
    if image is not None and any(r.needs_values for r in records):
        check_dtype(image.dtype)
    if image is None and (missing := [r.name for r in records if r.needs_values]):
        raise InputError(f"{missing[0]!r} needs an image", kind="no-image", fix="measure(labels, image, ...)")
    for record in records:
        record.finish(Found.nothing(record.parts), about)
    return records


def on_one_grid(labels: xr.DataArray, image: xr.DataArray | None) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Return both images with the same dims in canonical order; refuse grids that differ."""
    if labels.dtype.kind not in "iub":
        raise InputError(f"labels of dtype {labels.dtype}", kind="not-labels", fix="give integers or a mask")
    if image is None:
        return canonical(labels), None
    first, second = broadcast(labels, image, both="labels and image")
    return canonical(first), canonical(second)
