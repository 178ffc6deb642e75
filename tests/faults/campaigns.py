"""What the fault tests do to a store, in a process of their own: kill it, fail it, damage it.

Long form: ``python tests/faults/campaigns.py kill 10000`` and ``... damage 10000``.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import numpy as np

import chunkmed as cm
from chunkmed import store as rooms
from chunkmed.coords import attach
from chunkmed.errors import ChunkmedError
from chunkmed.graph.views import from_reader
from chunkmed.grid import Grid
from chunkmed.store import files, layout

SHAPE = (1, 4, 20, 40)


class Reader:
    """A small image whose values tell which version it is."""

    shape, dtype, chunks = SHAPE, np.dtype(np.int16), (1, 4, 20, 20)

    def __init__(self, version: int) -> None:
        self.version, self.token = version, f"campaign-{version}"
        self.values = np.random.default_rng(version).integers(0, 99, SHAPE).astype(np.int16)

    def read(self, box):
        return self.values[tuple(slice(a, b) for a, b in box)]


def image(version: int):
    grid = Grid(
        z_mm=tuple(np.arange(4) * 3.0),
        y_mm=tuple(np.arange(20.0)),
        x_mm=tuple(np.arange(40.0)),
        time_ms=(0.0,),
    )
    return attach(from_reader(Reader(version)), grid)


@contextmanager
def small_shards() -> Iterator[None]:
    """Shards of 2 x 20 x 20, so that a small image has many."""
    before = dict(layout._SHARD), dict(layout._INNER)
    layout._SHARD.update(z=2, y=20, x=20)
    layout._INNER.update(z=2, y=10, x=20)
    try:
        with dask.config.set(scheduler="synchronous"), cm.config("8 GB", 1):
            yield
    finally:
        layout._SHARD.update(before[0])
        layout._INNER.update(before[1])


def write_image(path: Path, version: int) -> None:
    cm.save(image(version), path, overwrite=True)


def write_label(path: Path, version: int) -> None:
    cm.save(image(version) > 50, path, name="body", overwrite=True)


#: What is there before, what is written, and what the two versions look like to a reader.
SCENARIOS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None], str | None]] = {
    "write": (lambda path: None, lambda path: write_image(path, 2), None),
    "overwrite": (lambda path: write_image(path, 1), lambda path: write_image(path, 2), None),
    "label": (lambda path: write_image(path, 2), lambda path: write_label(path, 2), "body"),
    "label again": (
        lambda path: (write_image(path, 2), write_label(path, 1)),
        lambda path: write_label(path, 2),
        "body",
    ),
}


def snapshot(path: Path) -> dict[str, bytes]:
    """Return every file below a path."""
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def seen(path: Path, label: str | None) -> np.ndarray | None:
    """Return what a reader sees: the values, or None where it is refused."""
    try:
        return cm.open(path, label=label).compute(scheduler="synchronous").values
    except ChunkmedError:
        return None


def expected(version: int, label: str | None) -> np.ndarray:
    values = Reader(version).values
    return values if label is None else (values > 50).astype(np.uint8)


def in_child(action: Callable[[], None]) -> int:
    """Run an action in a forked process; return its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            os._exit(3)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def killer(at: int) -> files.Watcher:
    """Return a watcher that kills the process at the n-th call, before or after an operation."""
    calls = iter(range(at + 1))

    def watcher(*_: object) -> None:
        if next(calls, at) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return watcher


def killer_after_blocks(count: int) -> files.Watcher:
    """Return a watcher that kills the process when the ledger knows of so many blocks."""
    appended: list[Path] = []

    def watcher(when: str, name: str, path: Path) -> None:
        if (when, name) == ("after", "append"):
            appended.append(path)
            if len(appended) == count:
                os.kill(os.getpid(), signal.SIGKILL)

    return watcher


def failer(at: int, number: int) -> files.Watcher:
    """Return a watcher that lets the n-th operation fail with an error number."""
    state = {"count": 0}

    def watcher(when: str, name: str, path: Path) -> None:
        if when == "before":
            state["count"] += 1
            if state["count"] == at + 1:
                raise OSError(number, os.strerror(number))

    return watcher


def count_calls(prepare: Callable[[Path], None], act: Callable[[Path], None]) -> int:
    """Return how often a watcher is called, before and after all operations of a write."""
    calls: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.zarr"
        prepare(path)
        with files.watch(lambda when, name, path: calls.append(name)):
            act(path)
    return len(calls)


def check_after(path: Path, scenario: str, whole: dict[str, bytes], what: str) -> bool:
    """Check a store after a write was cut off, then let it be written again; return if it was new."""
    _, act, label = SCENARIOS[scenario]
    values = seen(path, label)
    old = expected(1, label) if scenario in ("overwrite", "label again") else None
    is_new = values is not None and np.array_equal(values, expected(2, label))
    is_old = values is None if old is None else values is not None and np.array_equal(values, old)
    assert is_new or is_old, f"{what}: neither old nor new"
    if label is not None:
        assert np.array_equal(seen(path, None), expected(2, None)), f"{what}: the image was lost"
    act(path)
    assert np.array_equal(seen(path, label), expected(2, label)), f"{what}: not finished by a new write"
    assert rooms.verify(path) == [], f"{what}: damage after the new write"
    after = snapshot(path)
    if label is not None:
        # The history of the store counts the saves.
        after = {key: value for key, value in after.items() if key != "zarr.json"}
        whole = {key: value for key, value in whole.items() if key != "zarr.json"}
    assert after == whole, f"{what}: the resumed store differs"
    left = [p.name for p in path.parent.rglob("*") if ".partial-" in p.name or ".replaced-" in p.name]
    assert left == [], f"{what}: {left}"
    return is_new


