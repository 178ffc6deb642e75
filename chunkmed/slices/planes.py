"""Which way up a slice is drawn, and which direction of the patient lies at each of its edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chunkmed.grid import Grid

__all__ = ["Plane", "plane_across"]

#: Toward low and high values of L, P, S; DICOM's letters (PS3.3 C.7.6.1.1.1): H head, F feet.
_LETTERS = ("RL", "AP", "FH")
_NAMES = ("sagittal", "coronal", "axial")
_LEFT, _POSTERIOR, _SUPERIOR = range(3)
#: Row of L, P, S that runs across and up or down the page, by the row of the normal.
_PAGE = {_SUPERIOR: (_LEFT, _POSTERIOR), _POSTERIOR: (_LEFT, _SUPERIOR), _LEFT: (_POSTERIOR, _SUPERIOR)}


@dataclass(frozen=True)
class Plane:
    """How the slice across one array axis lies on the page."""

    normal: str
    """Array axis that the slice is one position of."""
    vertical: str
    """Array axis drawn vertically."""
    horizontal: str
    """Array axis drawn horizontally."""
    down: bool = True
    """Whether positions along the vertical axis grow downwards, as in an array."""
    right: bool = True
    """Whether positions along the horizontal axis grow to the right."""
    name: str = ""
    """Anatomical name of the plane it is nearest to, empty if not known."""
    letters: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Direction of the patient at the edges left, right, top, bottom: R L, A P, F H; empty if not known."""


def plane_across(normal: str, grid: Grid | None) -> Plane:
    """Return how the slice across an array axis is drawn: as a radiologist looks at it.

    Axial slices have the patient's right on the left of the page and the front at the top, coronal ones the
    right on the left and the head at the top, sagittal ones the front on the left and the head at the top:
    whatever the order of rows and columns in which they were acquired. Oblique slices are drawn as those that
    they are nearest to. Without known directions: as stored.

    Examples
    --------
    >>> coronal = Grid((0.0,), (0.0,), (0.0,), direction=((1, 0, 0), (0, 0, 1), (0, -1, 0)))
    >>> plane = plane_across("z", coronal)
    >>> plane.name, plane.vertical, plane.down, plane.letters["left"], plane.letters["top"]
    ('coronal', 'y', True, 'R', 'H')
    """
    if grid is None or not grid.known:
        vertical, horizontal = (axis for axis in "zyx" if axis != normal)
        return Plane(normal, vertical, horizontal)
    runs = {axis: (row, forward, axis) for axis, (row, forward) in zip("xyz", grid.runs_to, strict=True)}
    by_row = {run[0]: run for run in runs.values()}
    out_of_page = runs[normal][0]
    across, along = (by_row[row] for row in _PAGE[out_of_page])
    # Posterior lies at the bottom, the head at the top; left and posterior lie on the right.
    down = along[1] == (along[0] == _POSTERIOR)
    top = _LETTERS[along[0]][int(along[0] == _SUPERIOR)]
    bottom = _LETTERS[along[0]][int(along[0] != _SUPERIOR)]
    sides = _LETTERS[across[0]]
    letters = {"left": sides[0], "right": sides[1], "top": top, "bottom": bottom}
    return Plane(normal, along[2], across[2], down, across[1], _NAMES[out_of_page], letters)
