"""The forms in which scanners write one and the same series, as rows of data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

__all__ = ["AXIS_OF", "FORMS", "Form"]

#: Keys along which the first dimension is no time, and the name that it then has.
AXIS_OF = {"EchoTime": "echo", "DiffusionBValue": "b", "FlipAngle": "flip", "InversionTime": "inversion"}


@dataclass(frozen=True, slots=True)
class Form:
    """How to write a series: everything but the values and the positions of its voxels.

    Examples
    --------
    >>> Form(layout="enhanced", shuffle_seed=3).time_key
    'TriggerTime'
    """

    name: str = "classic"
    layout: Literal["classic", "enhanced", "multiframe", "mosaic"] = "classic"
    syntax: str = str(ExplicitVRLittleEndian)
    """Transfer syntax UID."""
    modality: Literal["MR", "CT", "PT"] = "MR"
    time_key: str = "TriggerTime"
    """Keyword that tells the time points apart."""
    dtype: str = "int16"
    """Integer type of the stored pixels."""
    bits_stored: int = 0
    """Bits that hold the value; 0 for all of ``dtype``."""
    junk_bits: bool = False
    """Fill the bits above ``bits_stored`` with what is no part of the value."""
    rescale: tuple[float, float] | None = None
    """Slope and intercept; stored pixels are ``(value - intercept) / slope``, rounded."""
    per_slice_rescale: bool = False
    """Halve the slope of every other slice, and lower the intercept from image to image."""
    padding: int | None = None
    """PixelPaddingValue."""
    photometric: str = "MONOCHROME2"
    per_file: Literal["series", "time"] = "series"
    """What one enhanced file holds: all frames, or one time point."""
    per_series: Literal["all", "slice", "time"] = "all"
    """What one series holds."""
    dimension_index: bool = True
    """Write DimensionIndexSequence and DimensionIndexValues into enhanced files."""
    pointer: Literal["FrameTime", "FrameTimeVector", "GridFrameOffsetVector"] = "FrameTime"
    """What FrameIncrementPointer of a classic multi-frame file names: time points per slice, or
    slices per time point."""
    offset_table: bool = True
    """Write the Basic Offset Table of compressed frames."""
    reverse_slices: bool = False
    """Number and write the slices from the last position to the first."""
    shuffle_seed: int = 0
    """Shuffles file names and the frames of enhanced files."""
    names: Literal["numbered", "renamed", "nested"] = "numbered"
    """File names: numbers with .dcm, no telling at all, or spread over folders."""
    junk_files: bool = False
    """Put files that are no images among the others."""


_CLASSIC = Form()
_ENHANCED = Form("enhanced-mr", "enhanced")
_CT = Form("classic-ct", modality="CT", time_key="AcquisitionTime", rescale=(1.0, -1024.0))
_MOSAIC = Form("mosaic", "mosaic", dtype="uint16", time_key="AcquisitionTime")
_UNSIGNED = replace(_CLASSIC, dtype="uint16")
_SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpegls": JPEGLSLossless,
    "j2k": JPEG2000Lossless,
}
_COMPRESSED = {name: uid for name, uid in _SYNTAXES.items() if uid.is_encapsulated}
_TIME_KEYS = (
    "TemporalPositionIdentifier",
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
    *AXIS_OF,
)

#: Every named form. A test of a reader takes them as its parameters.
FORMS: tuple[Form, ...] = (
    _CLASSIC,
    *(replace(_CLASSIC, name=f"classic-{name}", syntax=str(uid)) for name, uid in _SYNTAXES.items()),
    *(replace(_CLASSIC, name=f"key-{key}", time_key=key) for key in _TIME_KEYS),
    replace(_CLASSIC, name="uint8", dtype="uint8"),
    replace(_UNSIGNED, name="uint16"),
    replace(_UNSIGNED, name="12-in-16", bits_stored=12),
    replace(_UNSIGNED, name="12-in-16-junk", bits_stored=12, junk_bits=True),
    replace(_CLASSIC, name="signed-12", bits_stored=12),
    replace(_CLASSIC, name="signed-12-junk", bits_stored=12, junk_bits=True),
    _CT,
    replace(_CT, name="rescale-per-slice", per_slice_rescale=True),
    replace(_CT, name="padding", padding=-2000),
    replace(_CLASSIC, name="monochrome1", photometric="MONOCHROME1"),
    replace(_CLASSIC, name="shuffled", shuffle_seed=7),
    replace(_CLASSIC, name="renamed", names="renamed"),
    replace(_CLASSIC, name="nested-with-junk", names="nested", junk_files=True),
    replace(_CLASSIC, name="reversed", reverse_slices=True),
    replace(_CLASSIC, name="series-per-slice", per_series="slice"),
    replace(_CLASSIC, name="series-per-time", per_series="time", time_key="AcquisitionTime"),
    _ENHANCED,
    replace(_ENHANCED, name="enhanced-per-time", per_file="time"),
    replace(_ENHANCED, name="enhanced-no-index", dimension_index=False),
    replace(_ENHANCED, name="enhanced-shuffled", shuffle_seed=7),
    replace(_CT, name="enhanced-ct", layout="enhanced", per_slice_rescale=True),
    *(replace(_ENHANCED, name=f"enhanced-{key}", time_key=key) for key in _TIME_KEYS[:2]),
    *(replace(_ENHANCED, name=f"enhanced-{key}", time_key=key) for key in AXIS_OF),
    *(replace(_ENHANCED, name=f"enhanced-{name}", syntax=str(u)) for name, u in _SYNTAXES.items()),
    *(
        replace(_ENHANCED, name=f"enhanced-{name}-no-table", syntax=str(u), offset_table=False)
        for name, u in _COMPRESSED.items()
    ),
    Form("frame-time", "multiframe"),
    Form("frame-time-vector", "multiframe", pointer="FrameTimeVector"),
    replace(_CT, name="frame-offsets", layout="multiframe", pointer="GridFrameOffsetVector"),
    _MOSAIC,
    replace(_MOSAIC, name="mosaic-rle", syntax=str(RLELossless)),
)
