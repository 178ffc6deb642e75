"""Where the images of a cohort lie: folders of DICOM below a root, stores, or the rows of a manifest."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chunkmed import store
from chunkmed.errors import InputError, SourceError

__all__ = ["Pattern", "Place", "places_in"]

_NAME = re.compile(r"\{(\w+)\}")


#: What mends most manifests.
_CORRECT = "correct it: a value with a comma stands in quotes"


@dataclass(frozen=True)
class Place:
    """A folder, file or store that holds the images of one case."""

    path: Path
    name: str
    """Path relative to the root."""
    case_id: str
    form: str = "dicom"
    groups: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pattern:
    """Path pattern like ``sub-{case}/{visit}``: one folder for each part, the id among them.

    Examples
    --------
    >>> Pattern("sub-{case}/{visit}").match("sub-007/first")
    {'case': '007', 'visit': 'first'}
    """

    text: str

    @property
    def depth(self) -> int:
        """How many folders deep the cases lie."""
        return len(self.text.strip("/").split("/"))

    def match(self, name: str) -> dict[str, str] | None:
        """Return what the names in braces stand for; None where the path has another form."""
        parts = re.split(r"(\{\w+\}|\*)", self.text.strip("/"))
        found = re.fullmatch("".join(map(_expression, parts)), name)
        return None if found is None else found.groupdict()

    def check(self) -> None:
        """Refuse a pattern without an id, or with a name twice."""
        names = _NAME.findall(self.text)
        if "case" not in names or len(set(names)) < len(names):
            raise InputError(
                f"the pattern {self.text!r} does not say where the case id stands",
                kind="bad-case-id",
                fix='write "{case}" once, like "{case}/{visit}", or "manifest.csv:column"',
            )


def _expression(part: str) -> str:
    if part == "*":
        return "[^/]+"
    named = _NAME.fullmatch(part)
    return f"(?P<{named[1]}>[^/]+)" if named else re.escape(part)


def places_in(root: Path, case_id: str | None = None) -> list[Place]:
    """Return where the cases below a root lie, in the order of their paths.

    Parameters
    ----------
    root : Path
        A folder of folders with DICOM or stores (each folder a case; files of the root itself make one
        more), or a CSV manifest with a column ``path``.
    case_id : str, optional
        ``manifest.csv:column`` (with a column ``path`` relative to the root), or a path pattern.

    Raises
    ------
    SourceError
        ``no-such-path``, ``bad-manifest``, ``no-cases``.
    InputError
        ``bad-case-id``.
    """
    if not root.exists():
        raise SourceError(
            "no such file or folder", kind="no-such-path", where=str(root), fix="check the path"
        )
    table, _, column = (case_id or "").rpartition(":")
    if root.is_file():
        found = _of_manifest(root, root.parent, column or case_id or "case_id", wanted=case_id is not None)
    elif table:
        found = _joined(root, _of_manifest(Path(table), root, column, wanted=True))
    elif case_id:
        found = list(_of_pattern(root, Pattern(case_id)))
    else:
        found = [place for folder in _folders(root, 1) for place in _inside(root, folder)]
    if not found:
        raise SourceError("there are no cases", kind="no-cases", where=str(root), fix="check the path")
    return sorted(found, key=lambda place: (place.name, place.case_id))


def _of_manifest(table: Path, base: Path, column: str, *, wanted: bool) -> list[Place]:
    """Return the places that the rows of a manifest name, all of them DICOM or stores."""
    places = []
    for row in _rows(table, ("path", *((column,) if wanted else ()))):
        path = Path(os.path.abspath(base / row["path"]))  # noqa: PTH100 - links stay as they are
        form = "store" if store.is_store(path) else "dicom"
        name = os.path.relpath(path, os.path.abspath(base))  # noqa: PTH100
        places.append(Place(path, name, row.get(column) or name, form))
    return places


def _rows(table: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or ())
            _check_columns(columns, needed, table)
            return [_checked(row, table, reader.line_num) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _bad_manifest(table, why) from error


def _bad_manifest(
    table: Path, why: str, fix: str = "", what: str = "the manifest cannot be read"
) -> SourceError:
    return SourceError(what, kind="bad-manifest", where=str(table), why=why, fix=fix)


def _check_columns(columns: Sequence[str], needed: Sequence[str], table: Path) -> None:
    missing = next((name for name in needed if name not in columns), None)
    if missing is not None:
        why = f"its columns are {', '.join(columns)}" if columns else "it is empty"
        fix = "it needs a column 'path', and the one that is named after the colon; commas between them"
        raise _bad_manifest(table, why, fix, f"the manifest has no column {missing!r}")
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise _bad_manifest(table, f"it has several columns {twice!r}", _CORRECT)


def _checked(row: Mapping[Any, Any], table: Path, line: int) -> dict[str, str]:
    """Return a row of a manifest; refuse one whose case or path nobody can tell."""
    if None in row:
        raise _bad_manifest(table, f"line {line} has more values than there are columns", _CORRECT)
    if not (row["path"] or "").strip():
        raise _bad_manifest(table, f"line {line} names no path", _CORRECT)
    return {name: value or "" for name, value in row.items()}


def _joined(root: Path, listed: list[Place]) -> list[Place]:
    """Return the places below the root with the ids of a manifest; what either lacks is there, flagged."""
    folders = {place.name: place.case_id for place in listed}
    out, met = [], set()
    for place in (place for folder in _folders(root, 1) for place in _inside(root, folder)):
        parents = [place.name, *(str(parent) for parent in Path(place.name).parents)]
        known = next((name for name in parents if name in folders), None)
        met.add(known)
        if known is None:
            out.append(replace(place, flags=("no-case-id",)))
        else:
            out.append(replace(place, case_id=folders[known]))
    # Deeper than the first level, or missing: the manifest's word counts.
    left = [place for place in listed if place.name not in met]
    inner = [place for place in left if place.path.exists()]
    covered = {place.name.split("/")[0] for place in inner}
    return [place for place in out if place.name not in covered] + left


def _of_pattern(root: Path, pattern: Pattern) -> Iterator[Place]:
    pattern.check()
    for folder in _folders(root, pattern.depth):
        for place in _inside(root, folder):
            groups = pattern.match(folder.relative_to(root).as_posix().removesuffix(".zarr"))
            if groups is None:
                yield replace(place, flags=("no-case-id",))
            else:
                yield replace(place, case_id=groups.pop("case"), groups=groups)


def _folders(root: Path, depth: int) -> list[Path]:
    """Return the folders at a depth below the root, and files on the way; a root without folders itself."""
    if depth == 0 or store.is_store(root):
        return [root]
    below = sorted(_visible(root), key=lambda path: path.name)
    if not any(path.is_dir() for path in below):
        return [root] if below else []
    folders = [found for path in below if path.is_dir() for found in _folders(path, depth - 1)]
    return folders + [path for path in below if path.is_file() and path.suffix == ".dcm"]


def _inside(root: Path, folder: Path) -> list[Place]:
    """Return the stores in a folder, and the folder itself where it holds anything else."""

    def place(path: Path, form: str) -> Place:
        name = path.relative_to(root).as_posix()
        return Place(path, name, name.removesuffix(".zarr"), form)

    if store.is_store(folder):
        return [place(folder, "store")]
    stores, others = _stores_below(folder)
    dicom = [place(folder, "dicom")] if others or not stores else []
    return [*dicom, *(place(path, "store") for path in stores)]


def _stores_below(folder: Path) -> tuple[list[Path], bool]:
    stores, others = [], False
    for path, below, files in os.walk(folder):
        found = [name for name in below if store.is_store(Path(path) / name)]
        stores += [Path(path) / name for name in found]
        below[:] = sorted(name for name in below if name not in found and not name.startswith("."))
        others = others or any(not name.startswith(".") for name in files)
    return stores, others


def _visible(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise SourceError(
            "the folder cannot be read", kind="no-such-path", where=str(folder), why=error.strerror or ""
        ) from error
