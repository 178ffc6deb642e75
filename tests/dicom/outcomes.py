"""What must come out of every set and every file of the reference data: rows, no code.

Written from the specification, the manifest and the reference values alone, before and apart from
the reader. Where a row gives no shape, REFERENCE.json does, and with it spacing, origin, direction,
positions, range and hash of the values.

============  ==============================================================================
refused       kind of the SourceError that a strict ``convert`` raises (regular expression)
words         regular expression that its message must match
options       with these ``convert`` accepts it; empty where nothing makes it readable
skipped       regular expression: the file is no image, and is named with a reason in such words
either        the documents leave two outcomes open: right values, or a refusal in such words
============  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ZYX = ("t", "z", "y", "x")
COLOUR = (*ZYX, "c")
#: Any integer type that holds the stored values.
INTEGER = "integer"


@dataclass(frozen=True)
class Outcome:
    """One row of the table."""

    name: str
    """The set."""
    file: str = ""
    """Path within the set; empty: the whole folder."""
    options: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    words: str = ""
    skipped: str = ""
    either: str = ""
    dims: tuple[str, ...] = ZYX
    shape: tuple[int, ...] | None = None
    dtype: str = INTEGER
    time_ms: tuple[float, ...] | None = None
    """Relative to the first."""
    time_key: str = ""
    """Regular expression for ``attrs["time_key"]``; empty: the series has no such axis."""
    spacing_mm: tuple[float, float, float] | None = None
    origin_mm: tuple[float, float, float] | None = None
    z_mm: tuple[float, ...] | None = None
    """Along the slice normal."""
    known: bool = True
    """Whether the input says where the voxels lie."""
    uniform: bool = True
    assumed: str = ""
    """Regular expression: the stored assumptions or attributes say so."""
    key_values: tuple[float, ...] = ()
    """Values of the time key: kept as a list in the attributes."""
    distinct: int = 0
    """Length of the list of different slopes in the attributes."""
    padding: float | None = None
    invalid: float = 0.0
    """Share of the voxels that are padding."""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    sha256_i4: str = ""
    """Of the stored values, where REFERENCE.json has none for this shape."""
    lossy: float = 0.0
    """Decoders may differ: this far from the uncompressed slice (root mean square)."""

    @property
    def id(self) -> str:
        """Name of the test."""
        extra = "-".join(f"{key}={value}" for key, value in self.options.items())
        return "-".join(part for part in (self.name, self.file, extra) if part)


HU = {"modality": "CT", "units": "HU"}

#: Sets that are one image, with a shape in REFERENCE.json.
IMAGES = (
    Outcome("ct_chest_ge_cmbcrc", dtype="int16", padding=-3024, invalid=0.21, attrs=HU),
    Outcome(
        "ct_head_ge_variable_tilt",
        refused="uneven-spacing",
        words=r"1\.08\d* mm between 1[45]\.dcm",
        options={"allow_irregular": True},
        uniform=False,
        assumed=r"1\.08",
        dtype="int16",
        padding=-1500,
        invalid=0.237,
        attrs=HU,
    ),
    Outcome("ct_siemens_tilt_no_tag", dtype="int16", attrs=HU),
    Outcome(
        "ct_ge_missing_slice",
        refused="missing-slices",
        words=r"10(\.0+)? mm between IM-0001-00(09|10)-0001\.dcm",
        options={"allow_missing": True},
        uniform=False,
        assumed=r"10(\.0+)? mm",
        dtype="int16",
        attrs=HU,
    ),
    Outcome(
        "mr_fmri_ge_4d",
        time_key="InstanceNumber",
        assumed="NumberOfTemporalPositions = 10",
        time_ms=tuple(5000.0 * t for t in range(10)),
    ),
    Outcome(
        "mr_dce_siemens_4d",
        time_key="AcquisitionNumber",
        time_ms=(0.0, 2987.5, 5975.0),
        key_values=(1.0, 2.0, 3.0),
    ),
    Outcome("mr_oblique_tra"),
    Outcome("mr_coronal"),
    Outcome("mr_hitachi_signed12"),
    Outcome("mr_philips_private_scale"),
    Outcome(
        "pet_ac_ge_perslice_slope_jpegls",
        dtype="float32",
        distinct=135,
        # Steps of 3.27 and 3.29 mm are uniform; that they differ is recorded.
        assumed=r"(?i)devia|uneven|3\.27\d* .{0,20}3\.29",
        attrs={"modality": "PT", "units": r"(?i)bq/?ml", "suv_bw_factor": 4.2111e-4},
    ),
    Outcome("enhanced_mr_philips_anatomical", dtype="float32"),
    Outcome(
        "enhanced_mr_philips_fmri",
        dtype="float32",
        time_key="TemporalPosition",
        key_values=(1.0, 2.0, 3.0, 4.0),
        time_ms=(0.0, 3000.0, 6000.0, 9000.0),
    ),
    Outcome(
        "enhanced_mr_philips_dti",
        dtype="float32",
        dims=("b", "z", "y", "x"),
        time_key="(?i)b.?value|gradient",
        time_ms=(0.0, 1300.0, 1300.0, 1300.0),
    ),
)

#: Sets that are one image, with a shape that only the manifest and independent tools give.
UNPACKED = (
    Outcome(
        "mr_fmri_siemens_mosaic",
        shape=(2, 5, 72, 72),
        time_key=".",
        time_ms=(0.0, 2435.37),
        spacing_mm=(12.0, 3.0, 3.0),
        origin_mm=(-108.0, -108.0, 16.0),
        z_mm=(16.0, 28.0, 40.0, 52.0, 64.0),
        # The first five tiles of each file, row by row; their means are those of nibabel_mosaic.
        sha256_i4="03541579971e2f210483ba57f304bef58a5b055168b8194bef374b4f014604f9",
    ),
    Outcome(
        "rgb_j2k_secondary_capture",
        dims=COLOUR,
        shape=(1, 4, 77, 52, 3),
        dtype="uint8",
        spacing_mm=(3.0, 3.0, 3.0),
        origin_mm=(-74.024926, -142.009561, -42.264607),
        z_mm=(-49.8958, -46.8958, -43.8958, -40.8958),
        attrs={"photometric_interpretation": "RGB"},
        sha256_i4="f0e86e7a11e514711fdee13070a5b9244fc06002edac3707dacc5813cf449620",
    ),
    Outcome(
        "mr_cine_philips_singleslice_multiframe",
        shape=(16, 1, 256, 256),
        dtype="uint8",
        time_key="FrameTime",
        time_ms=tuple(69.47 * t for t in range(16)),
        known=False,
        sha256_i4="05bce02a82c1c4cce71880dc009556ef1c997be825bbf6a48bf7e9810372cd72",
    ),
)


def _syntax(ending: str, **rest: Any) -> Outcome:
    """One chest slice; SpacingBetweenSlices 6.5 mm, SliceThickness 5 mm."""
    given: dict[str, Any] = {
        "shape": (1, 1, 512, 512),
        "dtype": "int16",
        "spacing_mm": (6.5, 0.675781, 0.675781),
        "origin_mm": (-161.399994, -148.800003, 4.7),
        "attrs": HU,
    }
    return Outcome("ct_one_slice_16_transfer_syntaxes", f"CTImage.dcm{ending}", **(given | rest))


SYNTAXES = (
    # The folder: lossless copies are duplicates, the lossy ones collide with them; none is picked silently.
    Outcome(
        "ct_one_slice_16_transfer_syntaxes",
        refused="several-series|duplicate-position",
        words=r"same position|series here",
    ),
    _syntax(""),
    _syntax("_LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2.dcm"),
    _syntax("_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm"),
    _syntax("_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm"),
    _syntax("_DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99.dcm"),
    _syntax("_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm"),
    _syntax("_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm"),
    _syntax("_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm"),
    _syntax("_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm"),
    _syntax("_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm"),
    _syntax("_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm"),
    _syntax("_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm", lossy=10.0),
    # Rescale slopes of 32.1 and 2.0: fractional, and the encoder rounded to them.
    _syntax("_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm", dtype="float32", lossy=40.0),
    _syntax("_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm", dtype="float32", lossy=10.0),
    _syntax(
        "_JPEGProcess6_8TransferSyntax_1.2.840.10008.1.2.4.53.dcm",
        refused="missing-decoder",
        words="JPEG Spectral Selection.*6 and 8|1\\.2\\.840\\.10008\\.1\\.2\\.4\\.53",
    ),
    _syntax(
        "_JPEGProcess10_12TransferSyntax_1.2.840.10008.1.2.4.55.dcm",
        refused="missing-decoder",
        words="JPEG Full Progression.*10 and 12|1\\.2\\.840\\.10008\\.1\\.2\\.4\\.55",
    ),
)


def _frames(file: str, axis: str) -> Outcome:
    """Ten frames whose functional groups were stripped: only the user knows what they are."""
    return Outcome(
        "enhanced_mr_emri_small_syntaxes",
        file,
        refused="ambiguous-frames",
        words=r"(?=.*10 frames)(?=.*(frames ?=|--frames))",
        options={"frames": axis},
        shape=(10, 1, 64, 64) if axis == "t" else (1, 10, 64, 64),
        known=False,
    )


FRAMES = (
    _frames("emri_small.dcm", "z"),
    _frames("emri_small.dcm", "t"),
    _frames("emri_small_big_endian.dcm", "z"),
    _frames("emri_small_RLE.dcm", "t"),
    _frames("emri_small_jpeg_ls_lossless.dcm", "z"),
    _frames("emri_small_jpeg_2k_lossless.dcm", "t"),
)

NO_IMAGE = "(?i)not an image|no image|no pixel|no rows"

ODD = (
    # A radiograph without file meta and without spacing; values kept, not inverted.
    Outcome(
        "single_files_odd",
        "CR-MONO1-10-chest",
        shape=(1, 1, 440, 440),
        known=False,
        attrs={"modality": "CR", "photometric_interpretation": "MONOCHROME1"},
    ),
    Outcome("single_files_odd", "ExplVR_LitEndNoMeta.dcm", skipped=f"{NO_IMAGE}|RT|preamble|not DICOM"),
    Outcome(
        "single_files_odd",
        "HTJ2KLossless_08_RGB.dcm",
        dims=COLOUR,
        shape=(1, 1, 480, 640, 3),
        dtype="uint8",
        known=False,
        attrs={"photometric_interpretation": "RGB"},
    ),
    # 13 bits stored, signed in the header, unsigned in the codestream; one slice: its thickness.
    Outcome(
        "single_files_odd",
        "J2K_pixelrep_mismatch.dcm",
        shape=(1, 1, 512, 512),
        dtype="int16",
        spacing_mm=(5.0, 0.431, 0.431),
        origin_mm=(-110.2153, -98.1898, 72.1446),
        attrs=HU,
    ),
    Outcome("single_files_odd", "MR_truncated.dcm", skipped="(?i)truncated.*8130.*8192"),
    # No document says what becomes of a segmentation given as an image.
    Outcome(
        "single_files_odd",
        "liver.dcm",
        either="(?i)segmentation|SEG|1 bit|binary",
        shape=(1, 3, 512, 512),
    ),
    Outcome("single_files_odd", "no-pixel-data.dcm", skipped=f"{NO_IMAGE}|SR|report"),
    # Palette: indices kept and marked, or refused; never silently colours.
    Outcome(
        "single_files_odd",
        "no-pixel-spacing.dcm",
        either="(?i)palette",
        shape=(1, 1, 600, 800),
        known=False,
    ),
    # GridFrameOffsetVector makes the frames z, DoseGridScaling the values.
    Outcome(
        "single_files_odd",
        "rtdose.dcm",
        shape=(1, 15, 10, 10),
        dtype="float32",
        spacing_mm=(5.0, 10.0, 10.0),
        origin_mm=(189.43125, 199.43125, -761.87),
        z_mm=tuple(-761.87 + 5.0 * z for z in range(15)),
        attrs={"modality": "RTDOSE"},
    ),
)

TABLE = (*IMAGES, *UNPACKED, *SYNTAXES, *FRAMES, *ODD)

#: What the reference values of this file were subtracted from: its tool inverts MONOCHROME1, we never.
INVERTED = {"CR-MONO1-10-chest": 1023.0}

#: Factors from stored to reference values where they are not RescaleSlope (DoseGridScaling).
SCALING = {"rtdose.dcm": 1e-6}

#: The set of two extra axes: echo times in ms, and what is left in each stack.
ECHOES = ("mr_phantom_multiecho_x_time_5d", (2.05, 9.84, 13.72, 17.26), (3, 3, 72, 96))
ECHO_TIMES_MS = (0.0, 2880.0, 5760.0)

#: The messy folder: every image in its place (stack, time, slice), localizers by themselves.
MESSY = "messy_folder"
MESSY_STACKS = (
    # Reverse file names; DICOM/sub/copy_of_IM.dcm is a duplicate of IM0006.
    (("DICOM/IM0004", "DICOM/IM0005", "DICOM/IM0006", "DICOM/IM0007"),),
    (
        ("DICOM/sub/004.dcm", "DICOM/sub/003.dcm", "DICOM/sub/002.dcm", "DICOM/sub/001.dcm"),
        ("DICOM/sub/008.dcm", "DICOM/sub/007.dcm", "DICOM/sub/006.dcm", "DICOM/sub/005.dcm"),
    ),
)
MESSY_LOCALIZERS = (
    "DICOM/localizer3plane/15970",
    "DICOM/localizer3plane/4950",
    "DICOM/localizer3plane/4981",
    "DICOM/localizer3plane/5011",
    "DICOM/localizer3plane/6273",
    "DICOM/localizer3plane/6605",
    "DICOM/localizer3plane/6935",
    "DICOM/scout/6293",
    "DICOM/scout/6924",
)
MESSY_DUPLICATE = "(?i)1 duplicate"
MESSY_SKIPPED = {
    ".DS_Store": "not DICOM",
    "DICOMDIR": "(?i)dicomdir|directory",
    "DICOM/IM_truncated": "(?i)truncated.*8130.*8192",
    "DICOM/notes.dcm": "(?i)not DICOM|damaged|unreadable|no image|no SOP class",
    "README.txt": "not DICOM",
    "empty.dcm": "(?i)empty",
    "nometa.dcm": f"{NO_IMAGE}|RT|preamble|not DICOM",
    "rtplan.dcm": f"{NO_IMAGE}|RT",
    "rtstruct.dcm": f"{NO_IMAGE}|RT|preamble|not DICOM",
    "test-SR.dcm": f"{NO_IMAGE}|SR|report",
}
