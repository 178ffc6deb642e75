"""What the fault tests do to a store, in a process of their own: kill it, fail it, damage it.

Long form: ``python tests/faults/campaigns.py kill 10000`` and ``... damage 10000``.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import dask
import numpy as np

import chunkmed as cm
from chunkmed import store as rooms
from chunkmed.coords import attach
from chunkmed.errors import ChunkmedError
from chunkmed.graph import plan
from chunkmed.graph.views import from_reader
from chunkmed.grid import Grid
from chunkmed.store import files, layout, pyramid

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


@contextlib.contextmanager
def small_shards() -> Iterator[None]:
    """Shards of 2 x 20 x 20, so that a small image has many, and three levels in two passes."""
    before = dict(layout._SHARD), dict(layout._INNER), pyramid._ENOUGH
    largest = plan.MAX_BLOCK_BYTES, plan._WISHED_BYTES
    layout._SHARD.update(z=2, y=20, x=20)
    layout._INNER.update(z=2, y=10, x=20)
    pyramid._ENOUGH = 16
    try:
        # Blocks of one shard: they own those of the second level, and none of the third.
        plan.MAX_BLOCK_BYTES = plan._WISHED_BYTES = 1
        with dask.config.set(scheduler="synchronous"), cm.config("8 GB", 2):
            yield
    finally:
        plan.MAX_BLOCK_BYTES, plan._WISHED_BYTES = largest
        layout._SHARD.update(before[0])
        layout._INNER.update(before[1])
        pyramid._ENOUGH = before[2]


def folder() -> tempfile.TemporaryDirectory:
    """Return a folder in memory, where there is one: a kill does not ask what reached the disk."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)


def write_image(path: Path, version: int) -> None:
    cm.save(image(version), path, overwrite=True)


def write_label(path: Path, version: int) -> None:
    cm.save(image(version) > 50, path, name="body", overwrite=True)


def cut_off(path: Path, version: int) -> None:
    """Leave a write that failed after its first two blocks, with its draft and ledger."""
    with files.watch(failer_after_blocks(2)), contextlib.suppress(ChunkmedError):
        write_image(path, version)


