"""Images on other grids in mm: to a spacing, onto another image, in another orientation."""

from chunkmed.resample.onto import resample_like
from chunkmed.resample.orientation import orientation, reorient
from chunkmed.resample.spacing import resample

__all__ = ["orientation", "reorient", "resample", "resample_like"]
