"""The passes of a sink: what is kept on disk, why, for how long, and what a resumed call does."""

import gc
import os
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import cloudpickle
import dask
import dask.array as da
import dask.threaded
import numpy as np
import pytest
import scipy.ndimage
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.errors import PlanError
from chunkmed.graph import passes
from chunkmed.graph.box import box_size
from chunkmed.graph.budget import Budget
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Source
from chunkmed.graph.passes import make_program
from chunkmed.graph.run import observing
from chunkmed.graph.scratch import scratch_folder
from chunkmed.graph.views import view

RNG = np.random.default_rng(5)
VALUES = RNG.integers(-500, 1500, (13, 17, 19)).astype(np.int16)
SHARD = (1, 64, 256, 256)


class Imagined:
    """An image of any size that is never read."""

    def __init__(self, shape=(20, 512, 512, 512), chunks=SHARD):
        self.shape, self.chunks, self.dtype = shape, chunks, np.dtype("int16")
        self.token = f"imagined {shape} {chunks}"


class Passes:
    """Observer: name and number of tasks of every pass, and how many were done."""

    def __init__(self):
        self.seen = []

    def start(self, name, tasks, plan):
        self.seen.append([name, tasks, 0])

    def advance(self, voxels, nbytes):
        self.seen[-1][2] += 1

    def finish(self):
        pass


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("CHUNKMED_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def left(scratch):
    gc.collect()
    return sorted(p.name for p in scratch.rglob("*") if p.is_file() and not p.name.endswith(".lock"))


@contextmanager
def spilling():
    """Keep whatever is computed twice, however cheap that is."""
    with ExitStack() as stack:
        stack.enter_context(small_blocks())
        stack.enter_context(patch.object(passes, "_GAIN", 1e9))
        yield


def small_budget(memory_mb, workers):
    """Return a budget that does not depend on what this process holds."""
    return Budget(memory_mb * 10**6, workers, 1, 250 << 20)


def chain(image):
    smooth = ndi.gaussian_filter(image, 1)
    return ndi.binary_closing(ndi.median_filter(smooth, 3) > 400, iterations=2)


def reference(values):
    smooth = scipy.ndimage.gaussian_filter(values, 1)
    return scipy.ndimage.binary_closing(scipy.ndimage.median_filter(smooth, 3) > 400, iterations=2)


def total(image):
    return int(ndi.sum_labels(image.astype("i4"), image.astype("i4"), 1))


@pytest.mark.usefixtures("scratch")
def test_a_checkpoint_is_computed_once():
    image = sourced(VALUES, (5, 6, 7))
    mask = cm.checkpoint(chain(image))
    with small_blocks(), recording() as readings, observing(Passes()) as _:
        first = total(mask)
        read = [r for r in readings if r.source == lift(image).node.token]
        labels, count = ndi.label(mask)
        assert [r for r in readings if r.source == lift(image).node.token] == read
    assert first == int(reference(VALUES).sum())
    assert count == scipy.ndimage.label(reference(VALUES))[1]
    np.testing.assert_array_equal(mask.compute(), reference(VALUES))
    assert labels.max().compute() == count


def test_a_checkpoint_goes_with_the_image(scratch):
    mask = cm.checkpoint(chain(sourced(VALUES, (5, 6, 7))))
    with small_blocks():
        total(mask)
    assert left(scratch)
    del mask
    assert not left(scratch)


@pytest.mark.usefixtures("scratch")
def test_checkpoints_in_a_row():
    image = sourced(VALUES, (5, 6, 7))
    smooth = cm.checkpoint(ndi.gaussian_filter(image, 1))
    mask = cm.checkpoint(ndi.median_filter(smooth, 3) > 400)
    seen = Passes()
    with small_blocks(), observing(seen):
        found = total(ndi.binary_closing(mask, iterations=2))
    assert found == int(reference(VALUES).sum())
    assert [name for name, _, _ in seen.seen] == ["keeping", "keeping", "measuring"]


def test_a_checkpoint_of_what_is_there_is_the_image_itself():
    image = sourced(VALUES, (5, 6, 7))
    assert cm.checkpoint(image) is image
    assert cm.checkpoint(VALUES) is VALUES
    mask = cm.checkpoint(image > 3)
    assert cm.checkpoint(mask) is mask


@pytest.mark.usefixtures("scratch")
def test_a_checkpoint_of_what_dask_made():
    image = da.from_array(VALUES, chunks=(5, 6, 7))
    turned = cm.checkpoint(image.map_blocks(lambda block: block - block.mean(), dtype=float).T)
    with small_blocks():
        found = ndi.maximum(turned)
    assert found == (image.map_blocks(lambda block: block - block.mean(), dtype=float)).compute().max()


@pytest.mark.usefixtures("scratch")
def test_spilled_chains_give_what_fused_ones_give():
    image = sourced(VALUES, (5, 6, 7))
    seen = Passes()
    with spilling(), observing(seen):
        program = make_program([lift(chain(image)).node])
        found = total(chain(image))
    assert len(program.early) >= 2
    assert {spill.why for spill in program.early} == {"halo"}
    assert len(seen.seen) == len(program.plans)
    assert found == int(reference(VALUES).sum())


def test_spills_are_swept_when_the_sink_is_done(scratch):
    with spilling():
        total(chain(sourced(VALUES, (5, 6, 7))))
    assert not left(scratch)


def test_an_interrupted_call_is_taken_up(scratch, monkeypatch):
    monkeypatch.setattr("chunkmed.graph.run._WINDOW_PER_WORKER", 1)
    mask = cm.checkpoint(chain(sourced(VALUES, (5, 6, 7))))
    with small_blocks():
        failing = _Failing(7)
        with (
            pytest.raises(RuntimeError, match="cut off"),
            observing(failing),
            dask.config.set(scheduler="sync"),
        ):
            total(mask)
        assert left(scratch)
        del mask
        # What is not finished outlives the image: the next call, in another process too, goes on.
        assert left(scratch)
        again, seen = cm.checkpoint(chain(sourced(VALUES, (5, 6, 7)))), Passes()
        with observing(seen):
            found = total(again)
    assert found == int(reference(VALUES).sum())
    (_, whole), (name, rest, done) = failing.total, seen.seen[0]
    assert name == "keeping"
    # Tasks that ran beside the last one may be done too.
    assert rest == done
    assert whole - 7 - 64 <= rest <= whole - 7
    del again
    assert not left(scratch)


class _Failing(Passes):
    """Fails after so many tasks of the first pass."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    @property
    def total(self):
        return self.seen[0][:2]

    def advance(self, voxels, nbytes):
        super().advance(voxels, nbytes)
        if self.seen[-1][2] == self.after:
            raise RuntimeError("cut off")


def test_two_calls_at_a_time_do_not_share_a_folder(scratch):
    first = cm.checkpoint(chain(sourced(VALUES, (5, 6, 7))))
    second = cm.checkpoint(chain(sourced(VALUES, (5, 6, 7))))
    with small_blocks():
        assert total(first) == total(second)
    assert left(scratch).count("zarr.json") == 2


def test_no_place_for_scratch(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CHUNKMED_SCRATCH", str(tmp_path / "file"))
    with pytest.raises(PlanError, match="CHUNKMED_SCRATCH") as error:
        total(cm.checkpoint(sourced(VALUES, (5, 6, 7)) > 3))
    assert error.value.kind == "no-scratch"


def test_scratch_is_the_users_own(tmp_path, monkeypatch):
    """What is stale in it is deleted: through a link that would be somebody's data."""
    monkeypatch.setenv("CHUNKMED_SCRATCH", str(tmp_path))
    base = tmp_path / f"chunkmed-scratch-{os.getuid()}"
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "old").write_text("precious")
    os.utime(tmp_path / "victim" / "old", (0, 0))
    base.symlink_to(tmp_path / "victim")
    with pytest.raises(PlanError, match="it is a link"):
        scratch_folder()
    assert (tmp_path / "victim" / "old").read_text() == "precious"
    base.unlink()
    base.mkdir(mode=0o777)
    base.chmod(0o777)
    assert scratch_folder() == base and base.stat().st_mode & 0o777 == 0o700


