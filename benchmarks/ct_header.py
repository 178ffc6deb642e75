"""The header of a CT slice as scanners write it: 146 elements, sequences and private ones among them.

Rows of data: parsing them costs what it costs on scanner files. Nobody's values.
"""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

__all__ = ["SPACING_MM", "header", "uid"]

#: Steps along z, y, x.
SPACING_MM = (0.625, 0.75, 0.75)

_GENERAL: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "HELIX"],
    "InstanceCreationDate": "20200101",
    "StudyDate": "20200101",
    "SeriesDate": "20200101",
    "AcquisitionDate": "20200101",
    "ContentDate": "20200101",
    "StudyTime": "100000.000000",
    "SeriesTime": "100130.000000",
    "AccessionNumber": "1",
    "Modality": "CT",
    "Manufacturer": "EXAMPLE",
    "InstitutionName": "Example hospital",
    "InstitutionAddress": "Street 1\r\nTown",
    "ReferringPhysicianName": "Doe^Refers",
    "StationName": "CT01",
    "StudyDescription": "Chest and abdomen",
    "SeriesDescription": "CT venous 0.6 B30f",
    "InstitutionalDepartmentName": "Radiology",
    "PhysiciansOfRecord": "Doe^Records",
    "PerformingPhysicianName": "Doe^Performs",
    "OperatorsName": "Doe^Operates",
    "ManufacturerModelName": "Example 64",
    "IrradiationEventUID": "1.2.3.4.5",
    "PatientName": "Phantom^Benchmark",
    "PatientID": "BENCHMARK",
    "PatientBirthDate": "19700101",
    "PatientSex": "O",
    "PatientAge": "050Y",
    "PatientSize": "1.75",
    "PatientWeight": "75",
    "PatientComments": "made by a program",
    "PregnancyStatus": 4,
    "ContrastBolusAgent": "Example 350",
    "BodyPartExamined": "CHEST",
    "ScanOptions": "HELICAL MODE",
    "SliceThickness": "0.625",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "DeviceSerialNumber": "1",
    "SoftwareVersions": ["example_1.0", "example_1.1"],
    "ProtocolName": "ChestAbdomen",
    "ContrastBolusRoute": "IV",
    "ContrastBolusVolume": "90",
    "ContrastFlowRate": "3",
    "ContrastFlowDuration": "30",
    "ReconstructionDiameter": "384",
    "DistanceSourceToDetector": "1085.6",
    "DistanceSourceToPatient": "595",
    "GantryDetectorTilt": "0",
    "TableHeight": "152",
    "RotationDirection": "CW",
    "ExposureTime": "500",
    "XRayTubeCurrent": "240",
    "Exposure": "120",
    "FilterType": "BODY FILTER",
    "GeneratorPower": "36",
    "FocalSpots": "1.2",
    "DateOfLastCalibration": "20200101",
    "TimeOfLastCalibration": "070000.000000",
    "ConvolutionKernel": "B30f",
    "PatientPosition": "HFS",
    "RevolutionTime": 0.5,
    "SingleCollimationWidth": 0.625,
    "TotalCollimationWidth": 40.0,
    "TableSpeed": 78.75,
    "TableFeedPerRotation": 39.375,
    "SpiralPitchFactor": 0.984375,
    "CTDIvol": 8.5,
    "EstimatedDoseSaving": 20.0,
    "ExposureModulationType": "ANGULAR",
    "StudyID": "1",
    "SeriesNumber": "3",
    "AcquisitionNumber": "1",
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PositionReferenceIndicator": "SN",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelSpacing": [str(SPACING_MM[1]), str(SPACING_MM[2])],
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
    "BurnedInAnnotation": "NO",
    "WindowCenter": ["40", "-600"],
    "WindowWidth": ["400", "1500"],
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
    "WindowCenterWidthExplanation": ["WINDOW1", "WINDOW2"],
    "LossyImageCompression": "00",
    "RequestingPhysician": "Doe^Requests",
    "RequestedProcedureDescription": "CT chest and abdomen",
    "PerformedProcedureStepStartDate": "20200101",
    "PerformedProcedureStepStartTime": "100000.000000",
    "PerformedProcedureStepID": "1",
    "PerformedProcedureStepDescription": "CT chest and abdomen",
}
_PRIVATE: tuple[tuple[int, str, Any], ...] = (
    *((number, "DS", f"{number}.25") for number in range(0x10, 0x1A)),
    *((number, "SL", number * 1000) for number in range(0x20, 0x28)),
    *((number, "LO", f"value {number}") for number in range(0x30, 0x36)),
    (0x40, "FD", [0.5, 1.5, 2.5]),
    (0x41, "OB", bytes(range(256)) * 2),
    (0x42, "UN", bytes(1000)),
)
_CODES = {
    "ProcedureCodeSequence": ("1", "CT chest and abdomen"),
    "RequestedProcedureCodeSequence": ("1", "CT chest and abdomen"),
    "ContrastBolusAgentSequence": ("2", "Example 350"),
    "AnatomicRegionSequence": ("3", "Chest"),
}
_REFERENCES = ("ReferencedStudySequence", "ReferencedImageSequence", "SourceImageSequence")


def uid(*parts: object) -> str:
    """Return the UID of the series' parts that bears this name."""
    return str(generate_uid(entropy_srcs=["chunkmed benchmarks", *map(str, parts)]))


def header(name: str, z: int, side: int) -> Dataset:
    """Return slice number ``z`` of the series of a name, pixels left out.

    Parameters
    ----------
    name : str
        Decides the UIDs.
    z : int
        Number of the slice, from the feet.
    side : int
        Rows and columns.
    """
    dataset = Dataset()
    for keyword, value in (_GENERAL | _of_slice(name, z, side)).items():
        setattr(dataset, keyword, value)
    for keyword, code in _CODES.items():
        setattr(dataset, keyword, [_code(*code)])
    for keyword in _REFERENCES:
        setattr(dataset, keyword, [_reference(uid(name, keyword))])
    block = dataset.private_block(0x0019, "CHUNKMED BENCHMARKS", create=True)
    for number, vr, value in _PRIVATE:
        block.add_new(number, vr, value)
    dataset.file_meta = _file_meta(dataset)
    return dataset


def _of_slice(name: str, z: int, side: int) -> dict[str, Any]:
    step_mm = SPACING_MM[0]
    time = f"1001{30 + z * 0.005:09.6f}"
    return {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": uid(name, "instance", z),
        "StudyInstanceUID": uid(name, "study"),
        "SeriesInstanceUID": uid(name, "series"),
        "FrameOfReferenceUID": uid(name, "frame of reference"),
        "InstanceCreationTime": time,
        "AcquisitionTime": time,
        "ContentTime": time,
        "InstanceNumber": str(z + 1),
        "ImagePositionPatient": ["-192", "-192", str(z * step_mm - 300)],
        "SliceLocation": str(z * step_mm - 300),
        "Rows": side,
        "Columns": side,
    }


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99CHUNKMED", meaning
    return item


def _reference(instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, instance
    return item


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta
