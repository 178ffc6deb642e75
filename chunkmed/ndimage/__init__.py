"""scipy.ndimage's names and meanings, on chunked images of any size.

Use it in place of scipy.ndimage: ``import chunkmed.ndimage as ndi``. DataArrays and dask arrays are
handled lazily, block by block; DataArrays with a time dimension per time point. NumPy arrays go to
scipy as they are.
"""

from scipy.ndimage import (
    generate_binary_structure,
    iterate_structure,
)

from chunkmed.ndimage.collected import (
    labeled_comprehension,
)
from chunkmed.ndimage.convolutions import (
    convolve,
    convolve1d,
    correlate,
    correlate1d,
)
from chunkmed.ndimage.derivatives import (
    gaussian_gradient_magnitude,
    gaussian_laplace,
    laplace,
    prewitt,
    sobel,
)
from chunkmed.ndimage.distances import (
    distance_transform_bf,
    distance_transform_cdt,
    distance_transform_edt,
)
from chunkmed.ndimage.extremes import (
    maximum_filter,
    maximum_filter1d,
    minimum_filter,
    minimum_filter1d,
)
from chunkmed.ndimage.fourier import (
    fourier_ellipsoid,
    fourier_gaussian,
    fourier_shift,
    fourier_uniform,
)
from chunkmed.ndimage.gaussian import (
    gaussian_filter,
    gaussian_filter1d,
)
from chunkmed.ndimage.generic import (
    generic_filter,
    generic_filter1d,
)
from chunkmed.ndimage.generic_derivatives import (
    generic_gradient_magnitude,
    generic_laplace,
)
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
from chunkmed.ndimage.histograms import (
    histogram,
)
from chunkmed.ndimage.hit_or_miss import (
    binary_hit_or_miss,
)
from chunkmed.ndimage.indices import (
    value_indices,
)
from chunkmed.ndimage.interpolation import (
    affine_transform,
    shift,
    zoom,
)
from chunkmed.ndimage.labels import (
    label,
)
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
from chunkmed.ndimage.medians import (
    median,
)
from chunkmed.ndimage.morphology import (
    binary_closing,
    binary_dilation,
    binary_erosion,
    binary_opening,
)
from chunkmed.ndimage.points import (
    geometric_transform,
    map_coordinates,
)
from chunkmed.ndimage.propagation import (
    binary_fill_holes,
    binary_propagation,
)
from chunkmed.ndimage.ranks import (
    median_filter,
    percentile_filter,
    rank_filter,
)
from chunkmed.ndimage.refused import (
    watershed_ift,
)
from chunkmed.ndimage.rotation import (
    rotate,
)
from chunkmed.ndimage.spline import (
    spline_filter,
    spline_filter1d,
)
from chunkmed.ndimage.uniform import (
    uniform_filter,
    uniform_filter1d,
)
from chunkmed.ndimage.vectorized import (
    vectorized_filter,
)

__all__ = [
    "affine_transform",
    "binary_closing",
    "binary_dilation",
    "binary_erosion",
    "binary_fill_holes",
    "binary_hit_or_miss",
    "binary_opening",
    "binary_propagation",
    "black_tophat",
    "center_of_mass",
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "distance_transform_bf",
    "distance_transform_cdt",
    "distance_transform_edt",
    "extrema",
    "find_objects",
    "fourier_ellipsoid",
    "fourier_gaussian",
    "fourier_shift",
    "fourier_uniform",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generate_binary_structure",
    "generic_filter",
    "generic_filter1d",
    "generic_gradient_magnitude",
    "generic_laplace",
    "geometric_transform",
    "grey_closing",
    "grey_dilation",
    "grey_erosion",
    "grey_opening",
    "histogram",
    "iterate_structure",
    "label",
    "labeled_comprehension",
    "laplace",
    "map_coordinates",
    "maximum",
    "maximum_filter",
    "maximum_filter1d",
    "maximum_position",
    "mean",
    "median",
    "median_filter",
    "minimum",
    "minimum_filter",
    "minimum_filter1d",
    "minimum_position",
    "morphological_gradient",
    "morphological_laplace",
    "percentile_filter",
    "prewitt",
    "rank_filter",
    "rotate",
    "shift",
    "sobel",
    "spline_filter",
    "spline_filter1d",
    "standard_deviation",
    "sum",
    "sum_labels",
    "uniform_filter",
    "uniform_filter1d",
    "value_indices",
    "variance",
    "vectorized_filter",
    "watershed_ift",
    "white_tophat",
    "zoom",
]
