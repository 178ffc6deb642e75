"""Which components of a mask, or which labels, are kept: chosen by tables, never by reading twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import scipy.ndimage
import xarray as xr

from chunkmed.coords import SPACE, canonical
from chunkmed.errors import InputError
from chunkmed.graph.components import Components, Rim, find_components
from chunkmed.graph.lift import Lifted, lift
from chunkmed.graph.lookup import Remap
from chunkmed.graph.nodes import Array
from chunkmed.graph.reduce import Axes, label_statistics
from chunkmed.kernels.moments import Moments
from chunkmed.label_names import LABELS
from chunkmed.ndimage.labels import embedded

__all__ = ["chosen_components", "chosen_labels", "connecting", "space_axes_of"]


def connecting(image: Lifted, along: Sequence[int], connectivity: int) -> Array:
    """Return the structure over all axes of an image that connects over faces (1), edges, corners (3)."""
    if connectivity not in (1, 2, 3):
        raise InputError(
            f"connectivity = {connectivity}",
            kind="bad-connectivity",
            fix="give 1 (faces), 2 (edges too) or 3 (corners too)",
        )
    small = scipy.ndimage.generate_binary_structure(len(along), min(connectivity, len(along)))
    return embedded(small, along, len(image.node.shape))


def space_axes_of(image: xr.DataArray, axes: Sequence[str] | None) -> list[str]:
    """Return the axes z, y, x that were asked for; those longer than one voxel by default."""
    present = [str(dim) for dim in image.dims if dim in SPACE]
    if axes is None:
        return [axis for axis in present if image.sizes[axis] > 1] or present
    if unknown := [axis for axis in axes if axis not in present]:
        raise InputError(f"there is no axis {unknown[0]!r}", kind="bad-axis", why=f"dims are {image.dims}")
    return list(axes)


def chosen_components(
    image: xr.DataArray,
    values: Callable[[Components, int | None], Array],
    what: str,
    *,
    connectivity: int,
    rim: Rim | None = None,
) -> xr.DataArray:
    """Return a mask's components under the values that a function of all of them gives.

    Parameters
    ----------
    image : xarray.DataArray
        A mask, dims in canonical order.
    values : callable
        Takes the components and the axis of time; returns one value per local label.
    what : str
        What the values are, with all settings.
    connectivity, rim
        As in :func:`connecting` and :func:`chunkmed.graph.components.find_components`.
    """
    lifted = lift(image).one_channel()
    structure = connecting(lifted, lifted.space_axes, connectivity)
    found = find_components(lifted.node, structure, sized=True, rim=rim, name="sizing objects")
    node = found.look_up(values(found, lifted.time_axis), what)
    out: xr.DataArray = lifted.lower(node, name=LABELS)
    return out


def chosen_labels(image: xr.DataArray, table: Callable[[Moments, Axes], Array]) -> xr.DataArray:
    """Return labels under the numbers that a table of each time point's objects gives."""
    lifted = lift(canonical(image)).one_channel()
    grid = Axes(lifted.node.shape, lifted.time_axis, lifted.space_axes)
    found = label_statistics(lifted.node, None, grid, name="sizing objects")
    tables = [table(part.objects, grid) for part in found]
    out: xr.DataArray = lifted.lower(Remap(lifted.node, tables, lifted.time_axis), name=LABELS)
    return out
