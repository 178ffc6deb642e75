"""A store as an image: lazy, with coordinates."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from chunkmed import store
from chunkmed.coords import CHANNEL
from chunkmed.graph.nodes import Source
from chunkmed.graph.views import view
from chunkmed.label_names import ATTRIBUTE, named

__all__ = ["open_store"]


def open_store(path: Path, label: str | None = None, level: int = 0) -> xr.DataArray:
    """Open the image of a store, or one of its label images, at one of its levels."""
    found = store.open_image(path, label, level)
    data = view(Source(found.array))
    image = xr.DataArray(data, dims=found.dims, coords=found.coords, name=label or "image")
    image.attrs.update(found.attributes)
    if label is not None:
        image = named(image, image.attrs.pop(ATTRIBUTE, None))
    # OME-Zarr has channels before space; images have them last, as every colour image in Python.
    return image.transpose(..., CHANNEL) if CHANNEL in image.dims else image
