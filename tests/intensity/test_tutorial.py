"""The lines of the usual tutorial on biomedical images, as they are written, with chunkmed's names."""

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from many_blocks import sourced

import chunkmed.ndimage

RNG = np.random.default_rng(8)
IM = RNG.integers(0, 256, (40, 50)).astype(np.uint8)
VOL = RNG.integers(0, 256, (6, 20, 24)).astype(np.int16)
LABELS = RNG.integers(0, 4, VOL.shape).astype(np.int32)

HISTOGRAM = """
hist = ndi.histogram(im,min=0, 
                        max=255,
                        bins=256)

# Create a cumulative distribution function
cdf = hist.cumsum() / hist.sum()
"""  # noqa: W291
EQUALIZED = """
hist = ndi.histogram(im, min=0, max=255, bins=256)
cdf = hist.cumsum() / hist.sum()
im_equalized = cdf[im] * 255
"""
MASKED = """
mask_bone = im >= 145
im_bone = where(mask_bone, im, 0)

# Get the histogram of bone intensities
hist = ndi.histogram(im_bone,1,255,255)
"""
SEPARATE = """
hist1 = ndi.histogram(vol, min=0, max=255, bins=256)
hist2 = ndi.histogram(vol, 0, 255, 256, labels)
hist3 = ndi.histogram(vol, 0, 255, 256, labels, index=1)
"""
MEASURED = """
medians = ndi.median(vol, labels, index=[1, 2])
every = ndi.median(vol)
ranges = ndi.labeled_comprehension(vol, labels, [1, 2], np.ptp, float, -1)
"""


def run(lines, ndi, im, vol, labels, where):
    names = {"ndi": ndi, "im": im, "vol": vol, "labels": labels, "where": where, "np": np}
    exec(lines, names)
    return {
        name: value for name, value in names.items() if name not in ("ndi", "np", "where", "__builtins__")
    }


@pytest.mark.parametrize("lines", [HISTOGRAM, MASKED, SEPARATE, MEASURED])
def test_lines_of_the_tutorial(lines):
    wanted = run(lines, scipy.ndimage, IM, VOL, LABELS, np.where)
    im = xr.DataArray(sourced(IM, (7, 9)), dims=("y", "x"))
    vol, labels = (xr.DataArray(sourced(each, (2, 7, 9)), dims=("z", "y", "x")) for each in (VOL, LABELS))
    found = run(lines, chunkmed.ndimage, im, vol, labels, xr.where)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert np.asarray(found[name]).dtype == np.asarray(value).dtype, name
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_equalization():
    wanted = run(EQUALIZED, scipy.ndimage, IM, VOL, LABELS, np.where)
    image = xr.DataArray(sourced(IM, (7, 9)), dims=("y", "x"))
    found = chunkmed.intensity.equalize(image, dtype="float64") * 255
    np.testing.assert_array_equal(found, wanted["im_equalized"])
    parts, _ = chunkmed.intensity.cdf(image, 256, (0, 255))
    np.testing.assert_array_equal(parts, wanted["cdf"])
