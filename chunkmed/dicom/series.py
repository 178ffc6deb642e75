"""Frames of a stack by time and position: what ordering gives, holes included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chunkmed.dicom.headers import Frame

__all__ = ["Series4D", "Volume"]

Volume = tuple[Frame | None, ...]


@dataclass(frozen=True, slots=True)
class Series4D:
    """Frames of a stack as (t, z)."""

    frames: tuple[Volume, ...]
    """Frames by time point, then by position; None where one is missing."""
    time_ms: tuple[float, ...] = (0.0,)
    """The coordinate of the first dimension."""
    time_dim: str = "t"
    time_known: bool = True
    key: str = ""
    """The tag that told the frames apart."""
    values: tuple[Any, ...] = ()
    """Its values as JSON, where they are no clock."""
    trigger_time_ms: tuple[tuple[float, ...], ...] | None = None
    """Time of each slice (t, z) where they differ; NaN where the image is missing."""
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def present(self) -> Iterator[Frame]:
        """The frames that are there, in order."""
        return (frame for volume in self.frames for frame in volume if frame is not None)

    @property
    def holes(self) -> list[tuple[int, int]]:
        """Where frames are missing: (t, z)."""
        return [
            (t, z) for t, volume in enumerate(self.frames) for z, frame in enumerate(volume) if frame is None
        ]
