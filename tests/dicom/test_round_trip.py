"""Whatever the form in which a phantom was written: reading gives the phantom back."""

import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import UID

import chunkmed as cm
from chunkmed.errors import InputError, SourceError
from chunkmed.grid import Grid
from chunkmed.store.shards import SEAL_BYTES
from chunkmed.testing import FORMS, Form, write_form
from chunkmed.testing.dicom_files import can_encode
from chunkmed.testing.dicom_forms import AXIS_OF

LONG = bool(os.environ.get("CHUNKMED_LONG"))
BY_NAME = {form.name: form for form in FORMS}
ENCODED = {form.syntax for form in FORMS if UID(form.syntax).is_encapsulated}
WRITABLE = [form for form in FORMS if can_encode(form.syntax)]


def turned(*degrees):
    """Return a rotation about x, y, z by these angles."""
    out = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        i, j = [k for k in range(3) if k != axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        out = step @ out
    return out


def directions():
    tilt = np.eye(3)
    tilt[:, 2] = (0.0, np.tan(np.deg2rad(15)), 1.0)
    oblique = turned(20, -35, 60)
    return {
        "axial": np.eye(3),
        "sagittal": np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]),
        "coronal": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
        "oblique": oblique,
        "downwards": np.diag([1, 1, -1]),  # z runs against rows x columns
        "tilted": tilt,
        "oblique-tilted": oblique @ tilt,
    }


DIRECTIONS = directions()
SHEARED = ("tilted", "oblique-tilted")
GRID = Grid(
    z_mm=(0.0, 4.0, 8.0),
    y_mm=(0.0, 1.5, 3.0, 4.5),
    x_mm=(0.0, 1.25, 2.5, 3.75, 5.0),
    time_ms=(0.0, 250.0, 500.0),
    origin_mm=(-12.5, 20.25, -7.0),
)


def placed(name):
    direction = tuple(tuple(float(v) for v in row) for row in DIRECTIONS[name])
    return replace(GRID, direction=direction)


def limits(form):
    if form.rescale:
        return -1000, 3000
    bits = form.bits_stored or 8 * np.dtype(form.dtype).itemsize
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if form.dtype[0] == "i" else (0, (1 << bits) - 1)


