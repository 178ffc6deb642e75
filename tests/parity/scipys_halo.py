"""Whether tasks read their block and its halo and nothing more: halos as scipy's arguments say them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.ndimage import generate_binary_structure

from chunkmed.graph import evaluate as evaluation
from chunkmed.graph.box import Box

__all__ = ["WHOLE_AXES", "check_halo", "watched"]

#: Functions whose result at a voxel depends on whole axes, or on a place that is no neighbourhood.
WHOLE_AXES = (
    "affine_transform",
    "binary_fill_holes",
    "binary_propagation",
    "distance_transform_bf",
    "distance_transform_cdt",
    "distance_transform_edt",
    "geometric_transform",
    "map_coordinates",
    "rotate",
    "shift",
    "spline_filter",
    "spline_filter1d",
    "watershed_ift",
    "zoom",
)

Reading = tuple[Box, Box]
"""Box of a task, and a box that it read."""


@contextmanager
def watched() -> Iterator[list[Reading]]:
    """Record what every task reads, the reads of nodes that fetch by themselves too."""
    found: list[Reading] = []
    task: list[Box] = []
    original = evaluation.evaluate

    def outermost(requests: Any, blocks: Any = None) -> Any:
        task[:] = [requests[0][1]]
        with evaluation.recording() as readings:
            values = original(requests, blocks)
        found.extend((task[0], reading.box) for reading in readings)
        return values

    with (
        patch("chunkmed.graph.views.evaluate", outermost),
        patch("chunkmed.graph.run.evaluate", outermost),
    ):
        yield found


def check_halo(name: str, given: inspect.BoundArguments, ndim: int, readings: Sequence[Reading]) -> bool:
    """Fail where a task read beyond its block and halo; return whether that could be told."""
    if name in WHOLE_AXES or not readings:
        return False
    try:
        reach = _reach(name, given, ndim)
    except (KeyError, TypeError, ValueError, IndexError):
        return False
    image = given.args[0] if np.ndim(given.args[0]) else given.arguments.get("labels")
    if reach is None or len(np.shape(image)) != ndim:
        return False
    if any(len(task) != ndim or len(box) != ndim for task, box in readings):
        return False  # images that were broadcast have axes of their own
    for task, box in readings:
        assert all(map(_is_near, task, box, reach, np.shape(image))), (
            f"{name}: the task of {task} read {box}, its halo is {reach}"
        )
    return True


def _is_near(task: tuple[int, int], read: tuple[int, int], reach: int, n: int) -> bool:
    """Whether a range lies within a block grown by its halo, also around the other side."""
    start, stop = task[0] - reach, task[1] + reach
    if stop - start >= n:
        return True
    return any(start <= read[0] + turn and read[1] + turn <= stop for turn in (0, n, -n))


def _reach(name: str, given: inspect.BoundArguments, ndim: int) -> tuple[int, ...] | None:
    """Return how far the result at a voxel looks along each axis, None where the name says nothing."""
    rule = next((rule for names, rule in _RULES if name in names), None)
    if rule is None:
        return None
    given.apply_defaults()
    arguments = given.arguments
    if "axis" in arguments and name not in ("sobel", "prewitt"):  # these smooth along the others
        axes = [int(arguments["axis"])]
    else:
        axes = list(np.atleast_1d(range(ndim) if arguments.get("axes") is None else arguments["axes"]))
    if name == "gaussian_gradient_magnitude":
        axes = list(range(ndim))  # smooths along all axes, whatever it derives along
    window = any(arguments.get(key) is not None for key in ("footprint", "structure", "weights"))
    if window and axes != sorted(axes):
        return None  # scipy takes a window's axes in the image's order, and origins in that of the axes
    lengths = rule(name, arguments, len(axes))
    if lengths is None:
        return None
    out = [0] * ndim
    for axis, length in zip(axes, lengths, strict=True):
        out[axis] += int(length)
    return tuple(out)


def _each(value: Any, count: int) -> list[Any]:
    return [value] * count if np.ndim(value) == 0 else list(value)


def _nothing(name: str, arguments: dict[str, Any], count: int) -> list[int]:
    return [0] * count


def _one(name: str, arguments: dict[str, Any], count: int) -> list[int]:
    return [1] * count


def _window(name: str, arguments: dict[str, Any], count: int) -> list[int]:
    shape = _window_shape(arguments, count)
    origins = _each(arguments.get("origin", 0), count)
    times = 2 if any(word in name for word in ("opening", "closing", "tophat")) else 1
    return [times * (int(n) // 2 + abs(int(o))) for n, o in zip(shape, origins, strict=True)]


def _window_shape(arguments: dict[str, Any], count: int) -> Sequence[int]:
    arrays = (arguments.get(key) for key in ("footprint", "structure", "weights"))
    shapes = [np.shape(array) for array in arrays if array is not None]
    if shapes:
        # Axes that a footprint of scipy's does not name are at its end.
        return [max(sizes) for sizes in zip(*shapes, strict=True)]
    size = arguments.get("size", arguments.get("filter_size"))
    return _each(size, count)


def _gaussian(name: str, arguments: dict[str, Any], count: int) -> list[int]:
    radii = _each(arguments.get("radius"), count)
    truncate = float(arguments.get("truncate", arguments.get("kwargs", {}).get("truncate", 4.0)))
    sigmas = _each(arguments["sigma"], count)
    pairs = zip(sigmas, radii, strict=True)
    return [int(truncate * float(s) + 0.5) if r is None else int(r) for s, r in pairs]


def _binary(name: str, arguments: dict[str, Any], count: int) -> list[int] | None:
    steps = int(arguments["iterations"])
    if steps < 1:
        return None
    structure = arguments["structure"]
    shape = np.shape(generate_binary_structure(count, 1) if structure is None else structure)
    passes = 2 if name in ("binary_opening", "binary_closing") else 1
    origins = _each(arguments["origin"], count)
    return [passes * steps * (n // 2 + abs(int(o))) for n, o in zip(shape, origins, strict=True)]


def _hit_or_miss(name: str, arguments: dict[str, Any], count: int) -> list[int]:
    reach = [0] * count
    for structure, origin in (("structure1", "origin1"), ("structure2", "origin2")):
        shape = (3,) * count if arguments[structure] is None else np.shape(arguments[structure])
        origins = _each(arguments["origin1"] if arguments[origin] is None else arguments[origin], count)
        reach = [max(r, n // 2 + abs(int(o))) for r, n, o in zip(reach, shape, origins, strict=True)]
    return reach


_WINDOWS = (
    *("median_filter", "minimum_filter", "maximum_filter", "percentile_filter", "rank_filter"),
    *("generic_filter", "vectorized_filter", "generic_filter1d", "minimum_filter1d", "maximum_filter1d"),
    *("grey_erosion", "grey_dilation", "grey_opening", "grey_closing", "white_tophat", "black_tophat"),
    *("morphological_gradient", "morphological_laplace"),
    *("correlate", "convolve", "correlate1d", "convolve1d", "uniform_filter", "uniform_filter1d"),
)
_GAUSSIANS = ("gaussian_filter", "gaussian_filter1d", "gaussian_laplace", "gaussian_gradient_magnitude")
_MASKS = ("binary_erosion", "binary_dilation", "binary_opening", "binary_closing")
_VOXELS = (
    *("label", "find_objects", "value_indices", "histogram", "labeled_comprehension", "center_of_mass"),
    *("sum", "sum_labels", "mean", "median", "variance", "standard_deviation"),
    *("minimum", "maximum", "minimum_position", "maximum_position", "extrema"),
    *("fourier_gaussian", "fourier_uniform", "fourier_ellipsoid", "fourier_shift"),
)

Rule = Callable[[str, dict[str, Any], int], list[int] | None]
_RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (_WINDOWS, _window),
    (_GAUSSIANS, _gaussian),
    (_MASKS, _binary),
    (("binary_hit_or_miss",), _hit_or_miss),
    (("sobel", "prewitt", "laplace"), _one),
    (_VOXELS, _nothing),
)
