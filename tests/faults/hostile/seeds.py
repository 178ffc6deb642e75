"""Files that mutations start from: real ones where they are, and one of every form that scanners write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, Sequence, dcmread

from chunkmed.grid import Grid
from chunkmed.testing import FORMS, write_form
from chunkmed.testing.dicom_files import can_encode

_LARGEST_BYTES = 160 * 1024
_PER_SET = 3
_SOME_FORMS = (
    "classic", "classic-implicit", "classic-big-endian", "classic-deflated", "classic-rle", "classic-jpegls",
    "classic-j2k", "12-in-16-junk", "enhanced-mr", "enhanced-rle-no-table", "frame-time", "frame-offsets",
    "mosaic", "padding",
)  # fmt: skip


def written_seeds(folder: Path, *, every_form: bool = False) -> list[bytes]:
    """Return one small file of each form; of some forms only, where time is short."""
    seeds = []
    for form in FORMS:
        if can_encode(form.syntax) and (every_form or form.name in _SOME_FORMS):
            # Tiles of a mosaic, and axes that differ: nothing may fit by chance.
            grid = Grid(
                z_mm=(0.0, 2.0, 4.0), y_mm=tuple(map(float, range(8))), x_mm=tuple(map(float, range(6)))
            )
            paths = write_form(folder / form.name, lambda t, z: [[z + x for x in range(6)]] * 8, grid, form)
            seeds.append(paths[0].read_bytes())
            if form.name == "classic":
                seeds += [_edited(paths[0], change) for change in (_behind_a_table, _as_floats)]
    return seeds


def _edited(path: Path, change: Callable[[Dataset], None]) -> bytes:
    dataset = dcmread(path)
    change(dataset)
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _behind_a_table(dataset: Dataset) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS", [12, -2, 16])
    item.add_new("LUTData", "US", list(range(0, 1200, 100)))
    item.ModalityLUTType = "HU"
    dataset.ModalityLUTSequence = Sequence([item])


def _as_floats(dataset: Dataset) -> None:
    dataset.FloatPixelData = dataset.pixel_array.astype("<f4").tobytes()
    dataset.FloatPixelPaddingValue = 3.0
    dataset.BitsAllocated = 32
    del dataset.PixelData


def real_seeds(data: Path | None) -> list[bytes]:
    """Return the smallest files of every real set, the same ones each time."""
    seeds = []
    for folder in sorted(path for path in data.iterdir() if path.is_dir()) if data and data.is_dir() else ():
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != "LICENSE"]
        files = sorted((path.stat().st_size, path) for path in files)
        seeds += [path.read_bytes() for size, path in files[:_PER_SET] if 132 < size <= _LARGEST_BYTES]
    return [raw for raw in seeds if raw[128:132] == b"DICM" or raw[:2] == b"\x08\x00"]


def all_seeds() -> list[bytes]:
    """Return every seed: for the long form."""
    given = os.environ.get("CHUNKMED_TEST_DATA")
    with tempfile.TemporaryDirectory() as name:
        return [*written_seeds(Path(name), every_form=True), *real_seeds(Path(given) if given else None)]
