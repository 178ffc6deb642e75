"""Measures of shape and of values per label against closed forms, numpy and scipy."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.ndimage
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed import measures
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.graph.evaluate import recording
from chunkmed.grid import Grid

STEPS = (2.0, 1.0, 1.25)
TILTED = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.4), (0.0, 0.0, 1.0))


def grid(shape, steps=STEPS, **more):
    z, y, x = (tuple(step * i for i in range(n)) for step, n in zip(steps, shape[1:], strict=True))
    return Grid(**{"z_mm": z, "y_mm": y, "x_mm": x, "time_ms": tuple(map(float, range(shape[0]))), **more})


def ellipsoid(semi_axes_mm, steps=STEPS):
    """A mask of an ellipsoid along z, y, x and the grid that it fits in."""
    shape = tuple(int(2 * a / s) + 5 for a, s in zip(semi_axes_mm, steps, strict=True))
    z, y, x = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s / a for n, s, a in zip(shape, steps, semi_axes_mm, strict=True)],
        indexing="ij",
    )
    return attach((z**2 + y**2 + x**2 <= 1)[None], grid((1, *shape), steps))


def random_pair(shape=(2, 6, 7, 9), chunks=(1, 3, 4, 5), dtype="int16", labels=4, seed=5):
    rng = np.random.default_rng(seed)
    ids = (rng.integers(0, labels, shape) * (rng.random(shape) < 0.7)).astype(np.int32)
    values = rng.integers(0 if dtype.startswith("u") else -90, 90, shape).astype(dtype)
    on = grid(shape)
    return attach(sourced(ids, chunks), on), attach(sourced(values, chunks), on)


@pytest.mark.parametrize(
    ("radius", "steps", "error"),
    [(10.0, (1.0, 1.0, 1.0), 0.01), (6.0, (1.0, 1.0, 1.0), 0.015), (12.0, (3.0, 1.0, 1.0), 0.03)],
)
def test_a_ball(radius, steps, error):
    row = measures.measure(
        ellipsoid((radius,) * 3, steps),
        what=["surface_area_mm2", "sphericity", "equivalent_diameter_mm", "axis_lengths_mm", "flatness"],
    ).squeeze()
    assert float(row.surface_area_mm2) == pytest.approx(4 * np.pi * radius**2, rel=error)
    assert float(row.sphericity) == pytest.approx(1, abs=error + 0.02)
    assert float(row.equivalent_diameter_mm) == pytest.approx(2 * radius, rel=0.01)
    np.testing.assert_allclose(row.axis_lengths_mm, 4 * radius / np.sqrt(5), rtol=0.04)
    assert float(row.flatness) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("steps", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_a_box_has_too_small_a_surface(steps):
    """Planes along the grid are the worst case of 13 directions: 7 % at 1:1, more where edges count."""
    sides = np.array([20.0, 24.0, 30.0])
    counts = (sides / steps).astype(int)
    ids = np.pad(np.ones(counts, np.uint8), 2)[None]
    row = measures.measure(attach(ids, grid(ids.shape, steps)), what=["surface_area_mm2", "volume_mm3"])
    area = 2 * (sides[0] * sides[1] + sides[1] * sides[2] + sides[2] * sides[0])
    assert 0.82 * area < float(row.surface_area_mm2.squeeze()) < 0.93 * area
    assert float(row.volume_mm3.squeeze()) == sides.prod()


def test_an_ellipsoid_has_its_own_axes():
    row = measures.measure(
        ellipsoid((20.0, 12.0, 7.0), (1.0, 1.0, 1.0)),
        what=["axis_lengths_mm", "principal_axes", "elongation", "flatness"],
    ).squeeze()
    np.testing.assert_allclose(row.axis_lengths_mm, np.array([20, 12, 7]) * 4 / np.sqrt(5), rtol=0.01)
    np.testing.assert_allclose(row.principal_axes, np.eye(3), atol=1e-9)
    assert row.principal_axes.dims == ("principal", "axis")
    assert row.principal.values.tolist() == ["major", "minor", "least"]
    assert float(row.elongation) == pytest.approx(12 / 20, rel=0.01)
    assert float(row.flatness) == pytest.approx(7 / 20, rel=0.01)


def test_a_line_and_a_single_voxel():
    ids = np.zeros((1, 5, 6, 7), np.uint8)
    ids[0, 1, 2, 1:6], ids[0, 3, 3, 3] = 1, 2
    table = measures.measure(attach(ids, grid(ids.shape)), what=["axis_lengths_mm", "elongation", "flatness"])
    line, point = table.isel(t=0).sel(label=1), table.isel(t=0).sel(label=2)
    np.testing.assert_allclose(line.axis_lengths_mm, [4 * np.sqrt(2) * 1.25, 0, 0], atol=1e-9)
    assert float(line.elongation) == 0 and np.isnan(point.elongation)


def test_covariances_against_numpy():
    labels, _ = random_pair()
    with small_blocks((3, 4, 5)):
        table = measures.measure(labels, what=["axis_lengths_mm", "principal_axes"])
    for t in range(2):
        for name in table.label.values:
            points = np.argwhere(labels.values[t] == name) * np.array(STEPS)
            found, axes = np.linalg.eigh(np.cov(points.T, bias=True))
            row = table.isel(t=t).sel(label=name)
            np.testing.assert_allclose(row.axis_lengths_mm, 4 * np.sqrt(found[::-1]), rtol=1e-9)
            np.testing.assert_allclose(np.abs(row.principal_axes), np.abs(axes.T[::-1]), rtol=1e-7)
            assert np.all(
                np.take(row.principal_axes.values, np.abs(row.principal_axes.values).argmax(1)) != 0
            )


@pytest.mark.parametrize(
    "what", ["surface_area_mm2", "sphericity", "axis_lengths_mm", "flatness", "elongation"]
)
@pytest.mark.parametrize(
    ("more", "kind"),
    [({"z_mm": (0.0, 1.0, 4.0, 5.0, 9.0, 11.0)}, "non-uniform"), ({"direction": TILTED}, "sheared")],
)
def test_shapes_need_upright_voxels(what, more, kind):
    shape = (1, 6, 7, 9)
    labels = attach(np.ones(shape, np.uint8), grid(shape, **more))
    with pytest.raises(InputError) as refused:
        measures.measure(labels, what=[what])
    assert refused.value.kind == kind
    assert float(measures.measure(labels, what=["volume_mm3"]).volume_mm3.squeeze()) > 0


def test_one_slice_has_a_disc_and_no_surface():
    labels = ellipsoid((30.0, 10.0, 10.0), (1.0, 0.5, 0.5)).isel(z=30, t=0)
    row = measures.measure(labels, what=["equivalent_diameter_mm", "axis_lengths_mm", "elongation"]).squeeze()
    assert float(row.equivalent_diameter_mm) == pytest.approx(20, rel=0.02)
    assert row.principal.values.tolist() == ["major", "minor"]
    assert float(row.elongation) == pytest.approx(1, abs=0.01)
    for what in ("surface_area_mm2", "flatness"):
        with pytest.raises(InputError) as refused:
            measures.measure(labels, what=[what])
        assert refused.value.kind == "not-solid"


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "bool"])
def test_percentiles_and_histograms_are_exact(dtype):
    labels, image = random_pair(dtype=dtype)
    what = ["median", "percentile_15", "percentile_0", "percentile_100", measures.histogram(-40, 60, 7)]
    with small_blocks((3, 4, 5)):
        table = measures.measure(labels, image, what)
    for t in range(2):
        for name in (1, 2, 3):
            inside = image.values[t][labels.values[t] == name].astype(float)
            row = table.isel(t=t).sel(label=name)
            for percent, column in ((50, "median"), (15, "percentile_15"), (0, "percentile_0")):
                assert float(row[column]) == np.percentile(inside, percent)
            assert float(row.percentile_100) == inside.max()
            counts = scipy.ndimage.histogram(
                image.values[t].astype(float), -40, 60, 7, labels.values[t], name
            )
            np.testing.assert_array_equal(row.histogram, counts)
    assert table.histogram.dims == ("t", "label", "bin") and table.histogram.dtype == np.int64
    np.testing.assert_allclose(table.bin, np.linspace(-40, 60, 8)[:-1])


def test_a_histogram_of_floats_leaves_nan_out():
    labels, image = random_pair()
    values = (image.astype("float32") / 7).where(image > -80)
    found = measures.measure(labels, values, [measures.histogram(-3.5, 4.25, 11, "wide")]).wide
    inside = values.values[0][labels.values[0] == 2]
    wanted = np.histogram(inside[~np.isnan(inside)], 11, (-3.5, 4.25))[0]
    np.testing.assert_array_equal(found.isel(t=0).sel(label=2), wanted)
    assert found.dims == ("t", "label", "wide_bin")


def test_records_that_cannot_be():
    labels, image = random_pair()
    for make, kind in (
        (lambda: measures.histogram(5, 5, 3), "bad-range"),
        (lambda: measures.histogram(0, 5, 0), "bad-range"),
        (lambda: measures.percentile(101), "bad-range"),
        (lambda: measures.measure(labels, image, ["percentile_101"]), "no-measure"),
        (lambda: measures.measure(labels, None, ["median"]), "no-image"),
    ):
        with pytest.raises(InputError) as refused:
            make()
        assert refused.value.kind == kind


def test_boxes_extrema_and_their_places():
    labels, image = random_pair()
    what = ["bounding_box", "start", "stop", "extrema", "maximum_position", "maximum_position_mm"]
    table = measures.measure(labels, image, what)
    assert table.bounding_box.dims == ("t", "label", "side", "axis")
    np.testing.assert_array_equal(table.bounding_box.sel(side="start"), table.start)
    np.testing.assert_array_equal(table.bounding_box.sel(side="stop"), table.stop)
    np.testing.assert_allclose(table.maximum_position_mm, table.maximum_position * np.array(STEPS))
    for t in range(2):
        low, high, _, high_at = scipy.ndimage.extrema(image.values[t], labels.values[t], [1, 2, 3])
        np.testing.assert_array_equal(table.extrema.isel(t=t), np.stack([low, high], axis=1))
        np.testing.assert_array_equal(table.maximum_position.isel(t=t), high_at)


EVERY = [
    *(name for name in measures.MEASURES if not name.startswith("area")),
    "percentile_30",
    measures.histogram(-90, 90, 5),
]


@settings(max_examples=6, deadline=None)
@given(
    chunks=st.tuples(st.just(1), *(st.integers(1, 9) for _ in range(3))),
    blocks=st.tuples(*(st.integers(1, 9) for _ in range(3))),
    seed=st.integers(0, 99),
)
def test_any_blocks_give_the_numbers_of_one(chunks, blocks, seed):
    wanted = measures.measure(*random_pair(chunks=(2, 9, 9, 9), seed=seed), EVERY)
    with small_blocks(blocks):
        found = measures.measure(*random_pair(chunks=chunks, seed=seed), EVERY)
    xr.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("connected", [None, np.ones((3, 3, 3))])
def test_objects_are_measured_while_they_are_labelled(connected):
    _, image = random_pair((2, 9, 10, 11))
    mask = image > (30 if connected is None else 70)
    what = (
        EVERY if connected is not None else [n for n in EVERY if n not in ("surface_area_mm2", "sphericity")]
    )
    with small_blocks((3, 4, 5)):
        found = measures.measure_objects(mask, image, what, structure=connected)
        labels, n = ndi.label(mask, connected)
        wanted = measures.measure(labels, image, what)
    assert found.sizes["label"] == int(n.max()) > 5
    xr.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_objects_are_labelled_and_measured_in_one_read():
    _, image = random_pair((2, 9, 10, 11))
    other = image.copy(data=sourced(image.values + 1, (1, 3, 4, 5)))
    for mask, sources in ((image > 30, 1), (other > 30, 2)):
        with small_blocks((3, 4, 5)), recording() as readings:
            measures.measure_objects(mask, image, ["volume_ml", "mean", "median"])
        reads = {}
        for each in readings:
            count = reads.setdefault(each.source, np.zeros(image.shape, int))
            count[tuple(slice(*span) for span in each.box)] += 1
        assert len(reads) == sources
        assert all(np.all(count == 1) for count in reads.values())
    with small_blocks((3, 4, 5)), recording() as readings:
        measures.measure_objects(image > 30, image, ["surface_area_mm2"], structure=np.ones((3, 3, 3)))
    # A surface needs the neighbours of a block: one voxel more on each side.
    for each in readings:
        inner = [(max(a - 1, 0), b + 1) for a, b in each.task[1:]]
        assert all(a >= c and b <= d for (a, b), (c, d) in zip(each.box[1:], inner, strict=True))


def test_surfaces_of_objects_that_connect_across_faces_need_labels():
    _, image = random_pair()
    with pytest.raises(InputError) as refused:
        measures.measure_objects(image > 0, None, ["sphericity"])
    assert refused.value.kind == "needs-labels" and "label(mask)" in str(refused.value)
    nothing = measures.measure_objects(image > 1000, image, ["mean"])
    assert nothing.sizes == {"t": 2, "label": 0}


@pytest.mark.parametrize("timed", [True, False])
def test_the_long_form_is_written_in_pieces(tmp_path, monkeypatch, timed):
    from chunkmed.report import write_table

    monkeypatch.setattr("chunkmed.measures.longform._ROWS", 2)
    labels, image = random_pair()
    # A label that a time point lacks has no row there.
    labels = labels.where((labels != 2) | (labels.t > 0), 0).astype(np.int32)
    if not timed:
        labels, image = labels.isel(t=1), image.isel(t=1)
    path = cm.measure(labels, image, EVERY, out=tmp_path / "long.parquet")
    assert path == tmp_path / "long.parquet" and [p.name for p in tmp_path.iterdir()] == ["long.parquet"]
    found = pq.read_table(path)
    wanted = pq.read_table(write_table(cm.measure(labels, image, EVERY), tmp_path / "whole")[0])
    assert found.equals(wanted) and found.num_rows == (5 if timed else 3)
    assert pq.ParquetFile(path).num_row_groups > 1


def test_a_broken_write_leaves_nothing(tmp_path, monkeypatch):
    labels, image = random_pair()
    monkeypatch.setattr("chunkmed.measures.longform.long_form", lambda table: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cm.measure(labels, image, out=tmp_path / "long.parquet")
    assert not list(tmp_path.iterdir())


def test_weights_of_directions_are_those_of_the_literature():
    """Legland et al. 2007, table 1: directions along axes, in planes and across."""
    from chunkmed.kernels.surfaces import crofton_weights

    weights = np.array(crofton_weights((1.0, 1.0, 1.0))).reshape(3, 3, 3)
    lengths = np.sqrt((np.indices((3, 3, 3)) - 1).__pow__(2).sum(axis=0))
    parts = weights * lengths / 4
    np.testing.assert_allclose(parts[0, 1, 1], 0.04577789, rtol=1e-5)
    np.testing.assert_allclose(parts[0, 0, 1], 0.03698062, rtol=1e-5)
    np.testing.assert_allclose(parts[0, 0, 0], 0.03519563, rtol=1e-5)
