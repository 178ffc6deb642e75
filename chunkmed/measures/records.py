"""The table of measures: name, unit, what is collected and how the measure follows from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.nodes import Array
from chunkmed.measures import places, shapes
from chunkmed.measures.about import About
from chunkmed.measures.parts import COUNTS, MOMENTS, SURFACE, Bins, Found, Part
from chunkmed.measures.quantiles import percentiles
from chunkmed.names import nearest

__all__ = ["MEASURES", "PERCENTILE", "Measure", "histogram", "is_measure", "percentile", "record_of"]

Finish = Callable[[Found, About], Array]


@dataclass(frozen=True)
class Measure:
    """One measure: its name, unit and how it follows from what was collected."""

    name: str
    units: str
    """Of the image where empty."""
    finish: Finish
    needs_values: bool = False
    about: str = ""
    parts: tuple[Part, ...] = (MOMENTS,)
    """What is collected of each block."""
    dims: tuple[str, ...] = ()
    """Dims beside time and label."""
    coords: dict[str, Any] = field(default_factory=dict)
    """Coordinates of those that the image does not give."""
    missing: float | bool = np.nan
    """Of a label that a time point lacks: of numbers NaN or 0, of what is so or not False."""
    percent: float | None = None
    """Of a percentile."""


def _of_values(name: str, units: str, finish: Finish, about: str, dims: tuple[str, ...] = ()) -> Measure:
    coords = {"extreme": ["minimum", "maximum"]} if "extreme" in dims else {}
    return Measure(name, units, finish, True, about, dims=dims, coords=coords)


_AXIS, _PRINCIPAL = ("axis",), ("major", "minor", "least")
_SOLID = (MOMENTS, SURFACE)
_RECORDS = (
    Measure("count", "1", lambda f, _: f.moments.count, about="number of voxels", missing=0),
    Measure("volume_mm3", "mm3", places.volume_mm3, about="voxels times their volume"),
    Measure("volume_ml", "ml", lambda f, c: places.volume_mm3(f, c) / 1000, about="volume in millilitres"),
    Measure("volume_vox", "vox", lambda f, _: f.moments.count, about="volume in voxels"),
    Measure(
        "area_mm2", "mm2", lambda f, c: places.single_plane(f, c) * c.in_plane_mm2, about="area, one slice"
    ),
    Measure("area_px", "px", places.single_plane, about="area in pixels, one slice"),
    Measure("centroid", "voxel", places.centroid, about="centre", dims=_AXIS),
    Measure("centroid_mm", "mm", places.centroid_mm, about="centre, in the image's coordinates", dims=_AXIS),
    Measure(
        "touches_border",
        "1",
        places.touches_border,
        about="whether it reaches the border of the image",
        missing=False,
    ),
    Measure(
        "start",
        "voxel",
        lambda f, c: c.own_axes(f.moments.start),
        about="first index of the bounding box",
        dims=_AXIS,
    ),
    Measure(
        "stop",
        "voxel",
        lambda f, c: c.own_axes(f.moments.stop),
        about="one beyond the bounding box",
        dims=_AXIS,
    ),
    Measure(
        "bounding_box",
        "voxel",
        places.bounding_box,
        about="first index and one beyond the last",
        dims=("side", "axis"),
        coords={"side": ["start", "stop"]},
    ),
    Measure(
        "surface_area_mm2",
        "mm2",
        shapes.surface_area_mm2,
        about="area of the surface (Crofton, 13 directions)",
        parts=_SOLID,
    ),
    Measure(
        "sphericity",
        "1",
        shapes.sphericity,
        about="surface of the ball of its volume over its own",
        parts=_SOLID,
    ),
    Measure(
        "equivalent_diameter_mm",
        "mm",
        shapes.equivalent_diameter_mm,
        about="diameter of the ball of its volume",
    ),
    Measure(
        "axis_lengths_mm",
        "mm",
        shapes.axis_lengths_mm,
        about="four standard deviations along each principal axis",
        dims=("principal",),
        coords={"principal": _PRINCIPAL},
    ),
    Measure(
        "principal_axes",
        "1",
        shapes.principal_axes,
        about="unit vectors along the principal axes",
        dims=("principal", "axis"),
        coords={"principal": _PRINCIPAL},
    ),
    Measure("elongation", "1", shapes.elongation, about="second principal axis over the longest"),
    Measure("flatness", "1", shapes.flatness, about="shortest principal axis over the longest"),
    _of_values("sum", "", lambda f, _: f.moments.total, "sum of values"),
    _of_values("mean", "", lambda f, _: f.moments.total / f.moments.count, "mean value"),
    _of_values("variance", "", lambda f, _: f.moments.spread / f.moments.count, "variance of values"),
    _of_values(
        "standard_deviation", "", lambda f, _: np.sqrt(f.moments.spread / f.moments.count), "of values"
    ),
    _of_values("minimum", "", lambda f, _: f.moments.low, "lowest value"),
    _of_values("maximum", "", lambda f, _: f.moments.high, "highest value"),
    _of_values(
        "extrema",
        "",
        lambda f, _: np.stack([f.moments.low, f.moments.high], axis=1),
        "lowest and highest value",
        ("extreme",),
    ),
    _of_values(
        "minimum_position",
        "voxel",
        lambda f, c: places.place(f.moments.low_at, c),
        "first voxel of the lowest",
        _AXIS,
    ),
    _of_values(
        "maximum_position",
        "voxel",
        lambda f, c: places.place(f.moments.high_at, c),
        "first voxel of the highest",
        _AXIS,
    ),
    _of_values(
        "minimum_position_mm",
        "mm",
        lambda f, c: places.place_mm(f.moments.low_at, c),
        "the same, in the image's coordinates",
        _AXIS,
    ),
    _of_values(
        "maximum_position_mm",
        "mm",
        lambda f, c: places.place_mm(f.moments.high_at, c),
        "the same, in the image's coordinates",
        _AXIS,
    ),
    _of_values("center_of_mass", "voxel", places.center_of_mass, "centre weighted by value", _AXIS),
    _of_values(
        "center_of_mass_mm", "mm", places.center_of_mass_mm, "the same, in the image's coordinates", _AXIS
    ),
)


def _percentile(percent: float, found: Found, _: About) -> Array:
    return percentiles(found, percent)


def percentile(percent: float, name: str | None = None) -> Measure:
    """Return the measure ``percentile_<percent>``: exact.

    Of integers of at most 16 bits in the pass of the other measures; others take one to three more.

    Memory is that of the different values of each label, 24 bytes each.

    Parameters
    ----------
    percent : float
        0 to 100; between two values linearly, as :func:`numpy.percentile`.
    name : str, optional
        Another name.

    Examples
    --------
    >>> percentile(15).name, percentile(99.5).name
    ('percentile_15', 'percentile_99.5')
    """
    if not 0 <= percent <= 100:
        raise InputError(f"percentile {percent:g}", kind="bad-range", fix="give 0 to 100")
    return Measure(
        name or f"percentile_{percent:g}",
        "",
        partial(_percentile, percent),
        True,
        f"value that {percent:g} % of the values lie below",
        (MOMENTS, COUNTS),
        percent=percent,
    )


def histogram(low: float, high: float, bins: int, name: str = "histogram") -> Measure:
    """Return a measure that counts values in ``bins`` bins of one width from ``low`` to ``high``.

    Values outside are not counted; the highest edge is part of the last bin, as in
    :func:`scipy.ndimage.histogram`. The dim ``bin`` (``<name>_bin`` with another name) has the lower
    edges of the bins as coordinates.

    Parameters
    ----------
    low, high : float
        Range, in units of the image.
    bins : int
        Number of bins.
    name : str
        Name of the result.
    """
    if not (low < high and np.isfinite(high - low)) or bins < 1:
        raise InputError(
            f"{bins} bins from {low} to {high}", kind="bad-range", fix="give low < high, bins >= 1"
        )
    part = Bins(float(low), float(high), int(bins))
    dim = "bin" if name == "histogram" else f"{name}_bin"
    return Measure(
        name,
        "1",
        lambda found, _: found.tables[part.key].total,
        True,
        "number of voxels per bin of values",
        (MOMENTS, part),
        (dim,),
        {dim: part.edges[:-1]},
        missing=0,
    )


#: All measures by name; ``percentile_<percent>`` beside them.
MEASURES: dict[str, Measure] = {record.name: record for record in (*_RECORDS, percentile(50, "median"))}
#: Names of percentiles: ``percentile_15``, ``percentile_99.5``.
PERCENTILE = re.compile(r"^percentile_(\d{1,2}(?:\.\d+)?|100)$")


def is_measure(name: str) -> bool:
    """Whether there is a measure of a name."""
    return name in MEASURES or PERCENTILE.match(name) is not None


def record_of(measure: str | Measure) -> Measure:
    """Return a measure by its name.

    Raises
    ------
    InputError
        If there is none.
    """
    if isinstance(measure, Measure):
        return measure
    if measure in MEASURES:
        return MEASURES[measure]
    if match := PERCENTILE.match(measure):
        return percentile(float(match[1]))
    names = f"{', '.join(MEASURES)}, percentile_<0 to 100>"
    fix = nearest(measure, MEASURES, f"choose of {names}")
    raise InputError(f"there is no measure {measure!r}", kind="no-measure", fix=fix)
