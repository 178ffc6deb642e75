"""Charts: a quantity over time, values counted, a list of objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from chunkmed.cardiac import summary
from chunkmed.report.drawing import INK, QUIET, label_color

__all__ = ["draw_beat", "draw_counts", "draw_line", "draw_list", "draw_parts"]

_MOST_BARS = 12
_BLUE, _RED = "#0072B2", "#D55E00"
_PARTS = "part of all values"


def draw_line(axes: Axes, curve: xr.DataArray, **line: Any) -> npt.NDArray[np.float64]:
    """Draw a quantity over time; return where its points lie along the axis of time.

    ``curve`` has one dim; times are its coordinate where that has units, else its numbers.
    """
    (dim,) = curve.dims
    units = str(curve.coords[dim].attrs.get("units", "")) if dim in curve.coords else ""
    timed = units not in ("", "1") and len(np.unique(curve.coords[dim])) == curve.size
    at = np.asarray(curve.coords[dim] if timed else np.arange(curve.size), np.float64)
    quantity, of = _quantity(curve)
    plain: dict[str, Any] = {"linewidth": 2.5, "marker": "o", "markersize": 4}
    axes.plot(at, curve.values, **plain | line)
    name = "time" if dim == "t" else str(dim)
    axes.set_xlabel(f"{name} ({units})" if timed else f"{name} point", fontsize=14, color=INK)
    axes.set_ylabel(f"{quantity} ({of})" if of not in ("", "1") else quantity, fontsize=14, color=INK)
    axes.margins(x=0.08)
    _quiet(axes)
    axes.grid(axis="y", color="#e4e7eb", linewidth=1)
    axes.set_axisbelow(True)
    return at


def draw_beat(axes: Axes, curve: xr.DataArray) -> None:
    """Draw a volume over time with end-diastole and end-systole marked; EF in the title."""
    beat = summary(curve)
    curve = curve.squeeze()
    values = np.asarray(curve, dtype=np.float64)
    _, units = _quantity(curve)
    # Pixels and voxels are counted.
    digits = 0 if units in ("px", "vox") else 1
    time = draw_line(axes, curve, color=_BLUE)
    axes.set_ylim(0, float(np.nanmax(values)) * 1.22)
    for name, index, lift in (("ED", int(beat.ed_index), 14), ("ES", int(beat.es_index), -16)):
        axes.plot(
            time[index],
            values[index],
            "o",
            markersize=12,
            markerfacecolor="white" if name == "ES" else _RED,
            markeredgecolor=_RED,
            markeredgewidth=2.5,
        )
        axes.annotate(
            f"{name}  {values[index]:.{digits}f} {units}",
            (time[index], values[index]),
            (0, lift),
            textcoords="offset points",
            ha=_side(index, len(values)),
            va="bottom" if lift > 0 else "top",
            color=INK,
            fontsize=14,
            fontweight="bold",
        )
    axes.set_title(
        f"EF {float(beat.ejection_fraction_percent):.1f} %", fontsize=20, color=INK, loc="left", pad=14
    )


def draw_counts(axes: Axes, counts: npt.NDArray[Any], edges: npt.NDArray[Any], **line: Any) -> Any:
    """Draw a histogram as steps; return what matplotlib made of it."""
    drawn = axes.stairs(counts, edges, **line)
    axes.set_ylabel("voxels" if counts.dtype.kind in "iu" else "part of the voxels", color=INK)
    _quiet(axes)
    return drawn


def draw_parts(axes: Axes, counts: npt.NDArray[Any], edges: npt.NDArray[Any], **line: Any) -> Axes:
    """Draw which part of the values lies below each, on an axis of its own at the right; return its axes."""
    found = [other for other in axes.figure.axes if other.get_ylabel() == _PARTS]
    same = [other for other in found if other in axes.get_shared_x_axes().get_siblings(axes)]
    right = same[0] if same else axes.twinx()
    up_to = np.concatenate([[0], np.cumsum(counts)])
    plain: dict[str, Any] = {"linestyle": "dashed", "linewidth": 1.2}
    right.plot(edges, up_to / max(up_to[-1], 1), **plain | line)
    right.set_ylabel(_PARTS, color=QUIET)
    right.set_ylim(0, 1.02)
    right.spines[["top", "left", "bottom"]].set_visible(False)
    right.tick_params(colors=QUIET, length=0)
    return right


def _side(index: int, count: int) -> str:
    """Return on which side of its point a text stays inside the axes."""
    if index < count / 4:
        return "left"
    return "right" if index > 3 * count / 4 else "center"


def draw_list(axes: Axes, table: xr.Dataset, t: int = 0) -> None:
    """Draw one bar per label, the largest first: its volume, area or number of voxels."""
    name = next((n for n in ("volume_ml", "area_mm2", "area_px", "count") if n in table), None)
    if name is None:
        axes.set_axis_off()
        return
    sizes = table[name].isel(t=t) if "t" in table[name].dims else table[name]
    values = np.atleast_1d(np.asarray(sizes.values, dtype=np.float64))
    labels = np.atleast_1d(np.asarray(table.coords["label"].values if "label" in table.coords else [1]))
    # Labels that have names are told by them, and coloured by their numbers.
    numbers = np.atleast_1d(table.coords["number"].values) if "number" in table.coords else labels
    order = [i for i in np.argsort(-values, kind="stable") if values[i] > 0][:_MOST_BARS]
    rows = np.arange(len(order))
    axes.barh(rows, values[order], height=0.6, color=[label_color(int(numbers[i])) for i in order])
    for row, i in zip(rows, order, strict=True):
        axes.annotate(
            f"{values[i]:.4g}",
            (values[i], row),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=13,
            color=INK,
        )
    axes.set_yticks(rows, [str(labels[i]) if numbers is not labels else f"label {labels[i]}" for i in order])
    axes.set_ylim(max(len(order), 6) - 0.5, -0.5)
    axes.set_xlim(0, values.max(initial=1e-9) * 1.25)
    quantity, _, units = name.partition("_")
    shown = (
        f"{len(order)} of {int((values > 0).sum())}, largest first" if len(order) < (values > 0).sum() else ""
    )
    axes.set_title(f"{quantity} ({units})" if units else "voxels", fontsize=18, color=INK, loc="left", pad=14)
    axes.set_xlabel(shown, fontsize=13, color=QUIET)
    _quiet(axes)


def _quantity(curve: xr.DataArray) -> tuple[str, str]:
    name, units = str(curve.name or "value"), str(curve.attrs.get("units", ""))
    quantity, _, suffix = name.rpartition("_")
    if quantity and (suffix == units or not units):
        return quantity, suffix
    return name, units


def _quiet(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cbd2d9")
    axes.tick_params(labelsize=13, colors=QUIET, length=0)
