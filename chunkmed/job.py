"""The main job: from a DICOM folder to a store, tables, a curve, a picture and their provenance."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from chunkmed import cardiac, images, provenance, store
from chunkmed.coords import time_dim_of
from chunkmed.dicom import Choices, Stack
from chunkmed.errors import ChunkmedError, InputError, PlanError, StoreError
from chunkmed.foreign import Described
from chunkmed.graph.budget import current_budget, peak_bytes
from chunkmed.inputs import Input
from chunkmed.outputs import Outputs
from chunkmed.recipe import Pipeline, Recipe, plan_recipe
from chunkmed.report import summary_picture, write_json, write_table

__all__ = ["JobResult", "run_job", "split_label"]

_IMAGE = "image.zarr"
_SIZES = ("volume_ml", "area_mm2", "area_px", "volume_vox")
_NOT_FOLLOWED = "no ejection fraction: the image has a single time point, nothing is followed through time"
_VALUE_MEASURES = ("sum", "mean", "standard_deviation", "minimum", "maximum")


@dataclass
class JobResult:
    """Where everything lies, and what was found."""

    out: store.Place
    files: list[store.Place] = field(default_factory=list)
    """Everything written, in order."""
    table: xr.Dataset | None = None
    """The first measurement, units in its names."""
    summary: dict[str, int | float] = field(default_factory=dict)
    """End-diastole, end-systole and ejection fraction, where there is a time axis."""
    assumptions: list[str] = field(default_factory=list)
    """What was assumed at conversion and on the way."""
    missing: str = ""
    """Which result the recipe cannot give of this image, and why."""
    image_bytes: int = 0
    """Size of the image, uncompressed."""
    peak_bytes: int = 0
    """Largest resident memory of the process."""
    seconds: float = 0.0


def run_job(
    recipe: Recipe,
    source: str | os.PathLike[str] | Stack,
    out: str | os.PathLike[str],
    *,
    series: str | None = None,
    allow_missing: bool = False,
    allow_irregular: bool = False,
    merge_series: bool = False,
    frames: str | None = None,
    labels: Mapping[str, str | os.PathLike[str]] | None = None,
    spacing_mm: Any = None,
    channel: str | int | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> JobResult:
    """Run a recipe on an image and write everything into one folder.

    Parameters
    ----------
    recipe : Recipe
        What to do; its parameters are set already.
    source : path, URL or Stack
        DICOM (folder or file, or a series of a scan), a store, or what else :func:`chunkmed.open` reads.
    out : path or URL
        Folder for the results, made if missing, or a prefix of an object store: ``image.zarr`` with
        the label images, tables (Parquet and CSV), ``curve``, ``summary.json``, ``picture.png``,
        ``provenance.json`` and ``assumptions.json``.
    series : str, optional
        Selector of the series, where there are several.
    allow_missing, allow_irregular, merge_series, frames
        What is accepted of DICOM, as in :func:`chunkmed.convert`.
    labels : mapping of name to path, optional
        Label images (a store, NIfTI, DICOM SEG): those that the recipe takes, and stand-ins for its steps.
    spacing_mm, channel
        As in :func:`chunkmed.open`, where the files do not say it.
    overwrite : bool, default False
        Replace results that are there.
    resume : bool, default False
        Take image and label images that are in ``out`` as they are: an earlier call with the same
        arguments was cut off. Whoever calls knows that.

    Returns
    -------
    JobResult

    Raises
    ------
    SourceError, StoreError, InputError, PlanError
        With nothing half-written left behind.
    """
    started = time.monotonic()
    recipe.check_parameters(set(labels or {}))
    choices = Choices(allow_missing, allow_irregular, merge_series, frames)
    wanted = Input(source, series, choices, Described(spacing_mm, channel=channel))
    if not resume:
        _rehearse(recipe, wanted.open(), labels or {})
    with Outputs(out) as outputs, _saying_what_is_kept(outputs):
        result = JobResult(outputs.place)
        target = result.out / _IMAGE
        there = resume and store.has_image(target)
        replaced = _replaced(outputs, target, overwrite=overwrite)
        image = images.open(target) if there else wanted.write(target, replaced)
        given = {name: _given(recipe, name, path, image) for name, path in (labels or {}).items()}
        pipeline = Pipeline(recipe, image, given)
        result.image_bytes = int(image.nbytes)
        result.files.append(target)
        kept = store.label_names(target) if there else []
        for name in recipe.save:
            pipeline.replace(name, _saved(pipeline, name, target, kept, replaced))
        tables = _measure(pipeline, result, outputs)
        curve = _curve(tables, image, pipeline, result, outputs)
        _draw(pipeline, tables, curve, result, outputs)
        result.seconds = time.monotonic() - started
        _finish(pipeline, target, result, outputs)
        outputs.end()
    return result


@contextmanager
def _saying_what_is_kept(outputs: Outputs) -> Iterator[None]:
    try:
        yield
    except ChunkmedError as error:
        if not error.kept and outputs.begun and store.has_image(outputs.place / _IMAGE):
            error.kept = f"{_IMAGE}: the corrected command goes on from there"
        raise


def _replaced(outputs: Outputs, target: store.Place, *, overwrite: bool) -> store.Overwrite:
    """Return what of the stores that are there is replaced.

    What an earlier call left that did not end well is no result: of it, what would be the same is taken,
    and the rest is replaced.
    """
    begun = outputs.begin(own=overwrite or not target.exists())
    return overwrite or ("changed" if begun else False)


def _saved(
    pipeline: Pipeline, name: str, target: store.Place, kept: Sequence[str], overwrite: store.Overwrite
) -> xr.DataArray:
    """Return a label image of the store, written now where it is not kept from before."""
    if name in kept:
        return images.open(target, label=name)
    return images.save(pipeline[name], target, name=name, overwrite=overwrite)


def _given(recipe: Recipe, name: str, path: str | os.PathLike[str], image: xr.DataArray) -> xr.DataArray:
    """Return a label image made elsewhere, its labels with names where the recipe has some for it."""
    names = recipe.names if name in recipe.labels and recipe.names else None
    return images.open_labels(*split_label(path), like=image, names=names)


def _rehearse(recipe: Recipe, image: xr.DataArray, labels: Mapping[str, Any]) -> None:
    """Refuse steps that cannot be done before an image is written for them.

    What a user's own function reads is not known: such recipes are not rehearsed. Whether passes fit the
    budget is seen when they are planned on what was written.
    """
    if not any(":" in step.do for step in recipe.steps):
        with suppress(PlanError):
            plan_recipe(recipe, image, labels)


def split_label(path: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Return the path and the name of a label image given as ``store.zarr`` or ``store.zarr#name``."""
    text, _, name = str(path).partition("#")
    return text, name or None


