"""chunkmed.ndimage against scipy.ndimage, per time point, row by row of the table."""

import os
import warnings

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from many_blocks import small_blocks
from parity import numbers
from parity.row import DTYPES, MODES
from parity.table import ROWS

import chunkmed.ndimage as ndi
from chunkmed.errors import InputError, RangeWarning
from chunkmed.ndimage.arguments import MODES as KNOWN_MODES
from chunkmed.ndimage.refused import REFUSED


def few(dtypes):
    """Return int16 where a row has it, else float32, else its first dtype."""
    return [dtype for dtype in ("int16", "float32", *dtypes) if dtype in dtypes][:1]


SHAPE = (2, 6, 7, 8)
CHUNKS = ((1, 1), (2, 4), (4, 3), (3, 5))
CASES = [pytest.param(row, dtype, id=f"{row.id}-{dtype}") for row in ROWS for dtype in row.dtypes]
#: Kernels see the same blocks whatever the axes are called: one dtype stands for the others, all with
#: CHUNKMED_LONG=1.
LONG = bool(os.environ.get("CHUNKMED_LONG"))
FEW = [case for case in CASES if LONG or case.values[1] in few(case.values[0].dtypes)]
DIMS = ("t", "z", "y", "x")


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks(), dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        # scipy divides by the zero voxels of absent labels.
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        # Integers wrap around in scipy, too: that is what is compared.
        warnings.filterwarnings("ignore", category=RangeWarning)
        yield


def image_of(dtype):
    """Noise that is blurred a little, so that masks have shapes; fractions for floats."""
    rng = np.random.default_rng(7)
    if dtype == "bool":
        return rng.random(SHAPE) < 0.55
    values = rng.integers(0, 200, SHAPE)
    if dtype.startswith("complex"):
        return (values / 8 - 5 + 1j * values[::-1, ::-1]).astype(dtype)
    return (values / 8 - 5 if dtype.startswith("float") else values).astype(dtype)


def labels_of(dtype="int32"):
    rng = np.random.default_rng(11)
    return rng.integers(0, 6, SHAPE).astype(dtype)


def chunked(array):
    return da.from_array(array, chunks=CHUNKS[4 - array.ndim :])


def named(array):
    dims = DIMS[4 - array.ndim :]
    coords = {"t": [0.0, 40.0]} if "t" in dims else None
    return xr.DataArray(chunked(array), dims=dims, coords=coords, attrs={"units": "HU"})


def first_argument(row, dtype):
    if row.call == "boxes" or row.name == "value_indices":
        return labels_of(dtype)
    image = image_of(dtype)
    if row.call in ("mask", "label"):
        return image if dtype == "bool" else np.where(image_of("bool"), image, 0).astype(dtype)
    return image


def check(found, wanted, rtol):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    if rtol:
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-12)
    else:
        np.testing.assert_array_equal(found, wanted)


def as_double(array):
    """scipy sums float32 without labels in float32; sums of chunked images are float64."""
    return array.astype(np.float64) if array.dtype == np.float32 else array


def call_of(row, ndim):
    """Return the function of a pair (module, images) for rows that take labels or not."""
    arguments = row.arguments_for(ndim)
    takes = ("number", "center", "position", "extrema", "grouped")
    with_labels = row.call in takes and "labels" not in arguments
    return arguments, with_labels


def check_result(row, found, image, labels, arguments):
    """Compare a computed result with scipy's for one time point."""
    reference = getattr(scipy.ndimage, row.name)
    if row.call in ("filter", "mask"):
        wanted = reference(image, **arguments)
        assert np.asarray(found).dtype == wanted.dtype
        check(found, wanted, row.rtol)
    elif row.call == "label":
        wanted, count = reference(image, **arguments)
        assert np.asarray(found[0]).dtype == wanted.dtype
        check(found[0], wanted, 0)
        assert int(found[1]) == count
    elif row.call == "boxes":
        assert found == reference(image, **arguments)
    elif row.call == "grouped":
        numbers.check(found, numbers.run(reference, image, labels, arguments), row.rtol)
    elif row.call == "extrema":
        index = arguments.get("index")
        wanted = reference(image, labels, index)
        check(found[0], wanted[0], 0)
        check(found[1], wanted[1], 0)
        for place, value in ((found[2], wanted[0]), (found[3], wanted[1])):
            check_positions(place, value, image, labels, index)
    elif row.call == "position":
        index = arguments.get("index")
        value = getattr(scipy.ndimage, row.name.removesuffix("_position"))(image, labels, index)
        check_positions(found, value, image, labels, index)
    else:
        wanted = reference(as_double(image), labels, arguments.get("index"))
        check(found, wanted, row.rtol)


