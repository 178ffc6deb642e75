"""Histograms with their cumulative distribution: of all of an image, of masks, of each label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from chunkmed import intensity, ndimage
from chunkmed.errors import InputError
from chunkmed.graph.nodes import Array
from chunkmed.report.charts import draw_counts, draw_parts
from chunkmed.report.drawing import INK, label_color
from chunkmed.report.figures import new_figure
from chunkmed.report.keywords import check_keywords

__all__ = ["histogram"]


def histogram(
    image: Any,
    bins: int | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 - NumPy's name
    *,
    mask: Any = None,
    labels: Any = None,
    index: Any = None,
    cdf: bool = True,
    density: bool = False,
    padding: str = "exclude",
    ax: Axes | None = None,
    **line: Any,
) -> Axes:
    """Draw how often each value occurs in a whole image, and which part of the values lies below it.

    Every voxel is counted, out of core, as by :func:`chunkmed.intensity.histogram`: not only what a picture
    shows.

    Parameters
    ----------
    image : image
        Any dims.
    bins : int, optional
        Number of bins; by default one per value for integers, 1,024 for floats.
    range : pair of numbers, optional
        Lowest and highest value; by default those of all values.
    mask : image or mapping of str to image, optional
        Voxels to count; several, each a histogram of its own, by name.
    labels : label image, optional
        Each label of ``index`` is a histogram of its own, all counted in one pass.
    index : sequence of int, optional
        Which labels; by default all that occur, of at most 1,000.
    cdf : bool, optional
        Whether the cumulative distribution is drawn too, dashed, on an axis at the right.
    density : bool, optional
        Parts of the voxels counted instead of their number: to compare masks of different size.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view are counted; with labels they always are.
    ax : matplotlib.axes.Axes, optional
        Drawn into; by default of a new figure.
    **line
        For :meth:`matplotlib.axes.Axes.stairs`.

    Returns
    -------
    matplotlib.axes.Axes
        Its first ``patches`` hold counts and edges.

    Raises
    ------
    InputError
        As :func:`chunkmed.intensity.histogram` does; ``two-masks`` for labels and a mask.

    Examples
    --------
    >>> import numpy as np
    >>> ax = histogram(np.array([[1, 1], [2, 5]]))
    >>> ax.patches[0].get_data().values.tolist(), len(ax.figure.axes)
    ([2, 1, 0, 0, 1], 2)
    """
    check_keywords(histogram, line, Axes.stairs, StepPatch)
    if mask is not None and labels is not None:
        raise InputError("a mask and labels", kind="two-masks", fix="give one of them")
    if labels is None:
        found = list(_by_mask(image, bins, range, mask, padding))
    else:
        found = list(_by_label(image, bins, range, labels, index))
    ax = new_figure((7.5, 4.5)).add_axes((0.15, 0.14, 0.72, 0.8)) if ax is None else ax
    for number, (name, color, counts, edges) in enumerate(found, len(ax.patches)):
        shown = counts / max(int(counts.sum()), 1) if density else counts
        named = {"label": name} if name else {}
        color = f"C{number % 10}" if color is None else color
        draw_counts(ax, shown, edges, **({"color": color} | named | line))
        if cdf:
            draw_parts(ax, counts, edges, color=line.get("color", color))
    units = str(getattr(image, "attrs", {}).get("units", ""))
    ax.set_xlabel(f"value ({units})" if units else "value", color=INK)
    if any(name for name, *_ in found) or "label" in line:
        ax.legend(frameon=False)
    return ax


def _by_mask(
    image: Any, bins: int | None, ends: tuple[float, float] | None, mask: Any, padding: str
) -> Iterator[tuple[str, str | None, Array, Array]]:
    masks = mask if isinstance(mask, Mapping) else {"": mask}
    for name, each in masks.items():
        counts, edges = intensity.histogram(image, bins, ends, mask=each, padding=padding)
        yield str(name), None, counts, edges


def _by_label(
    image: Any, bins: int | None, ends: tuple[float, float] | None, labels: Any, index: Any
) -> Iterator[tuple[str, str | None, Array, Array]]:
    wanted = _labels_of(labels) if index is None else np.atleast_1d(np.asarray(index)).tolist()
    # The bins of all of them: those of all that is labelled.
    _, edges = intensity.histogram(image, bins, ends, mask=labels != 0, padding="include")
    count = len(edges) - 1
    found = ndimage.histogram(image, float(edges[0]), float(edges[-1]), count, labels, wanted)
    for label, counts in zip(wanted, _rows(found, count), strict=True):
        yield f"label {label}", label_color(int(label)), counts, edges


def _labels_of(labels: Any) -> list[int]:
    counts, edges = intensity.histogram(labels, range=(1, 1000), padding="include")
    values = np.ceil(edges[:-1]).astype(np.int64)
    return [int(value) for value, n in zip(values, counts, strict=True) if n]


def _rows(found: Any, bins: int) -> list[Array]:
    if isinstance(found, xr.DataArray):
        # Of time points each has its own: together they are the image's.
        return list(np.asarray(found.values, np.int64).sum(axis=0))
    return [np.zeros(bins, np.int64) if row is None else np.asarray(row, np.int64) for row in found]