#: What is there before, what is written, and what the two versions look like to a reader.
SCENARIOS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None], str | None]] = {
    "write": (lambda path: None, lambda path: write_image(path, 2), None),
    # The old store holds what the new one does not: nothing of it may stay.
    "overwrite": (
        lambda path: (write_image(path, 1), write_label(path, 1)),
        lambda path: write_image(path, 2),
        None,
    ),
    "resume": (lambda path: cut_off(path, 2), lambda path: write_image(path, 2), None),
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


def failer_after_blocks(count: int) -> files.Watcher:
    """Return a watcher that fails all operations once the ledger knows of so many blocks."""
    appended: list[Path] = []

    def watcher(when: str, name: str, path: Path) -> None:
        appended.extend([path] * ((when, name) == ("after", "append")))
        if when == "before" and len(appended) >= count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

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


@contextlib.contextmanager
def torn(at: int, then: Callable[[], None]) -> Iterator[None]:
    """Let half of what is written by the n-th write reach the file, and something happen then."""
    whole, calls = files._write_all, itertools.count()

    def part(handle: int, pieces: list[memoryview]) -> None:
        if next(calls) == at:
            raw = b"".join(pieces)
            os.write(handle, raw[: len(raw) // 2])
            then()
        whole(handle, pieces)

    files._write_all = part
    try:
        yield
    finally:
        files._write_all = whole


def torn_writes(calls: list[tuple[str, str]], every: int) -> list[int]:
    """Return which writes are torn: all, or some and the last ones, by which a node becomes seen."""
    count = sum(calls.count(("before", name)) for name in ("write", "append"))
    return sorted({*range(0, count, 1 if every == 1 else 5), *range(max(0, count - 5), count)})


def calls_of(prepare: Callable[[Path], None], act: Callable[[Path], None]) -> list[tuple[str, str]]:
    """Return when and for what a watcher is called, before and after all operations of a write."""
    calls: list[tuple[str, str]] = []
    with folder() as name:
        path = Path(name) / "image.zarr"
        prepare(path)
        with files.watch(lambda when, name, path: calls.append((when, name))):
            act(path)
    return calls


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


def uninterrupted(scenario: str) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the files of a scenario before and after its write."""
    prepare, act, _ = SCENARIOS[scenario]
    with folder() as name:
        path = Path(name) / "image.zarr"
        prepare(path)
        # With what lies beside the store: drafts and ledgers.
        before = snapshot(path.parent)
        act(path)
        return before, snapshot(path)


def lay_out(path: Path, files_there: dict[str, bytes]) -> None:
    """Write files as they were in a snapshot."""
    for key, raw in files_there.items():
        (path / key).parent.mkdir(parents=True, exist_ok=True)
        (path / key).write_bytes(raw)


def kill_campaign(scenario: str, every: int = 1, again: bool = False) -> int:
    """Kill a write before and after every operation; return how many kills there were.

    With ``every=2`` before each operation and after the last: what lies on disk after one operation
    is what lies there before the next. With ``again`` the next write is killed too, anywhere, before
    anybody looked at what the first one left.
    """
    prepare, act, _ = SCENARIOS[scenario]
    (before, whole), results = uninterrupted(scenario), []
    calls, rng = calls_of(prepare, act), random.Random(scenario)
    total = len(calls)
    for at in sorted({*range(0, total, every), total - 1}):
        for second in seconds(at, total, rng) if again else (None,):
            with folder() as name:
                path = Path(name) / "image.zarr"
                lay_out(path.parent, before)
                assert killed(path, act, at), f"{scenario}: not killed at {at}"
                # What is left to do may end before it is killed.
                if second is not None:
                    killed(path, act, second)
                what = f"{scenario}, killed at {at}, {second}"
                results.append(check_after(path, scenario, whole, what))
    # Kills at the start leave the old, kills at the end the new: the campaign saw both.
    assert not results[0] and results[-1]
    for at in torn_writes(calls, every):
        with folder() as name:
            path = Path(name) / "image.zarr"
            lay_out(path.parent, before)
            with torn(at, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                assert os.WIFSIGNALED(in_child(lambda path=path: act(path)))
            results.append(check_after(path, scenario, whole, f"{scenario}, killed within write {at}"))
    return len(results)


def seconds(at: int, total: int, rng: random.Random) -> Iterable[int | None]:
    """Return where the next write is killed after one that was: all over where that one took its place."""
    if at in (0, total - 1):
        return (None,)
    return range(1, 41, 5) if at >= total - 30 else (rng.randrange(total),)


def killed(path: Path, act: Callable[[Path], None], at: int) -> bool:
    """Write in a process that is killed at the n-th call of a watcher; False where it ended before."""

    def action() -> None:
        with files.watch(killer(at)):
            act(path)

    return os.WIFSIGNALED(in_child(action))


def error_campaign(scenario: str, numbers: list[int]) -> int:
    """Let every operation of a write fail once, with one error after the other; return how many.

    Writes also fail when half of them is done, as on a disk that is full.
    """
    prepare, act, _ = SCENARIOS[scenario]
    before, whole = uninterrupted(scenario)
    calls = calls_of(prepare, act)
    ways = [(failing, at) for at in range(len(calls) // 2)]
    ways += [(failing_within, at) for at in torn_writes(calls, 2)]
    for done, (way, at) in enumerate(ways):
        number = numbers[done % len(numbers)]
        with folder() as name:
            path = Path(name) / "image.zarr"
            lay_out(path.parent, before)
            with way(at, number):
                try:
                    act(path)
                except ChunkmedError as error:
                    assert error.kind == "unwritable", error
                else:
                    assert way is failing, f"{scenario}: half a write passed for whole"
            check_after(path, scenario, whole, f"{scenario}, {way.__name__} {at}: {os.strerror(number)}")
    return len(ways)


def failing(at: int, number: int) -> contextlib.AbstractContextManager[None]:
    return files.watch(failer(at, number))


def failing_within(at: int, number: int) -> contextlib.AbstractContextManager[None]:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return torn(at, fail)


def damage(path: Path, whole: dict[str, bytes], rng: random.Random) -> tuple[str, set[str]]:
    """Damage a store in one way; return what was done and the files that are not as they were."""
    names = [name for name, raw in whole.items() if raw]
    name, way = rng.choice(names), rng.choice(("flip", "zero", "truncate", "swap", "delete", "stale"))
    raw, victim, touched = whole[name], path / name, {name}
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
        other = rng.choice([n for n in names if n != name])
        victim.write_bytes(whole[other])
        (path / other).write_bytes(raw)
        touched.add(other)
    elif way == "delete":
        victim.unlink()
    else:
        stale = path.parent / "stale.zarr" / name
        victim.write_bytes(stale.read_bytes() if stale.is_file() else b"")
    changed = {n for n in touched if not (path / n).is_file() or (path / n).read_bytes() != whole[n]}
    return f"{way} {name}", changed


def damage_campaign(count: int, seed: int) -> dict[str, int]:
    """Damage a store again and again; return how often it was found by reading and by verify."""
    rng, found = random.Random(seed), {"read": 0, "verify": 0, "unchanged": 0}
    with folder() as name:
        path = Path(name) / "image.zarr"
        for version, target in ((1, Path(name) / "stale.zarr"), (2, path)):
            write_image(target, version)
            write_label(target, version)
        whole = snapshot(path)
        truth = levels_of(path)
        for _ in range(count):
            what, changed = damage(path, whole, rng)
            if not changed:
                found["unchanged"] += 1
                continue
            assert is_found(path), f"silent: {what}"
            found["verify"] += 1
            found["read"] += reading_fails(path, touched(truth, changed), what)
            for key in changed:
                (path / key).write_bytes(whole[key])
    return found


def is_found(path: Path) -> bool:
    try:
        return bool(rooms.verify(path))
    except ChunkmedError:
        return True


def levels_of(path: Path) -> dict[tuple[str | None, int], np.ndarray]:
    """Return the values of every level of the image and of the label image."""
    levels = range(rooms.open_image(path).levels)
    assert len(levels) == 3
    return {(label, level): read(path, label, level) for label in (None, "body") for level in levels}


def touched(truth: dict[tuple[str | None, int], np.ndarray], changed: set[str]) -> dict:
    """Return the levels that changed files belong to: all of a node where it is the node's own file."""
    found = {}
    for (label, level), values in truth.items():
        prefix = "" if label is None else f"labels/{label}/"
        others = tuple(f"{prefix}{n}/" for n in range(3) if n != level)
        foreign = (*others, "labels/") if label is None else others
        if any(not key.startswith(foreign) for key in changed if key.startswith(prefix)):
            found[label, level] = values
    return found or truth


def read(path: Path, label: str | None, level: int) -> np.ndarray:
    array = rooms.open_image(path, label, level).array
    return array.read([(0, n) for n in array.shape])


def reading_fails(path: Path, truth: dict[tuple[str | None, int], np.ndarray], what: str) -> bool:
    """Whether reading everything raises; what is read without an error must be right."""
    failed = False
    for (label, level), values in truth.items():
        try:
            found = read(path, label, level)
        except ChunkmedError:
            failed = True
        else:
            assert np.array_equal(found, values), f"wrong values: {what}"
    return failed


def main(kind: str, *words: str) -> None:
    with small_shards():
        if kind == "scenario":
            if "no-exchange" in words:
                files.exchange = lambda first, second: False
            every = 2 if "before" in words else 1
            sys.stdout.write(f"{kill_campaign(words[0], every, 'again' in words)}\n")
        elif kind == "errors":
            sys.stdout.write(f"{error_campaign(words[0], [int(word) for word in words[1:]])}\n")
        elif kind == "kill":
            done, names = 0, itertools.cycle(itertools.product((False, True), SCENARIOS))
            while done < int(words[0]):
                again, name = next(names)
                done += kill_campaign(name, again=again)
                sys.stdout.write(f"{done} kills, 0 silent, 0 old data lost\n")
                sys.stdout.flush()
        else:
            sys.stdout.write(f"{damage_campaign(int(words[0]), int(words[1]) if words[1:] else 1)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
