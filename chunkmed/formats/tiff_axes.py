"""Which axis of a TIFF is which, and how large its voxels are, as far as ImageJ or OME wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chunkmed.errors import InputError, SourceError
from chunkmed.formats.placing import Placing
from chunkmed.units import length_mm

__all__ = ["axes_of", "placing_of"]

#: tifffile's letters; I and Q are pages of which nothing is known.
_NAMES = {"T": "t", "Z": "z", "C": "c", "S": "c", "Y": "y", "X": "x", "I": "z", "Q": "z"}
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>")
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_UNITS = {"micron": "um", "microns": "um", "\\u00B5m": "um", "inch": "in", "millimeter": "mm"}
_MS = {"s": 1000.0, "ms": 1.0, "min": 60e3, "h": 3600e3, "µs": 1e-3}


def axes_of(
    letters: str, shape: tuple[int, ...], files: int, where: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return name and size of each axis of all files together: a file is a slice, or a time point.

    Examples
    --------
    >>> axes_of("YX", (4, 5), 3, "a.tif"), axes_of("ZYX", (3, 4, 5), 2, "a.tif")
    ((('z', 'y', 'x'), (3, 4, 5)), (('t', 'z', 'y', 'x'), (2, 3, 4, 5)))
    """
    names = tuple(_NAMES.get(letter, letter) for letter in letters)
    if len(set(names)) < len(names) or not set(names) <= set("tzcyx") or "y" not in names:
        raise _no_image(letters, shape, where)
    planes = names.index("y")
    # What numbers planes comes first; y, x and the samples of a colour make a plane.
    if names[planes : planes + 2] != ("y", "x") or names[planes + 2 :] not in ((), ("c",)):
        raise _no_image(letters, shape, where)
    if files == 1:
        return names, shape
    more = "z" if "z" not in names else "t"
    if more in names:
        raise _no_image(letters, shape, where)
    return (more, *names), (files, *shape)


def _no_image(letters: str, shape: tuple[int, ...], where: str) -> SourceError:
    return SourceError(
        f"the axes {letters} of a TIFF file are no image",
        kind="bad-shape",
        where=where,
        why=f"its shape is {shape}; planes of time points, slices and channels are read",
    )


def placing_of(file: Any) -> Placing:
    """Return steps that OME or ImageJ wrote; the dots per inch of other files say nothing of voxels."""
    if file.is_ome:
        return _of_ome(str(file.ome_metadata or ""))
    if file.is_imagej:
        return _of_imagej(file.imagej_metadata or {}, file.pages[0])
    return Placing()


def _of_ome(text: str) -> Placing:
    found = _PIXELS.search(text)
    about = dict(_ATTRIBUTE.findall(found[1])) if found else {}
    steps = {axis: _step(about, axis) for axis in ("z", "y", "x")}
    spacing = {axis: step for axis, step in steps.items() if step is not None}
    complete = {"y", "x"} <= set(spacing) and ("z" in spacing or about.get("SizeZ", "1") == "1")
    return Placing(spacing if complete else None, time_ms=_time_step(about))


def _step(about: Mapping[str, str], axis: str) -> float | None:
    size, unit = about.get(f"PhysicalSize{axis.upper()}"), about.get(f"PhysicalSize{axis.upper()}Unit", "µm")
    return None if size is None else _length(size, unit)


def _length(size: Any, unit: str) -> float | None:
    try:
        return length_mm(f"{float(size)!r} {_UNITS.get(unit, unit)}")
    except (InputError, ValueError):
        # In a frame of its own, in pixels, or in a unit that is none of length.
        return None


def _time_step(about: Mapping[str, str]) -> float | None:
    unit = _MS.get(about.get("TimeIncrementUnit", "s"))
    try:
        step = float(about["TimeIncrement"]) * (unit or 0.0)
    except (KeyError, ValueError):
        return None
    return step if step > 0 else None


def _of_imagej(about: Mapping[str, Any], page: Any) -> Placing:
    unit = str(about.get("unit", ""))
    spacing = {
        axis: _per_pixel(page, name, unit) for axis, name in (("y", "YResolution"), ("x", "XResolution"))
    }
    if "slices" in about or "spacing" in about:
        spacing["z"] = _length(about.get("spacing", 1.0), unit)
    seconds = about.get("finterval")
    time_ms = float(seconds) * 1000 if isinstance(seconds, int | float) and seconds > 0 else None
    return Placing(None if None in spacing.values() else spacing, time_ms=time_ms)


def _per_pixel(page: Any, name: str, unit: str) -> float | None:
    tag = page.tags.get(name)
    if tag is None or not tag.value[0] or not tag.value[1]:
        return None
    return _length(tag.value[1] / tag.value[0], unit)
