"""What a step of a recipe can do: the functions of the Python API under their own names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chunkmed import intensity, masks, ndimage, tracking
from chunkmed.names import imported, unknown

__all__ = ["OPERATIONS", "Operation", "operation"]

#: Arguments that name the result of another step (or "image").
IMAGE_ARGUMENTS = ("where", "mask")


@dataclass(frozen=True)
class Operation:
    """A function and the arguments that a step may give it."""

    name: str
    function: Callable[..., Any]
    settings: tuple[str, ...]
    """Names of the arguments beside the image itself."""
    open_ended: bool = False
    """Whether any argument is taken (a function of the user's with ``**kwargs``)."""

    @property
    def images(self) -> tuple[str, ...]:
        """Arguments that name other steps."""
        return tuple(name for name in self.settings if name in IMAGE_ARGUMENTS)

    @property
    def about(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n")[0]


def _label(image: Any, **settings: Any) -> Any:
    labels, _ = ndimage.label(image, **settings)
    return labels


_label.__doc__ = ndimage.label.__doc__

_FILTERS = ("gaussian_filter", "median_filter")
#: Operations that put values on another scale.
INTENSITIES = ("clip", "equalize", "normalize", "rescale", "window")
_MORPHOLOGY = ("binary_erosion", "binary_dilation", "binary_opening", "binary_closing")
_CONNECTED = ("binary_fill_holes", "binary_propagation")
_MASKS = (
    *("threshold", "hysteresis", "region", "clear_border", "keep_largest", "remove_small"),
    *("reconstruction", "fill", "remove_small_holes", "erosion", "dilation", "opening", "closing"),
)
#: Arguments of scipy's that a lazy image cannot take, or that a recipe has no use for.
_NOT_IN_RECIPES = ("input", "image", "labels", "brute_force", "padding")


def _operation(name: str, function: Callable[..., Any], like: Callable[..., Any] | None = None) -> Operation:
    parameters = inspect.signature(like or function).parameters
    plain = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = [p.name for p in plain[1:] if p.name not in _NOT_IN_RECIPES]
    more = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return Operation(name, function, tuple(names), more)


#: All operations by name.
OPERATIONS: dict[str, Operation] = {
    **{name: _operation(name, getattr(ndimage, name)) for name in (*_FILTERS, *_MORPHOLOGY, *_CONNECTED)},
    "label": _operation("label", _label, ndimage.label),
    **{name: _operation(name, getattr(masks, name)) for name in _MASKS},
    **{name: _operation(name, getattr(intensity, name)) for name in INTENSITIES},
    "follow": Operation("follow", tracking.follow, ("at",)),
}


def operation(name: str) -> Operation:
    """Return an operation by its name, or a function of the user's by ``package.module:function``.

    Raises
    ------
    InputError
        If there is no such operation or function.
    """
    if ":" not in name:
        if name not in OPERATIONS:
            raise unknown("operation", name, OPERATIONS)
        return OPERATIONS[name]
    return _operation(name, imported(name, 'write "package.module:function" of an installed package'))
