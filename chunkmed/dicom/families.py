"""Which series may be one image, by what a scan says of them; :mod:`chunkmed.dicom.merge` looks closer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chunkmed.dicom.study import Stack

__all__ = ["families", "likely"]

#: Attributes that are the same in all series of one image.
_SETTINGS = (
    "modality units kernel kvp echo_time_ms inversion_time_ms flip_angle_deg scanning_sequence "
    "sequence_variant mr_acquisition_type photometric_interpretation"
)


def families(images: Sequence[Stack]) -> Iterator[list[Stack]]:
    """Yield stacks that may be one image: alike in plane and settings, several times or one each."""
    alike: dict[object, list[Stack]] = {}
    for stack in images:
        if not stack.faults and stack.grid.known and stack.plane:
            alike.setdefault(_kind(stack), []).append(stack)
    return (family for family in alike.values() if len(family) > 1)


def likely(images: Sequence[Stack]) -> list[Stack]:
    """Return the only family if it lies as one image does, else nothing."""
    found = list(families(images))
    return found[0] if len(found) == 1 and _fits(found[0]) else []


def _kind(stack: Stack) -> object:
    grid, shape = stack.grid, stack.grid.shape
    row, column = ([round(line[axis], 3) for line in grid.direction] for axis in (0, 1))
    settings = [str(stack.attributes.get(name)) for name in _SETTINGS.split()]
    steps = [round(step, 3) for step in grid.spacing_mm[1:]]
    return (*row, *column, *steps, *settings, shape[2:], grid.time_dim, shape[0] > 1)


def _fits(family: Sequence[Stack]) -> bool:
    """Whether series of several time points share no slice, or those of a single one share all."""
    depths = [_depths(stack) for stack in family]
    if family[0].grid.shape[0] == 1:
        return all(mine == depths[0] for mine in depths)
    return len(set(chain(*depths))) == sum(map(len, depths))


def _depths(stack: Stack) -> list[float]:
    """Return where slices lie along the normal, to a hundredth of a millimetre."""
    grid = stack.grid
    normal = [line[2] for line in grid.direction]
    start = sum(a * b for a, b in zip(grid.origin_mm, normal, strict=True))
    return [round(start + z, 2) for z in grid.z_mm]
