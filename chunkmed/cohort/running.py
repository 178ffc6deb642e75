"""Run the cases of a cohort: as many side by side as memory allows, each in a process of its own.

Nothing is known only here: killed at any time, the next run goes on from what lies on disk.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from chunkmed import store
from chunkmed.cluster import reaches_others
from chunkmed.cohort.cases import Spec, read_columns, read_specs
from chunkmed.cohort.casework import Request, Spread
from chunkmed.cohort.ledger import Seen, seen
from chunkmed.cohort.outcomes import Outcome, case_folder, publish_failure, read_outcome
from chunkmed.cohort.remote import WORKERS, ledger_of, work_on
from chunkmed.cohort.settings import Limits
from chunkmed.cohort.tries import Share
from chunkmed.cohort.work import Work
from chunkmed.errors import ChunkmedError, PlanError, StoreError
from chunkmed.graph.budget import Budget, budget_of_client
from chunkmed.graph.scratch import scratch_folder

__all__ = ["Cluster", "Future", "run_cases"]

_LOOK_EVERY_S = 0.2
_WORKERS_EVERY_S = 5.0
#: Cases that wait at a cluster beside those that run: its workers are never idle.
_AHEAD = 2


class Future(Protocol):
    """What ``submit`` returns: futures of the standard library's and dask's are such."""

    def done(self) -> bool:
        """Whether it ended."""

    def result(self) -> Any:
        """Return what the function returned, or raise what it raised."""

    def cancel(self) -> Any:
        """Do not start it."""


class Cluster(Protocol):
    """Whatever runs functions elsewhere: what ``connect`` gives, a distributed client, an executor."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future:
        """Run a function, some time."""


@dataclass(frozen=True, slots=True)
class _Task:
    spec: Spec
    slots: int
    attempt: int = 1
    spread: bool = False
    """Whether it has all workers of the cluster, and is alone there."""


def run_cases(
    out: Path,
    work: Work,
    limits: Limits,
    *,
    cluster: Cluster | None = None,
    retry_failed: bool = False,
    progress: Callable[[int, int, int], None] | None = None,
) -> None:
    """Run what is not done yet.

    Parameters
    ----------
    out : Path
        The cohort.
    work : Work
        What to do with each case.
    limits : Limits
        What cases may take; on a dask cluster its workers say it.
    cluster : Cluster, optional
        Where cases run; by default in processes of this machine.
    retry_failed : bool
        Run the cases that failed once more.
    progress : callable, optional
        Called with how many are done, failed, and how many there are.

    Raises
    ------
    StoreError
        ``locked`` if another process runs this cohort.
    """
    # What is wrong with all cases is an error of the run, not of each of them.
    work.recipe() if work.is_recipe else work.function()
    with store.locked(out / "run"):
        local = ThreadPoolExecutor(limits.workers, "case") if cluster is None else None
        run = _Run(out, work, limits, local if cluster is None else cluster, local is None, progress)
        try:
            run.fill(retry_failed)
            run.go()
        except BaseException as error:
            run.stop()
            if isinstance(error, OSError):
                raise _unwritable(out, error) from error
            raise
        finally:
            if local is not None:
                local.shutdown(wait=True, cancel_futures=True)
                # What forks them stays: the next run starts at once.
                WORKERS.keep(0)


