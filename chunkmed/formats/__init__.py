"""Other people's files: NIfTI, TIFF stacks, DICOM segmentations; in and out."""
