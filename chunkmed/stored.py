"""A store as an image: lazy, with coordinates."""

from __future__ import annotations

import xarray as xr

from chunkmed import store
from chunkmed.coords import CHANNEL
from chunkmed.graph.nodes import Source
from chunkmed.graph.views import view
from chunkmed.label_names import ATTRIBUTE, LABELS, named

__all__ = ["open_levels", "open_store"]


def open_store(path: store.Place, label: str | None = None, level: int = 0) -> xr.DataArray:
    """Open the image of a store, or one of its label images, at one of its levels."""
    return _image(store.open_image(path, label, level), label)


def open_levels(array: store.StoredArray) -> list[tuple[xr.DataArray, store.StoredArray]]:
    """Return the levels of the image that an array is a level of, from its own to the coarsest.

    Empty for an array that is no level of an image, or of one that was replaced meanwhile.
    """
    place = store.place_of(array)
    if place is None:
        return []
    path, label, own = place
    first = store.open_image(path, label, own)
    found = [first, *(store.open_image(path, label, level) for level in range(own + 1, first.levels))]
    same = all(each.array.commit == array.commit for each in found)
    return [(_image(each, label), each.array) for each in found] if same else []


def _image(found: store.StoredImage, label: str | None) -> xr.DataArray:
    data = view(Source(found.array))
    # Labels are told by this name: none of them is ever interpolated.
    name = LABELS if label is not None or found.name == LABELS else "image"
    image = xr.DataArray(data, dims=found.dims, coords=found.coords, name=name)
    image.attrs.update(found.attributes)
    if label is not None:
        image = named(image, image.attrs.pop(ATTRIBUTE, None))
    # OME-Zarr has channels before space; images have them last, as every colour image in Python.
    return image.transpose(..., CHANNEL) if CHANNEL in image.dims else image
