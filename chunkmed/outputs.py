"""Where the results of a job go: a folder, or a prefix of an object store they are brought to one by one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from chunkmed.errors import StoreError
from chunkmed.store import ObjectPath, Place, is_store, is_url, locate

__all__ = ["Outputs"]

#: There while a job runs, and after one that did not end well.
_UNFINISHED = ".unfinished"


class Outputs:
    """A place for tables, pictures and stores; a context manager.

    Parameters
    ----------
    out : path or URL
        Made if it is a folder that is missing.

    Attributes
    ----------
    place : path or ObjectPath
        Where results lie in the end.
    folder : Path
        Where files are written; :meth:`publish` brings them to their place.

    Raises
    ------
    StoreError
        ``unwritable``, ``inside-a-store``.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        found = locate(out)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self.place: Place
        if isinstance(found, ObjectPath):
            self._temporary = tempfile.TemporaryDirectory(prefix="chunkmed-results-")
            self.place, self.folder = found, Path(self._temporary.name)
        else:
            # As it was given: messages name it so.
            self.place = self.folder = _made_folder(found if is_url(out) else Path(out))

    def begin(self, *, own: bool) -> bool:
        """Note that a job is under way here; return whether an earlier one did not end well.

        Parameters
        ----------
        own : bool
            Whether all that will lie here is this job's: else nothing is noted.
        """
        begun = self.begun
        if own and not begun:
            _write(self.place / _UNFINISHED)
        return begun

    @property
    def begun(self) -> bool:
        """Whether a job is noted that has not ended well."""
        return (self.place / _UNFINISHED).exists()

    def end(self) -> None:
        """Note that the job ended well."""
        mark = self.place / _UNFINISHED
        if isinstance(mark, ObjectPath):
            mark.remove_object()
        else:
            mark.unlink(missing_ok=True)

    def publish(self, files: Iterable[Path]) -> list[Place]:
        """Bring finished files to their place; return where they are."""
        if not isinstance(self.place, ObjectPath):
            return list(files)
        published: list[Place] = []
        for file in files:
            target = self.place / file.name
            target.write(file.read_bytes())
            published.append(target)
        return published

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()


def _write(mark: Place) -> None:
    if isinstance(mark, ObjectPath):
        # Not empty: the end of an object is asked for.
        mark.write(b"\n")
    else:
        mark.touch()


def _made_folder(out: Path) -> Path:
    full = out.absolute()
    if (inside := next((path for path in (full, *full.parents) if is_store(path)), None)) is not None:
        raise StoreError(
            "results do not go into a store",
            kind="inside-a-store",
            where=str(out),
            why=f"{inside.name} is a store: it would be replaced with all that lies in it",
            fix="choose a folder of their own",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise StoreError(
            "the output folder cannot be made",
            kind="unwritable",
            where=str(out),
            why=error.strerror or str(error),
            fix="choose another folder",
        ) from error
    return out
