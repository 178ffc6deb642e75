"""Carry a recipe out on an image: steps are made when something asks for them, and once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from chunkmed.coords import grid_of
from chunkmed.errors import ChunkmedError, InputError, SourceError
from chunkmed.measures import measure
from chunkmed.padding import padding_range, valid_of
from chunkmed.recipe.model import Measurement, Recipe, Step
from chunkmed.recipe.operations import operation

__all__ = ["Pipeline"]

#: Operations that make masks of values: padding is not in them.
_BY_LEVEL = ("threshold", "hysteresis")
#: Operations that may leave padding out.
_LOOK_AT_VALUES = (*_BY_LEVEL, "equalize", "normalize", "rescale")
#: What functions raise that are given other things than they are made for.
_MISFITS = (TypeError, ValueError, RuntimeError, AttributeError, LookupError)
#: What stands for a measure where the image has no millimetres, several slices or one.
_WITHOUT_MM = {"volume": ("volume_vox", "area_px"), "area": ("area_px", "area_px")}


class Pipeline:
    """The steps of a recipe on one image, by name.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    image : xarray.DataArray
        The input.
    given : mapping, optional
        Label images made elsewhere: those that the recipe takes, and stand-ins for its steps.
    """

    def __init__(
        self, recipe: Recipe, image: xr.DataArray, given: Mapping[str, xr.DataArray] | None = None
    ) -> None:
        self.recipe, self.image = recipe, image
        self.notes: list[str] = []
        """Sentences about what was done otherwise than the recipe says."""
        self._made: dict[str, xr.DataArray] = {"image": image}
        for name, stand_in in (given or {}).items():
            if name not in (*recipe.labels, *(step.name for step in recipe.steps)):
                raise InputError(f"the recipe has no step {name!r}", kind="bad-recipe", where=recipe.name)
            self._made[name] = stand_in
        recipe.check_parameters(self._made)
        self._check_modality()

    def _check_modality(self) -> None:
        wanted, found = self.recipe.modality, self.image.attrs.get("modality")
        if wanted is not None and found != wanted:
            raise SourceError(
                f"the recipe is for {wanted}, the series is {found or 'of unknown modality'}",
                kind="other-modality",
                where=f"recipe {self.recipe.name}",
            )

    def __getitem__(self, name: str) -> xr.DataArray:
        if name not in self._made:
            self._made[name] = self._make(self.recipe.step(name))
        return self._made[name]

    def replace(self, name: str, image: xr.DataArray) -> None:
        """Let a stored copy stand for a step, so that nothing is computed twice."""
        self._made[name] = image

    def _make(self, step: Step) -> xr.DataArray:
        found = operation(step.do)
        settings = {key: self._value(value) for key, value in step.settings.items()}
        for key in found.images:
            if key in settings:
                settings[key] = self[str(settings[key])]
        if step.do in _LOOK_AT_VALUES:
            settings["padding"] = "exclude" if self.recipe.exclude_padding else "include"
        with xr.set_options(arithmetic_join="exact"):
            try:
                out: xr.DataArray = found.function(*(self[name] for name in step.of), **settings)
            except ChunkmedError as error:
                error.where = error.where or f"recipe {self.recipe.name}, step {step.name!r}"
                raise
            except _MISFITS as error:
                if ":" in step.do:
                    # A function of the user's: its own error says more.
                    raise
                raise self._misfit(step, error) from error
            return self._without_padding(out) if step.do in _BY_LEVEL else out

    def _misfit(self, step: Step, error: Exception) -> InputError:
        """Return what a setting of the wrong kind is told as."""
        given = ", ".join(f"{key} = {value!r}" for key, value in step.settings.items())
        return InputError(
            f"{step.do!r} does not take what it is given",
            kind="bad-recipe",
            where=f"recipe {self.recipe.name}, step {step.name!r}",
            why=f"of {', '.join(step.of)}; {given or 'no settings'} ({type(error).__name__}: {error})",
            fix=f"chunkmed recipe schema describes the settings of {step.do!r}",
        )

    def _without_padding(self, mask: xr.DataArray) -> xr.DataArray:
        if not self.recipe.exclude_padding or padding_range(self.image.attrs) is None:
            return mask
        kept: xr.DataArray = mask & valid_of(self.image)
        return kept

    def _value(self, value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        found = self.recipe.parameters[value[1:]]
        # TOML has no null.
        return None if isinstance(found, str) and found == "none" else found

    def measure(self, wanted: Measurement) -> xr.Dataset:
        """Carry out one measurement; sizes in voxels where the image has no millimetres."""
        image = None if wanted.of is None else self[wanted.of]
        return measure(self[wanted.labels], image, self._possible(wanted.what))

    def _possible(self, what: tuple[str, ...]) -> list[str]:
        grid = grid_of(self.image)
        flat = len(grid.z_mm) == 1
        if grid.known and not (flat and grid.thickness_mm is None):
            return list(what)
        out = []
        for name in what:
            kind, _, unit = name.partition("_")
            if kind in _WITHOUT_MM:
                name = "area_mm2" if grid.known else _WITHOUT_MM[kind][flat]
            elif unit.endswith("mm") and not grid.known:
                name = name.removesuffix("_mm")
            out.append(name)
        changed = [f"{a} became {b}" for a, b in zip(what, out, strict=True) if a != b]
        missing = "no spacing" if not grid.known else "no slice thickness"
        self.notes += [f"{missing} in the headers: {', '.join(changed)}"] if changed else []
        return list(dict.fromkeys(out))
