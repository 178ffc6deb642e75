"""scipy's tests that cannot pass through lazy images in blocks, each with the reason."""

from __future__ import annotations

from fnmatch import fnmatchcase

__all__ = ["EXCEPTIONS", "LEFT_TO_THE_LONG_RUN", "reason_of"]

#: Pattern of the test's name without its parameters, or with them in brackets -> reason.
EXCEPTIONS: dict[str, str] = {
    "test_measurements.py::TestWatershedIft::*": (
        "watershed_ift is refused: who gets a voxel at a tie depends on the order of the whole flood"
    ),
    "test_measurements.py::test_maximum_position07": "labels that are no whole numbers are refused",
    "test_morphology.py::TestNdimageMorphology::test_distance_transform_cdt05": (
        "scipy reads a structure of floats as if it were masks, and gives -1; here it is a mask"
    ),
    "test_filters.py::TestThreading::test_uniform_filter1d": (
        "to the last bit: a running sum over a block rounds otherwise than one over the whole line"
    ),
}

#: Tests of large images or of every dtype in turn, each of which takes more than a second.
LEFT_TO_THE_LONG_RUN = (
    "test_measurements.py::test_ticket_742",
    "test_interpolation.py::TestMapCoordinates::test_map_coordinates_large_data",
)


def reason_of(test: str) -> str | None:
    """Return why a test is excepted, None where it is not."""
    # Brackets are parameters here, and not sets of letters.
    plain = test.replace("[", "(").replace("]", ")")
    bare = plain.partition("(")[0]
    for pattern, reason in EXCEPTIONS.items():
        name = pattern.replace("[", "(").replace("]", ")")
        if fnmatchcase(plain if "(" in name else bare, name):
            return reason
    return None
