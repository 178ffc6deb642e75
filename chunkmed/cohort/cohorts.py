"""A cohort from Python: plan, run, resume, retry, status, table, group."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from chunkmed.cohort.cases import read_cases, read_specs
from chunkmed.cohort.gathering import gathered
from chunkmed.cohort.grouping import grouped
from chunkmed.cohort.planning import Plan, planned
from chunkmed.cohort.running import Cluster, run_cases
from chunkmed.cohort.settings import Limits, read_settings
from chunkmed.cohort.statuses import Status, status
from chunkmed.cohort.work import Function, Work
from chunkmed.errors import InputError
from chunkmed.graph.budget import Budget
from chunkmed.recipe import Recipe
from chunkmed.report import page_template

__all__ = ["Cohort", "open", "plan", "prepare", "table"]

#: Inputs that a cluster's workers are asked for.
_SEEN = 8
PathLike = str | os.PathLike[str]


class Cohort:
    """Many cases with one recipe, and a folder with the results of each.

    Parameters
    ----------
    out : path
        The folder that :func:`plan` wrote.
    function : callable, optional
        The function that it was planned with, where no module has it.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> image = cm.open(np.arange(64, dtype=np.int16).reshape(1, 4, 4, 4), spacing_mm=(5.0, 1.0, 1.0))
    >>> stored = cm.save(image, "studies/a/image.zarr", overwrite=True)
    >>> cohort = plan("studies", "out", recipe="threshold-objects", parameters={"above": 31})
    >>> cohort.run(workers=1).done
    1
    """

    def __init__(self, out: PathLike, function: Function | None = None) -> None:
        self.out = Path(os.path.abspath(out))  # noqa: PTH100 - links stay as they are
        self._work, self._limits, self.settings = read_settings(self.out)
        if function is not None:
            given = Work.of(function, {}, self._work.choices)
            if given.token() != self._work.token():
                raise InputError(
                    "another function than the cohort was planned with",
                    kind="other-code",
                    fix="plan the cohort again: what changes nothing is kept",
                )
            self._work = given

    def run(
        self,
        cluster: Cluster | None = None,
        *,
        memory: int | str | None = None,
        workers: int | None = None,
        timeout_s: float | None = None,
        retries: int | None = None,
        retry_failed: bool = False,
        progress: Callable[[int, int, int], None] | None = None,
    ) -> Status:
        """Run what is not done yet; what an earlier run left half-way goes on from there.

        Parameters
        ----------
        cluster : optional
            Anything with ``submit(function, *arguments)`` that returns a future: a distributed client.
            By default processes of this machine.
        memory : int or str, optional
            What all cases that run at a time may take; else as planned.
        workers : int, optional
            Cases at a time; a large image takes several places, up to all of them. On a dask cluster one
            that is too large for any worker has all of them for its blocks, and no case runs beside it.
        timeout_s : float, optional
            Longest time of one case.
        retries : int, optional
            How often a case is tried again that ran out of memory (with twice as much), crashed, or
            lost its worker.
        retry_failed : bool, default False
            Run the cases that failed once more.
        progress : callable, optional
            Called with how many are done, failed, and how many there are.

        Returns
        -------
        Status
            Failed cases are in it; they raise nothing.

        Raises
        ------
        StoreError
            ``locked`` if another process runs the cohort.
        """
        limits = self._limits_of(memory, workers, timeout_s, retries)
        run_cases(
            self.out,
            self._work,
            limits,
            cluster=cluster,
            retry_failed=retry_failed,
            progress=progress,
        )
        return self.status()

    def resume(self, cluster: Cluster | None = None, **settings: Any) -> Status:
        """Go on where a run ended: the same as :meth:`run`."""
        return self.run(cluster, **settings)

    def retry(self, cluster: Cluster | None = None, **settings: Any) -> Status:
        """Run the cases that failed once more, and what is left."""
        return self.run(cluster, retry_failed=True, **settings)

    def status(self) -> Status:
        """Return how far it is; any process may ask."""
        return status(self.out)

    def cases(self) -> list[dict[str, Any]]:
        """Return the rows of ``cases.parquet``: all cases that were found, selected or not."""
        return read_cases(self.out)

    def inputs(self) -> list[str]:
        """Return the paths of some cases that are there: what workers elsewhere must see."""
        first = itertools.islice(read_specs(self.out), _SEEN)
        return [spec.source for spec in first if Path(spec.source).exists()]

    def table(self, name: str = "table") -> pa.Table:
        """Return the measurements of all cases that are done; see :func:`table`."""
        return gathered(self.out, name)

    def group(self, *, page: bool = True) -> dict[str, Any]:
        """Write the tables of the group, a summary, outliers, and a page to look at.

        Parameters
        ----------
        page : bool, default True
            Write ``group/index.html`` too (needs the extra ``[report]``).

        Returns
        -------
        dict
            What is in ``group/summary.json``.

        Raises
        ------
        InputError
            ``missing-extra`` without the extra, before anything is written.
        """
        if page:
            # Before the tables of thousands of cases are gathered.
            page_template()
        return grouped(self.out, page=page)

    def _limits_of(
        self, memory: int | str | None, workers: int | None, timeout_s: float | None, retries: int | None
    ) -> Limits:
        limits = self._limits
        if memory is not None or workers is not None:
            budget = Budget.of(memory if memory is not None else limits.memory, workers or limits.workers)
            limits = replace(limits, memory=budget.memory, workers=budget.workers)
        if timeout_s is not None:
            limits = replace(limits, timeout_s=_positive(timeout_s))
        return limits if retries is None else replace(limits, retries=retries)

    def __str__(self) -> str:
        return f"{self.out}: {self.status()}"


def plan(
    root: PathLike,
    out: PathLike,
    *,
    recipe: str | Path | Recipe | Function,
    where: str | None = None,
    case_id: str | None = None,
    labels: str | Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    memory: int | str | None = None,
    workers: int | None = None,
    timeout_s: float | None = None,
    retries: int = 1,
    allow_missing: bool = False,
    allow_irregular: bool = False,
    merge_series: bool = False,
    frames: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Cohort:
    """Look at all images below a root and write down what is to be done with which of them.

    Parameters
    ----------
    root : path
        A folder with one folder (of DICOM series) or one store for each case, or a CSV manifest with a
        column ``path``.
    out : path
        Folder for the plan and all results. What is there of an earlier plan is used where input,
        recipe, settings and version are the same.
    recipe : str, path, Recipe or function
        A recipe by name or file, or a function ``image -> Dataset``, also as ``"package.module:function"``.
    where : str, optional
        Condition over the columns of ``cases.parquet``, like
        ``"modality == 'CT' and n_slices > 100 and not localizer"``. By default every image series that
        is no localizer. What cannot be read is always part of the cohort: it will be a row that says so.
    case_id : str, optional
        Where your own names of the cases stand: ``"manifest.csv:column"`` (with a column ``path``
        relative to the root), or a path pattern like ``"sub-{case}/{visit}"``. By default the path.
    labels : str or mapping of step to str, optional
        Label images that stand in for steps of the recipe (or are arguments of the function), as paths
        relative to the root: ``"{case}/seg.zarr#LV"``.
    parameters : mapping, optional
        Parameters of the recipe.
    memory, workers, timeout_s, retries
        See :meth:`Cohort.run`.
    allow_missing, allow_irregular, merge_series, frames
        What is accepted of DICOM, as in :func:`chunkmed.convert`.
    progress : callable, optional
        Called with how many places were looked at, and how many there are.

    Returns
    -------
    Cohort

    Raises
    ------
    InputError
        If recipe, condition, pattern or labels are not understood: before anything is read.
    SourceError
        If there is nothing below the root.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> image = cm.open(np.arange(64, dtype=np.int16).reshape(1, 4, 4, 4), spacing_mm=(5.0, 1.0, 1.0))
    >>> stored = cm.save(image, "studies/a/image.zarr", overwrite=True)
    >>> cohort = plan("studies", "planned", recipe="threshold-objects", parameters={"above": 31})
    >>> print(cohort.status())
    1 case: 0 done, 0 failed, 0 under way, 1 waiting
    """
    prepared = prepare(
        root, recipe=recipe, where=where, case_id=case_id, labels=labels, parameters=parameters,
        memory=memory, workers=workers, timeout_s=timeout_s, retries=retries, allow_missing=allow_missing,
        allow_irregular=allow_irregular, merge_series=merge_series, frames=frames, progress=progress,
    )  # fmt: skip
    prepared.write(Path(out))
    cohort = Cohort(out)
    # The function itself, where no module has it.
    cohort._work = prepared.work
    return cohort


def prepare(
    root: PathLike,
    *,
    recipe: str | Path | Recipe | Function,
    where: str | None = None,
    case_id: str | None = None,
    labels: str | Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    memory: int | str | None = None,
    workers: int | None = None,
    timeout_s: float | None = None,
    retries: int = 1,
    progress: Callable[[int, int], None] | None = None,
    **choices: Any,
) -> Plan:
    """Return the plan that :func:`plan` writes, without writing it."""
    budget = Budget.of(memory, workers)
    if timeout_s is not None:
        _positive(timeout_s)
    limits = Limits(budget.memory, budget.workers, timeout_s, retries)
    work = Work.of(recipe, parameters or {}, choices)
    return planned(root, work, limits, where=where, case_id=case_id, labels=labels, progress=progress)


def _positive(seconds: float) -> float:
    if not seconds > 0:
        raise InputError(f"timeout_s = {seconds}", kind="bad-timeout", fix="give seconds above 0")
    return float(seconds)


def open(out: PathLike, function: Function | None = None) -> Cohort:  # noqa: A001 - used as cohort.open
    """Return a cohort that was planned; parameters as of :class:`Cohort`.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> image = cm.open(np.arange(64, dtype=np.int16).reshape(1, 4, 4, 4), spacing_mm=(5.0, 1.0, 1.0))
    >>> stored = cm.save(image, "studies/a/image.zarr", overwrite=True)
    >>> planned = plan("studies", "out", recipe="threshold-objects")
    >>> open("out").status().total
    1
    """
    return Cohort(out, function)


def table(out: PathLike, name: str = "table") -> pa.Table:
    """Return the measurements of all cases that are done: one row per case, time point and label.

    Parameters
    ----------
    out : path
        The cohort.
    name : str
        Which table of the recipe: ``table``, ``table-2``, ``curve``.

    Returns
    -------
    pyarrow.Table
        Columns ``case_id``, ``case``, then those of the cases' tables; units are in their names.
        ``.to_pandas()`` makes a data frame of it.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> image = cm.open(np.arange(64, dtype=np.int16).reshape(1, 4, 4, 4), spacing_mm=(5.0, 1.0, 1.0))
    >>> stored = cm.save(image, "studies/a/image.zarr", overwrite=True)
    >>> def brightest(image):
    ...     return image.max().to_dataset(name="brightest")
    >>> status = plan("studies", "out", recipe=brightest).run(workers=1)
    >>> table("out").select(["case_id", "brightest"]).to_pylist()
    [{'case_id': 'a/image', 'brightest': 63}]
    """
    return gathered(Path(out), name)