def values_of(grid, form):
    """Each voxel has a value of its own; the one furthest to the patient's left has the highest."""
    low, high = limits(form)
    count = int(np.prod(grid.shape))
    # Where there are more voxels than values they come again, far away from one another.
    steps = np.arange(count).reshape(grid.shape) * max(1, (high - low) // count)
    values = low + steps % (high - low)
    left = np.unravel_index(np.argmax(positions(grid)[..., 0]), grid.shape[1:])
    values[(0, *left)] = high
    return values


def positions(grid):
    z, y, x = np.meshgrid(grid.z_mm, grid.y_mm, grid.x_mm, indexing="ij")
    return grid.to_lps(np.stack([x, y, z], axis=-1).reshape(-1, 3)).reshape(*x.shape, 3)


def write(folder, grid, form):
    values = values_of(grid, form)
    write_form(folder, lambda t, z: values[t, z], grid, form)
    return values


def fitting(grid, form):
    """Return the grid, with slices of a size that the encoders take where pixels are compressed."""
    if form.syntax not in ENCODED:
        return grid
    return replace(grid, y_mm=tuple(1.5 * i for i in range(32)), x_mm=tuple(1.25 * i for i in range(33)))


def check_grid(found, grid, form):
    assert found.time_dim == AXIS_OF.get(form.time_key, "t")
    np.testing.assert_allclose(found.time_ms, grid.time_ms, atol=1e-3)
    assert found.time_known and found.known


def check_voxels(found, found_grid, values, grid):
    """Compare values by where they lie in the patient, whatever the order of the slices."""
    assert found.shape == values.shape
    points = positions(found_grid).reshape(-1, 3)
    x, y, z = grid.from_lps(points).T
    index = []
    for got, wanted in ((z, grid.z_mm), (y, grid.y_mm), (x, grid.x_mm)):
        nearest = np.abs(got[:, None] - np.asarray(wanted)).argmin(axis=1)
        np.testing.assert_allclose(got, np.asarray(wanted)[nearest], atol=1e-4)
        index.append(nearest)
    wanted = values[:, *index].reshape(values.shape)
    assert np.array_equal(found, wanted)


def round_trip(folder, grid, form):
    grid = fitting(grid, form)
    values = write(folder, grid, form)
    (stack,) = cm.scan(folder).stacks
    check_grid(stack.grid, grid, form)
    check_voxels(stack.read([(0, n) for n in stack.shape]), stack.grid, values, grid)
    return stack


@pytest.mark.parametrize(
    "form", [form for form in FORMS if form.per_series == "all"], ids=lambda form: form.name
)
def test_every_form_gives_the_phantom_back(tmp_path, form):
    if not can_encode(form.syntax):
        pytest.skip("no encoder here")
    stack = round_trip(tmp_path, placed("axial"), form)
    slope, intercept = form.rescale or (1.0, 0.0)
    assert stack.padding == (None if form.padding is None else form.padding * slope + intercept)
    shown = stack.attributes.get("photometric_interpretation", "MONOCHROME2")
    assert shown == form.photometric


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("form", ["classic", "enhanced-mr", "reversed", "mosaic", "frame-offsets"])
def test_every_orientation(tmp_path, form, name):
    form, grid = BY_NAME[form], placed(name)
    if name in SHEARED and form.layout in ("mosaic", "multiframe"):
        with pytest.raises(InputError, match="tilt"):
            write(tmp_path, grid, form)
        return
    round_trip(tmp_path, grid, form)


def test_the_marker_is_on_the_left_of_the_patient(tmp_path):
    for name in DIRECTIONS:
        stack = round_trip(tmp_path / name, placed(name), Form())
        volume = stack.read([(0, n) for n in stack.shape])[0]
        left = positions(stack.grid)[np.unravel_index(volume.argmax(), volume.shape)]
        assert left[0] == pytest.approx(positions(stack.grid)[..., 0].max())


def content(store):
    """Return the stored chunks, not what describes them."""
    files = [path for path in store.rglob("*") if path.is_file() and "c" in path.relative_to(store).parts]
    return {str(path.relative_to(store)): unsealed(path.read_bytes()) for path in files}


def unsealed(raw):
    # In front of the image's shards stands a seal of the commit, which is another one each time.
    return raw[SEAL_BYTES:] if raw.startswith(b"chunkmed") else raw


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return converted(tmp_path_factory.mktemp("plain"), GRID, Form())


def converted(folder, grid, form, **options):
    write(folder / "in", grid, form)
    image = cm.convert(folder / "in", folder / "out.zarr", **options)
    return image, content(folder / "out.zarr")


ALIKE = ["shuffled", "renamed", "nested-with-junk", "reversed", "enhanced-mr", "enhanced-shuffled"]
ALIKE += ["enhanced-per-time", "classic-implicit", "classic-big-endian", "classic-deflated", "classic-rle"]


@pytest.mark.parametrize("name", ALIKE)
def test_the_form_leaves_no_trace_in_the_store(tmp_path, plain, name):
    image, chunks = converted(tmp_path, GRID, BY_NAME[name])
    assert chunks and chunks == plain[1]
    assert_same_places(image, plain[0])


@pytest.mark.parametrize("name", ["series-per-slice", "series-per-time"])
def test_series_are_never_joined_unasked(tmp_path, name):
    with pytest.raises(SourceError) as error:
        converted(tmp_path, GRID, BY_NAME[name])
    assert error.value.kind == "several-series"


@pytest.mark.parametrize("name", ["series-per-slice", "series-per-time"])
def test_series_that_are_joined_leave_no_trace_in_the_store(tmp_path, plain, name):
    image, chunks = converted(tmp_path, GRID, BY_NAME[name], merge_series=True)
    assert chunks == plain[1]
    assert_same_places(image, plain[0])
    merged = cm.convert(cm.scan(tmp_path / "in").merge(), tmp_path / "merged.zarr")
    assert content(tmp_path / "merged.zarr") == chunks
    assert_same_places(merged, image)


def assert_same_places(one, other):
    for dim in other.dims:
        np.testing.assert_array_equal(one[dim], other[dim])
    assert one.cm.grid == other.cm.grid


@pytest.mark.parametrize("name", ["oblique", "tilted", "oblique-tilted", "sagittal"])
def test_the_orientation_changes_no_value_in_the_store(tmp_path, plain, name):
    form, values = Form(), values_of(GRID, Form())
    write_form(tmp_path / "in", lambda t, z: values[t, z], placed(name), form)
    image = cm.convert(tmp_path / "in", tmp_path / "out.zarr")
    turned_over = np.linalg.det(DIRECTIONS[name]) < 0
    wanted = values[:, ::-1] if turned_over else values
    assert np.array_equal(image, wanted)
    check_voxels(np.asarray(image), image.cm.grid, values, placed(name))


def forms():
    draw = st.sampled_from
    drawn = st.builds(
        partial(Form, "drawn"),
        layout=draw(["classic", "enhanced"]),
        syntax=draw(sorted({form.syntax for form in WRITABLE})),
        time_key=draw(["TriggerTime", "TemporalPositionIdentifier", "AcquisitionTime", "EchoTime"]),
        dtype=draw(["int16", "uint16"]),
        bits_stored=draw([0, 12]),
        per_file=draw(["series", "time"]),
        dimension_index=st.booleans(),
        offset_table=st.booleans(),
        reverse_slices=st.booleans(),
        shuffle_seed=st.integers(0, 5),
        names=draw(["numbered", "renamed", "nested"]),
        junk_files=st.booleans(),
    )

    # An encoder takes no more than the bits of the value: junk goes with plain pixels alone.
    def with_junk(form, junk):
        return replace(form, junk_bits=junk and form.syntax not in ENCODED)

    return st.builds(with_junk, drawn, st.booleans())


@settings(
    max_examples=300 if LONG else 15,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(form=forms(), name=st.sampled_from(sorted(DIRECTIONS)))
def test_any_combination(tmp_path_factory, form, name):
    round_trip(tmp_path_factory.mktemp("drawn"), placed(name), form)
