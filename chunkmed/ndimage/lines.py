"""Images after steps along axes: nodes whose kernels are :mod:`chunkmed.kernels.linear`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import Lifted
from chunkmed.graph.nodes import Call, Node, Stencil
from chunkmed.kernels import linear as kernels
from chunkmed.kernels.steps import DTYPES, SHORT, Step
from chunkmed.ndimage.arguments import wrapped_axes

__all__ = ["along_lines", "gain_of", "lines_node", "terms_node"]


def along_lines(name: str, image: Lifted, steps: Sequence[Step], dtype: Any, cval: Any) -> Any:
    """Return an image after steps, one after the other."""
    return image.lower(lines_node(name, image, steps, dtype, cval))


def lines_node(name: str, image: Lifted, steps: Sequence[Step], dtype: Any, cval: Any) -> Node:
    """Return the node of an image after steps, one after the other."""
    settings = {"steps": tuple(steps), "cval": cval, "output": dtype}
    return _node(name, image, Call(kernels.lines, settings), [steps], dtype)


def terms_node(
    name: str,
    image: Lifted,
    kernel: Callable[..., Any],
    terms: Sequence[Sequence[Step]],
    dtype: Any,
    cval: Any,
) -> Node:
    """Return the node of what a kernel makes of several terms, each of them steps.

    Modes of one axis must not differ in whether they wrap.
    """
    settings = {"terms": tuple(tuple(steps) for steps in terms), "cval": cval, "output": dtype}
    return _node(name, image, Call(kernel, settings), terms, dtype)


def _node(name: str, image: Lifted, call: Call, terms: Sequence[Sequence[Step]], dtype: Any) -> Node:
    steps = [step for term in terms for step in term]
    depth = [0] * len(image.node.shape)
    for step in steps:
        depth[step.axis] = max(depth[step.axis], step.depth)
    wrap = wrapped_axes([step.mode for step in steps], [step.axis for step in steps])
    cost = math.fsum(KERNEL_NS["axis"] + KERNEL_NS["tap"] * len(step.weights) for step in steps)
    # Long windows are done in place; of several terms the sum, the one that is made, and what it is made of.
    long = all(len(step.weights) > SHORT and not step.mean for step in steps)
    workspace = 3.0 if len(terms) > 1 else 0.0 if long else 1.0
    over = long and call.function is kernels.lines and np.dtype(dtype) in DTYPES
    node = Stencil(
        call,
        [image.node],
        depth,
        dtype,
        wrap=tuple(dict.fromkeys(wrap)),
        workspace=workspace,
        crops=True,
        overwrites=0.0 if over else None,
        cost_ns=cost,
    )
    node.title = name
    return node


def gain_of(steps: Sequence[Step]) -> tuple[float, float]:
    """Return the sums of the negative and of the positive weights of all steps together."""
    low, high = 0.0, 1.0
    for step in steps:
        less = math.fsum(w for w in step.weights if w < 0)
        more = math.fsum(w for w in step.weights if w > 0)
        low, high = low * more + high * less, high * more + low * less
    return low, high
