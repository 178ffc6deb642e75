"""Names of measures as people write them."""

from __future__ import annotations

import re

__all__ = ["titled"]

_UNITS = {"mm2": "mm²", "mm3": "mm³", "hu": "HU", "percent": "%", "px": "pixels", "vox": "voxels"}
_NAME = re.compile(r"(?P<what>.+?)_(?P<units>(?:bq_per_)?(?:ml|mm|mm2|mm3|ms|hu|percent|px|vox)(?:_per_s)?)")


def titled(name: str) -> str:
    """Return the name of a measure, with its label where it has one, as a title.

    Examples
    --------
    >>> titled("volume_ml of 1"), titled("mean_hu of liver"), titled("center_of_mass_z_mm"), titled("voxels")
    ('volume (ml), label 1', 'mean (HU), liver', 'center of mass z (mm)', 'voxels')
    >>> titled("mean_bq_per_ml"), titled("ejection_fraction_percent")
    ('mean (bq/ml)', 'ejection fraction (%)')
    """
    measure, _, label = name.partition(" of ")
    found = _NAME.fullmatch(measure)
    what, units = (found["what"], found["units"].replace("_per_", "/")) if found else (measure, "")
    shown = what.replace("_", " ") + (f" ({_UNITS.get(units, units)})" if units else "")
    return shown + (f", {f'label {label}' if label.isdecimal() else label}" if label else "")
