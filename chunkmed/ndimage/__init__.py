"""scipy.ndimage's names and meanings, on chunked images of any size.

Use it in place of scipy.ndimage: ``import chunkmed.ndimage as ndi``. DataArrays and dask arrays are
handled lazily, block by block; DataArrays with a time dimension per time point. NumPy arrays go to
scipy as they are.
"""

from scipy.ndimage import generate_binary_structure, iterate_structure

from chunkmed.ndimage.extremes import maximum_filter, maximum_filter1d, minimum_filter, minimum_filter1d
from chunkmed.ndimage.grey import (
    black_tophat,
    grey_closing,
    grey_dilation,
    grey_erosion,
    grey_opening,
    morphological_gradient,
    morphological_laplace,
    white_tophat,
)
from chunkmed.ndimage.hit_or_miss import binary_hit_or_miss
from chunkmed.ndimage.labels import label
from chunkmed.ndimage.linear import gaussian_filter
from chunkmed.ndimage.measurements import (
    center_of_mass,
    extrema,
    find_objects,
    maximum,
    maximum_position,
    mean,
    minimum,
    minimum_position,
    standard_deviation,
    sum,  # noqa: A004 - scipy's name
    sum_labels,
    variance,
)
from chunkmed.ndimage.morphology import binary_closing, binary_dilation, binary_erosion, binary_opening
from chunkmed.ndimage.ranks import median_filter, percentile_filter, rank_filter

__all__ = [
    "binary_closing",
    "binary_dilation",
    "binary_erosion",
    "binary_hit_or_miss",
    "binary_opening",
    "black_tophat",
    "center_of_mass",
    "extrema",
    "find_objects",
    "gaussian_filter",
    "generate_binary_structure",
    "grey_closing",
    "grey_dilation",
    "grey_erosion",
    "grey_opening",
    "iterate_structure",
    "label",
    "maximum",
    "maximum_filter",
    "maximum_filter1d",
    "maximum_position",
    "mean",
    "median_filter",
    "minimum",
    "minimum_filter",
    "minimum_filter1d",
    "minimum_position",
    "morphological_gradient",
    "morphological_laplace",
    "percentile_filter",
    "rank_filter",
    "standard_deviation",
    "sum",
    "sum_labels",
    "variance",
    "white_tophat",
]
