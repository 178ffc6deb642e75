"""Two images that do not lie on the same grid are refused by every function that takes two."""

import numpy as np
import pytest
from many_blocks import sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed import compare, intensity, masks, measures
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.grid import Grid

SHAPE = (2, 4, 5, 6)
OTHERS = {
    "origin": {"origin_mm": (0.0, 0.0, 1.0)},
    "direction": {"direction": ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))},
    "frame of reference": {"frame_key": "other"},
    "spacing": {"x_mm": tuple(1.1 * i for i in range(6))},
    "a millionth": {"y_mm": tuple(i + 1e-5 for i in range(5))},
    "uneven slices": {"z_mm": (0.0, 1.0, 2.0, 3.5)},
    "shape": {"x_mm": tuple(float(i) for i in range(5))},
}
#: Every function that takes two images: the first is the one that leads.
FUNCTIONS = {
    "dice": lambda a, b: compare.dice(a, b),
    "jaccard": lambda a, b: compare.jaccard(a, b),
    "overlap": lambda a, b: compare.overlap(a, b),
    "surface_distances": lambda a, b: compare.surface_distances(a, b),
    "volume_difference_ml": lambda a, b: compare.volume_difference_ml(a, b),
    "measure_objects": lambda a, b: measures.measure_objects(b, a, ["mean"]),
    "measure": lambda a, b: cm.measure(b, a, ["mean"]),
    "threshold": lambda a, b: masks.threshold(a, above=3, where=b),
    "reconstruction": lambda a, b: masks.reconstruction(b > 3, a > 0),
    "hysteresis": lambda a, b: masks.hysteresis(a, 3, 6, where=b > 0),
    "histogram": lambda a, b: intensity.histogram(a, where=b > 0),
    "otsu": lambda a, b: intensity.otsu(a, where=b > 0),
    "cdf": lambda a, b: intensity.cdf(a, mask=b > 0),
    "equalize": lambda a, b: intensity.equalize(a, mask=b > 0),
    "normalize": lambda a, b: intensity.normalize(a, mask=b > 0),
    "percentiles": lambda a, b: intensity.percentiles(a, 50, mask=b > 0),
    "quantiles": lambda a, b: intensity.quantiles(a, 0.5, mask=b > 0),
    "rescale": lambda a, b: intensity.rescale(a, mask=b > 0),
    "ndi.mean": lambda a, b: ndi.mean(a, b, index=1),
    "ndi.sum_labels": lambda a, b: ndi.sum_labels(a, b),
    "ndi.maximum_position": lambda a, b: ndi.maximum_position(a, b, [1, 2]),
    "ndi.center_of_mass": lambda a, b: ndi.center_of_mass(a, b, [1, 2]),
    "ndi.median": lambda a, b: ndi.median(a, b, [1, 2]),
    "ndi.histogram": lambda a, b: ndi.histogram(a, 0, 9, 3, b, 1),
    "ndi.labeled_comprehension": lambda a, b: ndi.labeled_comprehension(a, b, [1, 2], np.sum, int, 0),
    "ndi.extrema": lambda a, b: ndi.extrema(a, b),
    "ndi.binary_erosion": lambda a, b: ndi.binary_erosion(a > 3, mask=b > 0),
    "ndi.binary_dilation": lambda a, b: ndi.binary_dilation(a > 3, mask=b > 0),
    "ndi.binary_opening": lambda a, b: ndi.binary_opening(a > 3, mask=b > 0),
    "ndi.binary_propagation": lambda a, b: ndi.binary_propagation(a > 3, mask=b > 0),
    "ndi.binary_closing": lambda a, b: ndi.binary_closing(a > 3, mask=b > 0),
}


def image(**changes):
    z, y, x = (tuple(float(i) for i in range(n)) for n in SHAPE[1:])
    on = Grid(**{"z_mm": z, "y_mm": y, "x_mm": x, "time_ms": (0.0, 40.0), **changes})
    values = np.random.default_rng(1).integers(0, 9, on.shape).astype(np.int16)
    return attach(sourced(values, (1, 2, 3, 4)), on)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
@pytest.mark.parametrize("other", sorted(OTHERS))
def test_another_grid_is_refused(function, other):
    with pytest.raises(InputError) as refused:
        FUNCTIONS[function](image(), image(**OTHERS[other]))
    assert refused.value.kind == "other-grid" and "resample" in str(refused.value)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_the_same_grid_is_taken(function):
    FUNCTIONS[function](image(), image())
    # A mask of one time point belongs to all.
    FUNCTIONS[function](image(), image().isel(t=0, drop=True))


@pytest.mark.parametrize("other", ["origin", "spacing", "shape"])
def test_save_and_open_labels(tmp_path, other):
    cm.save(image(), tmp_path / "a.zarr")
    cm.save(image(**OTHERS[other]), tmp_path / "b.zarr")
    with pytest.raises(InputError) as refused:
        cm.save(image(**OTHERS[other]), tmp_path / "a.zarr", name="body")
    assert refused.value.kind == "other-grid"
    with pytest.raises(InputError) as refused:
        cm.open_labels(tmp_path / "b.zarr", like=image())
    assert refused.value.kind == "other-grid"


@pytest.mark.parametrize("other", ["origin", "direction", "frame of reference"])
def test_arithmetic_of_two_grids_is_not_saved(tmp_path, other):
    """xarray drops a scalar coordinate that differs: what has no grid any more cannot be saved."""
    with pytest.raises(InputError) as refused:
        cm.save(image() + image(**OTHERS[other]), tmp_path / "a.zarr")
    assert refused.value.kind == "no-grid"


def test_every_function_of_two_images_is_here():
    """A function with a parameter that takes another image must refuse one on another grid."""
    import inspect

    named = {name.removeprefix("ndi.") for name in FUNCTIONS}
    # One table: all of scipy's measurements go through the same request.
    named |= {"sum", "variance", "standard_deviation", "minimum", "maximum", "minimum_position"}
    for module in (ndi, intensity, masks, compare, measures):
        for name in module.__all__:
            if not callable(getattr(module, name)):
                continue
            parameters = inspect.signature(getattr(module, name)).parameters
            if {"labels", "mask", "where", "reference"} & set(parameters):
                assert name in named, f"{name} takes two images and is not tested"
