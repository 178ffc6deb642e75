"""DICOM series -> stacks: the only importer of pydicom.

>>> import chunkmed.dicom
>>> study = chunkmed.dicom.scan("study/")  # doctest: +SKIP
>>> print(study)  # doctest: +SKIP
>>> study.select("3f2a").read([(0, 1), (0, 10), (0, 512), (0, 512)])  # doctest: +SKIP
"""

from chunkmed.dicom.accept import Choices, accepted
from chunkmed.dicom.described import described
from chunkmed.dicom.identity import with_identity
from chunkmed.dicom.limits import Limits, limited
from chunkmed.dicom.merge import certainly_merged
from chunkmed.dicom.scan import scan
from chunkmed.dicom.study import Skipped, Stack, Study

__all__ = [
    "Choices",
    "Limits",
    "Skipped",
    "Stack",
    "Study",
    "accepted",
    "certainly_merged",
    "described",
    "limited",
    "scan",
    "with_identity",
]
