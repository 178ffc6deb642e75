"""One module per peer: how it goes from a stored image to a stored result.

A peer is a module with

- ``FORMAT``: ``"chunkmed"`` or ``"zarr"``, what it reads and writes;
- ``VARIANTS``: layouts or block sizes to try; the best of them (by median) stands for the peer;
- ``COMPARED``: whether its output is compared with scipy's;
- ``run(job)``: do it, return a function that tells facts (``tasks``) once the clock has stopped;
- ``prepare(job)``, if it needs something before the clock starts.

A module elsewhere is a peer too, by its dotted name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from benchmarks.cases import CASES, Case
from benchmarks.operations import OPERATIONS, Operation

__all__ = ["MORE", "NAMES", "Facts", "Job", "Peer", "load", "per_time"]

NAMES = ("chunkmed", "dask_image", "scipy", "floor")
#: Peers of an extra, ``pip install -e ".[benchmarks]"``.
MORE = ("simpleitk", "scikit_image", "opencv", "cc3d", "edt")
Facts = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """What a peer is asked to do."""

    case: Case
    operation: Operation
    source: Path
    """The stored image, in the peer's format."""
    target: Path
    """Where the result goes; nothing is there."""
    workers: int
    memory: str | None = None
    """chunkmed's budget."""
    variant: str = ""

    @property
    def block(self) -> tuple[int, ...]:
        """Blocks of the variants ``unit`` and ``larger``."""
        return self.case.larger if self.variant == "larger" else self.case.unit


class Peer(Protocol):
    """What a peer's module holds."""

    FORMAT: str
    VARIANTS: tuple[str, ...]
    COMPARED: bool

    def run(self, job: Job) -> Facts:
        """Do the job."""


def load(name: str) -> Any:
    """Return the module of a peer."""
    return cast("Peer", importlib.import_module(name if "." in name else f"benchmarks.peers.{name}"))


def job_of(asked: dict[str, Any], source: Path, target: Path) -> Job:
    """Return the job that a line of JSON asks for."""
    case, operation = CASES[asked["case"]], OPERATIONS[asked["operation"]]
    return Job(case, operation, source, target, asked["workers"], asked["memory"], asked["variant"])


def per_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of a whole (t, z, y, x) array that acts on each time point by itself."""

    def act(image: Any, **settings: Any) -> Any:
        first = np.asarray(function(image[0], **settings))
        out = np.empty((len(image), *first.shape), first.dtype)
        out[0] = first
        for t in range(1, len(image)):
            out[t] = function(image[t], **settings)
        return out

    return act
