"""Run one task per block on whatever dask scheduler there is, a window of tasks at a time.

Never a dask graph of all tasks: optimising and ordering 10^5 of them takes longer than the work. A
task gets the nodes as one shared literal, returns a few bytes, and results come in canonical order.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import dask.base
import dask.local
import dask.threaded
from dask._task_spec import DataNode, Dict, Task, TaskRef
from dask.callbacks import Callback

from chunkmed.graph.box import Box, box_size
from chunkmed.graph.budget import return_freed_memory
from chunkmed.graph.evaluate import evaluate, opaque_keys
from chunkmed.graph.lost import named
from chunkmed.graph.nodes import Array, Node, Opaque, Shared
from chunkmed.graph.plan import Plan
from chunkmed.graph.schedulers import scheduler_in_use
from chunkmed.provenance import content_hash
from chunkmed.reused import reusing

__all__ = ["Observer", "Work", "observing", "run"]

_WINDOW_PER_WORKER = 32
#: Memory that is kept from one pass to the next, of this call or another: new memory is a tenth of the
#: time of a small one.
_IDLE_BYTES = 128 << 20


class Observer(Protocol):
    """Something that shows progress."""

    def start(self, name: str, tasks: int, plan: Plan) -> None:
        """Take note of a pass that begins, and of how many of its tasks are left."""

    def advance(self, voxels: int, nbytes: int) -> None:
        """Take note of a block that is done, and of how many bytes its making read."""

    def finish(self) -> None:
        """Take note of the end of the pass."""


_observers: list[Observer] = []


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Show the progress of every sink inside the block."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


@dataclass(frozen=True)
class Work:
    """What every task does: evaluate the nodes on its box, hand the arrays to the function."""

    nodes: tuple[Node, ...]
    function: Callable[[Box, Sequence[Array]], Any]
    kept_bytes: int = 0
    """Memory that a task may keep while it runs; 0 where that is kept for all tasks together."""


def run(
    work: Work,
    plan: Plan,
    *,
    name: str,
    skip: Callable[[Box], bool] | None = None,
    done: Callable[[Box, Any], None] | None = None,
) -> Iterator[tuple[Box, Any]]:
    """Yield (box, result) of every task, in C order of the boxes.

    Parameters
    ----------
    work : Work
        Nodes and function.
    plan : Plan
        Blocks and budget.
    name : str
        What the progress bar says.
    skip : function, optional
        Says of a box whether it was done before (resuming).
    done : function, optional
        Called with box and result of each task as soon as it is done, in any order; results are
        yielded a window at a time.
    """
    tell = _Teller(plan, done)
    # Never a list of all boxes: there may be 10^5.
    todo = plan.boxes if skip is None else (box for box in plan.boxes if not skip(box))
    tell.start(name, plan.tasks - (sum(map(skip, plan.boxes)) if skip is not None else 0))
    here = scheduler_in_use() in (None, dask.threaded.get, dask.local.get_sync)
    work = replace(work, kept_bytes=0 if here else plan.kept_bytes)
    try:
        with reusing(plan.kept_bytes * plan.budget.threads, _IDLE_BYTES) if here else nullcontext():
            yield from _windows(todo, work, plan, tell)
    finally:
        tell.finish()


def _windows(todo: Iterator[Box], work: Work, plan: Plan, tell: _Teller) -> Iterator[tuple[Box, Any]]:
    while window := list(itertools.islice(todo, _WINDOW_PER_WORKER * plan.budget.workers)):
        yield from _compute(work, window, plan.budget.workers, tell)


class _Teller:
    """Tells observers, and who asked for it, of tasks that are done."""

    def __init__(self, plan: Plan, done: Callable[[Box, Any], None] | None) -> None:
        self.plan, self.done, self.observers = plan, done, list(_observers)
        self.nbytes = plan.read_bytes // max(1, plan.tasks)

    def start(self, name: str, tasks: int) -> None:
        for observer in self.observers:
            observer.start(name, tasks, self.plan)

    def __call__(self, box: Box, result: Any) -> None:
        if self.done is not None:
            self.done(box, result)
        for observer in self.observers:
            observer.advance(box_size(box), self.nbytes)

    def finish(self) -> None:
        for observer in self.observers:
            observer.finish()


def _compute(work: Work, window: Sequence[Box], workers: int, tell: _Teller) -> list[tuple[Box, Any]]:
    literal = f"chunkmed-work-{content_hash([node.token for node in work.nodes], id(work))}"
    graph: dict[Any, Any] = {literal: DataNode(literal, Shared(work))}
    keys = []
    for number, box in enumerate(window):
        needed = opaque_keys([(node, _fit(box, node)) for node in work.nodes])
        graph.update(_opaque_tasks(needed, graph))
        blocks = Dict({key: TaskRef(key) for key in needed}) if needed else None
        keys.append((literal, number))
        graph[keys[-1]] = Task(keys[-1], _task, TaskRef(literal), box, blocks)
    return _schedule(graph, keys, workers, tell)


def _task(shared: Shared, box: Box, blocks: Any) -> tuple[Box, Any]:
    work: Work = shared.value
    return_freed_memory()
    with reusing(work.kept_bytes):
        arrays = evaluate([(node, _fit(box, node)) for node in work.nodes], blocks)
        return box, work.function(box, arrays)


def _fit(box: Box, node: Node) -> Box:
    """Return the box for a node that broadcasts on axes of size one."""
    own = zip(node.shape, box[len(box) - len(node.shape) :], strict=True)
    return tuple((0, 1) if n == 1 else span for n, span in own)


def _opaque_tasks(needed: dict[Any, Opaque], present: dict[Any, Any]) -> dict[Any, Any]:
    """Return dask's own tasks for the blocks of opaque arrays."""
    tasks: dict[Any, Any] = {}
    by_name: dict[str, tuple[Opaque, set[Any]]] = {}
    for key, node in needed.items():
        if key not in present:
            by_name.setdefault(node.name, (node, set()))[1].add(key)
    for node, keys in by_name.values():
        tasks.update(node.graph.cull(keys).to_dict())
    return tasks


