"""Phantoms with closed-form truth, DICOM series written from them, and hypothesis strategies.

Shipped so that users can test their own pipelines with them. The strategies need hypothesis and
are therefore imported by name: ``from chunkmed.testing import strategies``.
"""

from chunkmed.testing.dicom_forms import FORMS, Form
from chunkmed.testing.dicom_round_trip import write_form
from chunkmed.testing.dicom_writer import write_series, write_study
from chunkmed.testing.phantoms import BeatingEllipsoid

__all__ = ["FORMS", "BeatingEllipsoid", "Form", "write_form", "write_series", "write_study"]
