"""Sums of several terms: in one kernel, or in nodes of their own where borders differ between terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chunkmed.graph.lift import Lifted
from chunkmed.graph.nodes import Call, Node, Pointwise
from chunkmed.kernels import linear as kernels
from chunkmed.kernels.steps import Step
from chunkmed.ndimage.lines import along_lines, lines_node, terms_node

__all__ = ["of_nodes", "of_terms"]

_WRAPS = ("wrap", "grid-wrap")


def of_terms(
    name: str,
    image: Lifted,
    kernel: Callable[..., Any],
    terms: Sequence[Sequence[Step]],
    dtype: Any,
    cval: Any,
) -> Any:
    """Return an image of what a kernel of :mod:`chunkmed.kernels.linear` makes of terms."""
    if not terms:
        # scipy copies the image where there is no axis.
        return along_lines(name, image, [], dtype, cval)
    if _is_mixed(terms):
        nodes = [lines_node(name, image, steps, dtype, cval) for steps in terms]
        return image.lower(of_nodes(kernel, nodes, dtype))
    return image.lower(terms_node(name, image, kernel, terms, dtype, cval))


def _is_mixed(terms: Sequence[Sequence[Step]]) -> bool:
    """Whether an axis wraps around in one term and not in another: it cannot be padded for both."""
    wraps: dict[int, set[bool]] = {}
    for steps in terms:
        for step in steps:
            wraps.setdefault(step.axis, set()).add(step.mode in _WRAPS)
    return any(len(found) > 1 for found in wraps.values())


def of_nodes(kernel: Callable[..., Any], nodes: Sequence[Node], dtype: Any) -> Node:
    """Return the node of the sum or the magnitude of nodes."""
    whole = {kernels.sum_of_lines: kernels.summed, kernels.magnitude: kernels.length}
    call = Call(whole.get(kernel, kernel), {"output": np.dtype(dtype)})
    return Pointwise(call, list(nodes), nodes[0].shape, dtype)