def uninterrupted(scenario: str) -> dict[str, bytes]:
    prepare, act, _ = SCENARIOS[scenario]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.zarr"
        prepare(path)
        act(path)
        return snapshot(path)


def kill_campaign(scenario: str, points: list[int] | None = None, exchange: bool = True) -> int:
    """Kill a write before and after every operation; return how many kills there were."""
    prepare, act, _ = SCENARIOS[scenario]
    whole, results = uninterrupted(scenario), []
    total = count_calls(prepare, act)
    for at in points if points is not None else range(total):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.zarr"
            prepare(path)

            def action(at=at, path=path) -> None:
                with files.watch(killer(at % total)):
                    act(path)

            status = in_child(action)
            assert os.WIFSIGNALED(status), f"{scenario}: not killed at {at}"
            results.append(check_after(path, scenario, whole, f"{scenario}, killed at {at}"))
    if points is None:
        # Kills at the start leave the old, kills at the end the new: the campaign saw both.
        assert not results[0] and results[-1]
    return len(results)


def error_campaign(scenario: str, numbers: list[int]) -> int:
    """Let every operation of a write fail once, with one error after the other; return how many."""
    prepare, act, _ = SCENARIOS[scenario]
    whole = uninterrupted(scenario)
    done = 0
    for at in range(count_calls(prepare, act) // 2):
        number = numbers[at % len(numbers)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.zarr"
            prepare(path)
            with files.watch(failer(at, number)):
                try:
                    act(path)
                except ChunkmedError as error:
                    assert error.kind == "unwritable", error
            check_after(path, scenario, whole, f"{scenario}, {os.strerror(number)} at {at}")
            done += 1
    return done


def damage(path: Path, rng: random.Random) -> str:
    """Damage one file of a store in one way; return what was done."""
    names = sorted(p for p in path.rglob("*") if p.is_file() and p.stat().st_size)
    victim, way = rng.choice(names), rng.choice(("flip", "zero", "truncate", "swap", "delete", "stale"))
    raw = victim.read_bytes()
    if way == "flip":
        at = rng.randrange(len(raw))
        victim.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :])
    elif way == "zero":
        at = rng.randrange(len(raw))
        length = rng.randrange(1, 64)
        victim.write_bytes(raw[:at] + bytes(min(length, len(raw) - at)) + raw[at + length :])
    elif way == "truncate":
        victim.write_bytes(raw[: rng.randrange(len(raw))])
    elif way == "swap":
        other = rng.choice([p for p in names if p != victim])
        victim.write_bytes(other.read_bytes())
        other.write_bytes(raw)
    elif way == "delete":
        victim.unlink()
    else:
        stale = path.parent / "stale.zarr" / victim.relative_to(path)
        victim.write_bytes(stale.read_bytes() if stale.is_file() else b"")
    return f"{way} {victim.relative_to(path).as_posix()}"


def damage_campaign(count: int, seed: int) -> dict[str, int]:
    """Damage a store again and again; return how often it was found by reading and by verify."""
    rng, found = random.Random(seed), {"read": 0, "verify": 0, "unchanged": 0}
    with tempfile.TemporaryDirectory() as folder:
        good, path = Path(folder) / "good" / "image.zarr", Path(folder) / "image.zarr"
        for version, target in ((1, Path(folder) / "stale.zarr"), (2, good)):
            write_image(target, version)
            write_label(target, version)
        whole = snapshot(good)
        shutil.copytree(good, path)
        for _ in range(count):
            what = damage(path, rng)
            after = snapshot(path)
            if after == whole:
                found["unchanged"] += 1
                continue
            assert is_found(path), f"silent: {what}"
            found["verify"] += 1
            found["read"] += reading_fails(path, what)
            restore(path, whole, after)
    return found


def is_found(path: Path) -> bool:
    try:
        return bool(rooms.verify(path))
    except ChunkmedError:
        return True


def reading_fails(path: Path, what: str) -> bool:
    """Whether reading everything raises; what is read without an error must be right."""
    failed = False
    for label in (None, "body"):
        values = seen(path, label)
        failed |= values is None
        assert values is None or np.array_equal(values, expected(2, label)), f"wrong values: {what}"
    return failed


def restore(path: Path, whole: dict[str, bytes], after: dict[str, bytes]) -> None:
    for key, raw in whole.items():
        if after.get(key) != raw:
            (path / key).write_bytes(raw)


def main(kind: str, *words: str) -> None:
    with small_shards():
        if kind == "scenario":
            if "no-exchange" in words:
                files.exchange = lambda first, second: False
            sys.stdout.write(f"{kill_campaign(words[0])}\n")
        elif kind == "errors":
            sys.stdout.write(f"{error_campaign(words[0], [int(word) for word in words[1:]])}\n")
        elif kind == "kill":
            done, names = 0, itertools.cycle(SCENARIOS)
            while done < int(words[0]):
                done += kill_campaign(next(names))
                sys.stdout.write(f"{done} kills, 0 silent, 0 old data lost\n")
                sys.stdout.flush()
        else:
            sys.stdout.write(f"{damage_campaign(int(words[0]), seed=1)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
