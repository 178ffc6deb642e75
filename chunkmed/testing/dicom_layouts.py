"""Images (t, z) of one series -> data sets: one each, functional groups, frame pointers, mosaics."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

from chunkmed.errors import InputError
from chunkmed.grid import Grid
from chunkmed.testing.dicom_csa import csa_header
from chunkmed.testing.dicom_elements import Tags, decimal, uid
from chunkmed.testing.dicom_forms import Form

__all__ = ["Image", "Parts", "parts_of"]

_ENHANCED = {
    "MR": EnhancedMRImageStorage,
    "CT": EnhancedCTImageStorage,
    "PT": EnhancedPETImageStorage,
}
#: Classic keyword -> macro of the functional groups that holds it, and its keyword there.
_MACROS: dict[str, tuple[str, str]] = {
    "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),
    "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "SliceThickness": ("PixelMeasuresSequence", "SliceThickness"),
    "SpacingBetweenSlices": ("PixelMeasuresSequence", "SpacingBetweenSlices"),
    "RescaleSlope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "RescaleIntercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "TriggerTime": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
    "FlipAngle": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    "InversionTime": ("MRModifierSequence", "InversionTimes"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "AcquisitionTime": ("FrameContentSequence", "FrameAcquisitionDateTime"),
}
#: What enhanced files do not hold at the top level, besides the rows above.
_CLASSIC_ONLY = ("InstanceNumber", "ContentTime", "NominalInterval", "CardiacNumberOfImages")
_SHARED = frozenset({"PlaneOrientationSequence", "PixelMeasuresSequence"})


@dataclass(frozen=True, slots=True)
class Image:
    """One slice at one time point."""

    t: int
    z: int
    tags: Tags
    stored: npt.NDArray[Any]
    """Pixels (y, x) as they are stored."""


#: A data set without pixel data, and its frames (n, y, x).
Parts = tuple[Dataset, npt.NDArray[Any]]


def parts_of(images: Sequence[Image], grid: Grid, form: Form) -> list[Parts]:
    """Return the data sets that hold the images of one series in the layout of a form."""
    return _LAYOUTS[form.layout](images, grid, form)


def _by(images: Sequence[Image], number: Callable[[Image], int]) -> list[list[Image]]:
    found = dict.fromkeys(number(image) for image in images)
    return [[image for image in images if number(image) == n] for n in found]


def _dataset(tags: Tags) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def _classic(images: Sequence[Image], _grid: Grid, _form: Form) -> list[Parts]:
    return [(_dataset(image.tags), image.stored[None]) for image in images]


# -- functional groups ------------------------------------------------------------------------


def _enhanced(images: Sequence[Image], _grid: Grid, form: Form) -> list[Parts]:
    parts = [list(images)] if form.per_file == "series" else _by(images, lambda image: image.t)
    return [_enhanced_file(part, i, form) for i, part in enumerate(parts)]


def _enhanced_file(images: list[Image], number: int, form: Form) -> Parts:
    if form.shuffle_seed:
        order = np.random.default_rng(form.shuffle_seed).permutation(len(images))
        images = [images[i] for i in order.tolist()]
    first = images[0].tags
    flat = {k: v for k, v in first.items() if k not in _MACROS and k not in _CLASSIC_ONLY}
    dataset = _dataset(flat)
    dataset.SOPClassUID = _ENHANCED[form.modality]
    dataset.SOPInstanceUID = uid("enhanced", first["SOPInstanceUID"], len(images))
    dataset.InstanceNumber = number + 1
    dataset.NumberOfFrames = len(images)
    groups = [_groups(image, form) for image in images]
    dataset.SharedFunctionalGroupsSequence = [_dataset({k: v for k, v in groups[0].items() if k in _SHARED})]
    dataset.PerFrameFunctionalGroupsSequence = [
        _dataset({k: v for k, v in group.items() if k not in _SHARED}) for group in groups
    ]
    if form.dimension_index:
        dataset.DimensionIndexSequence = [_index("InStackPositionNumber"), _index("TemporalPositionIndex")]
    return dataset, np.stack([image.stored for image in images])


def _groups(image: Image, form: Form) -> dict[str, list[Dataset]]:
    macros: dict[str, dict[str, Any]] = {"FrameContentSequence": _content(image, form)}
    for keyword, (macro, inner) in _MACROS.items():
        if image.tags.get(keyword) is not None:
            macros.setdefault(macro, {})[inner] = _inner_value(inner, image.tags[keyword])
    return {macro: [_dataset(tags)] for macro, tags in macros.items()}


def _inner_value(keyword: str, value: Any) -> Any:
    if keyword == "FrameAcquisitionDateTime":
        return f"20200101{value}"
    return float(value) if isinstance(value, str) else value


def _content(image: Image, form: Form) -> dict[str, Any]:
    content: dict[str, Any] = {"StackID": "1", "InStackPositionNumber": image.z + 1}
    if form.dimension_index:
        content["DimensionIndexValues"] = [image.z + 1, image.t + 1]
    return content


def _index(keyword: str) -> Dataset:
    return _dataset(
        {
            "DimensionOrganizationUID": uid("dimensions"),
            "DimensionIndexPointer": tag_for_keyword(keyword),
            "FunctionalGroupPointer": tag_for_keyword("FrameContentSequence"),
        }
    )


# -- frame pointers -----------------------------------------------------------------------------


def _multiframe(images: Sequence[Image], grid: Grid, form: Form) -> list[Parts]:
    spatial = form.pointer == "GridFrameOffsetVector"
    number = (lambda image: image.t) if spatial else (lambda image: image.z)
    return [_multiframe_file(part, grid, form) for part in _by(images, number)]


def _multiframe_file(images: list[Image], grid: Grid, form: Form) -> Parts:
    dataset = _dataset(images[0].tags)
    dataset.SOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    dataset.NumberOfFrames = len(images)
    dataset.FrameIncrementPointer = tag_for_keyword(form.pointer)
    setattr(dataset, form.pointer, _pointed(images, grid, form))
    if form.pointer != "GridFrameOffsetVector" and form.time_key in dataset:
        delattr(dataset, form.time_key)  # the frames of a file have no time of their own
    return dataset, np.stack([image.stored for image in images])


def _pointed(images: Sequence[Image], grid: Grid, form: Form) -> Any:
    if form.pointer == "GridFrameOffsetVector":
        normal, sheared = _normal(grid)
        if sheared:
            raise InputError("frame offsets cannot say a tilt", kind="bad-form", fix="another layout")
        first = grid.z_mm[images[0].z]
        return [decimal(normal * (grid.z_mm[image.z] - first)) for image in images]
    steps = np.diff(grid.time_ms)
    if form.pointer == "FrameTimeVector":
        return [decimal(step) for step in (0.0, *steps.tolist())]
    if len(steps) and not np.allclose(steps, steps[0]):
        raise InputError("FrameTime is one number", kind="bad-form", fix="pointer='FrameTimeVector'")
    return decimal(float(steps[0]) if len(steps) else 1.0)


def _normal(grid: Grid) -> tuple[float, bool]:
    """Return on which side of rows x columns the slices lie (1 or -1), and whether they are sheared."""
    axes = np.asarray(grid.direction)
    along = float(np.cross(axes[:, 0], axes[:, 1]) @ axes[:, 2])
    return math.copysign(1.0, along), abs(abs(along) - float(np.linalg.norm(axes[:, 2]))) > 1e-6


# -- mosaics ------------------------------------------------------------------------------------


def _mosaic(images: Sequence[Image], grid: Grid, _form: Form) -> list[Parts]:
    if _normal(grid)[1]:
        raise InputError("a mosaic cannot say a tilt", kind="bad-form", fix="another layout")
    # Tiles follow the CSA normal, whatever the order in which the images came.
    volumes = _by(images, lambda image: image.t)
    return [_mosaic_file(sorted(volume, key=lambda i: i.z), grid) for volume in volumes]


def _mosaic_file(images: list[Image], grid: Grid) -> Parts:
    rows, columns = images[0].stored.shape
    side = math.ceil(math.sqrt(len(images)))
    sheet = np.zeros((side * rows, side * columns), images[0].stored.dtype)
    for i, image in enumerate(images):
        y, x = divmod(i, side)
        sheet[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns] = image.stored
    axes, (_, dy, dx) = np.asarray(grid.direction), grid.spacing_mm
    # Siemens gives the corner of a slice as large as the sheet with the centre of the true one.
    corner = grid.to_lps([[grid.x_mm[0], grid.y_mm[0], grid.z_mm[images[0].z]]])[0]
    corner = corner - axes[:, 0] * dx * (side - 1) * columns / 2 - axes[:, 1] * dy * (side - 1) * rows / 2
    dataset = _dataset(images[0].tags)
    dataset.Manufacturer = "SIEMENS"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    dataset.InstanceNumber = images[0].t + 1
    dataset.Rows, dataset.Columns = sheet.shape
    dataset.ImagePositionPatient = [decimal(value) for value in corner.tolist()]
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", len(images))
    normal = axes[:, 2] / np.linalg.norm(axes[:, 2])
    csa = csa_header(
        {
            "NumberOfImagesInMosaic": ("US", [str(len(images))]),
            "SliceNormalVector": ("FD", [f"{value:.8f}" for value in normal.tolist()]),
        }
    )
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", csa)
    return dataset, sheet[None]


_LAYOUTS: dict[str, Callable[[Sequence[Image], Grid, Form], list[Parts]]] = {
    "classic": _classic,
    "enhanced": _enhanced,
    "multiframe": _multiframe,
    "mosaic": _mosaic,
}
