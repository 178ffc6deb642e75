"""Grid -> OME-Zarr 0.5 JSON, without any I/O.

Source: the OME-Zarr specification, version 0.5 (multiscales, axes, labels, image-label); RFC-4 for
the anatomical orientation of axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.coords import CHANNEL, time_units
from chunkmed.grid import Grid, mean_step

__all__ = ["labels_metadata", "multiscales"]

_VERSION = "0.5"
#: Toward which side each of the L, P, S axes grows (RFC-4 vocabulary).
_TOWARD = (
    ("right-to-left", "left-to-right"),
    ("anterior-to-posterior", "posterior-to-anterior"),
    ("inferior-to-superior", "superior-to-inferior"),
)


def multiscales(
    grids: Sequence[Grid], name: str, *, label: bool = False, channels: bool = False
) -> dict[str, Any]:
    """Return the ``ome`` attributes of an image group; one grid per level, the finest first."""
    datasets = [
        {"path": f"{level}/image", "coordinateTransformations": _transformations(grid, channels)}
        for level, grid in enumerate(grids)
    ]
    method = "mode" if label else "mean"
    image = {"name": name, "axes": _axes(grids[0], channels), "datasets": datasets, "type": method}
    out: dict[str, Any] = {"version": _VERSION, "multiscales": [image]}
    return out | {"image-label": {"source": {"image": "../../"}}} if label else out


def labels_metadata(names: list[str]) -> dict[str, Any]:
    """Return the ``ome`` attributes of the ``labels`` group."""
    return {"version": _VERSION, "labels": sorted(names)}


def _axes(grid: Grid, channels: bool) -> list[dict[str, Any]]:
    first: dict[str, Any] = {"name": grid.time_dim, "type": "time" if grid.time_dim == "t" else "custom"}
    if time_units(grid) == "ms":
        first["unit"] = "millisecond"
    axes = [first, {"name": CHANNEL, "type": "channel"}] if channels else [first]
    for column, axis in ((2, "z"), (1, "y"), (0, "x")):
        entry: dict[str, Any] = {"name": axis, "type": "space"}
        if grid.known:
            entry["unit"] = "millimeter"
            entry["orientation"] = {"type": "anatomical", "value": _toward(grid, column)}
        axes.append(entry)
    return axes


def _toward(grid: Grid, column: int) -> str:
    step = np.asarray(grid.direction)[:, column]
    main = int(np.argmax(np.abs(step)))
    return _TOWARD[main][0 if step[main] > 0 else 1]


def _transformations(grid: Grid, channels: bool) -> list[dict[str, Any]]:
    # Scales must be positive: a single time point, or times that do not rise, scale by one.
    time_step = mean_step(grid.time_ms, 1.0)
    scale = [time_step if time_step > 0 else 1.0, *grid.spacing_mm]
    origin = [grid.time_ms[0], grid.z_mm[0], grid.y_mm[0], grid.x_mm[0]]
    if channels:
        scale.insert(1, 1.0)
        origin.insert(1, 0.0)
    return [
        {"type": "scale", "scale": [float(value) for value in scale]},
        {"type": "translation", "translation": [float(value) for value in origin]},
    ]
