"""How well two label images agree, per label: overlap, volumes, distances between surfaces.

Both lie on one grid. Definitions: A. A. Taha & A. Hanbury, "Metrics for evaluating 3D medical image
segmentation", BMC Medical Imaging 15:29 (2015).
"""

from chunkmed.compare.distances import surface_distances
from chunkmed.compare.overlaps import dice, jaccard, overlap, volume_difference_ml

__all__ = ["dice", "jaccard", "overlap", "surface_distances", "volume_difference_ml"]
