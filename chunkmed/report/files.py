"""Pictures as files: for programs that draw and do not show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from chunkmed.report.figures import save_figure

__all__ = ["draw_picture"]


def draw_picture(image: xr.DataArray, path: Path | str, kind: str, *, dpi: int = 100, **given: Any) -> Path:
    """Write a picture of :func:`chunkmed.report.plot.views` or ``montage``: no window is opened.

    Parameters
    ----------
    image : DataArray
        As there.
    path : Path or str
        The file, written whole or not at all; its ending says the format.
    kind : {"views", "montage"}
        Which of them.
    dpi : int
        Dots per inch: together with the size of the figure they say which level is read.
    **given
        As there.

    Returns
    -------
    Path
        The file.
    """
    import matplotlib.pyplot as plt

    from chunkmed.report import plot

    plt.switch_backend("Agg")
    with plt.rc_context({"figure.dpi": dpi}):
        draw: dict[str, Any] = {"views": plot.views, "montage": plot.montage}
        figure = draw[kind](image, **given)
    try:
        return save_figure(figure, path, dpi)
    finally:
        plt.close(figure)
