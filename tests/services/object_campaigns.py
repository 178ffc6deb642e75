"""What the tests of object stores do to a store: cut writes off, let servers answer wrongly.

Long forms: ``python tests/services/object_campaigns.py cut`` (every write, before and after every
operation), ``... faults 2000`` (random wrong answers while reading and writing), ``... race 50`` (two
processes that overwrite one store at a time).
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import chunkmed as cm
from chunkmed import store as rooms
from chunkmed.errors import ChunkmedError
from chunkmed.store import files

_HERE = Path(__file__).parent


def _module(name: str, path: Path):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


local = _module("campaigns", _HERE.parent / "faults" / "campaigns.py")
s3 = _module("s3", _HERE / "s3.py")
_numbers = itertools.count()


class CutOffError(BaseException):
    """The end of a process, as far as the store can tell: nothing is cleaned up."""


def cutter(at: int) -> files.Watcher:
    """Return a watcher that ends everything at the n-th call, before or after an operation."""
    calls = iter(range(at + 1))

    def watcher(*_: object) -> None:
        if next(calls, at) == at:
            raise CutOffError

    return watcher


def write_flat(url: str, version: int) -> None:
    """Write an image without coarser levels: fewer requests."""
    cm.save(local.image(version), url, overwrite=True, pyramid=False)


def half_written(url: str, version: int) -> None:
    """Leave a write that was cut off after its second block."""
    records = itertools.count(1)

    def watcher(when: str, name: str, place: rooms.ObjectPath) -> None:
        if when == "after" and ".done/" in str(place) and next(records) == 2:
            raise CutOffError

    with contextlib.suppress(CutOffError), files.watch(watcher):
        local.write_image(url, version)


#: What is there before, what is written, the label image that it is about, and what was to be seen.
SCENARIOS: dict[str, tuple[Callable[[str], None], Callable[[str], None], str | None]] = {
    "write": (lambda url: None, lambda url: local.write_image(url, 2), None),
    "overwrite": (lambda url: local.write_image(url, 1), lambda url: local.write_image(url, 2), None),
    "resume": (lambda url: half_written(url, 2), lambda url: local.write_image(url, 2), None),
    "label": (lambda url: local.write_image(url, 2), lambda url: local.write_label(url, 2), "body"),
    "label again": (
        lambda url: (local.write_image(url, 2), local.write_label(url, 1)),
        lambda url: local.write_label(url, 2),
        "body",
    ),
}


def content(url: str, label: str | None) -> dict[str, bytes]:
    """Return all objects of a committed node but what the history of the store is in."""
    node = rooms.node_of(rooms.locate(url), label)
    own = [key for key in node.sizes() if not key.startswith("labels/") and key != "zarr.json"]
    return {key: (node / key).read_bytes() for key in own}


def leftovers(url: str) -> list[str]:
    """Return all objects that are not of committed nodes."""
    place = rooms.locate(url)
    nodes = [rooms.node_of(place)] + [rooms.node_of(place, name) for name in rooms.label_names(place)]
    kept = tuple(f"{node.key[len(place.key) + 1 :]}/" for node in nodes)
    labels = f"{kept[0]}labels/"
    found = [key for key in place.sizes() if not key.startswith(kept) or key.startswith(labels)]
    return [key for key in found if not key.startswith(kept[1:] or ("-",)) and key not in _LISTS(kept[0])]


def _LISTS(node: str) -> tuple[str, ...]:  # noqa: N802
    return "committed.json", f"{node}labels/zarr.json"


def check_after(url: str, scenario: str, whole: dict[str, bytes], what: str) -> bool:
    """Check a store after a write was cut off, then let it be written again; return if it was new."""
    _, act, label = SCENARIOS[scenario]
    values = local.seen(url, label)
    old = local.expected(1, label) if scenario in ("overwrite", "label again") else None
    is_new = values is not None and np.array_equal(values, local.expected(2, label))
    is_old = values is None if old is None else values is not None and np.array_equal(values, old)
    assert is_new or is_old, f"{what}: neither old nor new"
    if label is not None:
        assert np.array_equal(local.seen(url, None), local.expected(2, None)), f"{what}: the image was lost"
    act(url)
    assert np.array_equal(local.seen(url, label), local.expected(2, label)), f"{what}: not finished"
    assert rooms.verify(rooms.locate(url)) == [], f"{what}: damage after the new write"
    assert content(url, label) == whole, f"{what}: the resumed store differs"
    assert leftovers(url) == [], f"{what}: {leftovers(url)}"
    return is_new


def fresh_url() -> str:
    return f"memory://campaign-{next(_numbers)}/image.zarr"


def cut_campaign(scenario: str, step: int = 1, closely: int = 0) -> int:
    """Cut a write off at every ``step``-th call of a watcher, and at each of the last ``closely``."""
    prepare, act, label = SCENARIOS[scenario]
    url, calls = fresh_url(), []
    prepare(url)
    with files.watch(lambda *words: calls.append(words)):
        act(url)
    whole, total, results = content(url, label), len(calls), []
    for at in sorted({*range(0, total, step), *range(max(0, total - closely), total)}):
        url = fresh_url()
        prepare(url)
        with contextlib.suppress(CutOffError), files.watch(cutter(at)):
            act(url)
            raise AssertionError(f"{scenario}: not cut off at {at}")
        results.append(check_after(url, scenario, whole, f"{scenario}, cut off at {at} of {total}"))
    assert not results[0] and results[-1]
    return len(results)


# ------------------------------------------------------------------- servers that answer wrongly


@contextlib.contextmanager
def faulty() -> Iterator[s3.Proxy]:
    """Give a proxy before a server."""
    with s3.server() as address:
        proxy = s3.Proxy(address)
        try:
            yield proxy
        finally:
            proxy.close()


def once_at(wrong: str, at: int) -> s3.Fault:
    return lambda number, method, path: wrong if number == at else None


def sometimes(rng: random.Random, share: float, wrongs: tuple[str, ...]) -> s3.Fault:
    return lambda number, method, path: rng.choice(wrongs) if rng.random() < share else None


def version_of(seen: np.ndarray | str) -> int:
    """Return which version of the image was read."""
    found = [v for v in (1, 2) if np.array_equal(seen, local.expected(v, None))]
    assert found, f"neither old nor new: {seen}"
    return found[0]


def read_all(url: str, label: str | None = None) -> np.ndarray | str:
    """Return what a reader sees, or the kind of the error."""
    try:
        return cm.open(url, label=label).compute(scheduler="synchronous").values
    except ChunkmedError as error:
        return error.kind


def fault_campaign(count: int, seed: int = 0, share: float = 0.15) -> dict[str, int]:
    """Read and overwrite one store again and again through a proxy that is wrong at random."""
    rng, told = random.Random(seed), {"right": 0, "refused": 0, "written": 0, "failed": 0}
    wrongs = (*s3.PASSING, *s3.FINAL, "short", "flipped")
    with faulty() as proxy, local.small_shards():
        url, version = f"s3://{s3.BUCKET}/random.zarr", 1
        with cm.config("8 GB", 2, storage_options=s3.options(proxy.address, timeout="1s", retries="2")):
            local.write_image(url, 1)
            for number in range(count):
                if number % 4 == 3:
                    # A write asks a hundred times: of what does not pass, one is enough.
                    passing = number % 8 == 3
                    kinds = s3.PASSING if passing else wrongs
                    proxy.start(sometimes(rng, share / 5, kinds))
                    try:
                        local.write_image(url, 3 - version)
                        told["written"] += 1
                    except ChunkmedError:
                        told["failed"] += 1
                    proxy.start()
                    # Told of a failure or not: the old or the new one is there.
                    with cm.config(storage_options=s3.options(proxy.address, timeout="60s")):
                        version = version_of(read_all(url))
                    continue
                proxy.start(sometimes(rng, share, wrongs))
                found = read_all(url)
                told["refused" if isinstance(found, str) else "right"] += 1
                assert isinstance(found, str) or np.array_equal(found, local.expected(version, None))
            proxy.start()
        with cm.config(storage_options=s3.options(proxy.address, timeout="60s")):
            local.write_image(url, 3 - version)
            assert rooms.verify(rooms.locate(url)) == [] and leftovers(url) == []
    return told


# ----------------------------------------------------------------------------- other processes


def in_process(address: str, *words: object) -> subprocess.Popen[str]:
    """Start this file in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), *map(str, words)]
    environment = {**os.environ, "AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def write_and_die(url: str, records: int) -> None:
    """Write a store; kill this process when so many blocks are recorded."""
    count = itertools.count(1)

    def watcher(when: str, name: str, place: rooms.ObjectPath) -> None:
        if when == "after" and ".done/" in str(place) and next(count) == records:
            os.kill(os.getpid(), signal.SIGKILL)

    with local.small_shards(), files.watch(watcher):
        write_flat(url, 2)


def write_and_tell(url: str, version: int) -> None:
    """Overwrite a store; print what came of it."""
    with local.small_shards():
        try:
            local.write_image(url, version)
            sys.stdout.write("won\n")
        except ChunkmedError as error:
            sys.stdout.write(f"{error.kind}\n")


def race(count: int) -> dict[str, int]:
    """Let two processes overwrite one store at a time."""
    told: dict[str, int] = {}
    with s3.server() as address, local.small_shards():
        url = f"s3://{s3.BUCKET}/raced.zarr"
        for _ in range(count):
            both = [in_process(address, "write", url, version) for version in (1, 2)]
            said = [process.communicate(timeout=120)[0].strip() for process in both]
            assert "won" in said and set(said) <= {"won", "overtaken"}, said
            with cm.config(storage_options=s3.options(address)):
                winners = [v for v, word in zip((1, 2), said, strict=True) if word == "won"]
                seen = read_all(url)
                assert any(np.array_equal(seen, local.expected(v, None)) for v in winners)
                assert leftovers(url) == []
            told[" ".join(said)] = told.get(" ".join(said), 0) + 1
    return told


def main(kind: str, *words: str) -> None:
    if kind == "cut":
        with local.small_shards():
            told = {scenario: cut_campaign(scenario) for scenario in SCENARIOS}
    elif kind == "faults":
        told = fault_campaign(int(words[0]), int(words[1]) if words[1:] else 0)
    elif kind == "race":
        told = race(int(words[0]))
    elif kind == "write":
        write_and_tell(words[0], int(words[1]))
        return
    elif kind == "die":
        write_and_die(words[0], int(words[1]))
        return
    sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
