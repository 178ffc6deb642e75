"""OME-Zarr metadata that others wrote, 0.1 to 0.5 -> axes, steps and positions. No I/O.

Source: the OME-Zarr specification, versions 0.1 to 0.5; RFC-4 for the anatomical orientation of axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import InputError, StoreError
from chunkmed.grid import IDENTITY, Matrix

__all__ = ["Multiscale", "multiscale"]

_USUAL = ("t", "c", "z", "y", "x")
_SPACE = ("z", "y", "x")
_MM = {
    "angstrom": 1e-7, "nanometer": 1e-6, "micrometer": 1e-3, "micron": 1e-3, "millimeter": 1.0,
    "centimeter": 10.0, "decimeter": 100.0, "meter": 1000.0, "inch": 25.4, "foot": 304.8,
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1000.0,
}  # fmt: skip
_MS = {
    "nanosecond": 1e-6, "microsecond": 1e-3, "millisecond": 1.0, "second": 1000.0, "minute": 60e3,
    "hour": 3600e3, "ms": 1.0, "s": 1000.0,
}  # fmt: skip
#: Where an axis runs to: the row of L, P, S, and whether forward.
_TOWARD = {
    "right-to-left": (0, 1.0), "left-to-right": (0, -1.0), "anterior-to-posterior": (1, 1.0),
    "posterior-to-anterior": (1, -1.0), "inferior-to-superior": (2, 1.0), "superior-to-inferior": (2, -1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Multiscale:
    """One level of an image, as its metadata describe it."""

    path: str
    """Of the array, below the group."""
    axes: tuple[dict[str, Any], ...]
    scale: tuple[float, ...] | None
    """One step per axis, in its own unit; None where no step is given."""
    translation: tuple[float, ...]
    channels: dict[str, int]

    @property
    def dims(self) -> tuple[str, ...]:
        """Our name of each axis."""
        return tuple(axis["name"] for axis in self.axes)

    @property
    def spacing_mm(self) -> dict[str, float] | None:
        """Steps of z, y, x; None where metadata give no lengths."""
        found = self._lengths(self.scale)
        return found if found is not None and {"y", "x"} <= set(found) else None

    @property
    def origin_mm(self) -> dict[str, float] | None:
        """Positions of the first voxel."""
        found = self._lengths(self.translation)
        return found if self.spacing_mm is not None else None

    def _lengths(self, values: Sequence[float] | None) -> dict[str, float] | None:
        space = [(i, axis) for i, axis in enumerate(self.axes) if axis["name"] in _SPACE]
        if values is None or any(axis.get("unit") not in _MM for _, axis in space):
            return None
        return {axis["name"]: values[i] * _MM[axis["unit"]] for i, axis in space}

    def times_ms(self, shape: Sequence[int]) -> Any:
        """Return the time of each point; None where there is no unit of time."""
        at = self.dims.index("t") if "t" in self.dims else None
        if at is None or self.scale is None or (unit := _MS.get(str(self.axes[at].get("unit")))) is None:
            return None
        return (self.translation[at] + self.scale[at] * np.arange(shape[at])) * unit

    @property
    def direction(self) -> Matrix:
        """Columns: LPS step per mm along x, y, z, where the axes say where they run to."""
        named = {axis["name"]: (axis.get("orientation") or {}).get("value") for axis in self.axes}
        runs = [_TOWARD.get(str(named.get(name))) for name in ("x", "y", "z")]
        if any(run is None for run in runs) or len({run[0] for run in runs if run}) < 3:
            return IDENTITY
        columns = np.zeros((3, 3))
        for column, run in enumerate(runs):
            if run is not None:
                columns[run[0], column] = run[1]
        a, b, c = ((float(u), float(v), float(w)) for u, v, w in columns)
        return a, b, c


def multiscale(
    attributes: Mapping[str, Any], where: str, level: int, *, inside: Sequence[str] = ()
) -> Multiscale:
    """Return what the attributes of a group say of one of its levels.

    Parameters
    ----------
    attributes : mapping
        Of the group.
    where : str
        What errors name.
    level : int
        0 is the finest, -1 the coarsest.
    inside : sequence of str
        What the group holds, for the error where it is no image.
    """
    about = attributes.get("ome", attributes)
    try:
        image = about["multiscales"][0]
        datasets = image["datasets"]
        axes = _axes(image, where)
        if not -len(datasets) <= level < len(datasets):
            raise InputError(
                f"there is no level {level}",
                kind="no-level",
                where=where,
                fix=f"it has the levels 0 to {len(datasets) - 1}",
            )
        chosen = datasets[level]
        steps = [*chosen.get("coordinateTransformations", ()), *image.get("coordinateTransformations", ())]
        scale, translation = _composed(steps, len(axes), where)
        return Multiscale(str(chosen["path"]), axes, scale, translation, _channels(about))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _no_image(where, inside, error) from error


def _no_image(where: str, inside: Sequence[str], error: Exception) -> StoreError:
    holds = f"it holds {', '.join(inside)}" if inside else "it holds no arrays"
    return StoreError(
        "this zarr group is no OME-Zarr image",
        kind="not-an-image",
        where=where,
        why=f"its attributes describe no multiscales ({type(error).__name__}: {error}); {holds}",
        fix="open one of its arrays, with spacing_mm=" if inside else "check the path",
    )


def _axes(image: Mapping[str, Any], where: str) -> tuple[dict[str, Any], ...]:
    out = []
    for axis in image.get("axes") or _USUAL:
        entry = {"name": axis} if isinstance(axis, str) else dict(axis)
        kind = entry.get("type")
        name = {"time": "t", "channel": "c"}.get(str(kind), str(entry["name"]).lower())
        out.append(entry | {"name": name})
    names = [axis["name"] for axis in out]
    if len(set(names)) < len(names) or not {"y", "x"} <= set(names) <= set(_USUAL):
        raise StoreError(
            f"the axes {', '.join(names)} are no image",
            kind="bad-metadata",
            where=where,
            why="y and x are needed; t, z and c may be there, each once",
        )
    return tuple(out)


def _composed(
    transformations: Sequence[Mapping[str, Any]], count: int, where: str
) -> tuple[tuple[float, ...] | None, tuple[float, ...]]:
    """Return scale and translation of transformations that follow each other."""
    scale, translation, scaled = np.ones(count), np.zeros(count), False
    for each in transformations:
        kind = each["type"]
        if kind == "identity":
            continue
        values = _vector(each.get(kind)) if kind in ("scale", "translation") else None
        if values is None or values.shape != (count,) or not np.all(np.isfinite(values)):
            raise _bad_transformation(where, f"a transformation of type {kind!r}: {each.get(kind)}")
        if kind == "scale":
            if values.min() <= 0:
                raise _bad_transformation(where, f"scale {values.tolist()}")
            scale, translation, scaled = scale * values, translation * values, True
        else:
            translation = translation + values
    return (tuple(scale.tolist()) if scaled else None), tuple(translation.tolist())


def _vector(given: Any) -> npt.NDArray[np.float64] | None:
    try:
        return np.asarray(given, np.float64)
    except (TypeError, ValueError):
        return None


def _bad_transformation(where: str, why: str) -> StoreError:
    return StoreError(
        "the metadata do not say where voxels lie",
        kind="bad-metadata",
        where=where,
        why=why,
        fix="open the array itself, with spacing_mm=",
    )


def _channels(about: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of each channel that has a name of its own."""
    listed = (about.get("omero") or {}).get("channels") or []
    names = [str(each.get("label", "")) if isinstance(each, Mapping) else "" for each in listed]
    return {name: i for i, name in enumerate(names) if name and names.count(name) == 1}
