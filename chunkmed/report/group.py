"""What a page about many cases shows, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Card", "Group"]

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Card:
    """One case."""

    case: str
    """Keyed identifier: the name of its files."""
    case_id: str
    picture: Path | None
    folder: Path
    """Where its results lie."""
    kind: str = ""
    """Kind of its error, empty where it is done."""
    message: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    facts: Mapping[str, float] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    """In what it is far from the others."""
    notes: tuple[str, ...] = ()
    """What was assumed."""


@dataclass(frozen=True)
class Group:
    """All cases, and what they come to."""

    cards: Sequence[Card]
    values: Sequence[tuple[str, Values]]
    """Names of measures, and one value for each case."""
    curves: Sequence[tuple[str, str, Values, Values]]
    """Case, measure, times (ms) or indices, values."""
    outliers: Sequence[tuple[Any, ...]]
    """Case id, case, measure, label, value, median, score."""
    summary: Mapping[str, Any]
