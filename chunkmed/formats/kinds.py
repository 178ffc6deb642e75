"""What a file is: by its name where that says it, else by its first bytes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["is_picture", "kind_of"]

_NAMES = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".ome.tif": "tiff",
    ".btf": "tiff",
}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM")
_NIFTI = ((344, b"n+1\0"), (4, b"n+2\0"))


def kind_of(path: str | os.PathLike[str]) -> str:
    """Return ``"nifti"``, ``"tiff"``, or an empty text for everything else.

    Examples
    --------
    >>> kind_of("lv.nii.gz"), kind_of("slices/0001.TIF"), kind_of("study/")
    ('nifti', 'tiff', '')
    """
    name = os.fspath(path).lower()
    named = next((kind for end, kind in _NAMES.items() if name.endswith(end)), "")
    if named and not Path(path).is_dir():
        return named
    raw = _start(path)
    if raw[128:132] == b"DICM":
        return ""
    if raw[:4] in _TIFF:
        return "tiff"
    return "nifti" if any(raw[at : at + 4] == mark for at, mark in _NIFTI) else ""


def is_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a JPEG, PNG, GIF or BMP does."""
    return _start(path).startswith(_PICTURES)


def _start(path: str | os.PathLike[str]) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return b""
    try:
        return os.pread(handle, 352, 0) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(handle)