def check_positions(found, value, image, labels, index):
    """The value there is the extreme, inside its object, and the first one in C order."""
    places = np.atleast_2d(np.asarray(found))
    values = np.atleast_1d(value)
    names = [None] if labels is None or index is None else np.atleast_1d(index)
    assert len(places) == len(values) == len(names)
    for place, wanted, name in zip(places, values, names, strict=True):
        inside = (
            np.ones(image.shape, bool) if labels is None else labels > 0 if name is None else labels == name
        )
        candidates = np.flatnonzero(inside.ravel() & (image.ravel() == wanted))
        assert np.ravel_multi_index(tuple(place), image.shape) == candidates[0]


def run(row, image, labels, arguments, wrap):
    function = getattr(ndi, row.name)
    if row.call in ("filter", "mask", "label", "boxes"):
        return function(wrap(image), **arguments)
    if row.call == "grouped":
        return numbers.run(function, wrap(image), None if labels is None else wrap(labels), arguments)
    return function(wrap(image), None if labels is None else wrap(labels), arguments.get("index"))


@pytest.mark.parametrize(("row", "dtype"), CASES)
def test_volume_with_dims_is_scipys(row, dtype):
    arguments, with_labels = call_of(row, 3)
    image = first_argument(row, dtype)[1]
    labels = labels_of()[1] if with_labels else None
    found = run(row, image, labels, arguments, named)
    if row.call in ("filter", "mask"):
        assert found.dims == DIMS[1:] and isinstance(found.data, da.Array)
    check_result(row, found, image, labels, arguments)


@pytest.mark.parametrize(("row", "dtype"), FEW)
def test_time_series_is_scipys_at_each_time(row, dtype):
    arguments, with_labels = call_of(row, 3)
    if np.ndim(arguments.get("index")) == 2:
        # Labels have one dim beside t, whatever the shape they are asked for in.
        arguments["index"] = np.ravel(arguments["index"]).tolist()
    # Axis numbers count from t on in an image with dims, from z on in one time point.
    shifted = dict(arguments)
    if arguments.get("axes") is not None:
        shifted["axes"] = tuple(a + 1 if a >= 0 else a for a in np.atleast_1d(arguments["axes"]).tolist())
    image = first_argument(row, dtype)
    labels = labels_of() if with_labels else None
    found = run(row, image, labels, shifted, named)
    if row.call in ("filter", "mask"):
        found = found.compute()
    if row.call == "label":
        assert found[1].dims == ("t",)
        found = found[0].compute(), found[1]
    for t in range(SHAPE[0]):
        part = tuple(item[t] for item in found) if row.call in ("extrema", "label") else found[t]
        check_result(row, part, image[t], None if labels is None else labels[t], arguments)


@pytest.mark.parametrize(("row", "dtype"), FEW)
def test_plain_dask_array_is_scipys_over_all_axes(row, dtype):
    arguments, with_labels = call_of(row, row.most_axes)
    image = first_argument(row, dtype)
    labels = labels_of() if with_labels else None
    if row.most_axes == 3:
        with pytest.raises(InputError):
            run(row, image, labels, arguments, chunked)
        image = image[0]
    found = run(row, image, labels, arguments, chunked)
    if row.call in ("filter", "mask"):
        assert isinstance(found, da.Array)
    if row.call == "label":
        assert isinstance(found[0], da.Array) and isinstance(found[1], int)
    check_result(row, found, image, labels, arguments)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_numpy_is_scipy_itself(row):
    arguments, with_labels = call_of(row, 3)
    image = first_argument(row, row.dtypes[0])[0]
    labels = labels_of()[0] if with_labels else None
    found = run(row, image, labels, arguments, np.asarray)
    reference = getattr(scipy.ndimage, row.name)
    if row.call in ("filter", "mask", "label", "boxes"):
        wanted = reference(image, **arguments)
    elif row.call == "grouped":
        wanted = numbers.run(reference, image, labels, arguments)
    else:
        wanted = reference(image, labels, arguments.get("index"))
    assert repr(found) == repr(wanted)


@pytest.mark.parametrize("name", ["binary_erosion", "binary_dilation", "binary_opening", "binary_closing"])
@pytest.mark.parametrize("iterations", [1, 2])
def test_mask_argument(name, iterations):
    image, where = image_of("bool")[0], np.random.default_rng(3).random(SHAPE[1:]) < 0.7
    arguments = {"iterations": iterations, "border_value": 1}
    found = getattr(ndi, name)(named(image), mask=named(where), **arguments)
    check(found, getattr(scipy.ndimage, name)(image, mask=where, **arguments), 0)


