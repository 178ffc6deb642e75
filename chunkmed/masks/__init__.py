"""Masks: thresholds, regions, which objects to keep, holes, morphology in mm, signed distances."""

from chunkmed.masks.balls import ball, closing, dilation, erosion, opening
from chunkmed.masks.distances import signed_distance
from chunkmed.masks.holes import fill, remove_small_holes
from chunkmed.masks.objects import clear_border, keep_largest, remove_small
from chunkmed.masks.regions import region
from chunkmed.masks.seeds import hysteresis, reconstruction
from chunkmed.masks.thresholds import threshold

__all__ = [
    "ball",
    "clear_border",
    "closing",
    "dilation",
    "erosion",
    "fill",
    "hysteresis",
    "keep_largest",
    "opening",
    "reconstruction",
    "region",
    "remove_small",
    "remove_small_holes",
    "signed_distance",
    "threshold",
]
