"""What a recipe will cost on an image: all passes, before any of them runs."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import grid_of
from chunkmed.explanation import Pass, passes_of
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Node, Source
from chunkmed.graph.passes import make_program
from chunkmed.graph.program import PlannedOnly, Program, planning
from chunkmed.graph.standins import Imagined, NotMadeError
from chunkmed.graph.views import view
from chunkmed.levels import plan_levels
from chunkmed.provenance import content_hash
from chunkmed.recipe.model import Measurement, Recipe, Step
from chunkmed.recipe.operations import INTENSITIES
from chunkmed.recipe.pipeline import Pipeline

__all__ = ["PlannedPass", "plan_recipe"]

#: What steps give that need a pass, and whether they read their own labels once more.
_LABELS = {"label": False, "keep_largest": False, "follow": True}


@dataclass(frozen=True)
class PlannedPass:
    """One pass, and what it is for."""

    name: str
    cost: Pass


def plan_recipe(recipe: Recipe, image: xr.DataArray, given: Collection[str] = ()) -> list[PlannedPass]:
    """Return all passes that a recipe takes on an image, in order.

    Parameters
    ----------
    recipe : Recipe
        What to do; its parameters are set already.
    image : DataArray
        The input. Nothing of it is read.
    given : collection of str, optional
        Steps that label images will stand in for.

    Raises
    ------
    InputError, SourceError
        As running the recipe would.
    PlanError
        If a pass does not fit the budget.
    """
    labels = {*recipe.labels, *given}
    recipe.check_parameters(labels)
    planner = _Planner(recipe, image, labels)
    for name in recipe.save:
        planner.save(name)
    for wanted in recipe.measurements:
        planner.plan_measurement(wanted)
    return planner.passes


def _unread(image: xr.DataArray, name: str) -> xr.DataArray:
    """Return an image for labels that will be given."""
    token = content_hash("unread", name, image.shape)
    return image.copy(data=view(Source(Imagined(image.shape, np.int32, token, f"read {name}"))))


class _Planner(Pipeline):
    """A pipeline that notes passes in place of running them."""

    def __init__(self, recipe: Recipe, image: xr.DataArray, labels: Collection[str]) -> None:
        super().__init__(recipe, image, {name: _unread(image, name) for name in labels})
        self.passes: list[PlannedPass] = []

    def _make(self, step: Step) -> xr.DataArray:
        # Inputs first: their passes come before.
        for name in step.inputs:
            self[name]
        try:
            with planning():
                return super()._make(step)
        except PlannedOnly as found:
            self._note(f"{step.name} ({found.name})", found.program)
        except NotMadeError:
            # A look at single voxels: what comes after is noted below.
            pass
        settings = {key: self._value(value) for key, value in step.settings.items()}
        if "otsu" in settings.values():
            level = {key: 0.0 for key, value in settings.items() if value == "otsu"}
            return self._make(Step(step.name, step.do, step.of, {**step.settings, **level}))
        return self._stand_in(step)

    def _stand_in(self, step: Step) -> xr.DataArray:
        """Return an image for what the step gives; what it reads once more is a pass too."""
        if step.do in INTENSITIES:
            return self._unmade(step.of[0], step.settings.get("dtype", np.float32), step.name)
        labels = self._unmade(step.of[0], np.int32, step.name)
        if _LABELS.get(step.do, False):
            self._note(f"{step.name} (following)", make_program([lift(labels).node], sink_bytes=4))
        return labels if step.do in _LABELS else labels > 0

    def _unmade(self, like: str, dtype: Any, name: str) -> xr.DataArray:
        image = self[like]
        token = content_hash("unmade", name, image.shape, str(np.dtype(dtype)))
        return image.copy(data=view(Source(Imagined(image.shape, dtype, token, "read what was labelled"))))

    def save(self, name: str) -> None:
        """Note the passes that write a step with its coarser levels; it is read from disk afterwards."""
        node = lift(self[name]).node
        for each in plan_levels(node, grid_of(self[name])).passes:
            level = f", level {each.first}" if each.first else ""
            # The last node of a program is what it writes.
            self._note(f"save {name}{level}", each.program, written=each.program.nodes[0])
        self.replace(name, self._unmade(name, node.dtype, f"saved {name}"))

    def plan_measurement(self, wanted: Measurement) -> None:
        """Note the pass of a measurement."""
        names = [wanted.labels, *([] if wanted.of is None else [wanted.of])]
        for name in names:
            self[name]
        try:
            with planning():
                self.measure(wanted)
        except PlannedOnly as found:
            self._note(f"measure {wanted.labels}", found.program)

    def _note(self, name: str, program: Program, written: Node | None = None) -> None:
        nbytes = 0 if written is None else math.prod(written.shape) * written.dtype.itemsize
        found = passes_of(program, nbytes)
        self.passes += [PlannedPass(name, each) for each in found]