def test_halos_that_cost_more_than_a_pass_are_not_computed():
    image = view(Source(Imagined()))
    costly = ndi.median_filter(ndi.gaussian_filter(image, (0, 3, 3, 3)), (1, 7, 7, 7)) > 30
    closed = ndi.binary_closing(costly, structure=np.ones((1, 3, 3, 3)), iterations=12)
    small = make_program([lift(closed).node], unit=SHARD, budget=small_budget(650, 2))
    assert [spill.why for spill in small.early] == ["halo"]
    large = make_program([lift(closed).node], unit=SHARD, budget=Budget.of("12 GB", 2))
    assert not large.early
    cheap = ndi.gaussian_filter(ndi.gaussian_filter(image, (0, 1, 1, 1)), (0, 1, 1, 1))
    assert not make_program([lift(cheap).node], unit=SHARD, budget=small_budget(800, 2)).early


def test_what_does_not_fit_at_once_is_cut():
    image = view(Source(Imagined()))
    wide = image
    for _ in range(4):
        wide = ndi.gaussian_filter(wide, (0, 12, 12, 12), output="float32")
    node = lift(wide).node
    fused = make_program([node], unit=SHARD, budget=Budget.of("16 GB", 1))
    with patch.object(passes, "_GAIN", 0.0):
        cut = make_program([node], unit=SHARD, budget=small_budget(700, 1))
    assert not fused.early
    assert {spill.why for spill in cut.early} == {"memory"}
    assert cut.peak_bytes <= 700e6
    with pytest.raises(PlanError):
        make_program([node], unit=SHARD, budget=small_budget(400, 1))


