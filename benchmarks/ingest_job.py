"""What a peer of the ingest benchmark is asked to do, and what it hands back.

A peer is a module ``benchmarks.peers.ingest_NAME`` (or any, by its dotted name) with

- ``VARIANTS``: ways to do it;
- ``PACKAGES``: distributions whose versions belong to the results;
- ``read(job)``: do it, return a function that tells facts once the clock has stopped: ``values`` in the
  order (z, y, x) of LPS, sliced along z, where there are any, and whatever else is worth a column.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.series import Series

__all__ = ["NAMES", "Facts", "Job", "Nifti", "UnsupportedError", "load", "turns_of"]

NAMES = (
    "chunkmed",
    "pydicom",
    "imageio",
    "simpleitk",
    "highdicom",
    "dicom2nifti",
    "dcm2niix",
    "floor",
)
Facts = Callable[[], dict[str, Any]]


class UnsupportedError(Exception):
    """A peer does not do this; the message says what."""


@dataclass(frozen=True)
class Job:
    """One series to read."""

    series: Series
    folder: Path
    """Where its files are, nothing else among them."""
    target: Path
    """A folder for what a peer writes."""
    workers: int
    variant: str
    memory: str | None = None
    """chunkmed's budget."""


def load(name: str) -> Any:
    """Return the module of a peer."""
    return importlib.import_module(name if "." in name else f"benchmarks.peers.ingest_{name}")


def turns_of(wanted: str) -> list[tuple[str, str]]:
    """Return peers and variants from ``chunkmed:convert,pydicom``: all variants without a colon."""
    turns = []
    for item in wanted.split(","):
        name, _, variant = item.partition(":")
        turns += [(name, each) for each in ([variant] if variant else load(name).VARIANTS)]
    return turns


class Nifti:
    """A NIfTI image as (z, y, x) in LPS, slices rescaled as they are asked for.

    Parameters
    ----------
    image : nibabel image
        Axial: its axes are x, y, z, in either direction.
    """

    def __init__(self, image: Any) -> None:
        import nibabel

        self._data, self.shape = image.dataobj, tuple(image.shape[::-1])
        codes = nibabel.aff2axcodes(image.affine)
        if set(codes) - set("LRPAIS") or any(
            a not in b for a, b in zip(codes, ("LR", "PA", "IS"), strict=True)
        ):
            raise UnsupportedError(f"axes {codes}")
        self._flips = tuple(-1 if a != b else 1 for a, b in zip(codes, "LPS", strict=True))

    def __getitem__(self, cut: slice) -> Any:
        x, y, z = self._flips
        depth = self.shape[0]
        wanted = cut if z > 0 else slice(depth - cut.stop, depth - cut.start)
        return self._data[..., wanted][::x, ::y, ::z].T
