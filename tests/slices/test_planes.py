"""Any acquisition is drawn as radiologists look at it."""

import itertools

import numpy as np
import pytest

from chunkmed.grid import Grid
from chunkmed.slices.planes import plane_across

AXIAL = ((1, 0, 0), (0, 1, 0), (0, 0, 1))  # columns: x -> L, y -> P, z -> S
CORONAL = ((1, 0, 0), (0, 0, 1), (0, -1, 0))  # x -> L, y -> I, z -> P
SAGITTAL = ((0, 0, -1), (1, 0, 0), (0, -1, 0))  # x -> P, y -> I, z -> R

#: Left, right, top and bottom edge of each plane, however it was acquired.
LETTERS = {"axial": "RLAP", "coronal": "RLHF", "sagittal": "APHF"}


def grid(direction, **more):
    return Grid((0.0, 1.0), (0.0, 1.0), (0.0, 1.0), direction=direction, **more)


def letters(normal, direction):
    found = plane_across(normal, grid(direction)).letters
    return "".join(found[edge] for edge in ("left", "right", "top", "bottom"))


def test_planes_have_their_anatomical_names():
    for direction, names in (
        (AXIAL, ("axial", "coronal", "sagittal")),
        (CORONAL, ("coronal", "axial", "sagittal")),
        (SAGITTAL, ("sagittal", "axial", "coronal")),
    ):
        assert tuple(plane_across(n, grid(direction)).name for n in "zyx") == names


def all_directions():
    """All 48 ways in which three array axes can run along the patient's."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            yield np.eye(3)[:, order] * signs


@pytest.mark.parametrize("turn_deg", [0, 25])
def test_edges_carry_the_direction_that_voxels_there_have(turn_deg):
    """By data: the edge of the page that a letter stands at is where positions really go that way."""
    a = np.radians(turn_deg)
    about = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    lean = np.array([[1, 0, 0], [0, np.cos(a / 2), -np.sin(a / 2)], [0, np.sin(a / 2), np.cos(a / 2)]])
    toward = {"R": (0, -1), "L": (0, 1), "A": (1, -1), "P": (1, 1), "F": (2, -1), "H": (2, 1)}
    for straight in all_directions():
        direction = about @ lean @ straight
        matrix = tuple(tuple(row) for row in direction.tolist())
        for normal in "zyx":
            plane = plane_across(normal, grid(matrix))
            assert letters(normal, matrix) == LETTERS[plane.name]
            column = dict(zip("xyz", direction.T, strict=True))
            right = column[plane.horizontal] * (1 if plane.right else -1)
            up = column[plane.vertical] * (-1 if plane.down else 1)
            for edge, step in (("right", right), ("left", -right), ("top", up), ("bottom", -up)):
                row, sign = toward[plane.letters[edge]]
                assert step[row] * sign > np.cos(np.radians(45))


def test_axes_as_oblique_as_can_be_have_a_row_each():
    c = np.sqrt(0.5)
    tied = ((c, -c, 0.0), (c, c, 0.0), (0.0, 0.0, 1.0))
    assert sorted(letters("z", tied)) == sorted("RLAP")
    tilted = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.2), (0.0, 0.0, 1.0))  # z leans by 50 degrees, and is longer
    assert [plane_across(n, grid(tilted)).name for n in "zyx"] == ["axial", "coronal", "sagittal"]


@pytest.mark.parametrize("where", [None, grid(AXIAL, known=False)])
def test_without_known_directions_slices_are_drawn_as_stored(where):
    plane = plane_across("y", where)
    assert (plane.vertical, plane.horizontal, plane.down, plane.right) == ("z", "x", True, True)
    assert (plane.name, dict(plane.letters)) == ("", {})
