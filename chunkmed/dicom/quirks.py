"""What vendors write otherwise than the standard: rows of predicate, action and citation.

A row applies to a file of its makers whose elements are all present (and lie in the private block
that the row names). It never overrides the standard element. Hitachi and Bruker have no row: their
published notes name no private element that stands for one read here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["PRIVATE_TAGS", "QUIRKS", "Quirk", "private_attributes", "private_numbers", "stand_ins"]

Decoded = float | str | tuple[float, ...] | None
Read = Callable[[int], Any]


@dataclass(frozen=True, slots=True)
class Quirk:
    """Elements that stand in for a standard one where that is absent."""

    makers: tuple[str, ...]
    """First letters of Manufacturer, upper case."""
    creator: str
    """What the private block is reserved by; empty for standard elements."""
    tags: tuple[int, ...]
    """The elements, all needed."""
    key: str
    """Name of the standard element, as in ``tags.KEYS``, or of the attribute."""
    decode: Callable[..., Decoded]
    """From the raw values of ``tags`` to the value; None or an exception: the row does not apply."""
    source: str
    """Where the rule is published."""
    attribute: bool = False
    """Whether the value is an attribute of the stack, not an ordering key."""
    modality: str = "MR"


def private_numbers(raw: Any, code: str = "d") -> list[float]:
    """Return the numbers of a private element, which are bytes where the file names no VR."""
    if isinstance(raw, bytes):
        size = struct.calcsize(code)
        digits = re.fullmatch(rb"[\d+\-.eE\\ \0]+", raw) and raw.strip(b" \0")
        if len(raw) % size == 0 and not digits:
            return [float(part[0]) for part in struct.iter_unpack("<" + code, raw)]
        raw = raw.decode("ascii").strip(" \0").split("\\")
    elif isinstance(raw, str):
        raw = raw.strip(" \0").split("\\")
    return [float(part) for part in (raw if hasattr(raw, "__iter__") else [raw])]


def _first(code: str) -> Callable[[Any], float]:
    return lambda raw: private_numbers(raw, code)[0]


def _ge_b(raw: Any) -> float:
    # 1e9 is added where the gradient comes from a table of directions.
    return private_numbers(raw, "i")[0] % 100000.0


def _vector(raw: Any) -> tuple[float, ...] | None:
    parts = private_numbers(raw)
    return tuple(parts) if len(parts) == 3 else None


def _ge_axes(*raws: Any) -> str | None:
    return "frequency, phase, slice" if any(_components("d")(*raws)) else None


def _components(code: str) -> Callable[..., tuple[float, ...]]:
    return lambda *raws: tuple(private_numbers(raw, code)[0] for raw in raws)


_COMMENT = re.compile(r"\[?b=(\d+(?:\.\d+)?)(?:\(([-\d.]+),([-\d.]+),([-\d.]+)\))?\]?")


def _comment_vector(raw: Any) -> tuple[float, ...] | None:
    found = _COMMENT.fullmatch(str(raw).strip())
    return tuple(map(float, found.groups()[1:])) if found and found[2] else None


def _no_diffusion(raw: Any) -> float | None:
    parts = [raw] if isinstance(raw, str) else list(raw)
    return 0.0 if "EP" in parts else None


_DCM2NIIX = "dcm2niix notes, {}"
_SIEMENS = _DCM2NIIX.format("Siemens: Diffusion Tensor Notes")
_GE = _DCM2NIIX.format("GE: Diffusion Tensor Notes")
_PHILIPS = _DCM2NIIX.format("Philips: Diffusion Direction")
_SCALE = _DCM2NIIX.format("Philips: image intensity scaling (scale slope beside the standard rescale)")
_UIH = _DCM2NIIX.format("UIH: private tags, group 0065")
_CANON = _DCM2NIIX.format("Canon: Diffusion Weighted Imaging Notes")
_B, _DIRECTION = "DiffusionBValue", "DiffusionGradientOrientation"
_GE_PARTS = (0x001910BB, 0x001910BC, 0x001910BD)
_CANONS = ("TOSHIBA", "CANON")

QUIRKS: tuple[Quirk, ...] = (
    Quirk(("SIEMENS",), "SIEMENS MR HEADER", (0x0019100C,), _B, _first("i"), _SIEMENS),
    Quirk(("SIEMENS",), "SIEMENS MR HEADER", (0x0019100E,), _DIRECTION, _vector, _SIEMENS),
    Quirk(("GE",), "GEMS_PARM_01", (0x00431039,), _B, _ge_b, _GE),
    # Along frequency, phase and slice, not the patient's axes: it tells directions apart, no more.
    Quirk(("GE",), "GEMS_ACQU_01", _GE_PARTS, _DIRECTION, _components("d"), _GE),
    Quirk(("GE",), "GEMS_ACQU_01", _GE_PARTS, "gradient_axes", _ge_axes, _GE, attribute=True),
    Quirk(("PHILIPS",), "PHILIPS IMAGING DD 001", (0x20011003,), _B, _first("f"), _PHILIPS),
    Quirk(
        ("PHILIPS",),
        "PHILIPS MR IMAGING DD 001",
        (0x200510B0, 0x200510B1, 0x200510B2),
        _DIRECTION,
        _components("f"),
        _PHILIPS,
    ),
    Quirk(("UIH",), "IMAGE PRIVATE HEADER", (0x00651009,), _B, _first("d"), _UIH),
    Quirk(("UIH",), "IMAGE PRIVATE HEADER", (0x00651037,), _DIRECTION, _vector, _UIH),
    # Images without a gradient hold no b-value at all: b is 0. Older software writes the direction
    # of the others into the comment, which is read for that pattern alone and never kept.
    Quirk(_CANONS, "", (0x00180020,), _B, _no_diffusion, _CANON),
    Quirk(_CANONS, "", (0x00204000,), _DIRECTION, _comment_vector, _CANON),
    # The rescale that is applied is the standard one; these turn it into Philips' own scale.
    Quirk(
        ("PHILIPS",),
        "PHILIPS MR IMAGING DD 001",
        (0x2005100D,),
        "philips_scale_intercept",
        _first("f"),
        _SCALE,
        attribute=True,
    ),
    Quirk(
        ("PHILIPS",),
        "PHILIPS MR IMAGING DD 001",
        (0x2005100E,),
        "philips_scale_slope",
        _first("f"),
        _SCALE,
        attribute=True,
    ),
)

_ELEMENTS = {tag for row in QUIRKS for tag in row.tags}
#: How many slices a Siemens mosaic holds, and where (CSA header): read by ``mosaic``.
_MOSAIC = {0x0019100A, 0x00291010}
#: The elements, and those that say whom their private blocks belong to.
PRIVATE_TAGS: tuple[int, ...] = tuple(
    sorted(_MOSAIC | _ELEMENTS | {tag & 0xFFFF0000 | 0x10 for tag in _ELEMENTS if tag >> 16 & 1})
)


def stand_ins(read: Read, maker: str, modality: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ordering keys that a file's private elements give, beyond those ``found``.

    Parameters
    ----------
    read : callable
        From a tag to its raw value, None where it is absent.
    maker, modality : str
        Manufacturer and Modality.
    found : mapping
        Keys that the standard elements gave.
    """
    return _applied(read, maker, modality, found, attribute=False)


