"""The factor from PET values to SUV by body weight: one number, or the tag that stands in the way.

Source: QIBA, vendor-neutral pseudo-code for SUV calculation (robust path); PS3.3 C.8.9.1 (PET series)
and C.8.9.2 (PET isotope). Weight, dose and dates are used here and kept nowhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from chunkmed.dicom.quirks import private_numbers
from chunkmed.dicom.tags import clock_ms, number, text, value

__all__ = ["SuvFactor", "suv_attributes", "suv_of"]

_GE_SCAN, _GE_CREATOR = 0x0009100D, 0x00090010
_SIEMENS_REFERENCE, _SIEMENS_CREATOR = 0x00711022, 0x00710010
_PHILIPS_SUV, _PHILIPS_ACTIVITY, _PHILIPS_CREATOR = 0x70531000, 0x70531009, 0x70530010

#: Where decay is corrected to, from a private element: element, creator's element, creator, source.
_REFERENCES = (
    (_GE_SCAN, _GE_CREATOR, "GEMS_PETD_01", "QIBA pseudo-code: GE private scan date and time"),
    (
        _SIEMENS_REFERENCE,
        _SIEMENS_CREATOR,
        "SIEMENS MED PT",
        "Siemens Biograph DICOM conformance statement: Decay Correction DateTime",
    ),
)
#: Plausible values: keyword -> (tag, lowest, highest, unit). A dose in MBq is out of range.
_RANGES = {
    "PatientWeight": ("(0010,1030)", 0.005, 500.0, "kg"),
    "RadionuclideTotalDose": ("(0018,1074)", 1e6, 1e11, "Bq"),
    "RadionuclideHalfLife": ("(0018,1075)", 10.0, 1e7, "s"),
}
_DAY_S = 86400.0
#: Times this near are the same: some are written in whole seconds.
_SAME_S = 1.0
#: An injection this long after the start of the scan is one of a dynamic scan, beyond it of the day before.
_LATE_S = 1800.0
#: Beyond, the day of injection cannot be taken from a time of day.
_LONG_HALF_LIFE_S = 8 * 3600.0
_MOST_HALF_LIVES = 10.0
#: Times in whole seconds make the factors of one series differ by less.
_AGREEMENT = 2e-3


class _UnknownError(Exception):
    """The factor cannot be told; the message names the tag."""


@dataclass(frozen=True, slots=True)
class SuvFactor:
    """What one file says of the factor."""

    factor: float | None
    """g/ml per output value; None where a tag is missing or contradicts another."""
    alternative: float | None = None
    """The same with the start of the scan from elsewhere than SeriesTime."""
    late: bool = False
    """Whether SeriesTime lies after the acquisition: it then dates the series, not the scan."""
    reason: str = ""
    """Why there is no factor."""


# All files of a series say the same: one object is kept.
_shared = lru_cache(maxsize=256)(SuvFactor)


def suv_of(dataset: Any) -> SuvFactor | None:
    """Return what a file says of its SUV factor; None if it is no PET image."""
    if value(dataset, "Modality", text) != "PT":
        return None
    try:
        return _factor(dataset)
    except _UnknownError as error:
        return _shared(None, None, False, str(error))


def suv_attributes(found: Iterable[SuvFactor | None]) -> dict[str, Any]:
    """Return ``suv_bw_factor`` or ``suv_unknown`` of a stack; nothing if it is no PET image."""
    files = [file for file in set(found) if file is not None]
    if not files:
        return {}
    reasons = sorted({file.reason for file in files if file.reason})
    if reasons:
        return {"suv_unknown": reasons[0]}
    late = any(file.late for file in files)
    factors = [file.alternative if late else file.factor for file in files]
    known = sorted(factor for factor in factors if factor is not None)
    if len(known) < len(factors):
        return {"suv_unknown": _NO_START}
    if known[-1] > known[0] * (1 + _AGREEMENT):
        return {"suv_unknown": _DISAGREE}
    return {"suv_bw_factor": known[len(known) // 2]}


_NO_START = (
    "SeriesTime (0008,0031) lies after AcquisitionTime (0008,0032) and neither a private element nor "
    "FrameReferenceTime (0054,1300) with ActualFrameDuration (0018,1242) tells when the scan started"
)
_DISAGREE = (
    "the files of the series lead to different factors: compare PatientWeight (0010,1030), "
    "RadiopharmaceuticalInformationSequence (0054,0016), DecayCorrection (0054,1102) and their times"
)


def _factor(dataset: Any) -> SuvFactor:
    units: str | None = value(dataset, "Units", text)
    if units == "GML":
        kind = value(dataset, "SUVType", text)
        if kind not in (None, "", "BW"):
            raise _UnknownError(f"SUVType (0054,1006) is not BW but {_word(kind)}")
        return _shared(1.0, 1.0)
    _check_units(units)
    _check_corrected(dataset)
    if units == "CNTS" and (ready := _philips(dataset, _PHILIPS_SUV)):
        return _shared(ready, ready)
    to_activity = _to_activity(dataset, units)
    weight_kg = _plausible(dataset, "PatientWeight")
    isotope = _isotope(dataset)
    dose_bq = _plausible(isotope, "RadionuclideTotalDose")
    half_life_s = _plausible(isotope, "RadionuclideHalfLife")
    by_series, by_other, late = _elapsed(dataset, isotope, half_life_s)

    undecayed = to_activity * weight_kg * 1000.0 / dose_bq
    factors = (None if s is None else undecayed * 2.0 ** (s / half_life_s) for s in (by_series, by_other))
    return _shared(*factors, late)


def _check_units(units: str | None) -> None:
    if not units:
        raise _missing("Units", "(0054,1001)")
    if units not in ("BQML", "CNTS"):
        raise _UnknownError(f"Units (0054,1001) are {_word(units)}: only BQML, CNTS and GML lead to SUV")


def _to_activity(dataset: Any, units: str | None) -> float:
    """Return the factor from output values to Bq/ml."""
    found = 1.0 if units == "BQML" else _philips(dataset, _PHILIPS_ACTIVITY)
    if not found:
        raise _UnknownError(
            "Units (0054,1001) are CNTS and neither private factor (7053,1000), (7053,1009) is there"
        )
    return found


def _philips(dataset: Any, tag: int) -> float | None:
    raw = _private(dataset, tag, _PHILIPS_CREATOR, "PHILIPS PET PRIVATE GROUP")
    try:
        found = 0.0 if raw is None else private_numbers(raw)[0]
    except (ValueError, IndexError):
        return None
    return found if math.isfinite(found) and found > 0 else None


def _check_corrected(dataset: Any) -> None:
    correction = value(dataset, "DecayCorrection", text)
    if correction not in ("START", "ADMIN", "NONE"):
        raise _missing("DecayCorrection", "(0054,1102)")
    corrected = (value(dataset, "CorrectedImage", text) or "").split("\\")
    if corrected == [""]:
        raise _missing("CorrectedImage", "(0028,0051)")
    if "ATTN" not in corrected:
        raise _UnknownError("CorrectedImage (0028,0051) lacks ATTN: attenuation is not corrected")
    if ("DECY" in corrected) is (correction == "NONE"):
        raise _UnknownError("CorrectedImage (0028,0051) contradicts DecayCorrection (0054,1102)")


def _isotope(dataset: Any) -> Any:
    sequence = dataset.get("RadiopharmaceuticalInformationSequence")
    try:
        items = list(sequence or ())
    except TypeError:
        items = []
    if not items:
        raise _missing("RadiopharmaceuticalInformationSequence", "(0054,0016)")
    if len(items) > 1:
        raise _UnknownError("RadiopharmaceuticalInformationSequence (0054,0016) holds several injections")
    return items[0]


def _plausible(dataset: Any, keyword: str) -> float:
    tag, low, high, unit = _RANGES[keyword]
    found: float | None = value(dataset, keyword, number)
    if not found:
        raise _missing(keyword, tag)
    if not low <= found <= high:
        raise _UnknownError(f"{keyword} {tag} is implausible in {unit}: not {low:g} to {high:g}")
    return found


def _elapsed(dataset: Any, isotope: Any, half_life_s: float) -> tuple[float | None, float | None, bool]:
    """Return the seconds from injection to the time that values are corrected to.

    By SeriesTime, by another source (None where there is none), and whether SeriesTime lies after
    the acquisition.
    """
    correction = value(dataset, "DecayCorrection", text)
    if correction == "ADMIN":
        return 0.0, 0.0, False
    start = _start(isotope)
    acquired = _moment(dataset, "AcquisitionDate", "AcquisitionTime")
    if correction == "NONE":
        if acquired is None:
            raise _missing("AcquisitionTime", "(0008,0032)")
        average_s = _average_s(dataset, half_life_s)
        if average_s is None:
            raise _missing("ActualFrameDuration", "(0018,1242)")
        elapsed = _between(start, _later(acquired, average_s), half_life_s)
        return elapsed, elapsed, False
    series = _moment(dataset, "SeriesDate", "SeriesTime")
    other = _private_reference(dataset, acquired)
    if other is None and series is not None:
        other = _frame_reference(dataset, acquired, half_life_s)
    if other is None and series is None:
        raise _missing("SeriesTime", "(0008,0031)")
    if other is None and acquired is None:
        raise _missing("AcquisitionTime", "(0008,0032)")
    late = series is None or acquired is None or _difference(acquired, series) > _SAME_S
    by_series = None if late or series is None else _between(start, series, half_life_s)
    try:
        by_other = None if other is None else _between(start, other, half_life_s)
    except _UnknownError:
        if late:
            raise
        by_other = None
    return by_series, by_other, late


#: Day (None where the file names none) and second of the day.
_Moment = tuple[int | None, float]


def _start(isotope: Any) -> _Moment:
    whole = _parsed(value(isotope, "RadiopharmaceuticalStartDateTime", text))
    if whole is not None and whole[0] is not None:
        return whole
    time = _moment(isotope, "", "RadiopharmaceuticalStartTime")
    if time is None:
        raise _UnknownError(
            "RadiopharmaceuticalStartDateTime (0018,1078) and RadiopharmaceuticalStartTime (0018,1072) "
            "are missing"
        )
    return time


def _moment(dataset: Any, date_keyword: str, time_keyword: str) -> _Moment | None:
    milliseconds = clock_ms(value(dataset, time_keyword, text))
    if milliseconds is None:
        return None
    day = _day(value(dataset, date_keyword, text)) if date_keyword else None
    return day, milliseconds / 1000.0


def _parsed(raw: str | None) -> _Moment | None:
    if raw is None or (milliseconds := clock_ms(raw)) is None:
        return None
    return (_day(raw[:8]) if re.match(r"\d{14}", raw) else None), milliseconds / 1000.0


def _day(raw: str | None) -> int | None:
    digits = (raw or "").replace(".", "")
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal()
    except ValueError:
        return None


def _later(moment: _Moment, seconds: float) -> _Moment:
    return moment[0], moment[1] + seconds


def _near(time_s: float, acquired: _Moment | None) -> _Moment:
    """Return a time of day on the day that puts it nearest to the acquisition."""
    if acquired is None:
        return None, time_s
    return acquired[0], acquired[1] + _difference((None, acquired[1]), (None, time_s))


def _difference(early: _Moment, late: _Moment) -> float:
    days = 0 if early[0] is None or late[0] is None else late[0] - early[0]
    seconds = days * _DAY_S + late[1] - early[1]
    if early[0] is None or late[0] is None:
        # Times of day alone: the nearer way round midnight.
        seconds = (seconds + _DAY_S / 2) % _DAY_S - _DAY_S / 2
    return seconds


def _between(start: _Moment, scan: _Moment, half_life_s: float) -> float:
    """Return the seconds from injection to scan, refused where they cannot be."""
    if start[0] is None or scan[0] is None:
        if half_life_s > _LONG_HALF_LIFE_S:
            raise _UnknownError(
                "RadiopharmaceuticalStartDateTime (0018,1078) or the date of the scan is missing: with this "
                "half-life the day of the injection matters"
            )
        # The injection is of the day of the scan, or of the day before where that would be later.
        elapsed = (scan[1] - start[1] + _LATE_S) % _DAY_S - _LATE_S
    else:
        elapsed = (scan[0] - start[0]) * _DAY_S + scan[1] - start[1]
    if elapsed < -_LATE_S or elapsed > _MOST_HALF_LIVES * half_life_s:
        raise _UnknownError(
            "RadiopharmaceuticalStartDateTime (0018,1078) or RadiopharmaceuticalStartTime (0018,1072) "
            "contradicts the time of the scan: the decay from injection to scan is implausible"
        )
    return elapsed


def _private_reference(dataset: Any, acquired: _Moment | None) -> _Moment | None:
    for tag, creator_tag, creator, _ in _REFERENCES:
        raw = _private(dataset, tag, creator_tag, creator)
        raw = raw.decode("ascii", "replace") if isinstance(raw, bytes) else raw
        found = _parsed(str(raw).strip(" \0")) if raw is not None else None
        if found is not None:
            # Tools that shift dates leave private ones behind: the time of day alone is trusted.
            return _near(found[1], acquired)
    return None


def _frame_reference(dataset: Any, acquired: _Moment | None, half_life_s: float) -> _Moment | None:
    """Return the start of the scan from the frame: its mean count rate comes FrameReferenceTime later."""
    offset_ms = value(dataset, "FrameReferenceTime", number)
    average_s = _average_s(dataset, half_life_s)
    if acquired is None or average_s is None or not offset_ms or offset_ms <= 0:
        return None
    return _later(acquired, average_s - offset_ms / 1000.0)


def _average_s(dataset: Any, half_life_s: float) -> float | None:
    """Return when, in s from the start of the frame, the count rate is its average over the frame."""
    duration_ms = value(dataset, "ActualFrameDuration", number)
    if not duration_ms or duration_ms <= 0:
        return None
    decay = math.log(2.0) / half_life_s
    during = decay * duration_ms / 1000.0
    # Short frames: their middle, which the formula loses to rounding.
    return duration_ms / 2000.0 if during < 1e-6 else math.log(during / -math.expm1(-during)) / decay


def _private(dataset: Any, tag: int, creator_tag: int, creator: str) -> Any:
    raw = value(dataset, tag, lambda out: out)
    owner = (value(dataset, creator_tag, text) or "").upper()
    return raw if raw not in (None, "", b"") and owner.strip() in ("", creator) else None


def _missing(keyword: str, tag: str) -> _UnknownError:
    return _UnknownError(f"{keyword} {tag} is missing")


def _word(raw: str) -> str:
    # What stands in a message is a code of the standard or nothing.
    return raw if raw in _CODES else "another code"


_CODES = ("LBM", "BSA", "LBMJAMES128", "LBMJANMA", "IBW", "CPS", "PROPCPS", "PROPCNTS", "PCNT", "NONE")
