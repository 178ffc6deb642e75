"""DICOM to a store, or to a lazy image without one; what the user accepts is decided here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

import chunkmed.accessors  # noqa: F401 - registers image.cm and image.meta
from chunkmed import dicom, provenance, store
from chunkmed.coords import attach, grid_of
from chunkmed.dicom import Choices
from chunkmed.errors import ChunkmedError, InputError, SourceError
from chunkmed.foreign import Described, is_foreign, open_foreign, refuse_described
from chunkmed.graph.box import Box, regular_chunks
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Source
from chunkmed.graph.views import view
from chunkmed.private import note
from chunkmed.stored import open_store
from chunkmed.writing import write_image

__all__ = ["StackReader", "convert", "open_dicom", "refuse_dicom_options"]

PathLike = str | os.PathLike[str]
_SLAB = 16
#: JPEG-LS and JPEG 2000: 10 to 40 on real CT and MR.
_DECODING_NS = 15.0


class StackReader:
    """A DICOM stack as something to read boxes from: whole frames at a time."""

    fresh = reuses = True

    def __init__(self, stack: dicom.Stack) -> None:
        self.stack = stack
        self.shape, self.dtype, self.token = stack.shape, np.dtype(stack.dtype), stack.token
        self.chunks = (1, 1, *stack.shape[2:])
        #: What is read at once: rows of uncompressed frames, else all of a frame.
        self.granule = (1, 1, *stack.granule)
        #: Of a voxel, one core; None: as fast as stored arrays are.
        self.reading_ns = _DECODING_NS if stack.pixels.needs_whole_frames else None

    def read(self, box: Box) -> Array:
        """Decode the frames of a box."""
        return self.stack.read(box)


def convert(
    source: Any,
    store_path: PathLike | store.ObjectPath,
    *,
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
    overwrite: store.Overwrite = False,
    pyramid: bool = True,
    keep_phi: bool = False,
) -> xr.DataArray:
    """Convert one DICOM series, or an image of another format, to an OME-Zarr store, and return it.

    Parameters
    ----------
    source : path, list of paths, Stack or Study
        A folder, a file, or what :func:`chunkmed.scan` found; NIfTI, TIFF, a zarr of others and what else
        :func:`chunkmed.open` reads.
    store_path : path or URL
        Where the store goes (``heart.zarr``, ``s3://bucket/heart.zarr``).
    series : str or int, optional
        Which series, where there are several: a selector of ``print(chunkmed.scan(source))``.
    allow_missing : bool, default False
        Accept gaps between slices (the z coordinate keeps the true positions) and images that are
        missing at some time points (they become NaN, dtype float32; the attribute ``missing_cells``
        lists them as (t, z)).
    allow_irregular : bool, default False
        Accept slices at uneven distances, or beside the line of the others: the z coordinate keeps
        the true positions.
    merge_series : bool, default False
        Join series that are certain to be one image: a cine with one series per slice, a dynamic
        series with one per time point. Elsewhere :meth:`Study.merge` takes your word.
    frames : {"t", "z"}, optional
        What the frames of a file are whose headers do not say it.
    spacing_mm, origin_mm, time_ms, dims, channel : optional
        What an image that is not DICOM does not say itself, see :func:`chunkmed.open`.
    overwrite : bool or "changed", default False
        Replace an existing store, its label images included; what chunkmed did not write never.
        ``"changed"`` leaves a store alone that the very same call made.
    pyramid : bool, default True
        Write coarser levels too, for viewers.
    keep_phi : bool, default False
        Keep what identifies patient and study (names, dates, UIDs, free text of standard elements) as
        the attribute ``identifying`` of the image. Without it nothing of that leaves the input.

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

    Examples
    --------
    >>> from chunkmed.testing import BeatingEllipsoid, write_study
    >>> heart = BeatingEllipsoid(time_points=2, size=(12, 48, 64), spacing_mm=(10.0, 3.0, 3.0))
    >>> files = write_study("study", heart)
    >>> convert("study", "heart.zarr").sizes
    Frozen({'t': 2, 'z': 12, 'y': 48, 'x': 64})
    """
    choices = Choices(allow_missing, allow_irregular, merge_series, frames)
    described = Described(spacing_mm, origin_mm, time_ms, dims, channel)
    target = store.locate(store_path)
    if is_foreign(source):
        refuse_dicom_options(series, choices, keep_phi)
        _write_foreign(open_foreign(source, described), target, overwrite, pyramid)
        return open_store(target)
    refuse_described(described)
    stack = _chosen(source, series, choices)
    for text in stack.warnings:
        warnings.warn(f"series {stack.key}: {text}", UserWarning, stacklevel=2)
    if keep_phi:
        stack = dicom.with_identity(stack)
    try:
        _write_widening(stack, target, overwrite, pyramid)
    except ChunkmedError as error:
        error.kept = error.kept or _kept(error)
        raise
    return open_store(target)


def _write_widening(
    stack: dicom.Stack, target: store.Place, overwrite: store.Overwrite, pyramid: bool
) -> None:
    try:
        _write_stack(stack, target, overwrite, pyramid)
    except SourceError as error:
        if error.kind != "value-overflow":
            raise
        _write_stack(stack.widened(), target, overwrite, pyramid)


def _kept(error: ChunkmedError) -> str:
    if isinstance(error, SourceError):
        return "slices before it are kept, the same call goes on from there once the file is repaired"
    return ""


def refuse_dicom_options(series: str | int | None, choices: Choices, keep_phi: bool = False) -> None:
    """Refuse what is chosen of DICOM where there is none."""
    if choices != Choices() or keep_phi:
        raise InputError("these options are for DICOM", kind="not-dicom", fix="leave them out")
    if series is not None:
        raise InputError("a series is chosen of DICOM", kind="bad-series", fix="leave it out")


def _write_foreign(
    image: xr.DataArray, target: store.Place, overwrite: store.Overwrite, pyramid: bool
) -> None:
    write_image(
        lift(image).node,
        grid_of(image),
        target,
        name="image",
        attributes=image.attrs,
        about={"history": [provenance.step("convert")]},
        overwrite=overwrite,
        pyramid=pyramid,
    )


def open_dicom(
    source: PathLike | Sequence[PathLike] | dicom.Stack | dicom.Study,
    series: str | int | None,
    choices: Choices,
) -> xr.DataArray:
    """Return a DICOM series as a lazy image."""
    stack = _chosen(source, series, choices)
    # Frames are decoded whole: blocks are slabs of them.
    chunks = regular_chunks(stack.shape, (1, _SLAB, *stack.shape[2:]))
    data = view(Source(StackReader(stack)), chunks)
    return attach(data, stack.grid, attrs=stack.attributes, trigger_time_ms=stack.trigger_time_ms)


def _chosen(source: Any, series: str | int | None, choices: Choices) -> dicom.Stack:
    """Return the stack that is meant, with what was accepted written down; refuse what was not."""
    if isinstance(source, dicom.Stack):
        stack = source
    else:
        study = source if isinstance(source, dicom.Study) else dicom.scan(source)
        stack = dicom.certainly_merged(study, series) if choices.merge_series else study.select(series)
    stack = dicom.accepted(stack, choices)
    note(stack.key, stack.pixels.folder)
    if stack.problem is not None:
        problem = stack.problem
        problem.kept = "nothing was written"
        raise problem
    return stack


def _write_stack(stack: dicom.Stack, target: store.Place, overwrite: store.Overwrite, pyramid: bool) -> None:
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
