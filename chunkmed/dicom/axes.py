"""Axes that are not time: kinds of image, b-values, echoes. A stack each, or a dimension."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chunkmed.dicom.headers import Frame

__all__ = ["AXES", "Axis", "Levels", "levels_of"]

Cells = Sequence[Sequence[Frame]]
#: What ImageType and its kin may say to the user: they are elements of free choice.
_WORDS = (
    "ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER M P R I MAGNITUDE PHASE REAL IMAGINARY MIXED IP OP "
    "W F WATER FAT IN_PHASE OUT_PHASE FAT_FRACTION DIFFUSION ADC FA TRACEW TRACE B0 MPR MIP MINIP AVERAGE "
    "MEAN STATIC DYNAMIC NORM DIS2D DIS3D ND RESAMPLED REFORMATTED SUBTRACTION T1 T2 T2_STAR PERFUSION "
    "VELOCITY M_FFE M_SE M_IR PHASE_MAP"
)
_KINDS = frozenset(_WORDS.split())
_ENCODING = re.compile(r"_v(\d+[a-z]{0,8})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Axis:
    """A tag that sorts the frames of a position before time does."""

    key: str
    dim: str
    """Name of the dimension; empty when every value makes a stack of its own."""
    extract: Callable[[Frame], Any]
    """The frame's value, None where it has none."""
    coordinate: Callable[[Any], float] = field(default=float)
    unit: str = ""
    ranked: bool = False
    """Whether values may differ from position to position: the rank within the position counts."""
    told: bool = False
    """Whether the value may be shown as it is."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Which value of an axis each frame has, as a number counted from 0 in every position."""

    values: tuple[Any, ...]
    numbers: tuple[dict[Any, int], ...]
    """Per position: value -> number."""
    coordinates: tuple[float, ...]

    def sorted_frames(self, axis: Axis, cells: Cells) -> list[list[list[Frame]]]:
        """Return the frames of each position by level: [position][level][...]."""
        out: list[list[list[Frame]]] = [[[] for _ in self.values] for _ in cells]
        for found, number, cell in zip(out, self.numbers, cells, strict=True):
            for frame in cell:
                found[number[axis.extract(frame)]].append(frame)
        return out


def _number(key: str) -> Callable[[Frame], float | None]:
    def extract(frame: Frame) -> float | None:
        value = frame.keys.get(key)
        # Rounded: the same echo is written as 2.05 and 2.0499999.
        return None if value is None else round(float(value), 3)

    return extract


def _kind(frame: Frame) -> tuple[str, str]:
    return str(frame.keys.get("ImageType", "")), str(frame.keys.get("ComplexImageComponent", ""))


def _voltage(frame: Frame) -> tuple[str] | None:
    kilovolts = frame.keys.get("KVP")
    return (f"{float(kilovolts):g} kV",) if kilovolts else None


def _kernel(frame: Frame) -> tuple[str] | None:
    kernel = str(frame.keys.get("ConvolutionKernel", ""))
    return (kernel,) if kernel else None


def _attenuation(frame: Frame) -> tuple[str] | None:
    corrected = frame.keys.get("CorrectedImage")
    if corrected is None:
        return None
    return ("corrected for attenuation" if "ATTN" in str(corrected).split("\\") else "not corrected",)


def _velocity(frame: Frame) -> tuple[str] | None:
    """Return strength and direction of velocity encoding as Siemens names its sequences: ``_v150in``."""
    found = _ENCODING.search(str(frame.keys.get("SequenceName", "")))
    return (f"velocity {found[1]}",) if found else None


def _gradient(frame: Frame) -> tuple[float, tuple[float, ...]] | None:
    b, vector = frame.keys.get("DiffusionBValue"), frame.keys.get("DiffusionGradientOrientation", ())
    if b is None and not vector:
        # In a diffusion series an image without a b-value is one without a gradient.
        return (0.0, ())
    return round(float(b or 0.0), 3), tuple(round(part, 4) + 0.0 for part in vector)


AXES: tuple[Axis, ...] = (
    Axis("ImageType", "", _kind),
    Axis("ConvolutionKernel", "", _kernel),
    Axis("KVP", "", _voltage, told=True),
    Axis("CorrectedImage", "", _attenuation, told=True),
    Axis("SequenceName", "", _velocity, told=True),
    Axis("DiffusionBValue", "b", _gradient, lambda pair: float(pair[0]), "s/mm2"),
    Axis("EchoTime", "echo", _number("EchoTime"), unit="ms", ranked=True),
    Axis("InversionTime", "inversion", _number("InversionTime"), unit="ms", ranked=True),
    Axis("FlipAngle", "flip", _number("FlipAngle"), unit="degrees", ranked=True),
)


def levels_of(axis: Axis, cells: Cells) -> Levels | None:
    """Return the levels of an axis that the frames of a position differ in; None where they do not."""
    sets = [{axis.extract(frame) for frame in cell} for cell in cells]
    if max(map(len, sets)) < 2 or any(None in found for found in sets):
        return None
    if not axis.dim:
        return _same_everywhere(axis, sorted(set().union(*sets)), len(cells))
    largest = max(sets, key=len)
    if all(found <= largest for found in sets):
        fullest = max(cells, key=len)
        return _same_everywhere(axis, _in_order(axis, largest, fullest), len(cells))
    return _ranked(sets) if axis.ranked else None


def _in_order(axis: Axis, values: set[Any], cell: Sequence[Frame]) -> list[Any]:
    # b-values ascending, directions in the order in which they were acquired.
    seen = {axis.extract(frame): sequence(frame) for frame in sorted(cell, key=sequence)[::-1]}
    last = (np.inf, 0)
    by_seen = sorted(values, key=lambda value: (seen.get(value, last), value))
    return sorted(by_seen, key=axis.coordinate)


def sequence(frame: Frame) -> tuple[float, int]:
    """Return what says in which order frames were acquired, where nothing better does."""
    return float(frame.keys.get("InstanceNumber", 0.0)), frame.index


def _same_everywhere(axis: Axis, values: Sequence[Any], positions: int) -> Levels:
    number = {value: i for i, value in enumerate(values)}
    coordinates = tuple(axis.coordinate(value) for value in values) if axis.dim else ()
    return Levels(tuple(values), (number,) * positions, coordinates)


def _ranked(sets: Sequence[set[Any]]) -> Levels | None:
    """Return ranks within the positions, if no position's value reaches into another rank."""
    if len({len(found) for found in sets}) > 1:
        return None
    table = np.array([sorted(found) for found in sets], dtype=np.float64)
    if (table[:, :-1].max(axis=0) >= table[:, 1:].min(axis=0)).any():
        return None
    medians = tuple(float(value) for value in np.round(np.median(table, axis=0), 3))
    numbers = tuple({value: i for i, value in enumerate(sorted(found))} for found in sets)
    return Levels(medians, numbers, medians)


def label_of(axis: Axis, value: Any) -> tuple[str, str]:
    """Return what sets one value of an axis apart: to derive keys from, and for the user."""
    if axis.dim:
        text = f"{axis.key} {axis.coordinate(value):g} {axis.unit}".strip()
        return (f"{text} {value[1]}" if isinstance(value, tuple) and value[1] else text), text
    whole = " ".join(part for part in value if part)
    if axis.told:
        return whole, whole
    return whole, "\\".join(_known_words(whole)) or "other kind"


def _known_words(text: str) -> Iterator[str]:
    for word in dict.fromkeys(text.replace("\\", " ").split()):
        if word in _KINDS:
            yield word
