"""Many series, one recipe: planned, run in processes of their own, resumed, gathered into one table.

>>> import chunkmed as cm
>>> cohort = cm.cohort.plan("studies/", "out/", recipe="threshold-objects")  # doctest: +SKIP
>>> print(cohort.run())  # doctest: +SKIP
>>> frame = cm.cohort.table("out/").to_pandas()  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chunkmed.cohort.cohorts import Cohort, open, plan, table  # noqa: A004
    from chunkmed.cohort.statuses import Status, status

__all__ = ["Cohort", "Status", "open", "plan", "status", "table"]


def __getattr__(name: str) -> Any:
    # On first use: who asks for the status of a cohort must not wait for what runs it.
    if name not in __all__:
        raise AttributeError(f"module 'chunkmed.cohort' has no attribute {name!r}")
    room = "statuses" if name.lower() == "status" else "cohorts"
    return getattr(importlib.import_module(f"chunkmed.cohort.{room}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
