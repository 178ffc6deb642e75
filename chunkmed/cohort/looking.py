"""One place -> the cases in it: what headers and metadata tell, quality flags, what will be refused."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from chunkmed import dicom, store
from chunkmed.cohort.cases import Case, Spec
from chunkmed.cohort.places import Place
from chunkmed.coords import SPACE
from chunkmed.dicom import Choices
from chunkmed.dicom.walk import printable
from chunkmed.errors import ChunkmedError
from chunkmed.provenance import content_hash, keyed_identifier

__all__ = ["looked_at", "store_token"]

Found = tuple[Case, Spec]


def looked_at(place: Place, choices: Choices) -> list[Found]:
    """Return a case for each image at a place, at least one: what cannot be read is a case with a problem."""
    if (name := printable(str(place.path))) != str(place.path):
        place = replace(place, path=Path(name), name=printable(place.name), case_id=printable(place.case_id))
        return [_refused(place, "bad-name", f"{name}: the name is not UTF-8; rename it")]
    try:
        found = list(_of_store(place) if place.form == "store" else _of_dicom(place, choices))
    except ChunkmedError as error:
        found = [_refused(place, error.kind, str(error))]
    except Exception as error:  # one folder must not cost the others
        found = [_refused(place, "unexpected", f"{type(error).__name__}: {error}")]
    return found


def _refused(place: Place, kind: str, why: str) -> Found:
    case = _case(place, None, problem=kind, why=" ".join(why.split()), flags=" ".join(place.flags))
    return case, _spec(case, place, place.path, _times(place.path))


def _case(place: Place, series: str | None, **about: Any) -> Case:
    # The path is part of the name, but nobody can read it from there.
    key = keyed_identifier(f"case\n{place.name}\n{series}\n{place.case_id}")
    return Case(key, place.case_id, series=series, form=place.form, groups=dict(place.groups), **about)


def _spec(case: Case, place: Place, source: Path, token: str) -> Spec:
    return Spec(
        case.case, case.case_id, "", place.form, str(source), case.series, case.image_bytes or 0, token
    )


def _times(path: Path) -> str:
    """Return a text that changes when files come, go or change."""
    seen = []
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(names):
            try:
                found = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - may not be UTF-8
            except OSError:
                continue
            seen.append((os.fsencode(name).hex(), found.st_size, found.st_mtime_ns))
    return content_hash("unreadable", str(path), seen)


def _of_dicom(place: Place, choices: Choices) -> Iterator[Found]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A list: the path comes from a folder, and errors do not name it.
        study = dicom.scan([place.path])
    if choices.merge_series:
        yield _of_stack(place, dicom.certainly_merged(study, None), study, choices)
        return
    meant = {stack.key for stack in study.images()} or {stack.key for stack in study.stacks}
    if not study.stacks:
        yield _refused(place, "no-series", f"there is no image series here: {_skipped(study)}")
    for stack in study.stacks:
        case, spec = _of_stack(place, stack, study, choices)
        case.selected = stack.key in meant
        yield case, spec


def _skipped(study: dicom.Study) -> str:
    return "; ".join(f"{Path(item.path).name}: {item.reason}" for item in study.skipped[:3])


def _of_stack(place: Place, stack: dicom.Stack, study: dicom.Study, choices: Choices) -> Found:
    try:
        kept = dicom.accepted(stack, choices)
        problem: ChunkmedError | None = kept.problem
    except ChunkmedError as error:
        problem = error
    nbytes = math.prod(stack.shape) * stack.dtype.itemsize
    case = _case(
        place,
        stack.key,
        modality=stack.modality or None,
        plane=stack.plane or None,
        dtype=stack.dtype.name,
        n_files=len(stack.pixels.names),
        n_skipped=len(study.skipped),
        localizer=stack.localizer,
        flags=" ".join(_flags(place, stack, study)),
        problem=problem.kind if problem else "",
        why=str(problem) if problem else "",
        image_bytes=nbytes,
        **_sizes(stack.shape, stack.grid.spacing_mm if stack.grid.known else None),
    )
    return case, _spec(case, place, _source(place, stack, study), stack.token)


def _source(place: Place, stack: dicom.Stack, study: dicom.Study) -> Path:
    """Return the folder of the series where it has one of its own: the others are not read again."""
    own = Path(stack.pixels.folder)
    shared = any(Path(other.pixels.folder) == own for other in study.stacks if other is not stack)
    return own if not shared and not stack.members and own.is_relative_to(place.path) else place.path


def _sizes(shape: tuple[int, ...], spacing: tuple[float, ...] | None) -> dict[str, Any]:
    names = ("n_times", "n_slices", "n_rows", "n_columns")
    out: dict[str, Any] = dict(zip(names, shape[:4], strict=True))
    for axis, step in zip(SPACE, spacing or (None,) * 3, strict=True):
        out[f"spacing_{axis}_mm"] = None if step is None else float(step)
    return out


def _flags(place: Place, stack: dicom.Stack, study: dicom.Study) -> Iterator[str]:
    yield from place.flags
    # "EchoTime 9.84" tells series apart: one word each.
    yield from (flag.replace(" ", "=") for flag in stack.flags)
    yield from sorted({item.error.kind for item in stack.irregularities})
    marks = {
        "files-skipped": study.skipped,
        "no-spacing": not stack.grid.known,
        "uneven-slices": stack.grid.known and not stack.grid.uniform,
        "order-only": len(stack.grid.time_ms) > 1 and not stack.grid.time_known,
        "warnings": stack.warnings,
        "colour": stack.channels,
    }
    yield from (name for name, holds in marks.items() if holds)


def _of_store(place: Place) -> Iterator[Found]:
    found = store.open_image(place.path)
    attributes, array = found.attributes, found.array
    positions = {axis: found.coords[axis][1] for axis in SPACE}
    steps = [float((v[-1] - v[0]) / (len(v) - 1)) if len(v) > 1 else None for v in positions.values()]
    sizes = dict(zip(found.dims, array.shape, strict=True))
    case = _case(
        place,
        found.about.get("series_key"),
        modality=attributes.get("modality"),
        dtype=array.dtype.name,
        flags=" ".join(place.flags),
        image_bytes=math.prod(array.shape) * array.dtype.itemsize,
        n_times=sizes.get("t", 1),
        n_slices=sizes.get("z"),
        n_rows=sizes.get("y"),
        n_columns=sizes.get("x"),
        **{f"spacing_{axis}_mm": step for axis, step in zip(SPACE, steps, strict=True)},
    )
    yield case, _spec(case, place, place.path, store_token(place.path, array))


def store_token(path: Path, array: store.StoredArray) -> str:
    """Return a text that changes when the image of a store does."""
    if array.commit is not None:
        return array.token
    # What others wrote has no name of its own: times will do.
    inside = Path(str(array.path))
    seen = [place.stat() for place in (path, inside, inside / "zarr.json") if place.exists()]
    return content_hash("others", str(path), [(found.st_size, found.st_mtime_ns) for found in seen])
