"""How to say which series is meant, where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chunkmed.dicom.families import likely
from chunkmed.dicom.table import state_of

if TYPE_CHECKING:
    from chunkmed.dicom.study import Stack

__all__ = ["how_to_choose", "how_to_merge"]

#: More are a wall of text: the table of a scan shows them all.
_MOST_LISTED = 8


def how_to_choose(stacks: Sequence[Stack]) -> str:
    """Return how one of them is chosen, with their selectors."""
    listed = ", ".join(f"{stack.key} ({_about(stack)})" for stack in stacks[:_MOST_LISTED])
    more = f" and {len(stacks) - _MOST_LISTED} more" if len(stacks) > _MOST_LISTED else ""
    return f"choose one with --series (series=), see chunkmed scan PATH: {listed}{more}"


def how_to_merge(images: Sequence[Stack]) -> str:
    """Return how they become one image, where that is likely; else nothing."""
    family = likely(images)
    return f"join the {len(family)} that are alike with --merge-series (merge_series=True)" if family else ""


def _about(stack: Stack) -> str:
    shape = "x".join(map(str, stack.shape))
    return " ".join(filter(None, [stack.modality, shape])) + state_of(stack)
