"""Values of images: how they are spread, and images whose values are put on another scale.

Numbers are computed out of core, in one pass for integers of 16 bits, in two or three for others;
images stay lazy. Voxels outside the scanner's field of view (``image.cm.valid``) and NaN are left out.
"""

from chunkmed.intensity.equalization import equalize
from chunkmed.intensity.histograms import cdf, histogram
from chunkmed.intensity.quantiles import percentiles, quantiles
from chunkmed.intensity.scales import clip, normalize, rescale
from chunkmed.intensity.thresholds import otsu
from chunkmed.intensity.windows import WINDOWS, window

__all__ = [
    "WINDOWS",
    "cdf",
    "clip",
    "equalize",
    "histogram",
    "normalize",
    "otsu",
    "percentiles",
    "quantiles",
    "rescale",
    "window",
]
