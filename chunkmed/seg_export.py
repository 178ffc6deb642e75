"""Labels to a DICOM segmentation over the series that their image came from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chunkmed import dicom
from chunkmed.conversion import open_dicom
from chunkmed.coords import four_dims, grid_of
from chunkmed.dicom import Choices
from chunkmed.drafts import draft_of
from chunkmed.errors import InputError, SourceError
from chunkmed.exports import check_absent, writing
from chunkmed.formats.dicom_seg_write import check_segments, write_segmentation
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Source
from chunkmed.label_names import names_of
from chunkmed.matching import on_grid_of
from chunkmed.store import StoredArray, place_of
from chunkmed.stored import open_store

__all__ = ["to_dicom_seg"]

PathLike = str | os.PathLike[str]
_ALL = Choices(allow_missing=True, allow_irregular=True)


def to_dicom_seg(
    labels: xr.DataArray,
    path: PathLike,
    *,
    source: Any,
    image: xr.DataArray | None = None,
    names: Mapping[int, str] | None = None,
    kind: str = "labelmap",
    overwrite: bool = False,
) -> Path:
    """Write labels as a DICOM segmentation, so that viewers show them over their source series.

    The series is found by its geometry, and its pixels must be those of the image: stores keep no UIDs
    that could say it. Patient and study of the source files go into the segmentation.

    Parameters
    ----------
    labels : xarray.DataArray
        Integers or a mask, one time point: ``labels.isel(t=0)`` takes it.
    path : path
        ``seg.dcm``.
    source : path, list of paths, Stack or Study
        The DICOM files that the image was made of, others among them.
    image : xarray.DataArray, optional
        The image that the labels belong to; not needed for a label image of a store.
    names : mapping of int to str, optional
        Name of each label; by default those that they have, or their number.
    kind : {"labelmap", "binary"}
        LABELMAP holds numbers, BINARY a bit for each segment, which older viewers read.
    overwrite : bool, default False
        Replace a file that is there.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        ``no-image``, ``not-labels``, ``several-times``, ``bad-labels``, ``missing-extra``.
    SourceError
        ``no-match`` where no series lies where the labels do, ``other-pixels`` where it holds other values.

    Examples
    --------
    >>> import chunkmed as cm
    >>> lungs = cm.open("ct.zarr", label="lungs")  # doctest: +SKIP
    >>> cm.to_dicom_seg(lungs, "lungs.dcm", source="ct/", names={1: "lungs"})  # doctest: +SKIP
    """
    target, form = Path(path), str(kind).upper()
    if form not in ("LABELMAP", "BINARY"):
        raise InputError(f"kind = {kind!r}", kind="bad-kind", fix='give "labelmap" or "binary"')
    check_absent(target, overwrite)
    moment = _one_moment(labels)
    known = names_of(labels) if names is None else dict(names)
    stack, t, over = _matching(moment, source, _image_of(labels, image))
    frames = _values(over)
    segments = {int(n): known.get(int(n), f"label {n}") for n in np.unique(frames) if n}
    check_segments(segments, form)
    files, order = _files(stack, t)
    with writing(target), draft_of(target) as draft:
        write_segmentation(draft, files, np.ascontiguousarray(frames[order]), segments, form)
    return target


def _one_moment(labels: xr.DataArray) -> xr.DataArray:
    if labels.dtype.kind not in "iub":
        raise InputError(f"labels of dtype {labels.dtype}", kind="not-labels", fix="give integers or a mask")
    full = four_dims(labels)
    if full.shape[0] != 1:
        raise InputError(
            f"a segmentation is of one time point, the labels have {full.shape[0]}",
            kind="several-times",
            fix=f"write one file for each: labels.isel({full.dims[0]}=0)",
        )
    return full


def _matching(
    labels: xr.DataArray, source: Any, image: xr.DataArray
) -> tuple[dicom.Stack, int, xr.DataArray]:
    """Return the series whose voxels the labels are, its time point, and the labels in its order."""
    stacks = [source] if isinstance(source, dicom.Stack) else _study(source).stacks
    found, reasons = [], []
    for stack in stacks:
        try:
            like = open_dicom(stack, None, _ALL)
            one = like.isel({like.dims[0]: slice(0, 1)})
            over = on_grid_of(labels, one, f"series {stack.key}")
            found.append((dicom.accepted(stack, _ALL), _time_index(labels, stack), over))
        except (InputError, SourceError) as error:
            reasons.append(f"series {stack.key}: {error.why or error.what}")
    if not found:
        raise _no_match("no series lies where the labels do", source, "; ".join(reasons[:4]))
    same = [each for each in found if _same_pixels(each[0], each[1], image)]
    if not same:
        raise SourceError(
            "a series lies where the labels do, but its pixels are others than those of the image",
            kind="other-pixels",
            where=", ".join(f"series {stack.key}" for stack, _, _ in found),
            fix="give the series that the image was made of",
        )
    if len(same) > 1:
        raise _no_match("several series are the image", source, ", ".join(each[0].key for each in same))
    return same[0]


def _no_match(what: str, source: Any, why: str) -> SourceError:
    return SourceError(
        what,
        kind="no-match",
        where=str(source) if isinstance(source, str | os.PathLike) else "",
        why=why,
        fix="give the series the image was made of: source=cm.scan(folder).select(key)",
    )


def _study(source: Any) -> dicom.Study:
    return source if isinstance(source, dicom.Study) else dicom.scan(source)


def _time_index(labels: xr.DataArray, stack: dicom.Stack) -> int:
    times, wanted = np.round(stack.grid.time_ms, 6), grid_of(labels).time_ms[0]
    if len(times) == 1:
        return 0
    if wanted not in times:
        why = f"it has no time point at {wanted:g}"
        raise SourceError("another time", kind="no-match", where=f"series {stack.key}", why=why)
    return int(np.flatnonzero(times == wanted)[0])


def _image_of(labels: xr.DataArray, image: xr.DataArray | None) -> xr.DataArray:
    """Return the image of the labels: as given, or that of the store they lie in."""
    if image is None:
        node = lift(labels).node
        while len(node.inputs) == 1:
            (node,) = node.inputs
        reader = node.reader if isinstance(node, Source) else None
        found = place_of(reader) if isinstance(reader, StoredArray) else None
        if found is not None and found[1] is not None:
            return open_store(found[0])
        raise InputError(
            "these labels do not say which image they belong to",
            kind="no-image",
            why="the pixels of the source series are compared with it",
            fix="give it: image=",
        )
    return image


def _same_pixels(stack: dicom.Stack, t: int, image: xr.DataArray) -> bool:
    """Whether a time point of a series holds the values of the image, slice by slice."""
    full = four_dims(image)
    if full.shape[1:] != stack.shape[1:]:
        return False
    times = np.asarray(grid_of(full).time_ms)
    at = int(np.argmin(np.abs(times - stack.grid.time_ms[t]))) if len(times) > 1 else 0
    rest = [(0, n) for n in stack.shape[2:]]
    for z in range(stack.shape[1]):
        theirs = stack.read([(t, t + 1), (z, z + 1), *rest])[0, 0]
        if not np.array_equal(full[at, z].values, theirs, equal_nan=theirs.dtype.kind == "f"):
            return False
    return True


def _values(labels: xr.DataArray) -> Array:
    """Return the labels (z, y, x) as the small integers of a segmentation."""
    values = np.asarray(labels.values)
    values = values.reshape(values.shape[-3:])
    if values.dtype != bool and values.size and (values.min() < 0 or values.max() > 65535):
        raise InputError("labels are 1 to 65535 in a segmentation", kind="bad-labels")
    return values.astype(np.uint8 if values.dtype == bool or values.max(initial=0) < 256 else np.uint16)


def _files(stack: dicom.Stack, t: int) -> tuple[list[str], Sequence[int]]:
    """Return the files of a time point, and which slice each frame of them is."""
    pixels, places = stack.pixels, stack.pixels.places[t]
    paths = [pixels.paths[file] for file, _ in places if file >= 0]
    if len(set(paths)) == len(places):
        return paths, list(range(len(places)))
    order = np.argsort(places[:, 1], kind="stable")
    if len(set(paths)) == 1 and places[order, 1].tolist() == list(range(len(places))):
        return paths[:1], order.tolist()
    raise SourceError(
        "the frames of this series cannot be told one by one",
        kind="bad-source",
        where=f"series {stack.key}",
        why="slices are missing, or a file holds more than this time point",
    )
