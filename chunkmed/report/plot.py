"""Pictures of images of any size, as ``cm.plot``: only the slices that are shown are read.

Slices are drawn as radiologists look at them, whatever the acquisition: the patient's right on the left
of the page, the head or the front at the top, to scale. Of a stored image the coarsest level is read that
has a voxel for each pixel of the figure; of any other, what the slices need. Colours, windows and axes
are matplotlib's: ``ax=`` draws into axes, ``figure=`` into a figure, else pyplot makes a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage

from chunkmed.cardiac import curve as curve_of
from chunkmed.cardiac import summary
from chunkmed.coords import SPACE, time_dim_of
from chunkmed.errors import InputError
from chunkmed.report.arguments import (
    center_of_views,
    image_of,
    look_of,
    many_cuts,
    montage_axis,
    plane_of,
    scene_of,
    times_of,
)
from chunkmed.report.charts import draw_beat, draw_line
from chunkmed.report.counts import histogram
from chunkmed.report.drawing import draw_letters, draw_lines, label_color
from chunkmed.report.figures import (
    SMALL,
    caption,
    finish,
    inches,
    moment,
    new_axes,
    new_figure,
    size_of,
    write_title,
)
from chunkmed.report.keywords import check_keywords
from chunkmed.report.layout import below, figure_size, grid_of_panels, grid_shape, row_of_panels
from chunkmed.report.scene import planes_of
from chunkmed.slices.cuts import Cut
from chunkmed.slices.page import positions_of

__all__ = ["contours", "curve", "histogram", "imshow", "montage", "overlay", "views"]

_IN_ML = ("volume_ml", "volume_mm3", "area_mm2", "volume_vox", "area_px")


def imshow(
    image: Any,
    *,
    at: Any = None,
    axis: str | None = None,
    t: int | Sequence[int] = 0,
    overlay: Any = None,
    contours: Any = None,
    points: Any = None,
    window: Any = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: Any = None,
    alpha: float = 0.5,
    overlay_cmap: Any = None,
    letters: bool = True,
    ax: Axes | None = None,
    **more: Any,
) -> Axes:
    """Draw one slice, to scale and the right way round.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any of the dims t, z, y, x; channels ``c`` last. The last axes of plain arrays are z, y, x.
    at : mapping or label image, optional
        Where: ``dict(z=40.0)`` in mm, ``dict(voxel=(z, y, x))``, ``dict(lps=(x, y, z))``; of a label image
        the middle of what is labelled. By default the middle of the image.
    axis : {"z", "y", "x"}, optional
        Across which axis; by default z, or the one that ``at`` gives.
    t : int or sequence of int
        Index of the time point. Of several the image shows the first, contours all of them.
    overlay : image, optional
        Drawn over the slice with ``alpha``: labels and masks in a colour per label, other values in
        ``overlay_cmap``. Where it is 0 or NaN it is clear.
    contours : label image, optional
        Outlined in a colour per label; at the second time point dashed.
    points : mapping, sequence of mapping, or xarray.DataArray, optional
        As in ``at``; or a table's ``center_of_mass_mm``. Filled in the slice they lie in, hollow beside it.
    window : str or (center, width), optional
        Name of a window of CT (``chunkmed.intensity.WINDOWS``) or its numbers.
    vmin, vmax : float, optional
        The values drawn black and white instead. By default percentiles of what is shown, without padding.
    cmap : optional
        As in matplotlib; gray by default.
    alpha : float, optional
        Of the overlay.
    overlay_cmap : optional
        Of the overlay; by default a colour per label, and ``"hot"`` for other values.
    letters : bool, optional
        Whether the edges carry R L, A P, H F.
    ax : matplotlib.axes.Axes, optional
        Drawn into; by default of a new figure.
    **more
        For :meth:`matplotlib.axes.Axes.imshow`.

    Returns
    -------
    matplotlib.axes.Axes
        In mm: the coordinates of the two axes of the slice (voxels where the image has none).
        ``ax.images[0]`` is the image, ``ax.images[-1]`` the overlay: ``plt.colorbar(ax.images[-1])``.

    Raises
    ------
    InputError
        ``bad-dims``, ``bad-axis``, ``bad-point``, ``point-outside``, ``no-time-point``, ``bad-window``,
        ``other-modality``, ``other-grid``, ``shape-mismatch``, ``not-labels``.

    Examples
    --------
    >>> import numpy as np
    >>> ax = imshow(np.arange(12).reshape(3, 4), vmin=0, vmax=11)
    >>> ax.images[0].get_clim(), bool(ax.yaxis_inverted())
    ((0.0, 11.0), True)
    """
    check_keywords(imshow, more, Axes.imshow, AxesImage)
    image = image_of(image)
    times = times_of(image, t)
    scene = scene_of(image, times, overlay, contours, points)
    center = center_of_views(image, at, times[0])
    plane = plane_of(image, axis, at)
    ax = new_axes(image, plane) if ax is None else ax
    look = look_of(
        image,
        SMALL + 2,
        window=window,
        vmin=vmin,
        vmax=vmax,
        cmap=cmap,
        alpha=alpha,
        overlay_cmap=overlay_cmap,
        letters=letters,
        **more,
    )
    cut = Cut(plane, center[plane.normal], times[0])
    scene.draw([(ax, cut)], look)
    return ax


def overlay(image: Any, layer: Any, *, cmap: Any = None, alpha: float = 0.5, **more: Any) -> Axes:
    """Draw a slice with labels, a mask or a map over it; 0 and NaN of the layer are clear.

    Parameters
    ----------
    image, layer : image
        On one grid.
    cmap : optional
        Of the layer; by default a colour per label, and ``"hot"`` for other values.
    alpha : float, optional
        Of the layer.
    **more
        As in :func:`imshow`; ``image_cmap`` is the colour map of the image.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 1], [2, 2]])
    >>> len(overlay(labels * 10, labels).images)
    2
    """
    return imshow(
        image, overlay=layer, overlay_cmap=cmap, alpha=alpha, cmap=more.pop("image_cmap", None), **more
    )


def contours(image: Any, labels: Any, *, curve: xr.DataArray | xr.Dataset | None = None, **more: Any) -> Axes:
    """Draw a slice with the outline of each label.

    Parameters
    ----------
    image, labels : image
        On one grid.
    curve : DataArray (t) or Dataset (t), optional
        Volume over time: the image is then shown at end-diastole, outlined solid, with end-systole dashed.
    **more
        As in :func:`imshow`; ``t`` gives time points of your own instead.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((8, 8), int)
    >>> labels[2:5, 3:6] = 1
    >>> len(contours(labels * 10, labels).collections)
    1
    """
    if curve is not None:
        more["t"] = _beat(curve)
    return imshow(image, contours=labels, **more)


def views(
    image: Any,
    *,
    at: Any = None,
    t: int | Sequence[int] = 0,
    overlay: Any = None,
    contours: Any = None,
    points: Any = None,
    lines: bool = True,
    title: str = "",
    figure: Figure | SubFigure | None = None,
    **look: Any,
) -> Figure | SubFigure:
    """Draw the axial, coronal and sagittal slice through a point, to one scale.

    Parameters
    ----------
    image, at, t, overlay, contours, points, **look
        As in :func:`imshow`; without ``at`` the views cross at the first of ``points``, or in the middle.
    lines : bool, optional
        Whether each view shows where the others cross it.
    title : str, optional
        Above the views.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Drawn into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        One axes per view, each with a bar of round length.

    Examples
    --------
    >>> import numpy as np
    >>> figure = views(np.zeros((4, 6, 8)))
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['z = 2', 'y = 3', 'x = 4']
    """
    check_keywords(views, look, Axes.imshow, AxesImage, look_of)
    image = image_of(image)
    times = times_of(image, t)
    scene = scene_of(image, times, overlay, contours, points)
    if at is None and scene.marks:
        center = {axis: scene.marks[0].index[axis] for axis in SPACE}
    else:
        center = center_of_views(image, at, times[0])
    planes = planes_of(image)
    sizes = [size_of(image, plane) for plane in planes]
    figure = new_figure(figure_size(sizes)) if figure is None else figure
    rects = below(row_of_panels(sizes, inches(figure)), inches(figure), title)
    cuts = [Cut(plane, center[plane.normal], times[0]) for plane in planes]
    panels = [(figure.add_axes(rect), cut) for rect, cut in zip(rects, cuts, strict=True)]
    scene.draw(panels, look_of(image, SMALL + 2, **look))
    at_mm = {axis: float(positions_of(image, axis)[0][center[axis]]) for axis in SPACE}
    for ax, cut in panels:
        write_title(ax, caption(image, cut))
        if lines and len(panels) > 1:
            draw_lines(ax, cut.plane, at_mm)
    widest = max(zip(sizes, panels, strict=True), key=lambda each: min(each[0]))[1][0]
    finish(figure, image, widest, title)
    return figure


def montage(
    image: Any,
    *,
    axis: str | None = None,
    n: int | None = None,
    every: int | None = None,
    at: Any = None,
    columns: int | None = None,
    t: int | Sequence[int] = 0,
    overlay: Any = None,
    contours: Any = None,
    points: Any = None,
    title: str = "",
    figure: Figure | SubFigure | None = None,
    **look: Any,
) -> Figure | SubFigure:
    """Draw many slices side by side, in the order of their positions.

    Parameters
    ----------
    image : image
        As in :func:`imshow`.
    axis : str, optional
        Across which axis, or the time dim: one slice at many time points. By default z; of a single slice
        the time dim.
    n : int, optional
        How many, evenly from the whole range; 12 by default.
    every : int, optional
        Every so many slices from the first instead: ``every=40``.
    at : optional
        Which slice is shown over time, as in :func:`imshow`.
    columns : int, optional
        Panels in a row.
    t, overlay, contours, points, **look
        As in :func:`imshow`. All slices have one window.
    title : str, optional
        Above the slices.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Drawn into; a new one by default.

    Returns
    -------
    matplotlib.figure.Figure
        One axes per slice.

    Examples
    --------
    >>> import numpy as np
    >>> figure = montage(np.zeros((160, 8, 8)), every=40)
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['z = 0', 'z = 40', 'z = 80', 'z = 120']
    """
    check_keywords(montage, look, Axes.imshow, AxesImage, look_of)
    image = image_of(image)
    times = times_of(image, t)
    scene = scene_of(image, times, overlay, contours, points)
    axis = montage_axis(image, axis)
    cuts = many_cuts(image, axis, n, every, at, times[0])
    size = size_of(image, cuts[0].plane)
    columns, rows = grid_shape(len(cuts), size, columns)
    figure = new_figure(figure_size([size] * columns, rows)) if figure is None else figure
    rects = below(grid_of_panels(len(cuts), columns, inches(figure)), inches(figure), title)
    panels = [(figure.add_axes(rect), cut) for rect, cut in zip(rects, cuts, strict=True)]
    # Letters on the first say it of all.
    letters = bool(look.pop("letters", True))
    scene.draw(panels, look_of(image, SMALL, letters=False, **look))
    over_time = axis == time_dim_of(image)
    for ax, cut in panels:
        write_title(ax, moment(image, cut.t) if over_time else caption(image, cut))
    if letters:
        draw_letters(panels[0][0], cuts[0].plane, SMALL)
    finish(figure, image, panels[0][0], title)
    return figure


def curve(curve: xr.DataArray | xr.Dataset, *, ax: Axes | None = None, **line: Any) -> Axes:
    """Draw a quantity over time; of a volume also end-diastole, end-systole and the ejection fraction.

    Parameters
    ----------
    curve : DataArray (t) or (t, label), or Dataset
        As :func:`chunkmed.cardiac.curve` gives it, any measure over time, or a table with sizes of one
        object. Of several labels each has a line.
    ax : matplotlib.axes.Axes, optional
        Drawn into; by default of a new figure.
    **line
        For :meth:`matplotlib.axes.Axes.plot`, of lines that are no volume.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> time_ms = ("t", [0.0, 100.0, 200.0], {"units": "ms"})
    >>> volume = xr.DataArray([120.0, 48.0, 90.0], {"t": time_ms}, ["t"], name="volume_ml")
    >>> curve(volume).get_title(loc="left")
    'EF 60.0 %'
    """
    found = curve_of(curve) if isinstance(curve, xr.Dataset) else curve
    found = found.squeeze(drop=True) if found.ndim > 1 else found
    if not isinstance(found, xr.DataArray) or found.ndim not in (1, 2) or found.size == 0:
        raise InputError("a curve has one number per time point", kind="not-a-curve", fix="choose a measure")
    ax = new_figure((7.5, 4.5)).add_axes((0.12, 0.15, 0.85, 0.72)) if ax is None else ax
    if found.ndim == 2:
        other = next(dim for dim in found.dims if dim != _time_of(found))
        for number in range(found.sizes[other]):
            one = found.isel({other: number})
            label = int(one.coords[other]) if other in one.coords else number + 1
            draw_line(ax, one, **({"color": label_color(label), "label": f"{other} {label}"} | line))
        ax.legend(frameon=False)
    elif str(found.name) in _IN_ML and float(found.max()) > 0 and not line:
        draw_beat(ax, found)
    else:
        draw_line(ax, found, **line)
    return ax


def _time_of(curve: xr.DataArray) -> str:
    return "t" if "t" in curve.dims else next(str(dim) for dim in curve.dims if dim != "label")


def _beat(curve: xr.DataArray | xr.Dataset) -> list[int]:
    beat = summary(curve)
    return [int(beat.ed_index), int(beat.es_index)]
