"""Volume over time -> end-diastole, end-systole, stroke volume, ejection fraction.

Tables in, tables out: a curve holds one number per time point and nothing here reads an image.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import numpy.typing as npt
import xarray as xr

from chunkmed.errors import InputError

__all__ = ["curve", "ejection_fraction", "summary"]

Values = npt.NDArray[np.float64]

_FEWEST_FOR_RATES = 3
#: Sizes that a table may have, the best first.
_SIZES = ("volume_ml", "volume_mm3", "area_mm2", "volume_vox", "area_px")
_UNIT_IN_NAME = re.compile(r"(?P<quantity>.+)_(?P<units>ml|mm|mm2|mm3|px|pixels|voxels)")


def ejection_fraction(curve: xr.DataArray | xr.Dataset | npt.ArrayLike, label: int | None = None) -> float:
    """Return the ejection fraction of a curve: (largest - smallest) / largest.

    Parameters
    ----------
    curve : DataArray (t), array_like (t,) or Dataset
        Volume (or area) per time point, in any unit; further dims of length one are ignored. Time
        points that are NaN are skipped, with a warning. Or a table, read and doubted as :func:`curve` does.
    label : int, optional
        Which object of a table.

    Returns
    -------
    float
        A fraction, 0 to 1 (not percent).

    Raises
    ------
    InputError
        ``not-a-curve`` if more than one dim is longer than one, ``empty-curve`` without time points,
        ``all-nan`` if no time point has a value, ``no-volume`` if the largest is not above zero; as
        :func:`curve` does for a table.

    Examples
    --------
    >>> ejection_fraction([120.0, 80.0, 48.0, 90.0])
    0.6
    """
    if isinstance(curve, xr.Dataset):
        curve = _curve_of(curve, label)
    values = _checked(curve)
    largest, smallest = float(np.nanmax(values)), float(np.nanmin(values))
    return (largest - smallest) / largest


def curve(table: xr.Dataset, label: int | None = None) -> xr.DataArray:
    """Return the size of one object over time, and say where it cannot be trusted.

    Parameters
    ----------
    table : Dataset (t, label) or (t)
        As :func:`chunkmed.measure` or :func:`chunkmed.follow` give it, with one of ``volume_ml``,
        ``volume_mm3``, ``area_mm2``, ``volume_vox``, ``area_px``.
    label : int, optional
        Which object, where there are several.

    Returns
    -------
    DataArray (t)
        Volume in ml where there is one. A ``UserWarning`` tells of a single slice (its area is no
        volume), of sizes without millimetres, of an object that touches the border of the image (part of
        it is missing) and of time points where it was lost.

    Raises
    ------
    InputError
        ``no-size`` for a table without sizes, ``several-objects``, ``no-label``.

    Examples
    --------
    >>> table = xr.Dataset({"volume_mm3": (("t", "label"), [[9000.0], [4500.0]])}, {"label": [1]})
    >>> curve(table).values.tolist(), curve(table).name
    ([9.0, 4.5], 'volume_ml')
    """
    return _curve_of(table, label)


def _curve_of(table: xr.Dataset, label: int | None) -> xr.DataArray:
    one = _one_object(table, label)
    name = next((name for name in _SIZES if name in one), None)
    if name is None:
        raise InputError("the table has no sizes", kind="no-size", fix='measure "volume_ml"')
    for note in _doubts(one, name):
        # From whoever called the public function.
        warnings.warn(note, stacklevel=3)
    found = one[name]
    if name == "volume_mm3":
        found = (found / 1000).rename("volume_ml").assign_attrs(units="ml")
    return found.drop_vars("label", errors="ignore")


def _one_object(table: xr.Dataset, label: int | None) -> xr.Dataset:
    if "label" not in table.dims:
        return table
    names = table["label"].values.tolist()
    if label is None and len(names) == 1:
        return table.isel(label=0)
    if label is None:
        raise InputError(
            f"the table has {len(names)} objects",
            kind="several-objects",
            fix="choose one: curve(table, label=...), or follow(labels, at=..., table=table)",
        )
    if label not in names:
        raise InputError(f"there is no label {label}", kind="no-label", why=f"labels are {names}")
    return table.sel(label=label)


def _doubts(table: xr.Dataset, name: str) -> list[str]:
    """Return why the sizes may not be what they seem."""
    size, found = table[name], []
    if name.startswith("area") or table.attrs.get("n_slices") == 1:
        found.append("the image has a single slice: what leaves it looks as if it were ejected")
    if name.endswith(("_vox", "_px")):
        found.append("the image has no spacing: sizes are in voxels")
    lost = int((np.isnan(size) | (size == 0)).sum())
    if lost:
        found.append(f"the object is lost at {lost} of {size.size} time points")
    if "touches_border" in table and (touching := int((table["touches_border"] == 1).sum())):
        found.append(f"the object touches the border of the image at {touching} of {size.size} time points")
    return found


def summary(curve: xr.DataArray | xr.Dataset, label: int | None = None) -> xr.Dataset:
    """Return what a volume curve says about the heart beat, as scalars named with their units.

    Parameters
    ----------
    curve : DataArray (t) or Dataset
        Volume per time point; or a table, read and doubted as :func:`curve` does. The unit is
        ``attrs["units"]``, or else the end of the name (``volume_ml``). The coordinate ``t`` is time if
        its units are ``ms``.
    label : int, optional
        Which object of a table.

    Returns
    -------
    Dataset
        ``edv_ml``, ``esv_ml``, ``stroke_volume_ml``, ``ejection_fraction`` (0 to 1),
        ``ejection_fraction_percent``, ``ed_index``, ``es_index``, ``ed_time_ms``, ``es_time_ms``,
        ``peak_ejection_rate_ml_per_s`` and ``peak_filling_rate_ml_per_s`` (both positive). Times are NaN
        if the curve has none, rates also with fewer than three time points. A curve that is not a
        volume in ml keeps its own name and unit: ``ed_area_mm2``, ``es_area_mm2``,
        ``stroke_area_mm2``, ``peak_ejection_rate_mm2_per_s``; without a unit: ``ed_area``, ...

    Raises
    ------
    InputError
        As :func:`ejection_fraction` and :func:`curve` do.

    Examples
    --------
    >>> time_ms = ("t", [0.0, 100.0, 200.0, 300.0], {"units": "ms"})
    >>> curve = xr.DataArray([120.0, 80.0, 48.0, 90.0], {"t": time_ms}, ["t"], name="volume_ml")
    >>> beat = summary(curve)
    >>> float(beat.stroke_volume_ml), float(beat.es_time_ms), float(beat.peak_filling_rate_ml_per_s)
    (72.0, 200.0, 420.0)
    """
    if isinstance(curve, xr.Dataset):
        curve = _curve_of(curve, label)
    values = _checked(curve)
    time_ms = _time_ms(curve, len(values))
    ed, es = int(np.nanargmax(values)), int(np.nanargmin(values))
    ejection, filling = _peak_rates_per_s(values, time_ms)
    fraction = float((values[ed] - values[es]) / values[ed])
    end_diastolic, end_systolic, stroke, units = _names(curve)
    per_s = f"{units}_per_s" if units else "per_s"
    scalars = {
        end_diastolic: (values[ed], units),
        end_systolic: (values[es], units),
        stroke: (values[ed] - values[es], units),
        "ejection_fraction": (fraction, "1"),
        "ejection_fraction_percent": (100 * fraction, "%"),
        "ed_index": (ed, "1"),
        "es_index": (es, "1"),
        "ed_time_ms": (time_ms[ed], "ms"),
        "es_time_ms": (time_ms[es], "ms"),
        f"peak_ejection_rate_{per_s}": (ejection, f"{units or 1}/s"),
        f"peak_filling_rate_{per_s}": (filling, f"{units or 1}/s"),
    }
    return xr.Dataset({name: ((), value, {"units": unit}) for name, (value, unit) in scalars.items()})


def _checked(curve: xr.DataArray | npt.ArrayLike) -> Values:
    """Return the values (t,) of a curve that has some."""
    values = np.asarray(curve, dtype=np.float64)
    if values.ndim == 0 or (values.size and values.size != max(values.shape)):
        raise InputError(
            "an ejection fraction needs one number per time point",
            kind="not-a-curve",
            why=f"this has the shape {values.shape}",
            fix="choose one object: follow(...), or table.volume_ml.sel(label=...)",
        )
    if values.size == 0:
        raise InputError("the curve has no time points", kind="empty-curve")
    missing = int(np.isnan(values).sum())
    if missing == values.size:
        raise InputError("the curve is NaN at every time point", kind="all-nan")
    if not np.nanmax(values) > 0:
        raise InputError("the curve is never above zero", kind="no-volume", fix="check the labels")
    if missing:
        note = f"{missing} of {values.size} time points have no value and are skipped"
        warnings.warn(note, stacklevel=3)
    return values.reshape(-1)


def _time_ms(curve: xr.DataArray, count: int) -> Values:
    """Return the time of each point, NaN where it is not known."""
    dim = max(curve.dims, key=lambda name: (curve.sizes[name], name == "t"))
    if dim not in curve.coords or curve.coords[dim].attrs.get("units") != "ms":
        return np.full(count, np.nan)
    return np.asarray(curve.coords[dim].values, dtype=np.float64)


def _peak_rates_per_s(values: Values, time_ms: Values) -> tuple[float, float]:
    """Return the steepest fall and rise, both positive."""
    known = ~np.isnan(values) & ~np.isnan(time_ms)
    values, time_ms = values[known], time_ms[known]
    if len(values) < _FEWEST_FOR_RATES or not np.all(np.diff(time_ms) > 0):
        return np.nan, np.nan
    rates = np.gradient(values, time_ms) * 1000
    return float(-rates.min()), float(rates.max())


def _names(curve: xr.DataArray) -> tuple[str, str, str, str]:
    """Return the names of the ED, ES and stroke quantity, and their unit ("" if unknown)."""
    quantity, units = str(curve.name or ""), str(curve.attrs.get("units", ""))
    if match := _UNIT_IN_NAME.fullmatch(quantity):
        quantity, units = match["quantity"], units or match["units"]
    units = units.replace("/", "_per_")
    if units.lower() == "ml" and quantity in ("", "volume"):
        return "edv_ml", "esv_ml", "stroke_volume_ml", "ml"
    stem = "_".join(part for part in (quantity or "value", units) if part)
    return f"ed_{stem}", f"es_{stem}", f"stroke_{stem}", units
