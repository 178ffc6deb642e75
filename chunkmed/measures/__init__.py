"""Measures of labelled objects: volumes, shapes, places, values, all in one pass over the images."""

from chunkmed.measures.measuring import measure
from chunkmed.measures.objects import measure_objects
from chunkmed.measures.records import MEASURES, PERCENTILE, Measure, histogram, is_measure, percentile

__all__ = [
    "MEASURES",
    "PERCENTILE",
    "Measure",
    "histogram",
    "is_measure",
    "measure",
    "measure_objects",
    "percentile",
]
