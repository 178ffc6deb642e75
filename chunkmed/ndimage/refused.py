"""Functions of scipy.ndimage that have no exact form on images in blocks: refused, and this is the list.

Five at most. NumPy arrays go to scipy as everywhere.
"""

from __future__ import annotations

from typing import Any, NoReturn

import scipy.ndimage

from chunkmed.errors import InputError
from chunkmed.graph.lift import is_lazy

__all__ = ["REFUSED", "watershed_ift"]

#: Why, and what to do, by name.
REFUSED: dict[str, tuple[str, str]] = {
    "watershed_ift": (
        "who gets a voxel that two markers reach at one cost depends on the order in which the whole image "
        "was flooded before",
        "compute one time point or a crop that fits memory, scipy.ndimage.watershed_ift(image.values, "
        "markers.values); or label a smoothed mask, and let markers spread with binary_propagation",
    ),
}


def watershed_ift(
    input: Any,  # noqa: A002
    markers: Any,
    structure: Any = None,
    output: Any = None,
) -> Any:
    """Flood an image from markers, as :func:`scipy.ndimage.watershed_ift`: NumPy arrays only.

    Raises
    ------
    InputError
        For an xarray.DataArray or a dask array: there is no exact form in blocks.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.zeros((4, 4), dtype=np.uint8)
    >>> try:
    ...     ndi.watershed_ift(image, np.eye(4, dtype=int))
    ... except ValueError as error:
    ...     print(error.kind)
    refused
    """
    if is_lazy(input) or is_lazy(markers):
        _refuse("watershed_ift")
    return scipy.ndimage.watershed_ift(input, markers, structure, output)


def _refuse(name: str) -> NoReturn:
    why, fix = REFUSED[name]
    raise InputError(f"{name} has no exact form on images in blocks", kind="refused", why=why, fix=fix)
