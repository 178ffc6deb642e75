"""What a NIfTI header has no room for: our grid to the last digit, in an extension of plain text.

A header of version 1 rounds positions to single precision, has one time step and no names of axes. The
text counts only as long as the header says the same: a tool that moves or cuts the image may well copy it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import Any

import numpy as np

from chunkmed.formats.affine import LPS_FROM_RAS
from chunkmed.formats.nifti_header import NiftiHeader, plain
from chunkmed.grid import Grid, mean_step

__all__ = ["extension_bytes", "extension_grid"]

#: The number for comments, which all readers skip.
_COMMENT = 6
_KEY = "chunkmed-grid"
_SIZES = {1: 348, 2: 540}


def extension_bytes(grid: Grid) -> bytes:
    """Return what stands between header and values: the mark of extensions, then ours."""
    text = json.dumps({_KEY: 1, **asdict(grid)}, separators=(",", ":")).encode()
    # A multiple of 16 in all, its own 8 bytes included.
    text += b" " * (-(len(text) + 8) % 16)
    return b"\1\0\0\0" + struct.pack("<ii", len(text) + 8, _COMMENT) + text


def extension_grid(raw: bytes, header: NiftiHeader, told: Grid) -> Grid | None:
    """Return the grid of an extension of ours, None where there is none or the header says otherwise.

    Parameters
    ----------
    raw : bytes
        All before the values.
    header : NiftiHeader
        What the header says.
    told : Grid
        What follows from it.
    """
    at = _SIZES[header.version] + 4
    order = header.stored.byteorder if header.stored.byteorder in "<>" else "<"
    if len(raw) < at or raw[at - 4 : at - 3] == b"\0":
        return None
    while at + 8 <= len(raw):
        size, code = struct.unpack(f"{order}ii", raw[at : at + 8])
        if size < 16 or at + size > len(raw):
            return None
        if code == _COMMENT and (grid := _grid(raw[at + 8 : at + size])) is not None:
            return grid if _agree(grid, header, told) else None
        at += size
    return None


def _grid(text: bytes) -> Grid | None:
    try:
        found: dict[str, Any] = json.loads(text)
        if found.pop(_KEY) != 1:
            return None
        for name in ("z_mm", "y_mm", "x_mm", "time_ms", "origin_mm"):
            found[name] = tuple(float(value) for value in found[name])
        found["direction"] = tuple(tuple(float(value) for value in row) for row in found["direction"])
        return Grid(**found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _agree(grid: Grid, header: NiftiHeader, told: Grid) -> bool:
    ascend = all(np.all(np.diff(each) > 0) for each in (grid.z_mm, grid.y_mm, grid.x_mm))
    if grid.shape != told.shape or not ascend or not _same_times(grid, header):
        return False
    kind = np.float32 if header.version == 1 else np.float64
    affine = np.asarray(LPS_FROM_RAS @ grid.affine)[:3].astype(kind)
    if not grid.known:
        # Nothing but the voxel sizes stands in the header.
        affine = np.diag([*np.linalg.norm(affine[:, :3], axis=0), 1.0])[:3].astype(kind)
    same = np.array([[plain(value) for value in row] for row in affine])
    return bool(header.oriented == grid.known and np.array_equal(same, header.affine_ras[:3]))


def _same_times(grid: Grid, header: NiftiHeader) -> bool:
    if grid.time_dim != "t" or not grid.time_known:
        return header.time_step_ms is None
    step = mean_step(grid.time_ms, 0.0)
    return grid.shape[0] == 1 or abs(step - (header.time_step_ms or 0.0)) <= 1e-6 * abs(step) + 1e-6
