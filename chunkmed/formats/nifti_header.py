"""The header of a NIfTI file, versions 1 and 2: bytes <-> a frozen record.

Source: nifti1.h and nifti2.h of the NIfTI data format working group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from chunkmed.errors import SourceError

__all__ = ["DTYPES", "LARGEST_HEADER", "NiftiHeader", "header_bytes", "parse_header", "plain"]

_NIFTI1 = [
    ("sizeof_hdr", "i4"), ("unused1", "S35"), ("dim_info", "u1"), ("dim", "i2", 8), ("intent_p", "f4", 3),
    ("intent_code", "i2"), ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", 8),
    ("vox_offset", "f4"), ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"),
    ("slice_code", "u1"), ("xyzt_units", "u1"), ("cal_max", "f4"), ("cal_min", "f4"),
    ("slice_duration", "f4"), ("toffset", "f4"), ("glmax", "i4"), ("glmin", "i4"), ("descrip", "S80"),
    ("aux_file", "S24"), ("qform_code", "i2"), ("sform_code", "i2"), ("quatern", "f4", 3),
    ("qoffset", "f4", 3), ("srow", "f4", (3, 4)), ("intent_name", "S16"), ("magic", "S4"),
]  # fmt: skip
_NIFTI2 = [
    ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8),
    ("intent_p", "f8", 3), ("pixdim", "f8", 8), ("vox_offset", "i8"), ("scl_slope", "f8"),
    ("scl_inter", "f8"), ("cal_max", "f8"), ("cal_min", "f8"), ("slice_duration", "f8"), ("toffset", "f8"),
    ("slice_start", "i8"), ("slice_end", "i8"), ("descrip", "S80"), ("aux_file", "S24"),
    ("qform_code", "i4"), ("sform_code", "i4"), ("quatern", "f8", 3), ("qoffset", "f8", 3),
    ("srow", "f8", (3, 4)), ("slice_code", "i4"), ("xyzt_units", "i4"), ("intent_code", "i4"),
    ("intent_name", "S16"), ("dim_info", "u1"), ("unused", "S15"),
]  # fmt: skip
Order = Literal["<", ">"]
_ORDERS: tuple[Order, ...] = ("<", ">")
_FORMS = {348: np.dtype(_NIFTI1), 540: np.dtype(_NIFTI2)}
LARGEST_HEADER = 544
#: NIfTI's number of each dtype; RGB is uint8 with three channels.
DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
RGB = 128
_NAMES = {32: "complex64", 1536: "float128", 1792: "complex128", 2304: "RGBA"}
_LENGTHS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}
_TIMES_MS = {0: 1000.0, 8: 1000.0, 16: 1.0, 24: 1e-3}


@dataclass(frozen=True)
class NiftiHeader:
    """What a NIfTI header says of the image."""

    shape: tuple[int, ...]
    """Sizes of t, z, y, x, and 3 for RGB."""
    stored: np.dtype[Any]
    """Of the values in the file, byte order included."""
    offset: int
    """Where the values begin, bytes."""
    slope: float
    inter: float
    """Of the values: ``stored * slope + inter``."""
    affine_ras: npt.NDArray[np.float64]
    """4 x 4, index (x, y, z, 1) to RAS mm."""
    oriented: bool
    """Whether the header says how the axes lie in the patient."""
    time_step_ms: float | None
    """None where the header gives none."""
    time_start_ms: float
    version: int = 1

    @property
    def nbytes(self) -> int:
        """Size of the values in the file."""
        return math.prod(self.shape) * self.stored.itemsize


def plain(value: Any) -> float:
    """Return the shortest decimal number that a stored float stands for.

    Examples
    --------
    >>> plain(np.float32(0.1)), float(np.float32(0.1))
    (0.1, 0.10000000149011612)
    """
    return float(str(value)) if np.isfinite(value) else float(value)


def parse_header(raw: bytes, where: str) -> NiftiHeader:
    """Return the header of the first bytes of a file.

    Raises
    ------
    SourceError
        ``not-nifti``, ``two-files``, ``truncated-file``, ``bad-shape``, ``unsupported-dtype``,
        ``bad-affine``, ``bad-rescale``, ``bad-units``.
    """
    fields, version, order = _fields(raw, where)
    shape = _shape(fields["dim"], where)
    code = int(fields["datatype"])
    if code not in DTYPES and code != RGB:
        raise _refused(
            where,
            "unsupported-dtype",
            f"values of datatype {_NAMES.get(code, code)}",
            fix="convert the values to real numbers",
        )
    stored = np.dtype(DTYPES.get(code, "u1")).newbyteorder(order)
    slope, inter = _scaling(fields, where)
    affine, oriented = _affine(fields, where)
    step, start = _times(fields, shape[0], where)
    return NiftiHeader(
        shape=(*shape, 3) if code == RGB else shape,
        stored=stored,
        offset=_offset(fields, version, where),
        slope=1.0 if code == RGB else slope,
        inter=0.0 if code == RGB else inter,
        affine_ras=affine,
        oriented=oriented,
        time_step_ms=step,
        time_start_ms=start,
        version=version,
    )


def _refused(where: str, kind: str, what: str, why: str = "", fix: str = "") -> SourceError:
    return SourceError(what, kind=kind, where=where, why=why, fix=fix)


def _fields(raw: bytes, where: str) -> tuple[Any, int, Order]:
    """Return the fields in the byte order of the file, the version, and that order."""
    for order in _ORDERS:
        size = int(np.frombuffer(raw[:4], f"{order}i4")[0]) if len(raw) >= 4 else 0
        form = _FORMS.get(size)
        if form is None:
            continue
        if len(raw) < size:
            raise _refused(where, "truncated-file", "the file ends within its header", f"{len(raw)} bytes")
        fields = np.frombuffer(raw[:size], form.newbyteorder(order))[0]
        magic = bytes(fields["magic"])[:3]
        if magic in (b"ni1", b"ni2"):
            raise _refused(
                where, "two-files", "the values lie in another file",
                "header and image are a pair .hdr, .img", "save it as one file, .nii",
            )  # fmt: skip
        if magic != (b"n+1" if size == 348 else b"n+2"):
            break
        return fields, 1 if size == 348 else 2, order
    raise _refused(where, "not-nifti", "this is not a NIfTI file", "its first bytes are no NIfTI header")


def _shape(dim: Any, where: str) -> tuple[int, int, int, int]:
    count = int(dim[0])
    sizes = [int(n) for n in dim[1 : 1 + count]] if 1 <= count <= 7 else []
    if not sizes or min(sizes) < 1:
        raise _refused(where, "bad-shape", "the header gives no shape", f"dim is {[int(n) for n in dim]}")
    if math.prod(sizes[4:]) > 1:
        raise _refused(
            where, "bad-shape", "the image has more than four axes", f"its shape is {tuple(sizes)}",
            "save one volume per file, or a time series",
        )  # fmt: skip
    x, y, z, t = (*sizes[:4], 1, 1, 1)[:4]
    return t, z, y, x


def _offset(fields: Any, version: int, where: str) -> int:
    offset, least = float(fields["vox_offset"]), 352 if version == 1 else 544
    if not math.isfinite(offset) or (offset and offset < least) or offset != int(offset):
        raise _refused(
            where, "bad-offset", "the header does not say where values begin", f"vox_offset {offset}"
        )
    return int(offset) or least


def _scaling(fields: Any, where: str) -> tuple[float, float]:
    slope, inter = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise _refused(
            where, "bad-rescale", "the scaling cannot be applied",
            f"scl_slope {slope:g}, scl_inter {inter:g}", "correct the header",
        )  # fmt: skip
    return slope, inter


def _affine(fields: Any, where: str) -> tuple[npt.NDArray[np.float64], bool]:
    """Return the affine in mm: the sform, else the qform, else the voxel sizes alone."""
    unit = _LENGTHS_MM.get(int(fields["xyzt_units"]) & 7)
    if unit is None:
        raise _refused(
            where, "bad-units", "the unit of length is unknown", f"xyzt_units {fields['xyzt_units']}"
        )
    affine, oriented = np.eye(4), True
    steps = np.array([plain(value) for value in fields["pixdim"][1:4]])
    if int(fields["sform_code"]) > 0:
        affine[:3] = [[plain(value) for value in row] for row in fields["srow"]]
    elif int(fields["qform_code"]) > 0:
        handed = -1.0 if fields["pixdim"][0] < 0 else 1.0
        affine[:3, :3] = rotation_of(fields["quatern"]) * (np.abs(steps) * [1.0, 1.0, handed])
        affine[:3, 3] = [plain(value) for value in fields["qoffset"]]
    else:
        affine[:3, :3], oriented = np.diag(np.abs(steps)), False
    affine[:3] *= unit
    return affine, oriented


def rotation_of(quaternion: Any) -> npt.NDArray[np.float64]:
    """Return the rotation of b, c, d of a unit quaternion.

    Examples
    --------
    >>> rotation_of([0.0, 0.0, 1.0]).tolist()
    [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    b, c, d = (float(value) for value in quaternion)
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    if a == 0.0:
        # Rounding made it longer than one.
        length = math.sqrt(b * b + c * c + d * d) or 1.0
        b, c, d = b / length, c / length, d / length
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def quaternion_of(rotation: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Return b, c, d of the unit quaternion with a >= 0 of a rotation."""
    trace = np.trace(rotation)
    # The eigenvector of this symmetric matrix is the quaternion, well conditioned for any rotation.
    k = np.empty((4, 4))
    k[1:, 1:] = rotation + rotation.T - np.eye(3) * trace
    k[0, 0] = trace
    k[0, 1:] = k[1:, 0] = [
        rotation[2, 1] - rotation[1, 2],
        rotation[0, 2] - rotation[2, 0],
        rotation[1, 0] - rotation[0, 1],
    ]
    vector = np.linalg.eigh(k / 3.0)[1][:, -1]
    vector = vector if vector[0] >= 0 else -vector
    return float(vector[1]), float(vector[2]), float(vector[3])


def _times(fields: Any, count: int, where: str) -> tuple[float | None, float]:
    """Return step and start in ms; None where times only count."""
    code = int(fields["xyzt_units"]) & 56
    step, start = plain(fields["pixdim"][4]), plain(fields["toffset"])
    if code not in _TIMES_MS or (count == 1 and not math.isfinite(step)):
        return None, 0.0
    if not math.isfinite(step) or not math.isfinite(start):
        raise _refused(where, "bad-times", "the time step is no number", f"pixdim[4] {step}, toffset {start}")
    unit = _TIMES_MS[code]
    # Without a unit, seconds are meant where there is a step at all.
    return (round(step * unit, 6) if step > 0 else None), round(start * unit, 6)


def header_bytes(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    affine_ras: npt.NDArray[np.float64],
    *,
    rigid: bool,
    time_step_ms: float,
    time_start_ms: float,
    known: bool,
    offset: int,
    version: int,
) -> bytes:
    """Return the header of a little-endian file.

    Parameters
    ----------
    shape : tuple of int
        Sizes of t, z, y, x, and 3 for RGB.
    dtype : dtype
        Of the values.
    affine_ras : ndarray
        4 x 4, index (x, y, z, 1) to RAS mm.
    rigid : bool
        Whether the axes are at right angles: else there is no qform.
    time_step_ms, time_start_ms : float
        Written in seconds, as most readers take them to be; a step of 0 has no unit.
    known : bool
        Whether positions are in mm: else there is neither unit nor form.
    offset : int
        Where the values begin.
    version : int
        1, or 2 where a size is above 32767.
    """
    form = _FORMS[348 if version == 1 else 540].newbyteorder("<")
    fields = np.zeros((), form)
    t, z, y, x = shape[:4]
    fields["sizeof_hdr"], fields["vox_offset"] = form.itemsize, offset
    fields["magic"] = b"n+1" if version == 1 else b"n+2\0\r\n\x1a\n"
    fields["dim"] = [4 if t > 1 else 3, x, y, z, t, 1, 1, 1]
    numbers = {np.dtype(name): code for code, name in DTYPES.items()}
    fields["datatype"] = numbers[dtype] if len(shape) == 4 else RGB
    fields["bitpix"] = 8 * dtype.itemsize * math.prod(shape[4:])
    fields["scl_slope"] = 1.0
    fields["xyzt_units"] = (2 if known else 0) | (8 if time_step_ms > 0 else 0)
    steps = np.linalg.norm(affine_ras[:3, :3], axis=0)
    handed = 1.0 if np.linalg.det(affine_ras[:3, :3]) >= 0 else -1.0
    fields["pixdim"] = [handed, *steps, time_step_ms / 1000, 1, 1, 1]
    fields["toffset"] = time_start_ms / 1000
    if known:
        fields["sform_code"], fields["srow"] = 1, affine_ras[:3]
    if known and rigid:
        fields["qform_code"], fields["qoffset"] = 1, affine_ras[:3, 3]
        fields["quatern"] = quaternion_of(affine_ras[:3, :3] / steps * [1.0, 1.0, handed])
    return fields.tobytes()
