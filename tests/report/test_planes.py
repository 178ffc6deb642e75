import numpy as np
import pytest

from chunkmed.report.planes import letter_toward, plane_across

AXIAL = ((1, 0, 0), (0, 1, 0), (0, 0, 1))  # columns: x -> L, y -> P, z -> S
CORONAL = ((1, 0, 0), (0, 0, 1), (0, -1, 0))  # x -> L, y -> I, z -> P
SAGITTAL = ((0, 0, -1), (1, 0, 0), (0, -1, 0))  # x -> P, y -> I, z -> R
FLIPPED = ((-1, 0, 0), (0, -1, 0), (0, 0, 1))  # prone: x -> R, y -> A
UPSIDE_DOWN = ((1, 0, 0), (0, 0, -1), (0, 1, 0))  # coronal with y -> S, z -> A


def letters(normal, direction):
    found = plane_across(normal, direction).letters(direction)
    return "".join(found[edge] for edge in ("left", "right", "top", "bottom"))


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        (AXIAL, {"z": "RLAP", "y": "RLSI", "x": "APSI"}),
        (CORONAL, {"z": "RLSI", "y": "RLAP", "x": "APSI"}),
        (SAGITTAL, {"z": "APSI", "y": "RLAP", "x": "RLSI"}),
        (FLIPPED, {"z": "LRPA", "y": "RLSI", "x": "APSI"}),
        (UPSIDE_DOWN, {"z": "RLSI", "y": "RLAP", "x": "APSI"}),
    ],
)
def test_letters_at_the_four_edges(direction, expected):
    assert {normal: letters(normal, direction) for normal in "zyx"} == expected


def test_planes_have_their_anatomical_names():
    names = {n: plane_across(n, CORONAL).name for n in "zyx"}
    assert names == {"z": "coronal", "y": "axial", "x": "sagittal"}


def test_oblique_axes_take_the_dominant_letter():
    c, s = np.cos(0.4), np.sin(0.4)
    turned = ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0))
    assert letters("z", turned) == "RLAP"
    assert letter_toward(turned, "y", 1) == "P" and letter_toward(turned, "y", -1) == "A"


def test_without_a_direction_slices_are_drawn_as_stored():
    plane = plane_across("y", None)
    assert (plane.vertical, plane.horizontal, plane.down, plane.right, plane.name) == (
        "z",
        "x",
        True,
        True,
        "",
    )
