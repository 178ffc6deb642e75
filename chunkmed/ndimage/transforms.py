"""What the distance transforms of scipy.ndimage are made of: passes over axes, or time points seen whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.graph.constant import Constant
from chunkmed.graph.lift import Lifted
from chunkmed.graph.nodes import Call, Node
from chunkmed.graph.pencils import Pencil
from chunkmed.kernels.axes import Axis
from chunkmed.ndimage import nearest

__all__ = ["euclidean", "steps"]

#: What scipy's brute force gives where there is no background.
_NOWHERE = float(np.sqrt(np.finfo(np.float64).max))
#: Bytes per voxel that scipy takes beside a time point that it sees whole.
_WHOLE_BYTES = 64.0
_Axes = tuple[Axis, ...]
_Makers = tuple[Callable[[], Node], Callable[[], Node]]


def _by_scipy() -> bool:
    """Whether scipy is to do all that it can."""
    return os.environ.get("CHUNKMED_KERNELS") == "scipy"


def euclidean(image: Lifted, axes: _Axes, reference: Callable[..., Any], wanted: tuple[bool, bool]) -> Any:
    """Return Euclidean distances, indices, or both, as one of scipy's functions gives them.

    Parameters
    ----------
    image : Lifted
        0 is background.
    axes : tuple of Axis
        Along which axes.
    reference : function
        scipy's exact transform, or its brute force.
    wanted : (bool, bool)
        Whether distances and indices are wanted.
    """
    brute = reference is scipy.ndimage.distance_transform_bf
    nowhere = _NOWHERE if brute else None
    if _by_scipy() and all(axis.even for axis in axes):
        arguments = {"sampling": [axis.step for axis in axes]}
        return _results(image, axes, wanted, _frames(image, axes, reference, arguments, np.float64))
    if not wanted[1]:
        return _results(image, axes, wanted, (lambda: nearest.euclidean(image, axes, nowhere), _never))
    # Brute force takes the last in C order of those that are as near.
    taken = axes[::-1] if brute else axes
    places = nearest.places(image, taken, latest=brute)

    def distances() -> Node:
        from chunkmed.kernels import features

        call = Call(features.distances, {"taken": taken, "nowhere": nowhere})
        return Pencil(call, places, [], np.float64, workspace=0.5, placed=True)

    outside = (0 if brute else -1,) + (0,) * (len(axes) - 1)
    return _results(image, taken, wanted, (distances, lambda: nearest.components(places, taken, outside)))


def steps(
    image: Lifted, metric: Any, nowhere: Any, reference: Callable[..., Any], wanted: tuple[bool, bool]
) -> Any:
    """Return distances in steps, indices, or both, as one of scipy's functions gives them.

    Parameters
    ----------
    image, reference, wanted
        As of :func:`euclidean`.
    metric : str or ndarray
        ``taxicab``, ``chessboard``, or the structure of a step.
    nowhere : number of NumPy
        The distance where there is no background.
    """
    axes = nearest.axes_of(image, 1)
    whole = _frames(image, axes, reference, {"metric": metric}, np.asarray(nowhere).dtype)
    if isinstance(metric, str) and not _by_scipy():
        whole = (lambda: nearest.steps(image, axes, metric, nowhere)), whole[1]
    return _results(image, axes, wanted, whole)


def _frames(
    image: Lifted, axes: _Axes, reference: Callable[..., Any], arguments: dict[str, Any], dtype: Any
) -> _Makers:
    """Return what makes distances and indices by scipy, a time point at once."""
    from chunkmed.kernels import frames

    settings = {
        "along": tuple(axis.number for axis in axes),
        "function": reference,
        "arguments": arguments,
    }

    def distances() -> Node:
        call = Call(frames.distances, {**settings, "dtype": np.dtype(dtype)})
        return nearest.frames(image, axes, call, dtype, _WHOLE_BYTES / np.dtype(dtype).itemsize)

    def indices() -> Node:
        node = nearest.frames(image, axes, Call(frames.places, settings), np.int64, _WHOLE_BYTES / 8)
        return nearest.components(node, axes, (-1,) + (0,) * (len(axes) - 1))

    return distances, indices


def _never() -> Node:
    raise AssertionError("not wanted")


def _results(image: Lifted, taken: _Axes, wanted: tuple[bool, bool], makers: _Makers) -> Any:
    """Return what is wanted of distances and indices, one or a pair of them."""
    made = [make() for asked, make in zip(wanted, makers, strict=True) if asked]
    out = [nearest.lowered(image, _of_nothing(node, image), taken) for node in made]
    return tuple(out) if len(out) == 2 else out[0]


def _of_nothing(node: Node, image: Lifted) -> Node:
    """Return a constant for an image without voxels, of which there is nothing to make."""
    return Constant(node.shape, node.dtype.type(0)) if 0 in image.node.shape else node
