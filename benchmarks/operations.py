"""What is measured, as data: an operation is a row of steps, a peer knows how to make each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["OPERATIONS", "Operation", "Step", "Steps", "UnsupportedStepError", "applied"]

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


_GAUSSIAN = Step("gaussian", {"sigma": 2.0})
_CLOSING = Step("closing", {"iterations": 5})

_ALL = (
    # The dtype is scipy's default: that of the input.
    Operation("gaussian", (_GAUSSIAN,), "int16"),
    Operation("closing5", (Step("above", {"low": 400}), _CLOSING), "bool"),
    Operation("label", (Step("above", {"low": 400}), Step("label")), "int32"),
    Operation("fill", (Step("above", {"low": 400}), Step("fill_holes")), "bool"),
    Operation("chain", (_GAUSSIAN, Step("between", {"low": 400, "high": 700}), _CLOSING), "bool"),
)
OPERATIONS = {operation.name: operation for operation in _ALL}


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


#: Steps that are plain arithmetic, which every array knows.
ARITHMETIC: Steps = {"above": above, "between": between}
