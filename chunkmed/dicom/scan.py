"""Scan a folder: every file once, headers only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from chunkmed.dicom.headers import Frame
from chunkmed.dicom.many import read_headers
from chunkmed.dicom.quiet import quiet
from chunkmed.dicom.stacks import stacks_of
from chunkmed.dicom.study import Skipped, Study
from chunkmed.dicom.walk import Paths, find_files, printable
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

__all__ = ["scan"]

_MOST_NAMED = 3


def scan(paths: Paths, *, progress: Callable[[int, int], None] | None = None) -> Study:
    """Read the headers below a path and sort the images into stacks.

    Parameters
    ----------
    paths : path or sequence of paths
        Folders (searched recursively) and files.
    progress : callable, optional
        Called with (files done, files found).

    Returns
    -------
    Study
        The stacks, and every file that is not part of one with the reason.

    Raises
    ------
    SourceError
        ``no-such-path`` if a path is missing, ``no-dicom`` if no file holds an image.

    Examples
    --------
    >>> from chunkmed.testing import BeatingEllipsoid, write_study
    >>> heart = BeatingEllipsoid(time_points=2, size=(12, 48, 64), spacing_mm=(10.0, 3.0, 3.0))
    >>> files = write_study("study", heart)
    >>> study = scan("study")
    >>> [(stack.modality, stack.shape) for stack in study.stacks], study.skipped
    ([('MR', (2, 12, 48, 64))], ())
    """
    found = dict(find_files(paths))
    frames: list[Frame] = []
    skipped: list[Skipped] = []
    with quiet():
        for done, (path, read) in enumerate(read_headers(found), 1):
            if isinstance(read, str):
                skipped.append(Skipped(printable(path), read))
            else:
                frames += read
            if progress is not None:
                progress(done, len(found))
        if not frames:
            raise _nothing(paths, skipped)
        stacks, unusable = stacks_of(frames)
    return Study(stacks, (*skipped, *unusable))


def _nothing(paths: Paths, skipped: list[Skipped]) -> SourceError:
    # A single path was typed by the user; lists are mostly what a folder holds: names that may be private.
    given = printable(os.fspath(paths)) if isinstance(paths, str | os.PathLike) else ""
    if given and Path(given).is_file():
        why, fix = skipped[0].reason, "give a DICOM file, or the folder that holds the series"
    else:
        named = [f"file {file_identifier(item.path)}: {item.reason}" for item in skipped[:_MOST_NAMED]]
        more = f" and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
        why = ("; ".join(named) + more) or "there are no files"
        fix = "point to the folder that holds the series"
    return SourceError("no DICOM image was found", kind="no-dicom", where=given, why=why, fix=fix)
