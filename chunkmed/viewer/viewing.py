"""A store shown by neuroglancer: in the patient's millimetres, the right way round, black to white."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from chunkmed import store
from chunkmed.coords import SPACE, grid_of, time_dim_of
from chunkmed.errors import InputError, StoreError
from chunkmed.grid import Grid
from chunkmed.images import open as open_image
from chunkmed.padding import padding_range
from chunkmed.slices.choice import gray_window
from chunkmed.slices.cuts import Cut, read_cuts
from chunkmed.slices.levels import coarsest
from chunkmed.slices.planes import Plane, plane_across
from chunkmed.viewer.orientation import quaternion_of, steps_of, to_patient
from chunkmed.viewer.serving import StoreServer

__all__ = ["Viewing", "view_store"]

#: A view is about so many pixels wide.
_PIXELS = 400
#: Black and white are found from so many slices along each axis, of the coarsest level.
_SLICES = 8
_GRAY = """#uicontrol invlerp black_to_white
void main() { emitGrayscale(black_to_white()); }
"""


@dataclass
class Viewing:
    """A viewer that runs until it is closed."""

    viewer: Any
    """The ``neuroglancer.Viewer``: its state can be changed while it is looked at."""
    server: StoreServer

    @property
    def url(self) -> str:
        """Address to open in a browser on this machine. It holds a secret: whoever knows it may look."""
        return str(self.viewer.get_viewer_url())

    def close(self) -> None:
        """Stop both servers."""
        self.server.close()
        _neuroglancer().stop()

    def __enter__(self) -> Viewing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def view_store(
    path: str | os.PathLike[str],
    labels: Sequence[str] | None = None,
    window: tuple[float, float] | None = None,
) -> Viewing:
    """Serve a store on 127.0.0.1 and let neuroglancer show it.

    Parameters
    ----------
    path : path
        A store that chunkmed wrote.
    labels : sequence of str, optional
        Label images shown over the image; by default all that the store has.
    window : (low, high), optional
        Values from black to white; by default percentiles of some slices, without padding.

    Returns
    -------
    Viewing
        With its ``url``; it runs until it is closed.

    Raises
    ------
    InputError
        ``missing-extra`` without neuroglancer, ``colour-image``.
    StoreError
        As :func:`chunkmed.open`.

    Examples
    --------
    >>> with view_store("ct.zarr", labels=["lungs"]) as viewing:  # doctest: +SKIP
    ...     print(viewing.url)
    """
    neuroglancer, folder = _neuroglancer(), Path(path).resolve()
    if not store.is_store(folder):
        raise StoreError(
            "no such store", kind="no-store", where=str(folder), fix="convert a DICOM series first"
        )
    image = open_image(folder)
    if image.ndim != 4:
        raise InputError(
            "colour images are not shown by neuroglancer", kind="colour-image", fix="use chunkmed plot"
        )
    names = store.label_names(folder) if labels is None else list(labels)
    sources = {name: open_image(folder, label=name) for name in names}
    planes = [plane_across(axis, grid_of(image)) for axis in SPACE]
    low, high = window or _window(image, planes)
    server = StoreServer(folder)
    try:
        neuroglancer.set_server_bind_address("127.0.0.1")
        viewer = neuroglancer.Viewer()
        server.origin = "/".join(viewer.get_viewer_url().split("/")[:3])
        with viewer.txn() as state:
            _fill(state, neuroglancer, server.url, image, sources, (low, high), planes)
    except BaseException:
        server.close()
        raise
    return Viewing(viewer, server)


def _neuroglancer() -> Any:
    try:
        import neuroglancer
    except ImportError as error:
        raise InputError(
            "neuroglancer is not installed",
            kind="missing-extra",
            why=str(error),
            fix='pip install "chunkmed[view]"',
        ) from error
    return neuroglancer


def _window(image: xr.DataArray, planes: Sequence[Plane]) -> tuple[float, float]:
    part = coarsest(image)
    cuts = [
        Cut(plane, index)
        for plane in planes
        for index in dict.fromkeys(np.linspace(0, part.sizes[plane.normal] - 1, _SLICES).astype(int).tolist())
    ]
    return gray_window(read_cuts(part, cuts).values(), padding_range(image.attrs))


def _fill(
    state: Any,
    neuroglancer: Any,
    url: str,
    image: xr.DataArray,
    labels: dict[str, xr.DataArray],
    window: tuple[float, float],
    planes: Sequence[Plane],
) -> None:
    grid = grid_of(image)
    space = _space(neuroglancer, image, grid)
    state.dimensions = space
    low, high = sorted(window)
    state.layers["image"] = neuroglancer.ImageLayer(
        source=_source(neuroglancer, f"{url}/|zarr3:", image, grid, space),
        shader=_GRAY,
        shader_controls={"black_to_white": {"range": [low, high], "window": [low, high]}},
    )
    for name, layer in labels.items():
        source = _source(neuroglancer, f"{url}/labels/{name}/|zarr3:", layer, grid, space)
        state.layers[name] = neuroglancer.SegmentationLayer(source=source, selected_alpha=0.4)
    middle = [positions[len(positions) // 2] for positions in (grid.x_mm, grid.y_mm, grid.z_mm)]
    state.position = [grid.time_ms[0], *grid.to_lps([middle])[0].tolist()]
    state.display_dimensions = ["x", "y", "z"]
    sides = (n * step for n, step in zip(grid.shape[1:], grid.spacing_mm, strict=True))
    state.cross_section_scale = max(sides) / _PIXELS
    panels = [_panel(neuroglancer, ["image", *labels], plane, grid) for plane in _ordered(planes)]
    state.layout = neuroglancer.row_layout(panels)


def _ordered(planes: Sequence[Plane]) -> list[Plane]:
    order = ("axial", "coronal", "sagittal", "")
    return sorted(planes, key=lambda plane: order.index(plane.name))


def _panel(neuroglancer: Any, layers: Sequence[str], plane: Plane, grid: Grid) -> Any:
    orientation = neuroglancer.LinkedOrientationState(link="unlinked", value=quaternion_of(plane, grid))
    return neuroglancer.LayerGroupViewer(
        layers=list(layers), layout="xy", cross_section_orientation=orientation
    )


def _units(image: xr.DataArray, grid: Grid) -> list[str]:
    """Return the units of time and of the three axes."""
    is_time = grid.time_known and time_dim_of(image) == "t"
    return ["ms" if is_time else "", *["mm" if grid.known else ""] * 3]


def _space(neuroglancer: Any, image: xr.DataArray, grid: Grid) -> Any:
    names = [str(time_dim_of(image)), "x", "y", "z"]
    return neuroglancer.CoordinateSpace(names=names, units=_units(image, grid), scales=[1, 1, 1, 1])


def _source(neuroglancer: Any, url: str, image: xr.DataArray, grid: Grid, space: Any) -> Any:
    inputs = neuroglancer.CoordinateSpace(
        names=[str(dim) for dim in image.dims], units=_units(image, grid), scales=steps_of(grid)
    )
    transform = neuroglancer.CoordinateSpaceTransform(
        input_dimensions=inputs, output_dimensions=space, matrix=to_patient(grid)
    )
    return neuroglancer.LayerDataSource(url=url, transform=transform)
