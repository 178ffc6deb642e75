"""Windows of CT values for looking: by centre and width, or by the name of what is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from chunkmed.errors import InputError
from chunkmed.intensity.chosen import named
from chunkmed.intensity.scales import mapped, rescale
from chunkmed.names import nearest

__all__ = ["WINDOWS", "window", "window_of"]

#: Centre and width in Hounsfield units. Source: A. Murphy, Y. Baba et al., "Windowing (CT)",
#: Radiopaedia.org, rID 52108; where it gives a range, its middle.
WINDOWS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "brain": (40.0, 80.0),
        "subdural": (75.0, 215.0),
        "stroke": (40.0, 40.0),
        "stroke-narrow": (32.0, 8.0),
        "temporal-bone": (600.0, 2800.0),
        "head-soft-tissue": (40.0, 375.0),
        "lung": (-600.0, 1500.0),
        "mediastinum": (50.0, 350.0),
        "abdomen": (50.0, 400.0),
        "soft-tissue": (50.0, 400.0),
        "liver": (30.0, 150.0),
        "spine": (50.0, 250.0),
        "bone": (400.0, 1800.0),
    }
)
_FUNCTIONS = ("LINEAR_EXACT", "LINEAR", "SIGMOID")


def window(
    image: Any,
    preset: str | None = None,
    *,
    center: float | None = None,
    width: float | None = None,
    out_range: tuple[float, float] = (0.0, 1.0),
    function: str = "LINEAR_EXACT",
    dtype: Any = "float32",
) -> Any:
    """Return the image as it looks through a window: values outside become black or white.

    Source: DICOM PS3.3 C.11.2.1.2 (window center and width) and C.11.2.1.3 (VOI LUT function).

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any dims.
    preset : str, optional
        Name of one of :data:`WINDOWS`, for CT in Hounsfield units.
    center, width : float, optional
        The window instead, in the image's own units.
    out_range : pair of numbers, optional
        What black and white become, like ``(0, 255)``.
    function : {"LINEAR_EXACT", "LINEAR", "SIGMOID"}, optional
        DICOM's functions: from centre - width/2 to centre + width/2; the same half a value lower and one
        value narrower, for integers; an S.
    dtype : dtype, optional
        Of the result. It is computed in float64; integers are rounded to the nearest.

    Returns
    -------
    same type as image
        Lazy where the image is. Padding is no longer marked.

    Raises
    ------
    InputError
        ``bad-window`` for unknown names and windows without width, ``other-modality`` for presets of CT
        on other images.

    Examples
    --------
    >>> window(np.array([-150, 50, 9000]), "abdomen").tolist()
    [0.0, 0.5, 1.0]
    >>> window(np.array([-150, 51, 250]), center=50, width=400, out_range=(0, 255), dtype="uint8").tolist()
    [0, 128, 255]
    """
    middle, span = window_of(named(image).attrs, preset, center, width)
    name = function.upper().replace("-", "_")
    if name not in _FUNCTIONS:
        raise InputError(f"function = {function!r}", kind="bad-window", fix=f"choose of {_FUNCTIONS}")
    if not span > 0 or (name == "LINEAR" and span < 1):
        raise InputError(f"width = {span}", kind="bad-window", fix="give a positive width, 1 for LINEAR")
    if name == "SIGMOID":
        source, (first, last) = named(image), out_range
        return mapped(
            lambda values: (last - first) / (1.0 + _exp((values - middle) * (-4.0 / span))) + first,
            source,
            dtype,
            image,
        )
    if name == "LINEAR":
        middle, span = middle - 0.5, span - 1.0
        if not span:
            # A window of one value: below is black, above white.
            first, last = out_range
            return mapped(
                lambda values: (values > middle) * (last - first) + first, named(image), dtype, image
            )
    return rescale(image, out_range, (middle - span / 2, middle + span / 2), dtype=dtype)


def _exp(values: Any) -> Any:
    # Of a DataArray it is a lazy DataArray.
    return np.exp(values)


def window_of(
    attrs: Mapping[Any, Any], preset: str | None, center: float | None, width: float | None
) -> tuple[float, float]:
    """Return centre and width of a window given by name or by numbers; ``attrs`` are the image's."""
    if preset is None:
        if center is None or width is None:
            raise InputError(
                "a window needs centre and width", kind="bad-window", fix='give both, or a name like "lung"'
            )
        return float(center), float(width)
    if center is not None or width is not None:
        raise InputError("a window by name and by numbers", kind="bad-window", fix="give one of them")
    name = str(preset).lower().replace(" ", "-").replace("_", "-")
    found = WINDOWS.get(name)
    if found is None:
        raise InputError(f"no window {preset!r}", kind="bad-window", fix=nearest(name, WINDOWS))
    if attrs.get("modality", "CT") != "CT":
        raise InputError(
            f"windows by name are for CT, this image is {attrs['modality']}",
            kind="other-modality",
            fix="give center= and width=",
        )
    return found
