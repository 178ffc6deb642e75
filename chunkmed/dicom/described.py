"""A study as plain values, ready for JSON: no free text, no UIDs."""

from __future__ import annotations

import math
from typing import Any

from chunkmed.dicom.study import Stack, Study
from chunkmed.private import file_identifier

__all__ = ["described"]


def described(study: Study) -> dict[str, Any]:
    """Return the stacks and the skipped files of a study.

    Returns
    -------
    dict
        ``stacks``: of each ``key``, ``shape``, ``dims``, ``dtype``, ``bytes`` (uncompressed),
        ``spacing_mm`` (z, y, x), ``uniform``, ``direction``, ``origin_mm``, ``z_mm``, ``time_dim``,
        ``time_ms``, ``attributes``, ``assumptions``, ``warnings``, ``flags``, ``problems`` (kind, what,
        where, why, fix), ``accepted_by`` (options), ``members`` (keys of the series that were merged)
        and ``files`` (how many); ``skipped``: of each file its keyed
        identifier ``file`` and the ``reason``.
    """
    skipped = [{"file": file_identifier(item.path), "reason": item.reason} for item in study.skipped]
    return {"stacks": [_stack(stack) for stack in study.stacks], "skipped": skipped}


def _stack(stack: Stack) -> dict[str, Any]:
    grid = stack.grid
    dims = [*grid.dims, *(["c"] if len(stack.shape) > len(grid.dims) else [])]
    return {
        "key": stack.key,
        "modality": stack.attributes.get("modality", ""),
        "plane": stack.plane,
        "shape": list(stack.shape),
        "dims": dims,
        "dtype": stack.dtype.name,
        "bytes": math.prod(stack.shape) * stack.dtype.itemsize,
        "spacing_mm": list(grid.spacing_mm) if grid.known else None,
        "uniform": grid.uniform,
        "direction": [list(row) for row in grid.direction],
        "origin_mm": list(grid.origin_mm),
        "z_mm": list(grid.z_mm),
        "time_dim": grid.time_dim,
        "time_ms": list(grid.time_ms) if grid.time_known else None,
        "attributes": dict(stack.attributes),
        "assumptions": list(stack.assumptions),
        "warnings": list(stack.warnings),
        # Labels of flags come from tags that hold codes, and from numbers.
        "flags": list(stack.flags),
        "problems": [problem.as_dict() for problem in stack.problems],
        "accepted_by": sorted({item.option for item in stack.irregularities}),
        "members": list(stack.members),
        "files": len(stack.pixels.names),
    }
