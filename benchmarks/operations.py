"""What is measured, as data: an operation is a row of steps, a peer knows how to make each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["ARITHMETIC", "FUNCTIONS", "OPERATIONS", "Operation", "Step", "Steps", "UnsupportedStepError"]
__all__ += ["applied", "first_of", "magnitude"]

#: How a peer makes each step, by the step's name.
Steps = Mapping[str, Callable[..., Any]]


class UnsupportedStepError(Exception):
    """A peer has no such function."""


@dataclass(frozen=True)
class Step:
    """One function and its settings, in voxels; it acts along z, y, x at every time point."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """A row of steps from one stored image to another."""

    name: str
    steps: tuple[Step, ...]
    dtype: str
    """Of the output."""


_GAUSSIAN = Step("gaussian_filter", {"sigma": 2.0})
_CLOSING = Step("binary_closing", {"iterations": 5})
_ABOVE = Step("above", {"low": 400})

_ALL = (
    # The dtype is scipy's default: that of the input.
    Operation("gaussian", (_GAUSSIAN,), "int16"),
    Operation("closing5", (_ABOVE, _CLOSING), "bool"),
    Operation("chain", (_GAUSSIAN, Step("between", {"low": 400, "high": 700}), _CLOSING), "bool"),
    Operation("median3", (Step("median_filter", {"size": 3}),), "int16"),
    Operation("median5", (Step("median_filter", {"size": 5}),), "int16"),
    Operation("percentile3", (Step("percentile_filter", {"percentile": 25, "size": 3}),), "int16"),
    Operation("uniform5", (Step("uniform_filter", {"size": 5}),), "int16"),
    Operation("maximum5", (Step("maximum_filter", {"size": 5}),), "int16"),
    Operation("grey_closing3", (Step("grey_closing", {"size": 3}),), "int16"),
    Operation("laplace", (Step("laplace"),), "int16"),
    Operation("sobel", (Step("as_float"), Step("sobel_magnitude")), "float32"),
    Operation("fill_holes", (_ABOVE, Step("binary_fill_holes")), "bool"),
    Operation("label", (_ABOVE, Step("label")), "int32"),
    Operation("edt", (_ABOVE, Step("distance_transform_edt", {"sampling": (2.0, 1.0, 1.0)})), "float64"),
    # Slice by slice, for peers that know two axes only.
    Operation("median3_slices", (Step("median_filter", {"size": (1, 3, 3)}),), "int16"),
    Operation("maximum5_slices", (Step("maximum_filter", {"size": (1, 5, 5)}),), "int16"),
)
OPERATIONS = {operation.name: operation for operation in _ALL}

#: Steps by the names of scipy.ndimage's functions.
FUNCTIONS = tuple(
    sorted({step.name for item in _ALL for step in item.steps} - {"above", "between", "as_float"})
)


def applied(operation: Operation, image: Any, steps: Steps) -> Any:
    """Return what an operation makes of an image, lazy or not as the steps are.

    Raises
    ------
    UnsupportedStepError
        Naming the step that is not among ``steps``.
    """
    for step in operation.steps:
        if step.name not in steps:
            raise UnsupportedStepError(step.name)
        image = steps[step.name](image, **step.settings)
    return image


def above(image: Any, low: float) -> Any:
    """Return the mask of what is above a level: the same for every kind of array."""
    return image > low


def between(image: Any, low: float, high: float) -> Any:
    """Return the mask of what is between two levels."""
    return (low < image) & (image < high)


def as_float(image: Any) -> Any:
    """Return the image in single precision."""
    return image.astype("float32")


def magnitude(image: Any, *, sobel: Callable[..., Any]) -> Any:
    """Return the length of the gradient: the same for every kind of array."""
    return np.sqrt(sum(sobel(image, axis=axis) ** 2 for axis in (-3, -2, -1)))


def first_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that drops all but the first result: labels without their number."""
    return lambda image, **settings: function(image, **settings)[0]


#: Steps that are plain arithmetic, which every array knows.
ARITHMETIC: Steps = {"above": above, "between": between, "as_float": as_float}
