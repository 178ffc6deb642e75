"""The errors a user can meet, grouped by what the reader of the message will do next.

::

    ChunkmedError
    |-- SourceError   the DICOM (or other) input is not what was asked for: look at the files
    |-- StoreError    a store is missing, incomplete or cannot be written: look at the disk
    |-- PlanError     the work does not fit the budget: change memory, workers or blocks
    `-- InputError    an argument is wrong: change the call (also a ``ValueError``)
                      and, where scipy raises another type for it, that type too

Warnings are :class:`RangeWarning`: a result may not be what its numbers say.

Every error carries a stable ``kind`` (kebab-case, all of them in :mod:`chunkmed.kinds`) that programs
can rely on, and the parts of its message: *what* happened, *where* (series, file, tag), *why*, what was
*kept* and what to do (*fix*). Series and files are named by keyed identifiers, never by UIDs or by the
names of files: those may name a person (``chunkmed which`` looks an identifier up).
"""

from __future__ import annotations

__all__ = ["ChunkmedError", "InputError", "PlanError", "RangeWarning", "SourceError", "StoreError", "refusal"]

_PARTS = ("what", "kind", "series", "file", "tag", "where", "why", "kept", "fix")


class ChunkmedError(Exception):
    """Base of all errors that chunkmed raises on purpose.

    Parameters
    ----------
    what : str
        What happened, in one clause.
    kind : str
        Stable identifier of the cause, for programs.
    series, file : str, optional
        Keyed identifiers of the DICOM series and the file.
    tag : str, optional
        The elements, like ``(0020,0032)``.
    where : str, optional
        Any other place: a path that the user gave, a step of a recipe.
    why : str, optional
        The cause, as far as it is known.
    kept : str, optional
        What was kept of work already done.
    fix : str, optional
        How to go on.

    Examples
    --------
    >>> error = ChunkmedError("nothing to read", kind="no-files", where="study/", fix="check the path")
    >>> print(error)
    nothing to read (study/); check the path
    >>> print(ChunkmedError("a slice is missing", kind="missing-slices", series="3f2a", tag="(0020,0032)"))
    a slice is missing (series 3f2a, tag (0020,0032))
    >>> error.as_dict()["kind"]
    'no-files'
    """

    #: What a process ends with that this error ends.
    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        kind: str,
        series: str = "",
        file: str = "",
        tag: str = "",
        where: str = "",
        why: str = "",
        kept: str = "",
        fix: str = "",
    ) -> None:
        self.what, self.kind = what, kind
        self.series, self.file, self.tag, self.where = series, file, tag, where
        self.why, self.kept, self.fix = why, kept, fix
        super().__init__(what)

    @property
    def place(self) -> str:
        """Series, file, tag and any other place, in words; empty where nothing is known."""
        named = (("series", self.series), ("file", self.file), ("tag", self.tag))
        return ", ".join([*(f"{name} {text}" for name, text in named if text), *filter(None, [self.where])])

    def __str__(self) -> str:
        head = f"{self.what} ({self.place})" if self.place else self.what
        if self.why:
            head = f"{head}: {self.why}"
        return "; ".join(part for part in (head, self.kept, self.fix) if part)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders on their way back from dask workers.
        return _rebuild, (type(self), self.as_dict())

    def as_dict(self) -> dict[str, str]:
        """Return the parts of the message as plain strings, for ``--json``."""
        return {name: getattr(self, name) for name in _PARTS}


class SourceError(ChunkmedError):
    """The input is not what was asked for."""


class StoreError(ChunkmedError):
    """A store is missing, incomplete, or cannot be written."""


class PlanError(ChunkmedError):
    """The work does not fit the budget."""


class InputError(ChunkmedError, ValueError):
    """An argument is wrong."""

    exit_code = 2


class _RuntimeInputError(InputError, RuntimeError):
    """An argument is wrong, and scipy calls that a ``RuntimeError``."""


class _TypeInputError(InputError, TypeError):
    """An argument is wrong, and scipy calls that a ``TypeError``."""


class _IndexInputError(InputError, IndexError):
    """An argument is wrong, and scipy calls that an ``IndexError``."""


class _NotImplementedInputError(InputError, NotImplementedError):
    """An argument is not supported, and scipy calls that a ``NotImplementedError``."""


_KIN: tuple[tuple[type[Exception], type[InputError]], ...] = (
    (NotImplementedError, _NotImplementedInputError),
    (RuntimeError, _RuntimeInputError),
    (TypeError, _TypeInputError),
    (IndexError, _IndexInputError),
)


def refusal(like: type[BaseException], what: str, *, kind: str, why: str = "", fix: str = "") -> InputError:
    """Return an :class:`InputError` that is also of another type.

    Examples
    --------
    >>> error = refusal(RuntimeError, "incorrect filter size", kind="bad-size")
    >>> isinstance(error, InputError), isinstance(error, RuntimeError)
    (True, True)
    """
    found = (ours for theirs, ours in _KIN if issubclass(like, theirs))
    return next(found, InputError)(what, kind=kind, why=why, fix=fix)


class RangeWarning(UserWarning):
    """Numbers may leave the range of their dtype and wrap around."""


def _rebuild(cls: type[ChunkmedError], parts: dict[str, str]) -> ChunkmedError:
    what = parts.pop("what")
    return cls(what, **parts)
