"""Cases that are far from the others: by median and median absolute deviation, measure by measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Distribution", "Outlier", "distributions", "keys_of", "outliers_of"]

#: Fewer cases say nothing about what is usual.
_LEAST_CASES = 8
#: Of the modified z-score of Iglewicz and Hoaglin (1993), and what makes it one of a normal distribution.
_FAR, _NORMAL = 3.5, 0.6745
_KEYS = ("case_id", "case", "t", "label", "time_ms")


@dataclass(frozen=True)
class Distribution:
    """One measure of one label over all cases: the median over time of each."""

    measure: str
    label: str
    cases: tuple[str, ...]
    """Keyed identifiers."""
    case_ids: tuple[str, ...]
    values: npt.NDArray[np.float64]

    @property
    def name(self) -> str:
        """Measure, and label where there is one."""
        return f"{self.measure} of {self.label}" if self.label else self.measure


@dataclass(frozen=True)
class Outlier:
    """A value that is far from the others."""

    case_id: str
    case: str
    measure: str
    label: str
    value: float
    median: float
    score: float
    """Modified z-score: distance from the median in (normal) standard deviations."""


def distributions(table: pa.Table) -> Iterator[Distribution]:
    """Yield the distribution of each number of a table of all cases, label by label."""
    if not len(table):
        return
    cases = table["case"].to_pylist()
    ids = dict(zip(cases, table["case_id"].to_pylist(), strict=True))
    labels = table["label"].to_pylist() if "label" in table.column_names else [""] * len(table)
    groups: dict[str, dict[str, list[int]]] = {}
    for row, (case, label) in enumerate(zip(cases, labels, strict=True)):
        groups.setdefault(str(label), {}).setdefault(case, []).append(row)
    for field in table.schema:
        if field.name in keys_of(table) or not (
            pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        ):
            continue
        column = table[field.name].to_numpy(zero_copy_only=False).astype(np.float64)
        for label, rows in groups.items():
            values = np.array([_median(column[each]) for each in rows.values()])
            if np.isnan(values).all():
                continue
            yield Distribution(field.name, label, tuple(rows), tuple(ids[case] for case in rows), values)


def keys_of(table: pa.Table) -> set[str]:
    """Return the columns that say which row is which: also ``b`` and ``b_value`` of a diffusion series."""
    names = table.column_names
    others = {name for name in names if f"{name}_value" in names}
    return {*_KEYS, *others, *(f"{name}_value" for name in others)}


def _median(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def outliers_of(distribution: Distribution) -> list[Outlier]:
    """Return the cases that are far from the others, the farthest first.

    Examples
    --------
    >>> values = np.array([1.0, 2, 3, 4, 5, 4, 3, 2, 90])
    >>> names = tuple("abcdefghi")
    >>> [found.case for found in outliers_of(Distribution("volume_ml", "1", names, names, values))]
    ['i']
    """
    known = np.isfinite(distribution.values)
    if known.sum() < _LEAST_CASES:
        return []
    median = float(np.median(distribution.values[known]))
    deviation = float(np.median(np.abs(distribution.values[known] - median)))
    if deviation == 0:
        return []
    scores = _NORMAL * (distribution.values - median) / deviation
    far = [i for i in np.argsort(-np.abs(np.where(known, scores, 0))).tolist() if abs(scores[i]) > _FAR]
    return [
        Outlier(
            distribution.case_ids[i],
            distribution.cases[i],
            distribution.measure,
            distribution.label,
            float(distribution.values[i]),
            median,
            float(scores[i]),
        )
        for i in far
        if known[i]
    ]
