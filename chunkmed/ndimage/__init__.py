"""scipy.ndimage's names and meanings, on chunked images of any size.

Use it in place of scipy.ndimage: ``import chunkmed.ndimage as ndi``. DataArrays and dask arrays are
handled lazily, block by block; DataArrays with a time dimension per time point. NumPy arrays go to
scipy as they are.
"""

from scipy.ndimage import generate_binary_structure, iterate_structure

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
from chunkmed.ndimage.propagation import binary_fill_holes, binary_propagation
from chunkmed.ndimage.ranks import median_filter
from chunkmed.ndimage.refused import watershed_ift

__all__ = [
    "binary_closing",
    "binary_dilation",
    "binary_erosion",
    "binary_fill_holes",
    "binary_opening",
    "binary_propagation",
    "center_of_mass",
    "extrema",
    "find_objects",
    "gaussian_filter",
    "generate_binary_structure",
    "iterate_structure",
    "label",
    "maximum",
    "maximum_position",
    "mean",
    "median_filter",
    "minimum",
    "minimum_position",
    "standard_deviation",
    "sum",
    "sum_labels",
    "variance",
    "watershed_ift",
]
