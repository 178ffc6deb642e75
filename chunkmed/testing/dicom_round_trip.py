"""Write any phantom as DICOM in any form, so that a reader must give the phantom back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import InputError
from chunkmed.grid import Grid
from chunkmed.testing.dicom_elements import (
    clock,
    decimal,
    pixel_tags,
    series_tags,
    slice_tags,
    time_tags,
    uid,
)
from chunkmed.testing.dicom_files import save
from chunkmed.testing.dicom_forms import AXIS_OF, Form
from chunkmed.testing.dicom_layouts import Image, Parts, parts_of
from chunkmed.testing.dicom_writer import Frame

__all__ = ["write_form"]

_JUNK = {
    "DICOMDIR.txt": b"not a directory record\n",
    "empty": b"",
    "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(600),
    "half.dcm": bytes(128) + b"DICM",
}


def write_form(folder: Path | str, frame: Frame, grid: Grid, form: Form | None = None) -> list[Path]:
    """Write a function of (t, z) as the DICOM files of one form.

    Parameters
    ----------
    folder : Path or str
        Where to write; made if missing.
    frame : callable
        ``frame(t, z)`` returns the values (y, x) of one slice, after any rescale.
    grid : Grid
        Positions of all voxels, mm in LPS, and the times; oblique and sheared ones too.
    form : Form, optional
        How to write: one of ``FORMS`` or your own; classic single-frame files if not given.

    Returns
    -------
    list of Path
        The image files, whatever their names say; junk is not among them.

    Raises
    ------
    InputError
        If the pixels do not fit what is stored, the layout cannot say where they lie, or no
        encoder for the transfer syntax is installed.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> from chunkmed.grid import Grid
    >>> grid = Grid(z_mm=(0.0, 5.0), y_mm=(0.0, 1.0, 2.0), x_mm=(0.0, 1.0, 2.0))
    >>> files = write_form("mr", lambda t, z: np.full((3, 3), z), grid, Form(layout="enhanced"))
    >>> len(files), cm.open("mr").shape
    (1, (1, 2, 3, 3))
    """
    form = form or Form()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Parts] = []
    for members in _by_series(grid, form):
        parts += parts_of([_image(frame, grid, form, t, z) for t, z in members], grid, form)
    paths = [folder / name for name in _names(len(parts), form)]
    for path, (dataset, frames) in zip(paths, parts, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, dataset, frames, form)
    if form.junk_files:
        for name, content in _JUNK.items():
            (folder / name).write_bytes(content)
    return paths


def _by_series(grid: Grid, form: Form) -> list[list[tuple[int, int]]]:
    order = [(t, z) for t, z in np.ndindex(grid.shape[:2])]
    if form.reverse_slices:
        order.sort(key=lambda place: (place[0], -place[1]))
    if form.per_series == "all":
        return [order]
    axis = ("time", "slice").index(form.per_series)
    return [[place for place in order if place[axis] == n] for n in range(grid.shape[axis])]


def _names(count: int, form: Form) -> list[str]:
    order: Sequence[int] = range(count)
    if form.shuffle_seed:
        order = np.random.default_rng(form.shuffle_seed).permutation(count).tolist()
    if form.names == "renamed":
        return [uid("name", number)[-12:] for number in order]
    numbered = [f"IM{number:05d}.dcm" for number in order]
    if form.names == "nested":
        return [f"{number % 3}/{number % 2}/{name}" for number, name in zip(order, numbered, strict=True)]
    return numbered


def _image(frame: Frame, grid: Grid, form: Form, t: int, z: int) -> Image:
    times, slices = grid.shape[:2]
    number = {"all": 0, "slice": z, "time": t}[form.per_series]
    tags = series_tags(grid, form.modality, number, 0.0) | slice_tags(grid, t, z, 0)
    tags |= _when(grid, form, t, z)
    place = slices - 1 - z if form.reverse_slices else z
    if form.time_key != "InstanceNumber":
        tags["InstanceNumber"] = place * times + t + 1
    rescale = _rescale(form, t, z)
    pixels = pixel_tags(frame(t, z), np.dtype(form.dtype), rescale)
    raw = np.frombuffer(pixels.pop("PixelData"), np.dtype(form.dtype).newbyteorder("<"))
    stored = raw.reshape(pixels["Rows"], pixels["Columns"])
    tags |= pixels | {"PhotometricInterpretation": form.photometric, "PixelPaddingValue": form.padding}
    if form.bits_stored:
        stored = _narrowed(stored, form)
        tags |= {"BitsStored": form.bits_stored, "HighBit": form.bits_stored - 1}
    return Image(t, z, tags, stored)


def _when(grid: Grid, form: Form, t: int, z: int) -> dict[str, Any]:
    tags = time_tags(clock(grid, None), t, z, form.time_key, "")
    if len(grid.time_ms) == 1:
        return tags
    if form.time_key == "InstanceNumber":
        step_ms = grid.time_ms[1] - grid.time_ms[0]
        return tags | {"NumberOfTemporalPositions": len(grid.time_ms), "RepetitionTime": decimal(step_ms)}
    if form.time_key not in ("TriggerTime", "AcquisitionTime", "ContentTime", *AXIS_OF):
        tags |= time_tags(clock(grid, None), t, z, "AcquisitionTime", "")  # ranks tell no milliseconds
    return tags


def _rescale(form: Form, t: int, z: int) -> tuple[float, float] | None:
    if form.rescale is None or not form.per_slice_rescale:
        return form.rescale
    slope, intercept = form.rescale
    return slope / (1 + z % 2), intercept - z - 2 * t


def _narrowed(stored: npt.NDArray[Any], form: Form) -> npt.NDArray[Any]:
    bits, dtype = form.bits_stored, np.dtype(form.dtype)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if dtype.kind == "i" else (0, (1 << bits) - 1)
    if stored.min() < low or stored.max() > high:
        raise InputError(f"the pixels do not fit {bits} bits", kind="bad-dtype", fix="give more bits")
    unsigned = np.dtype(f"<u{dtype.itemsize}")
    mask = unsigned.type((1 << bits) - 1)
    # An overlay in the high bits, as old scanners wrote them: a pattern that the sign never makes.
    junk = np.resize(np.array([0x5, 0xA, 0xF]) << bits, stored.shape).astype(unsigned)
    value = stored.view(unsigned) & mask
    return np.asarray(value | (junk & ~mask) if form.junk_bits else value)