class _Run:
    """The cases that wait and those on their way."""

    def __init__(
        self,
        out: Path,
        work: Work,
        limits: Limits,
        cluster: Any,
        is_remote: bool,
        progress: Callable[[int, int, int], None] | None,
    ) -> None:
        self.out, self.work, self.limits, self.cluster = out, work, limits, cluster
        self.is_remote, self.progress = is_remote, progress
        self.reaches_all = is_remote and reaches_others(getattr(cluster, "client", cluster))
        self.share, self.looked_at_s = Share.of(limits), 0.0
        self.waiting: deque[_Task] = deque()
        self.under_way: dict[Any, _Task] = {}
        self.done, self.failed, self.total = 0, 0, 0
        self.ended = threading.Event()

    def fill(self, retry_failed: bool) -> None:
        """Collect what is left: large cases first, so that small ones fill what is left beside the last."""
        self._look_at_workers()
        columns = read_columns(self.out, "case", "token", "selected")
        rows = zip(columns["case"], columns["token"], columns["selected"], strict=True)
        found = seen(self.out, {case: token for case, token, selected in rows if selected})
        tasks = [task for spec in read_specs(self.out) if (task := self._left(spec, found, retry_failed))]
        self.waiting.extend(sorted(tasks, key=lambda task: -task.slots))

    def _left(self, spec: Spec, found: Seen, retry_failed: bool) -> _Task | None:
        """Return the task of a case that is not over, None for the others."""
        self.total += 1
        kind = found.kinds.get(spec.case)
        if kind is None or not case_folder(self.out, spec.case).exists():
            kind = self._adopted(spec)
        slots = self.share.needed(spec.image_bytes)
        if kind is None or (kind and retry_failed):
            return _Task(spec, slots)
        if kind and spec.case in found.tries:
            tries, workers = found.tries[spec.case]
            more = self.share.again(kind, tries, workers // self.share.workers, self.limits.retries)
            if more:
                return _Task(spec, more, tries + 1)
        self.done, self.failed = self.done + (not kind), self.failed + bool(kind)
        return None

    def _adopted(self, spec: Spec) -> str | None:
        """Return how a case ended whose process was killed before it could say so, None if it did not end."""
        outcome = read_outcome(self.out, spec.case)
        if outcome is None or outcome.token != spec.token:
            return None
        ledger_of(self.out).ended(outcome)
        return outcome.kind

    def go(self) -> None:
        """Run until nothing is left."""
        self._tell()
        while self.waiting or self.under_way:
            self._submit()
            # Futures that cannot call are looked at from time to time.
            self.ended.wait(_LOOK_EVERY_S)
            self.ended.clear()
            for future in [future for future in self.under_way if future.done()]:
                self._take(future, self.under_way.pop(future))
            self._tell()

    def _submit(self) -> None:
        if self.is_remote and time.monotonic() - self.looked_at_s > _WORKERS_EVERY_S:
            self._look_at_workers()
        room = self.share.slots * (_AHEAD if self.is_remote else 1)
        room -= sum(task.slots for task in self.under_way.values())
        while self.waiting and self._fits(task := self._next(), room):
            self.waiting.popleft()
            room -= task.slots
            self._start(task)

    def _next(self) -> _Task:
        task = self.waiting[0]
        return replace(task, spread=self.reaches_all and self.share.spreads(task.spec.image_bytes))

    def _fits(self, task: _Task, room: int) -> bool:
        if task.spread or any(each.spread for each in self.under_way.values()):
            return not self.under_way
        return task.slots <= room

    def _start(self, task: _Task) -> None:
        share = self.share
        memory, workers = task.slots * share.memory, task.slots * share.workers
        spread = None
        if task.spread:
            spread = Spread(share.memory * share.widest, str(scratch_folder()))
            memory, workers = share.beside, share.slots
        request = Request(str(self.out), task.spec, self.work, memory, workers, task.attempt, spread)
        # dask knows calls by their arguments: without a number it would hand back what it has.
        future = self.cluster.submit(work_on, request.as_dict(), self.limits.timeout_s, time.time_ns())
        self.under_way[future] = task
        if hasattr(future, "add_done_callback"):
            future.add_done_callback(lambda _: self.ended.set())

    def _take(self, future: Any, task: _Task) -> None:
        """Count what ended, or have it tried again."""
        try:
            kind = str(future.result()["kind"])
        except (CancelledError, ChunkmedError):
            # Not of this case: nothing can be run at all.
            raise
        except Exception as error:  # what the cluster says of a worker that is gone
            kind = self._lost(task, error)
        more = self.share.again(kind, task.attempt, task.slots, self.limits.retries) if kind else 0
        if more:
            self.waiting.appendleft(_Task(task.spec, more, task.attempt + 1))
            return
        self.done, self.failed = self.done + (not kind), self.failed + bool(kind)

    def _lost(self, task: _Task, error: Exception) -> str:
        """Write down what became of a case whose worker cannot do so."""
        if isinstance(error, OSError) and error.errno is not None:
            # A disk that is full is; connections that closed have no such number.
            raise error
        spec, slots = task.spec, task.slots
        why = f"its worker was lost: {type(error).__name__}: {error}"
        outcome = Outcome(spec.case, spec.case_id, spec.token, "failed", kind="worker-lost", message=why)
        outcome.attempts, outcome.workers = task.attempt, slots * self.share.workers
        publish_failure(self.out, outcome)
        ledger_of(self.out).ended(outcome)
        return outcome.kind

    def _look_at_workers(self) -> None:
        """Take the memory of a cluster's workers, which come and go; until there are any, wait."""
        self.looked_at_s = time.monotonic()
        if not self.is_remote:
            return
        try:
            budget = self._budget()
        except PlanError:
            return
        if budget is not None:
            # One worker's memory is no other's.
            self.share = Share(budget.workers, budget.memory // budget.threads, most=budget.threads)

    def _budget(self) -> Budget | None:
        """Return what the workers of a cluster may take, None where it does not say."""
        found = getattr(self.cluster, "budget", None)
        if found is not None or not hasattr(self.cluster, "scheduler_info"):
            return found
        return budget_of_client(self.cluster)

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.done, self.failed, self.total)

    def stop(self) -> None:
        """Let go of what is under way: it goes on another time."""
        for future in self.under_way:
            future.cancel()
        if not self.is_remote:
            WORKERS.stop()


def _unwritable(out: Path, error: OSError) -> StoreError:
    return StoreError(
        "the results cannot be written",
        kind="unwritable",
        where=str(out),
        why=error.strerror or str(error),
        kept="what is done is kept",
        fix="make room, then: chunkmed cohort resume",
    )
