"""Memory that is used again: never more than a limit, never under a living array."""

import gc
import os
import threading

import numpy as np
import pytest

from chunkmed import reused
from chunkmed.graph.budget import base_bytes

MB = 1 << 20


@pytest.fixture
def pool(monkeypatch):
    pool = reused._Pool()
    monkeypatch.setattr(reused, "_pool", pool)
    return pool


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back(pool):
    with reused.reusing(64 * MB):
        first = reused.empty((4, 512, 1024), np.int16)
        place = address(first)
        del first
        # Nearly the same size will do, another dtype too.
        again = reused.empty((1000, 1000), np.float32)
        assert address(again) == place
        assert again.flags.writeable and again.flags.c_contiguous and again.shape == (1000, 1000)
        assert address(reused.empty((4, 512, 1024), np.int16)) != place
        # Half as much is not worth it.
        assert pool.kept + pool.used <= 64 * MB


def test_views_hold_it(pool):
    with reused.reusing(64 * MB):
        part = reused.empty((8, 512, 512), np.int16)[3:5, ::2].reshape(-1)[::7].view(np.uint16)
        part[:] = 7
        other = reused.empty((8, 512, 512), np.int16)
        other[:] = 9
        assert (part == 7).all()


def test_nothing_is_kept_outside(pool):
    plain = reused.empty(4 * MB, np.uint8)
    assert pool.used == 0
    with reused.reusing(64 * MB):
        escaped = reused.empty(4 * MB, np.uint8)
        small = reused.empty(1000, np.uint8)
        objects = reused.empty(1 << 18, object)
        assert pool.used == 4 * MB
    del plain, small, objects, escaped
    assert (pool.used, pool.kept) == (0, 0)


def test_some_is_kept_for_the_next(pool):
    with reused.reusing(64 * MB, idle_bytes=10 * MB):
        arrays = [reused.empty(4 * MB, np.uint8) for _ in range(5)]
        places = {address(array) for array in arrays}
        del arrays
        assert reused.idle_bytes() == 20 * MB
    assert reused.idle_bytes() == 8 * MB and pool.used == 0
    # Nothing is given to who is not inside.
    assert address(reused.empty(4 * MB, np.uint8)) not in places
    with reused.reusing(64 * MB):
        assert address(reused.empty(4 * MB, np.uint8)) in places
    # A smaller block has no room for what is kept.
    with reused.reusing(5 * MB):
        assert reused.idle_bytes() == 4 * MB
    reused.release()
    assert reused.idle_bytes() == 0


def test_what_is_kept_is_not_counted_twice(pool):
    with reused.reusing(600 * MB, idle_bytes=400 * MB):
        before = base_bytes()
        reused.empty(300 * MB, np.uint8)[:] = 1
        assert reused.idle_bytes() == 300 * MB
        assert abs(base_bytes() - before) < 30 * MB


def test_there_is_never_more_than_the_limit(pool):
    rng = np.random.default_rng(0)
    with reused.reusing(20 * MB):
        alive, most = [], 0
        for _ in range(300):
            if len(alive) > 3 or (alive and rng.random() < 0.5):
                alive.pop(rng.integers(len(alive)))
            else:
                alive.append(reused.empty(int(rng.integers(1, 6)) * MB, np.uint8))
            reused._pool.change(0)
            most = max(most, pool.kept)
            assert pool.kept == 0 or pool.kept + pool.used <= 20 * MB
        assert most > 0
        reused.release()
        assert pool.kept == 0
        with reused.reusing(30 * MB):
            assert pool.limit == 50 * MB
    assert pool.limit == 0


def test_arrays_in_cycles_and_threads(pool):
    """Arrays end while others begin, in any thread and in the middle of anything."""
    failed = []

    def work(seed):
        rng = np.random.default_rng(seed)
        try:
            for _ in range(300):
                array = reused.empty(int(rng.integers(1, 4)) * MB, np.uint8)
                array[::65536] = seed
                loop = [array]
                loop.append(loop)
                assert (array[::65536] == seed).all()
                if rng.random() < 0.1:
                    gc.collect()
        except BaseException as error:
            failed.append(error)

    with reused.reusing(64 * MB):
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    gc.collect()
    assert not failed
    assert (pool.used, pool.kept) == (0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_begins_anew(tmp_path):
    with reused.reusing(64 * MB):
        with reused._pool.lock:
            pid = os.fork()
            if pid == 0:
                reused.empty(2 * MB, np.uint8)
                os._exit(0 if reused._pool.limit == 0 else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
