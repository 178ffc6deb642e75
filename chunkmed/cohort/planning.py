"""Look at every place, choose the cases, say what each will take; nothing runs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chunkmed.cohort.cases import COLUMNS, Case, Spec, write_cases
from chunkmed.cohort.ledger import seen
from chunkmed.cohort.looking import looked_at
from chunkmed.cohort.places import Place, places_in
from chunkmed.cohort.prediction import Predictions
from chunkmed.cohort.settings import Limits, write_settings
from chunkmed.cohort.tries import Share
from chunkmed.cohort.where import condition
from chunkmed.cohort.work import Work
from chunkmed.dicom import Choices
from chunkmed.errors import InputError, StoreError
from chunkmed.provenance import content_hash

__all__ = ["Plan", "planned"]

PathLike = str | os.PathLike[str]
Progress = Callable[[int, int], None]
_FIELD = re.compile(r"\{(\w+)\}")


#: Columns that cases are chosen by: the others are found for those that were chosen.
_KNOWN = tuple(name for name in COLUMNS if name not in ("peak_bytes", "disk_bytes", "token", "selected"))


@dataclass(frozen=True)
class Plan:
    """Cases with what they take, not yet written."""

    cases: list[Case]
    specs: list[Spec]
    """The private rows of the cases that are selected."""
    work: Work
    limits: Limits
    where: str | None

    def write(self, out: Path) -> None:
        """Write the plan into a folder; results that are there are kept, and used where they still hold."""
        try:
            out.mkdir(parents=True, exist_ok=True)
            write_settings(out, self.work, self.limits, self.where)
            write_cases(out, self.cases, self.specs)
        except OSError as error:
            why = error.strerror or str(error)
            raise StoreError(
                "the plan cannot be written", kind="unwritable", where=str(out), why=why, fix="choose another"
            ) from error

    def outdated(self, out: Path) -> int:
        """Return how many results in a folder are of other inputs or settings than these cases."""
        return len(seen(out, {case.case: case.token for case in self.cases if case.selected}).outdated)


@dataclass(frozen=True)
class _Labels:
    """Patterns of the label images that stand in for steps, one each."""

    patterns: Mapping[str, str]
    base: Path
    """Where relative paths begin."""

    def of(self, case: Case, place: Place) -> tuple[tuple[str, str], ...]:
        known = {"case": case.case_id, "path": place.name, "key": case.case, **case.groups}
        return tuple((step, self._path(text, known)) for step, text in self.patterns.items())

    def _path(self, text: str, known: Mapping[str, str]) -> str:
        path, mark, name = _FIELD.sub(lambda found: known.get(found[1], found[0]), text).partition("#")
        return str(self.base / path) + mark + name


def planned(
    root: PathLike,
    work: Work,
    limits: Limits,
    *,
    where: str | None = None,
    case_id: str | None = None,
    labels: str | Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Return the plan of a cohort; parameters and errors as of :func:`chunkmed.cohort.plan`."""
    base = Path(os.path.abspath(root))  # noqa: PTH100 - links stay as they are
    named = _FIELD.findall(case_id or "")
    if where is not None:
        # Refused before thousands of headers are read.
        condition(where, {*_KNOWN, *named})
    patterns = _patterns(labels, work, named)
    if work.is_recipe:
        work.recipe().check_parameters(set(patterns))
    found = _looked(places_in(base, case_id), Choices(**work.choices), progress)
    cases = [case for case, _, _ in found]
    _select(cases, where)
    _flag_same_ids(cases)
    masks = _Labels(patterns, base if base.is_dir() else base.parent)
    specs = [replace(spec, labels=masks.of(case, place)) for case, spec, place in found]
    specs = [_with_token(case, spec, work) for case, spec in zip(cases, specs, strict=True)]
    predictions = Predictions(work, Share.of(limits).memory)
    for case in cases:
        predictions.predict(case, frozenset(patterns))
    kept = [spec for case, spec in zip(cases, specs, strict=True) if case.selected]
    return Plan(cases, kept, work, limits, where)


def _looked(
    places: list[Place], choices: Choices, progress: Progress | None
) -> list[tuple[Case, Spec, Place]]:
    out = []
    for done, place in enumerate(places, 1):
        out += [(case, spec, place) for case, spec in looked_at(place, choices)]
        if progress is not None:
            progress(done, len(places))
    return out


def _select(cases: list[Case], where: str | None) -> None:
    """Choose by the condition; what could not be looked at stays in, for nobody knows what it is."""
    if where is None:
        return
    names = {*_KNOWN, *(name for case in cases for name in case.groups)}
    wanted = condition(where, names)
    for case in cases:
        case.selected = case.image_bytes is None or wanted(case.row())


def _flag_same_ids(cases: list[Case]) -> None:
    counts = Counter(case.case_id for case in cases if case.selected)
    for case in cases:
        if case.selected and counts[case.case_id] > 1:
            case.flags = f"{case.flags} several-of-case".strip()


def _patterns(labels: str | Mapping[str, str] | None, work: Work, named: list[str]) -> Mapping[str, str]:
    """Return the label patterns by step, checked; a single one stands in for what the recipe draws."""
    if isinstance(labels, str):
        step = work.recipe().picture if work.is_recipe else None
        if step is None:
            raise InputError(
                "nobody knows which step the labels stand in for",
                kind="bad-labels",
                fix="give them as {step: pattern} (--labels STEP=PATTERN)",
            )
        labels = {step: labels}
    for step, text in (labels or {}).items():
        if work.is_recipe and step not in [each.name for each in work.recipe().steps]:
            raise InputError(f"the recipe has no step {step!r}", kind="bad-labels", where=work.name)
        for name in _FIELD.findall(text):
            if name not in ("case", "path", "key", *named):
                raise InputError(
                    f"{{{name}}} means nothing in the labels {text!r}",
                    kind="bad-labels",
                    fix="use {case}, {path}, {key}, or a name of the pattern of the case id",
                )
    return labels or {}


def _with_token(case: Case, spec: Spec, work: Work) -> Spec:
    seen = [(step, path, _changed(Path(path.partition("#")[0]))) for step, path in spec.labels]
    case.token = content_hash(spec.input, case.case_id, seen, work.token())
    return replace(spec, token=case.token)


def _changed(path: Path) -> list[tuple[int, int]]:
    """Return sizes and times of a file, or of what a store is known by; nothing where it is missing."""
    out = []
    for each in (path, path / "zarr.json"):
        try:
            found = each.stat()
        except OSError:
            continue
        out.append((0 if each.is_dir() else found.st_size, found.st_mtime_ns))
    return out