def test_explanations_show_every_pass():
    image = view(Source(Imagined()))
    mask = cm.checkpoint(ndi.gaussian_filter(image, (0, 1, 1, 1)) > 3)
    with cm.config(memory="8 GB", workers=2):
        text = str(cm.explain(ndi.binary_closing(mask)))
    assert "pass 1 of 2: kept, as cm.checkpoint says" in text
    assert "read what was kept after checkpoint" in text


def test_one_task_a_block_and_one_read_a_voxel():
    image = sourced(VALUES, (5, 6, 7))
    out = chain(ndi.gaussian_filter(image, 0.5) + 3)
    out = ndi.gaussian_filter(out.astype("float32") * 2, 0.6) > 0.5
    seen = Passes()
    with (
        small_blocks((6, 8, 9)),
        patch.object(passes, "_GAIN", 0.0),
        observing(seen),
        recording() as readings,
    ):
        program = make_program([lift(out).node])
        total(out)
    assert not program.early
    ((_, tasks, done),) = seen.seen
    assert tasks == done == program.plan.tasks
    assert len(readings) == tasks
    depth = sum(node_depth for node_depth in _depths(lift(out).node))
    for reading in readings:
        grown = [
            (max(0, a - depth), min(n, b + depth))
            for (a, b), n in zip(reading.task, VALUES.shape, strict=True)
        ]
        assert box_size(reading.box) <= box_size(tuple(grown))


def _depths(node):
    while node.inputs:
        yield max(getattr(node, "depth", (0,)))
        node = node.inputs[0]


def test_boxes_are_drawn_as_they_are_needed():
    image = view(Source(Zeros((1000, 80, 80, 8), (1, 8, 8, 8))))
    seen, drawn = [], []
    with patch("chunkmed.graph.plan.MAX_BLOCK_BYTES", 512), cm.config(memory="8 GB", workers=2):
        program = make_program([lift(image > 3).node], unit=(1, 8, 8, 8))
        assert program.plan.tasks == 100_000
        with patch("chunkmed.graph.plan.chunk_boxes", _counting(drawn)):
            results = program.run(lambda box, _: seen.append(box), name="x")
            next(results)
            results.close()
    assert len(drawn) <= 256
    assert len(seen) <= 256


class Zeros(Imagined):
    """An image of nothing."""

    def read(self, box):
        return np.zeros([b - a for a, b in box], self.dtype)


def _counting(drawn):
    from chunkmed.graph.box import chunk_boxes

    def count(chunks):
        for item in chunk_boxes(chunks):
            drawn.append(item)
            yield item

    return count


@pytest.mark.usefixtures("scratch")
def test_tasks_are_small_when_they_travel():
    sizes = []

    def get(graph, keys, **_):
        sizes.append((len(keys), len(cloudpickle.dumps(graph))))
        return dask.threaded.get(graph, keys)

    with small_blocks(), dask.config.set(scheduler=get):
        total(chain(sourced(np.zeros((4, 4, 4), np.int16), (2, 2, 2))))
        sizes.clear()
        total(chain(view(Source(Zeros((40, 40, 40), (5, 5, 5))))))
    tasks, nbytes = sizes[0]
    assert tasks >= 32
    assert nbytes / tasks < 2000


@pytest.mark.usefixtures("scratch")
def test_what_dask_made_never_lasts_by_its_name():
    image = da.from_array(VALUES, chunks=(5, 6, 7)).map_blocks(np.flip, dtype=np.int16)
    first, second = cm.checkpoint(image), cm.checkpoint(image)
    assert lift(first).node.token != lift(second).node.token
    same = sourced(VALUES, (5, 6, 7)) > 3
    assert lift(cm.checkpoint(same)).node.token == lift(cm.checkpoint(same)).node.token


def test_nothing_above_what_dask_made_is_taken_up(scratch, monkeypatch):
    """Two functions of one dask name."""
    monkeypatch.setattr("chunkmed.graph.run._WINDOW_PER_WORKER", 1)

    def made_by(function):
        return chain(
            da.from_array(VALUES, chunks=(5, 6, 7)).map_blocks(function, dtype=np.int16, name="mine")
        )

    with spilling():
        program = make_program([lift(made_by(np.negative)).node])
        assert len(program.early) >= 2 and not program.lasting
        failing = _FailingAtTheEnd()
        with pytest.raises(RuntimeError, match="cut off"), observing(failing):
            total(made_by(np.negative))
        # The folders are let go with the error, as at the end of a process.
        assert not left(scratch)
        found = total(made_by(np.positive))
    assert found == int(reference(VALUES).sum())


class _FailingAtTheEnd(Passes):
    """Fails in the last pass, when everything before it is kept."""

    def start(self, name, tasks, plan):
        if name == "measuring":
            raise RuntimeError("cut off")
        super().start(name, tasks, plan)