def private_attributes(read: Read, maker: str, modality: str) -> dict[str, Any]:
    """Return the attributes that private elements give."""
    return _applied(read, maker, modality, {}, attribute=True)


def _applied(
    read: Read, maker: str, modality: str, found: Mapping[str, Any], *, attribute: bool
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for row in _of_maker(maker, modality):
        if row.attribute is attribute and row.key not in found and row.key not in out:
            decoded = _decoded(row, read)
            if decoded is not None:
                out[row.key] = decoded
    return out


@lru_cache(maxsize=256)
def _of_maker(maker: str, modality: str) -> tuple[Quirk, ...]:
    name = maker.strip().upper()
    return tuple(row for row in QUIRKS if row.modality == modality and name.startswith(row.makers))


def _decoded(row: Quirk, read: Read) -> Decoded:
    raws = [read(tag) for tag in row.tags]
    if any(raw is None or raw in ("", b"") for raw in raws) or not _reserved(row, read):
        return None
    try:
        return row.decode(*raws)
    except Exception:
        # A broken private element is an absent one.
        return None


def _reserved(row: Quirk, read: Read) -> bool:
    """Return whether the block is the row's; tools that blank out creators leave the block's meaning."""
    if not row.creator:
        return True
    raw = read(row.tags[0] & 0xFFFF0000 | 0x10)
    name = raw.decode("ascii", "replace") if isinstance(raw, bytes) else str(raw or "")
    return name.strip(" \0").upper() in ("", row.creator)
