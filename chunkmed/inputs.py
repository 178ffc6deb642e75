"""What a job takes: DICOM, a store or another format, looked through once and written as a store."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import xarray as xr

from chunkmed import images, store
from chunkmed.dicom import Choices, Stack, Study, scan
from chunkmed.errors import InputError, SourceError
from chunkmed.foreign import Described, is_foreign, refuse_described

__all__ = ["Input"]


class Input:
    """An image to work on.

    Parameters
    ----------
    source : path, URL or Stack
        DICOM (folder or file, or a series of a scan), a store, or what else :func:`chunkmed.open` reads.
    series : str, optional
        Selector of the series, where there are several.
    choices : Choices
        What is accepted of DICOM.
    described : Described
        What files do not say.

    Raises
    ------
    SourceError
        ``no-such-path``, before anything is made for it.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Stack,
        series: str | None,
        choices: Choices,
        described: Described,
    ) -> None:
        if not isinstance(source, Stack):
            _check_there(source)
        self._is_store = _is_store(source)
        self._source: Any = source if self._is_store else _scanned(source)
        self._series, self._choices, self._described = series, choices, described

    def open(self) -> xr.DataArray:
        """Return the image as it is: nothing but metadata is read."""
        return images.open(self._source, series=self._series, **self._options())

    def write(self, target: store.Place, overwrite: store.Overwrite) -> xr.DataArray:
        """Write the image as a store, and return it."""
        if self._is_store:
            return images.save(self.open(), target, overwrite=overwrite)
        return images.convert(
            self._source, target, series=self._series, overwrite=overwrite, **self._options()
        )

    def _options(self) -> dict[str, Any]:
        if self._is_store:
            self._refuse_options()
        described = self._described
        return asdict(self._choices) | {"spacing_mm": described.spacing_mm, "channel": described.channel}

    def _refuse_options(self) -> None:
        refuse_described(self._described)
        if self._series is not None:
            raise InputError("a store holds one series", kind="bad-series", fix="leave --series out")
        if self._choices != Choices():
            raise InputError("these options are for DICOM", kind="not-dicom", fix="leave them out")


def _check_there(source: str | os.PathLike[str]) -> None:
    """Refuse a path that is not there."""
    if not store.locate(source).exists() and not is_foreign(source):
        raise SourceError(
            "no such file or folder", kind="no-such-path", where=str(source), fix="check the path"
        )


def _is_store(source: Any) -> bool:
    if isinstance(source, Stack | Study):
        return False
    place = store.locate(source)
    return store.is_store(place) and store.is_ours(place)


def _scanned(source: Any) -> Any:
    """Return DICOM as what was found in it: it is looked through once."""
    return source if isinstance(source, Stack) or is_foreign(source) else scan(source)
