"""What is kept of a file: a small frozen record, never the pydicom dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID

from chunkmed.dicom.modality import ModalityLut, has_modality_lut, modality_lut
from chunkmed.dicom.mosaic import tiles_of
from chunkmed.dicom.tags import integer, text, value
from chunkmed.errors import SourceError

__all__ = ["UNDEFINED_LENGTH", "Frame", "Header", "Layout", "layout_of", "unsupported"]

UNDEFINED_LENGTH = 0xFFFFFFFF
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PHOTOMETRICS = {
    1: ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    3: ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"),
}
_OTHER_PHOTOMETRICS = {"YBR_PARTIAL_420", "YBR_PARTIAL_422", "XYB", "ARGB", "CMYK", "HSV"}
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the stored values of one file lie in its pixel data."""

    transfer_syntax: str
    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: int
    little_endian: bool
    compressed: bool
    """Whether the frames are encapsulated (JPEG, RLE ...)."""
    mosaic: int = 0
    """Tiles along a side of a Siemens mosaic; ``rows`` and ``columns`` are those of a tile. 0: no mosaic."""
    floating: bool = False
    """Whether the values are floating-point numbers."""
    words: bool = False
    """Whether values of 8 bits lie in 16-bit words of the other byte order (OW in a big-endian file)."""
    lut: ModalityLut | None = None
    """The table that makes output values of the stored ones."""

    @property
    def file_rows(self) -> int:
        """Rows of a frame as the file holds it."""
        return self.rows * (self.mosaic or 1)

    @property
    def file_columns(self) -> int:
        """Columns of a frame as the file holds it."""
        return self.columns * (self.mosaic or 1)

    @property
    def file_frames(self) -> int:
        """Frames as the file holds them: a mosaic is one."""
        return 1 if self.mosaic else self.frames

    @property
    def deflated(self) -> bool:
        """Whether the whole data set is a deflate stream."""
        return self.transfer_syntax == _DEFLATED

    @property
    def frame_bytes(self) -> int:
        """Size of one uncompressed frame in bytes."""
        bits = self.file_rows * self.file_columns * self.samples * self.bits_allocated
        # Of four values six are written: two pixels share their chrominances.
        return (bits * 2 // 3 if self.photometric == "YBR_FULL_422" and not self.compressed else bits) // 8


@dataclass(frozen=True, slots=True)
class Header:
    """One file. UIDs live here during a scan only; a stack keeps keyed identifiers."""

    path: str
    size: int
    mtime_ns: int
    pixel_offset: int
    """Start of the pixel data's value in bytes (in the inflated stream when deflated)."""
    layout: Layout
    series_uid: str
    instance_uid: str
    frame_uid: str
    sop_class: str
    modality: str
    description: str
    image_type: str
    padding: float | None
    """As the header has it; behind a table it is none of the output values."""
    technical: Mapping[str, Any]
    problem: SourceError | None
    """Why the pixels cannot be used, where that is known from the header."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image plane of a file."""

    file: Header
    index: int
    """Number of the frame in its file."""
    position: tuple[float, ...] | None
    """ImagePositionPatient: LPS mm of the first voxel's centre."""
    orientation: tuple[float, ...] | None
    """ImageOrientationPatient: direction of a row, then of a column."""
    spacing: tuple[float, ...] | None
    """PixelSpacing: mm between rows (y), between columns (x)."""
    thickness_mm: float | None
    between_mm: float | None
    slope: float
    intercept: float
    keys: Mapping[str, Any]
    """Values of the ordering tags, see ``tags.KEYS``."""
    unusable: tuple[str, ...] = ()
    """Elements of its geometry that are there and are not the numbers that they should be."""


def layout_of(dataset: Any, *, floating: bool = False) -> Layout:
    """Read the image pixel module; ``floating`` where the pixels are floating-point numbers."""
    syntax = UID(str(getattr(dataset.file_meta, "TransferSyntaxUID", "") or _guessed_syntax(dataset)))
    allocated = value(dataset, "BitsAllocated", integer) or 16
    stored = value(dataset, "BitsStored", integer) or allocated
    high_bit = value(dataset, "HighBit", integer)
    tiles = tiles_of(dataset)
    signed, little = value(dataset, "PixelRepresentation", integer) == 1, bool(dataset.original_encoding[1])
    known = syntax.is_transfer_syntax and not syntax.is_private
    return Layout(
        transfer_syntax=str(syntax),
        rows=(value(dataset, "Rows", integer) or 0) // (tiles.side or 1),
        columns=(value(dataset, "Columns", integer) or 0) // (tiles.side or 1),
        samples=value(dataset, "SamplesPerPixel", integer) or 1,
        frames=tiles.count or max(1, value(dataset, "NumberOfFrames", integer) or 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        signed=signed,
        photometric=value(dataset, "PhotometricInterpretation", text) or "MONOCHROME2",
        planar=value(dataset, "PlanarConfiguration", integer) or 0,
        little_endian=little,
        compressed=bool(syntax.is_encapsulated) if known else False,
        mosaic=tiles.side,
        floating=floating,
        lut=modality_lut(dataset, signed=signed, little_endian=little),
    )


def _guessed_syntax(dataset: Any) -> str:
    implicit, little = dataset.original_encoding
    if implicit:
        return "1.2.840.10008.1.2"
    return "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"


def _photometric_name(layout: Layout) -> str:
    """Return the photometric interpretation; a word that is none may be any text."""
    known = {name for names in _PHOTOMETRICS.values() for name in names} | _OTHER_PHOTOMETRICS
    return layout.photometric if layout.photometric in known else "an unknown photometric interpretation"


def unsupported(dataset: Any, layout: Layout, image_type: str, float_bits: int) -> str | None:
    """Return why this kind of image cannot be read yet, or None."""
    bits_fit = 0 < layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated
    reasons = (
        (str(dataset.get("SOPClassUID")) == _SEGMENTATION, "a DICOM segmentation is not an image series"),
        (
            layout.photometric not in _PHOTOMETRICS.get(layout.samples, ()),
            f"{layout.samples} samples of {_photometric_name(layout)} are not read",
        ),
        (
            layout.photometric == "YBR_FULL_422" and layout.columns % 2 == 1,
            "YBR_FULL_422 with an odd number of columns",
        ),
        (layout.samples > 1 and layout.bits_allocated > 16, "colours of more than 16 bits are not read"),
        (
            "MOSAIC" in image_type.split("\\") and not layout.mosaic,
            "a Siemens mosaic without the number, the distance or the normal of its slices",
        ),
        (
            layout.floating and (layout.bits_allocated != float_bits or layout.samples > 1),
            f"{layout.samples} floating-point samples in {layout.bits_allocated} bits are not read",
        ),
        (layout.floating and layout.compressed, "floating-point pixels cannot be compressed"),
        (
            not layout.floating and layout.bits_allocated not in (8, 16, 32),
            f"BitsAllocated = {layout.bits_allocated} is not read",
        ),
        (not bits_fit, "BitsStored, HighBit and BitsAllocated contradict one another"),
        (
            has_modality_lut(dataset) and layout.lut is None,
            "its Modality LUT has not as many entries, or other bits, than it says",
        ),
        (layout.lut is not None and (layout.floating or layout.samples > 1), "a Modality LUT of colours"),
    )
    return next((reason for applies, reason in reasons if applies), None)
