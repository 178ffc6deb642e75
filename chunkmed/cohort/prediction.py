"""What a case will take: memory of its process and room on disk, before it runs."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.cohort.cases import Case
from chunkmed.cohort.work import Work
from chunkmed.coords import attach
from chunkmed.errors import ChunkmedError, PlanError, SourceError
from chunkmed.graph.budget import GROWTH_BYTES, config
from chunkmed.graph.nodes import Source
from chunkmed.graph.standins import Imagined
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.recipe import plan_recipe

__all__ = ["Predictions"]

#: Of an image with its coarser levels: each has an eighth of the voxels of the one before.
_PYRAMID = 8 / 7
_LABEL_BYTES = 4
#: What the process of a case holds before it works: of this one it must not depend.
_HELD_BYTES = 230 << 20
#: A function of the user's may hold its image and two like it; nobody knows.
_COPIES = 3


class Predictions:
    """Plans a recipe once for all cases of one size.

    Parameters
    ----------
    work : Work
        What is done with each case.
    memory : int
        Bytes that a case may take.
    """

    def __init__(self, work: Work, memory: int) -> None:
        self.memory = memory
        self.work, self.recipe = work, work.recipe() if work.is_recipe else None
        # Code of others runs in the processes of cases, and nowhere else.
        self.has_functions = self.recipe is not None and any(":" in step.do for step in self.recipe.steps)
        self._known: dict[Hashable, tuple[int | None, str, str]] = {}

    def predict(self, case: Case, given: frozenset[str]) -> None:
        """Write into a case what it will take; a case that does not fit the budget gets a problem."""
        if case.image_bytes is None:
            return
        case.disk_bytes = self._disk(case)
        peak, kind, why = self._other_modality(case) or self._peak(case, given)
        case.peak_bytes = peak
        if kind and not case.problem:
            case.problem, case.why = kind, why

    def _other_modality(self, case: Case) -> tuple[None, str, str] | None:
        if self.recipe is None or self.recipe.modality in (None, case.modality):
            return None
        found = case.modality or "of unknown modality"
        return None, "other-modality", f"the recipe is for {self.recipe.modality}, the series is {found}"

    def _disk(self, case: Case) -> int:
        if self.recipe is None:
            return 0
        voxels = (case.image_bytes or 0) / np.dtype(case.dtype or "u1").itemsize
        return int(_PYRAMID * ((case.image_bytes or 0) + _LABEL_BYTES * voxels * len(self.recipe.save)))

    def _peak(self, case: Case, given: frozenset[str]) -> tuple[int | None, str, str]:
        if self.recipe is None or given or self.has_functions:
            return _HELD_BYTES + GROWTH_BYTES + _COPIES * (case.image_bytes or 0), "", ""
        key = (_shape(case), case.dtype, case.modality, case.spacing_z_mm)
        if key not in self._known:
            self._known[key] = self._planned(case)
        return self._known[key]

    def _planned(self, case: Case) -> tuple[int | None, str, str]:
        assert self.recipe is not None  # noqa: S101 - asked above
        try:
            with config(self.memory, 1, base=_HELD_BYTES):
                passes = plan_recipe(self.recipe, _imagined(case))
        except (PlanError, SourceError) as error:
            return None, error.kind, str(error)
        except ChunkmedError:
            # Points and levels that only the true image has.
            return _HELD_BYTES + GROWTH_BYTES + _COPIES * (case.image_bytes or 0), "", ""
        return max((each.cost.plan.peak_bytes for each in passes), default=_HELD_BYTES + GROWTH_BYTES), "", ""


def _shape(case: Case) -> tuple[int, int, int, int]:
    return (case.n_times or 1, case.n_slices or 1, case.n_rows or 1, case.n_columns or 1)


def _imagined(case: Case) -> xr.DataArray:
    """Return an image of the size of a case that has no values."""
    shape = _shape(case)
    steps = (case.spacing_z_mm or 1.0, case.spacing_y_mm or 1.0, case.spacing_x_mm or 1.0)
    z, y, x = (tuple(i * step for i in range(n)) for n, step in zip(shape[1:], steps, strict=True))
    grid = Grid(z, y, x, time_ms=tuple(map(float, range(shape[0]))), known=case.spacing_y_mm is not None)
    data: Any = view(
        Source(Imagined(shape, np.dtype(case.dtype or "i2"), str(math.prod(shape)), "plan a cohort"))
    )
    return attach(data, grid, attrs={"modality": case.modality} if case.modality else {})
