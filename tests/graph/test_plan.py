"""What a plan promises before anything runs."""

import re

import numpy as np
import pytest

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.errors import InputError, PlanError
from chunkmed.graph.box import box_size, chunk_boxes, regular_chunks, whole
from chunkmed.graph.budget import Budget, current_budget
from chunkmed.graph.lift import lift
from chunkmed.graph.memory import task_bytes
from chunkmed.graph.nodes import Source
from chunkmed.graph.plan import make_plan
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.levels import plan_levels
from chunkmed.store.layout import layout_of
from chunkmed.units import parse_bytes


@pytest.fixture(autouse=True, scope="module")
def _a_young_process():
    """What a plan promises must not depend on what other tests left in memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chunkmed.graph.budget.resident_bytes", lambda: 200 << 20)
        patch.setattr("chunkmed.graph.budget._smallest", [])
        yield


class Imagined:
    """An image of any size that is never read."""

    def __init__(self, shape, chunks, dtype="int16"):
        self.shape, self.chunks, self.dtype = shape, chunks, np.dtype(dtype)
        self.token = f"imagined {shape} {chunks} {dtype}"

    def read(self, box):
        raise AssertionError("planning reads nothing")


LARGE = (20, 512, 512, 512)


def large():
    return view(Source(Imagined(LARGE, (1, 64, 256, 256))))


def node_of(image):
    return lift(image).node


def test_blocks_cover_the_image_once():
    plan = make_plan([node_of(large())], budget=Budget.of("4 GB", 2))
    boxes = list(plan.boxes)
    assert len(boxes) == plan.tasks
    assert sum(box_size(box) for box in boxes) == np.prod(LARGE, dtype=np.int64)
    assert boxes == [box for _, box in chunk_boxes(regular_chunks(LARGE, plan.block))]


@pytest.mark.parametrize("memory", ["1 GB", "2 GB", "8 GB", "64 GB"])
@pytest.mark.parametrize("workers", [1, 4])
def test_the_prediction_stays_inside_the_budget(memory, workers):
    smooth = ndi.gaussian_filter(large(), (0, 1.0, 1.0, 1.0))
    try:
        plan = make_plan([node_of(smooth)], budget=Budget.of(memory, workers))
    except PlanError:
        assert parse_bytes(memory) <= 1e9
        return
    assert plan.peak_bytes <= parse_bytes(memory)


@pytest.mark.parametrize("unit", [(1, 64, 256, 256), (1, 32, 128, 128), (1, 48, 100, 512)])
def test_blocks_are_multiples_of_the_shard(unit):
    for memory in ("2 GB", "4 GB", "16 GB"):
        plan = make_plan([node_of(large())], unit=unit, budget=Budget.of(memory, 2))
        assert all(b % u == 0 or b >= n for b, u, n in zip(plan.block, unit, LARGE, strict=True))


def test_blocks_of_a_stored_image_are_multiples_of_its_shard():
    shard = layout_of(LARGE).shard
    plan = make_plan([node_of(view(Source(Imagined(LARGE, shard))))], budget=Budget.of("4 GB", 2))
    assert all(b % s == 0 for b, s in zip(plan.block, shard, strict=True))


def test_more_memory_never_gives_more_tasks():
    node = node_of(ndi.gaussian_filter(large(), (0, 1.0, 1.0, 1.0)))
    tasks = [make_plan([node], budget=Budget.of(m, 2)).tasks for m in ("2 GB", "4 GB", "8 GB", "16 GB")]
    assert tasks == sorted(tasks, reverse=True)


def test_the_prediction_grows_with_the_block():
    node = node_of(ndi.gaussian_filter(large(), (0, 1.0, 1.0, 1.0)))
    sizes = [((0, 1), (0, n), (0, n), (0, n)) for n in (32, 64, 128, 256)]
    costs = [task_bytes([node], box) for box in sizes]
    assert costs == sorted(costs) and costs[-1] > 4 * costs[0]
    # A block, its input and its output at least.
    assert costs[-1] > 2 * box_size(sizes[-1]) * 2


def test_the_prediction_grows_with_the_halo():
    box = ((0, 1), (64, 128), (64, 128), (64, 128))
    costs = [task_bytes([node_of(ndi.gaussian_filter(large(), (0, s, s, s)))], box) for s in (0.5, 1.0, 3.0)]
    assert costs == sorted(set(costs))


def test_bytes_read_count_every_halo():
    plain = make_plan([node_of(large())], budget=Budget.of("4 GB", 2))
    assert plain.read_bytes == plain.source_bytes == 2 * np.prod(LARGE, dtype=np.int64)
    image = ndi.gaussian_filter(large(), (0, 1.0, 1.0, 1.0))
    smooth = make_plan([node_of(image)], budget=Budget.of("1.5 GB", 2))
    assert smooth.block[1:] != LARGE[1:]
    assert smooth.source_bytes == plain.source_bytes < smooth.read_bytes


@pytest.mark.parametrize(
    "crop",
    [
        lambda image: image[1:],
        lambda image: image[3],
        lambda image: image[:, 100:400],
        lambda image: image[:, :, 7],
        lambda image: (image > 3)[2:, :, 3:] + 1,
    ],
    ids=["times", "one time", "slab", "plane", "operators"],
)
def test_a_crop_of_a_large_image_is_planned_in_blocks(crop):
    image = crop(large())
    plan = make_plan([node_of(image)], budget=Budget.of("1 GB", 1))
    assert plan.peak_bytes <= 1e9
    assert plan.tasks > 1


def test_following_labels_of_a_large_series_is_planned_in_blocks():
    """What ``cm.follow`` plans: two crops, one time point apart."""
    image = large()
    plan = make_plan([node_of(image[:-1]), node_of(image[1:])], budget=Budget.of("1 GB", 1))
    assert plan.tasks > 19


def test_plan_error_names_a_budget_that_works():
    image = ndi.gaussian_filter(large(), (0, 2.0, 2.0, 2.0))
    with cm.config(memory="1 MB", workers=1), pytest.raises(PlanError) as refused:
        cm.explain(image)
    assert refused.value.kind == "budget-too-small"
    named = re.search(r'memory="([^"]+)" with workers=1', str(refused.value))
    assert named is not None
    with cm.config(memory=named[1], workers=1):
        plan = cm.explain(image).plan
    assert plan.peak_bytes <= parse_bytes(named[1])


def test_a_sink_refuses_before_it_reads():
    image = large()
    with cm.config(memory="1 MB", workers=1), pytest.raises(PlanError):
        ndi.label(image > 3)
    with cm.config(memory="1 MB", workers=1), pytest.raises(PlanError):
        ndi.sum(image[3])


def test_config_restores_as_a_context():
    before = current_budget().workers
    with cm.config(memory="3 GB", workers=7) as outer:
        assert (outer.memory, outer.workers) == (3 * 10**9, 7)
        with cm.config(memory="1 GB", workers=2):
            assert current_budget() == Budget(10**9, 2)
        assert current_budget() == outer
        with pytest.raises(ZeroDivisionError), cm.config(memory="1 GB", workers=1):
            1 / 0  # noqa: B018
        assert current_budget() == outer
    assert current_budget().workers == before


def test_config_holds_for_good_without_a_context():
    with cm.config(memory="3 GB", workers=7):
        cm.config(memory="2 GB", workers=3)
        assert current_budget() == Budget(2 * 10**9, 3)


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", True, 10**9])
def test_bad_workers_are_refused(workers):
    with pytest.raises(InputError) as refused:
        cm.config(memory="1 GB", workers=workers)
    assert refused.value.kind == "bad-budget"


def test_what_is_not_given_comes_from_the_machine():
    budget = Budget.of()
    assert budget.workers >= 1 and budget.memory > 10**8
    assert "workers" in str(budget)


def test_slurm_limits_the_budget(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "512")
    budget = Budget.of()
    assert budget.workers == 1
    assert budget.memory <= 512 << 20


def test_explanation_says_what_will_happen():
    image = large()
    told = cm.explain(ndi.binary_closing(ndi.gaussian_filter(image, (0, 1.0, 1.0, 1.0)) > 3, iterations=2))
    assert told.halo == (4, 8, 8, 8) and told.opaque == ()
    assert told.written_bytes == np.prod(LARGE, dtype=np.int64)
    text = str(told)
    assert "halo" in text and "4 x 8 x 8 x 8" in text and f"{told.plan.tasks} of" in text


def test_explanation_names_opaque_parts():
    told = cm.explain(large().map_blocks(lambda block: block - block.mean(), dtype=float))
    assert len(told.opaque) == 1 and told.opaque[0] in str(told)


def test_one_block_is_the_whole_of_a_small_image():
    image = view(Source(Imagined((5, 6), (5, 6))))
    plan = make_plan([node_of(image)], budget=Budget.of("1 GB", 1))
    assert list(plan.boxes) == [whole((5, 6))]


class Frames(Imagined):
    """Slices that are decoded whole."""

    reading_ns = 15.0

    @property
    def granule(self):
        return (1, 1, *self.shape[2:])


def written(reader):
    n = reader.shape[1]
    steps = [tuple(0.7 * i for i in range(size)) for size in reader.shape[1:]]
    on = Grid(z_mm=steps[0], y_mm=steps[1], x_mm=steps[2])
    with cm.config(memory="16 GB", workers=2):
        passes = plan_levels(Source(reader), on).passes
    assert passes[0].program.plan.shape[1] == n
    return passes


def test_memory_of_a_conversion_does_not_grow_with_the_series():
    plans = {n: written(Imagined((1, n, 512, 512), (1, 1, 512, 512))) for n in (300, 600, 3_000, 30_000)}
    slab = 64 * 512 * 512 * 2
    first = {n: passes[0].program.plan for n, passes in plans.items()}
    assert len({plan.block for plan in first.values()}) == 1
    every = [each.program.plan.task_bytes for passes in plans.values() for each in passes]
    assert 2 * max(every) < 3 * slab


def test_every_second_level_is_written_with_the_one_above():
    passes = written(Imagined((1, 2_000, 1_024, 1_024), (1, 1, 1_024, 1_024)))
    assert [(each.first, each.count) for each in passes][:2] == [(0, 2), (2, 2)]


@pytest.mark.parametrize("slices", [60, 600])
def test_slices_that_are_decoded_whole_are_decoded_once(slices):
    plan = written(Frames((1, slices, 512, 512), (1, 1, 512, 512)))[0].program.plan
    assert plan.block[2:] == (512, 512)


def test_a_block_of_more_memory_saves_time():
    # Nothing is read twice, whatever the block: the smallest will do, as long as tasks cost little.
    plan = make_plan([node_of(large())], unit=(1, 64, 256, 256), budget=Budget.of("64 GB", 2))
    assert box_size((0, n) for n in plan.block) <= 4 * 64 * 256 * 256


def test_no_worker_is_left_without_a_task():
    node = node_of(view(Source(Imagined((1, 64, 512, 512), (1, 64, 256, 256)))))
    for workers in (1, 2, 4):
        plan = make_plan([node], unit=(1, 64, 256, 256), budget=Budget.of("16 GB", workers))
        assert plan.tasks % workers == 0


def test_an_image_without_voxels_has_a_plan():
    node = node_of(view(Source(Imagined((1, 0, 8, 8), (1, 1, 8, 8)))))
    assert make_plan([node], budget=Budget.of("1 GB", 2)).tasks == 0