@pytest.mark.parametrize("name", ["binary_erosion", "binary_dilation", "binary_opening", "binary_closing"])
def test_dtype_of_masks(name):
    # scipy ignores a dtype here and gives bool; ours is what was asked for.
    image = image_of("bool")[0]
    found = getattr(ndi, name)(named(image), output="uint8")
    assert found.dtype == found.compute().dtype == np.uint8
    check(found, getattr(scipy.ndimage, name)(image), 0)


@pytest.mark.parametrize("shape", [(9,), (6, 7), (1, 7, 1)])
@pytest.mark.parametrize("mode", MODES)
def test_fewer_axes_and_axes_of_one_voxel(shape, mode):
    image = np.random.default_rng(5).integers(0, 90, shape).astype(np.int16)
    lazy = da.from_array(image, chunks=3)
    for name, arguments in (("gaussian_filter", {"sigma": 1.5}), ("median_filter", {"size": 5})):
        wanted = getattr(scipy.ndimage, name)(image, mode=mode, **arguments)
        check(getattr(ndi, name)(lazy, mode=mode, **arguments), wanted, 0)


def test_labels_through_time():
    mask = image_of("bool")
    labels, count = ndi.label(named(mask), axes=DIMS)
    wanted, number = scipy.ndimage.label(mask)
    check(labels, wanted, 0)
    assert count == number and isinstance(count, int)


def test_number_of_one_counts_voxels():
    labels = labels_of()
    found = ndi.sum(1, named(labels), index=[1, 2])
    wanted = [scipy.ndimage.sum(1, labels[t], index=[1, 2]) for t in range(2)]
    check(found, wanted, 0)


@pytest.mark.parametrize("name", ["sum", "maximum", "center_of_mass", "extrema"])
def test_labels_of_other_shapes_broadcast_as_scipys(name):
    image, labels = image_of("int16")[0, 0], labels_of()[0, 0, :1]
    lazy = da.from_array(labels, chunks=5)
    found = getattr(ndi, name)(chunked(image), lazy, [1, 2, 5])
    wanted = getattr(scipy.ndimage, name)(image, labels, [1, 2, 5])
    for got, part in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, part)
    with pytest.raises(InputError, match="differ in shape"):
        getattr(ndi, name)(chunked(image), lazy[:, 1:], [1, 2])


def test_every_public_function_is_in_the_table():
    ours = {name for name in ndi.__all__ if getattr(ndi, name) is not getattr(scipy.ndimage, name, None)}
    assert ours - set(REFUSED) == {row.name for row in ROWS}
    assert set(REFUSED) <= ours and len(REFUSED) <= 5


def test_every_border_mode_and_dtype_is_in_the_table():
    assert set(MODES) == set(KNOWN_MODES)
    for name in ("gaussian_filter", "median_filter"):
        rows = [row for row in ROWS if row.name == name]
        assert {row.arguments.get("mode") for row in rows} >= set(MODES)
        assert {dtype for row in rows for dtype in row.dtypes} == set(DTYPES)


@pytest.mark.parametrize("name", ["median_filter", "gaussian_filter"])
@pytest.mark.parametrize(
    ("axes", "kind", "says"),
    [
        ((1.5,), TypeError, "as an integer"),
        ((0, 3), ValueError, "out of range"),
        ((1, -2), ValueError, "unique"),
    ],
)
def test_axes_are_refused_as_scipy_does(name, axes, kind, says):
    for image in (image_of("int16")[0], chunked(image_of("int16")[0])):
        with pytest.raises(kind, match=says):
            getattr(ndi, name)(image, 3, axes=axes)


def test_axes_may_be_an_array():
    image, axes = image_of("int16")[0], np.array([0, -1])
    check(
        ndi.median_filter(chunked(image), 3, axes=axes), scipy.ndimage.median_filter(image, 3, axes=axes), 0
    )


def test_labels_that_are_no_whole_numbers_are_refused():
    labels = np.array([0.0, 1.0, 2.0, 2.0])
    assert ndi.sum(1, da.from_array(labels, chunks=2), [1, 2]).tolist() == [1, 2]
    for wrong in (2.5, np.nan):
        labels[3] = wrong
        with pytest.raises(InputError, match="whole numbers"):
            ndi.sum(1, da.from_array(labels, chunks=2), [1, 2])
