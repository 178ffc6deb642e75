"""The panels of the picture: a slice, a curve over time, a list of objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from chunkmed.cardiac import summary
from chunkmed.grid import Grid
from chunkmed.report.planes import Plane

__all__ = ["draw_contours", "draw_curve", "draw_list", "draw_slice", "label_color"]

INK, QUIET = "#1f2933", "#6b7785"
# Okabe and Ito's colours that stand out from gray, told apart with any colour vision.
_COLORS = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#D55E00")
_MOST_CONTOURS = 60
_MOST_BARS = 12
_LETTER_INSET = 16  # points from the edge
_EDGES = {"left": (0, 0.5, 1, 0), "right": (1, 0.5, -1, 0), "top": (0.5, 1, 0, -1), "bottom": (0.5, 0, 0, 1)}

#: Height over width of a panel without room for letters at top and bottom.
_FLAT = 0.3


def label_color(label: int) -> str:
    """Return the colour of a label, the same in all panels."""
    return _COLORS[(label - 1) % len(_COLORS)]


def draw_slice(
    axes: Axes,
    values: npt.NDArray[Any],
    plane: Plane,
    grid: Grid | None,
    window: tuple[float, float],
    **look: Any,
) -> None:
    """Draw one slice in gray, in mm, with letters for the patient's directions.

    ``values`` has its dims in the order of z, y, x; without a grid the scale is in voxels.
    """
    low, high = window
    axes.imshow(
        _upright(values, plane),
        extent=_extent(values, plane, grid),
        origin="lower",
        aspect="equal",
        vmin=low,
        vmax=high,
        **({"cmap": "gray", "interpolation": "nearest"} | look),
    )
    axes.set_facecolor("black")
    axes.set(xticks=[], yticks=[], anchor="NW")
    axes.spines[:].set_visible(False)
    if plane.down:
        axes.invert_yaxis()
    if not plane.right:
        axes.invert_xaxis()
    width, height = abs(np.diff(axes.get_xlim())[0]), abs(np.diff(axes.get_ylim())[0])
    for edge, letter in (plane.letters(grid.direction) if grid else {}).items():
        # In a flat panel the letters at top and bottom would lie on each other.
        if edge in ("left", "right") or height > _FLAT * width:
            _draw_letter(axes, edge, letter)


def draw_contours(
    axes: Axes, labels: npt.NDArray[Any], plane: Plane, grid: Grid | None, style: str = "solid"
) -> None:
    """Draw the outline of each label of a slice in its colour."""
    left, right, bottom, top = _extent(labels, plane, grid)
    upright = np.pad(_upright(labels, plane), 1)
    rows, columns = upright.shape
    x = left + (np.arange(columns) - 0.5) * (right - left) / (columns - 2)
    y = bottom + (np.arange(rows) - 0.5) * (top - bottom) / (rows - 2)
    present = [int(label) for label in np.unique(upright) if label]
    if len(present) > _MOST_CONTOURS:
        upright, present = (upright > 0).astype(np.uint8), [1]
    for label in present:
        axes.contour(
            x, y, upright == label, [0.5], colors=label_color(label), linewidths=2.2, linestyles=style
        )


def draw_curve(axes: Axes, curve: xr.DataArray) -> None:
    """Draw a quantity over time with end-diastole and end-systole marked; EF in the title."""
    beat = summary(curve)
    values = np.asarray(curve, dtype=np.float64).reshape(-1)
    timed = bool(np.isfinite(beat.ed_time_ms))
    time = np.asarray(curve.coords["t"]) if timed else np.arange(len(values))
    quantity, units = _quantity(curve)
    axes.plot(time, values, color="#0072B2", linewidth=2.5, marker="o", markersize=4)
    axes.set_ylim(0, float(np.nanmax(values)) * 1.22)
    axes.margins(x=0.08)
    for name, index, lift in (("ED", int(beat.ed_index), 14), ("ES", int(beat.es_index), -16)):
        axes.plot(
            time[index],
            values[index],
            "o",
            markersize=12,
            markerfacecolor="white" if name == "ES" else "#D55E00",
            markeredgecolor="#D55E00",
            markeredgewidth=2.5,
        )
        axes.annotate(
            f"{name}  {values[index]:.1f} {units}",
            (time[index], values[index]),
            (0, lift),
            textcoords="offset points",
            ha=_side(index, len(values)),
            va="bottom" if lift > 0 else "top",
            color=INK,
            fontsize=14,
            fontweight="bold",
        )
    axes.set_xlabel("time (ms)" if timed else "time point", fontsize=14, color=INK)
    axes.set_ylabel(f"{quantity} ({units})" if units else quantity, fontsize=14, color=INK)
    axes.set_title(
        f"EF {float(beat.ejection_fraction_percent):.1f} %", fontsize=20, color=INK, loc="left", pad=14
    )
    _quiet(axes)
    axes.grid(axis="y", color="#e4e7eb", linewidth=1)
    axes.set_axisbelow(True)


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


def _draw_letter(axes: Axes, edge: str, letter: str) -> None:
    x, y, right, up = _EDGES[edge]
    axes.annotate(
        letter,
        (x, y),
        (_LETTER_INSET * right, _LETTER_INSET * up),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="center",
        color="white",
        fontsize=14,
        fontweight="bold",
        bbox={"boxstyle": "circle,pad=0.25", "facecolor": "black", "alpha": 0.55, "linewidth": 0},
    )


def _upright(values: npt.NDArray[Any], plane: Plane) -> npt.NDArray[Any]:
    """Return the slice with its vertical axis first."""
    stored = [axis for axis in "zyx" if axis != plane.normal]
    return values if stored[0] == plane.vertical else values.T


def _extent(values: npt.NDArray[Any], plane: Plane, grid: Grid | None) -> tuple[float, float, float, float]:
    """Return left, right, bottom, top in mm (voxels without a grid)."""
    rows, columns = _upright(values, plane).shape
    steps = dict(zip("zyx", grid.spacing_mm if grid else (1.0, 1.0, 1.0), strict=True))
    return 0.0, columns * abs(steps[plane.horizontal]), 0.0, rows * abs(steps[plane.vertical])


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