def _schedule(
    graph: dict[Any, Any], keys: Sequence[Any], workers: int, tell: _Teller
) -> list[tuple[Box, Any]]:
    get = scheduler_in_use()
    client: Any = getattr(get, "__self__", None)
    if hasattr(client, "gather") and hasattr(client, "scheduler_info"):
        return _on_cluster(client, graph, keys, tell)
    if get is None or get is dask.threaded.get:
        get = partial(dask.threaded.get, num_workers=workers)
    once = _Once(tell, keys)
    with Callback(posttask=lambda key, result, *_: once(key, result)):
        results: list[tuple[Box, Any]] = list(get(graph, list(keys)))
    # Not every scheduler calls: tell of what it returned.
    for key, result in zip(keys, results, strict=True):
        once(key, result)
    return results


def _on_cluster(
    client: Any, graph: dict[Any, Any], keys: Sequence[Any], tell: _Teller
) -> list[tuple[Box, Any]]:
    """Run tasks by a distributed client; each is told of when it is done, though another may fail."""
    once = _Once(tell, keys)
    with _named_failures():
        futures = client.get(graph, list(keys), sync=False)
    pairs = list(zip(keys, futures, strict=True))

    def finished(key: Any, future: Any) -> None:
        if future.status == "finished":
            once(key, future.result())

    for key, future in pairs:
        future.add_done_callback(partial(finished, key))
    try:
        with _named_failures():
            results: list[tuple[Box, Any]] = client.gather(futures)
        for key, result in zip(keys, results, strict=True):
            once(key, result)
    finally:
        # Whatever the calls in other threads have not come to yet.
        for key, future in pairs:
            with suppress(Exception):
                finished(key, future)
        once.close()
    return results


@contextmanager
def _named_failures() -> Iterator[None]:
    """Say what the loss of workers and schedulers means."""
    try:
        yield
    except BaseException as error:
        if (meant := named(error)) is not None:
            raise meant from error
        raise


class _Once:
    """Tells of each task once, from any thread, until it is closed."""

    def __init__(self, tell: _Teller, keys: Sequence[Any]) -> None:
        self._tell, self._left, self._lock = tell, set(keys), threading.Lock()

    def __call__(self, key: Any, result: Any) -> None:
        with self._lock:
            if key in self._left:
                self._left.remove(key)
                self._tell(*result)

    def close(self) -> None:
        """Tell of nothing more: what comes late belongs to a call that is over."""
        with self._lock:
            self._left.clear()
