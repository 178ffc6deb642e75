"""Images to files of other formats: NIfTI, DICOM segmentations."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from chunkmed.coords import CHANNEL, four_dims, grid_of
from chunkmed.drafts import draft_of
from chunkmed.errors import InputError, StoreError
from chunkmed.formats.nifti_write import NiftiBlocks, gzip_file, nifti_dtype, start_bytes
from chunkmed.graph.budget import current_budget
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Node
from chunkmed.graph.passes import make_program
from chunkmed.graph.views import natural_block
from chunkmed.grid import UNIFORM_TOLERANCE, Grid
from chunkmed.store import files

__all__ = ["check_absent", "to_nifti", "writing"]

PathLike = str | os.PathLike[str]
#: Sizes along z and y, the best first: inner chunks of stores, or parts of them.
_SLABS = ((32, 128), (16, 128), (8, 64))


def to_nifti(
    image: xr.DataArray, path: PathLike, *, overwrite: bool = False, allow_irregular: bool = False
) -> Path:
    """Write an image as NIfTI, block by block, whole or not at all.

    Axes are not turned: voxel (i, j, k) is ``image[t, k, j, i]``. Sform and qform are the affine in RAS mm,
    a tilted gantry has a sform only. Times are in seconds. What the header has no room for (the last
    digits of positions, uneven times) stands in an extension that :func:`chunkmed.open` reads.

    Parameters
    ----------
    image : xarray.DataArray
        Dims (t, z, y, x) or fewer, with a grid; masks become uint8, three channels of uint8 RGB.
    path : path
        ``.nii``, or ``.nii.gz``: written plain beside it first.
    overwrite : bool, default False
        Replace a file that is there.
    allow_irregular : bool, default False
        Write slices at uneven distances as if they were even: NIfTI has one step.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        ``bad-name``, ``bad-dtype``, ``no-grid``, ``non-uniform``.
    StoreError
        ``exists``, ``unwritable``.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> image = cm.open(np.arange(24, dtype=np.int16).reshape(2, 3, 4), spacing_mm=(5, 1, 1))
    >>> to_nifti(image, "small.nii.gz").name, bool((cm.open("small.nii.gz") == image).all())
    ('small.nii.gz', True)
    """
    target, full = _checked_target(path, overwrite), four_dims(image)
    grid, node = grid_of(full), lift(full).node
    _check_even(grid, allow_irregular)
    channels = full.sizes[CHANNEL] if full.ndim > len(grid.dims) else 0
    dtype = nifti_dtype(node.dtype, channels)
    start = start_bytes(grid, dtype, channels)
    program = make_program([node], wishes=_whole_rows(node), sink_bytes=float(dtype.itemsize))
    with writing(target), draft_of(target) as draft:
        packed = target.name.endswith(".gz")
        plain = draft.with_name(f"{draft.name}.plain") if packed else draft
        try:
            blocks = NiftiBlocks(plain.absolute(), len(start), node.shape, dtype)
            blocks.create(start)
            for _ in program.run(blocks, name=f"writing {target.name}"):
                pass
            if packed:
                gzip_file(plain, draft, current_budget().workers)
            files.sync(draft)
        finally:
            if packed:
                plain.unlink(missing_ok=True)
    return target


def _whole_rows(node: Node) -> list[tuple[int, ...]]:
    """Return blocks that lie in the file in few pieces, where those of the source cut rows."""
    rows = node.shape[3:]
    if natural_block(node)[3] >= rows[0]:
        return []
    return [(1, z, y, *rows) for z, y in _SLABS]


def _checked_target(path: PathLike, overwrite: bool) -> Path:
    target = Path(path)
    if not target.name.endswith((".nii", ".nii.gz")):
        raise InputError(
            f"{target.name!r} is no name of a NIfTI file", kind="bad-name", fix="end it in .nii or .nii.gz"
        )
    check_absent(target, overwrite)
    return target


def check_absent(target: Path, overwrite: bool) -> None:
    """Refuse to replace what is there unless that is asked for, and a folder always."""
    if target.is_dir() or (target.exists() and not overwrite):
        raise StoreError(
            "there is something already",
            kind="exists",
            where=str(target),
            fix="choose another name" if target.is_dir() else "choose another name, or overwrite=True",
        )


def _check_even(grid: Grid, allow_irregular: bool) -> None:
    if not grid.uniform and not allow_irregular:
        raise InputError(
            "NIfTI has one step between slices",
            kind="non-uniform",
            why="the slices of this image lie at uneven distances",
            fix="resample it to even slices (cm.resample.resample), or allow_irregular=True",
        )
    steps = np.diff(grid.time_ms)
    timed = grid.time_dim == "t" and len(steps) > 1
    if timed and np.ptp(steps) > UNIFORM_TOLERANCE * abs(float(np.median(steps))):
        warnings.warn(
            "NIfTI has one step between time points: the times of this image are uneven, other readers "
            "will take the mean step",
            UserWarning,
            stacklevel=3,
        )


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Raise what the disk refuses as an error of ours."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            "the file cannot be written",
            kind="unwritable",
            where=str(target),
            why=error.strerror or str(error),
            kept="nothing was left half-written",
            fix="make space, or choose another folder",
        ) from error