def _measure(pipeline: Pipeline, result: JobResult, outputs: Outputs) -> list[xr.Dataset]:
    tables = []
    for number, wanted in enumerate(pipeline.recipe.measurements):
        table = pipeline.measure(wanted)
        tables.append(table)
        stem = outputs.folder / ("table" if number == 0 else f"table-{number + 1}")
        named = _with_value_units(table, pipeline.image)
        result.files += outputs.publish(write_table(named, stem))
        result.table = named if result.table is None else result.table
    return tables


def _with_value_units(table: xr.Dataset, image: xr.DataArray) -> xr.Dataset:
    """Put the unit of the values into the names: ``mean`` of a CT becomes ``mean_hu``."""
    units = str(image.attrs.get("units", "")).lower().replace("/", "_per_")
    if not units.replace("_", "").isalnum():
        return table
    return table.rename({name: f"{name}_{units}" for name in _VALUE_MEASURES if name in table})


def _curve(
    tables: list[xr.Dataset],
    image: xr.DataArray,
    pipeline: Pipeline,
    result: JobResult,
    outputs: Outputs,
) -> xr.DataArray | None:
    """Write the size of all objects together over time, and what a heart beat makes of it."""
    dim = time_dim_of(image)
    sizes = [name for name in _SIZES if tables and name in tables[0]]
    if dim is None or image.sizes[dim] < 2 or not sizes:
        if any(step.do == "follow" for step in pipeline.recipe.steps):
            result.missing = _NOT_FOLLOWED
        return None
    curve = tables[0][sizes[0]].sum("label", skipna=True, min_count=1)
    curve.attrs["units"] = tables[0][sizes[0]].attrs["units"]
    result.files += outputs.publish(write_table(curve.to_dataset(name=sizes[0]), outputs.folder / "curve"))
    try:
        found = cardiac.summary(curve.rename(sizes[0]))
    except InputError as error:
        pipeline.notes.append(f"no ejection fraction: {error}")
        return None
    result.summary = {str(name): value.item() for name, value in found.items()}
    result.files += outputs.publish([write_json(outputs.folder / "summary.json", result.summary)])
    return curve.rename(sizes[0])


def _draw(
    pipeline: Pipeline,
    tables: list[xr.Dataset],
    curve: xr.DataArray | None,
    result: JobResult,
    outputs: Outputs,
) -> None:
    recipe = pipeline.recipe
    if recipe.picture is None:
        return
    table = tables[0] if tables else None
    try:
        path = summary_picture(
            pipeline.image,
            pipeline[recipe.picture],
            outputs.folder / "picture.png",
            curve=curve,
            table=table,
            title=recipe.name.removesuffix(".toml").replace("-", " ").capitalize(),
        )
    except OSError as error:
        raise StoreError("the picture cannot be written", kind="unwritable", why=str(error)) from error
    result.files += outputs.publish([path])


def _finish(pipeline: Pipeline, target: store.Place, result: JobResult, outputs: Outputs) -> None:
    about = store.open_image(target).about
    result.assumptions = [*about.get("assumptions", []), *pipeline.notes]
    result.peak_bytes = peak_bytes()
    budget = current_budget()
    record = {
        "versions": provenance.versions(),
        "series": about.get("series_key"),
        "recipe": {
            "name": pipeline.recipe.name,
            "text": pipeline.recipe.text,
            "parameters": dict(pipeline.recipe.parameters),
        },
        "history": about.get("history", []),
        "budget": {"memory_bytes": budget.memory, "workers": budget.workers},
        "image": {"shape": list(pipeline.image.shape), "bytes": result.image_bytes},
        "peak_memory_bytes": result.peak_bytes,
        "seconds": round(result.seconds, 3),
        "files": [path.name for path in result.files],
    }
    assumed = write_json(outputs.folder / "assumptions.json", result.assumptions)
    result.files += outputs.publish([assumed, write_json(outputs.folder / "provenance.json", record)])
