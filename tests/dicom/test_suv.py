"""The SUV factor from headers: by the rules, or refused with the tag's name."""

import pydicom
import pytest
from pydicom.dataset import Dataset

from chunkmed.dicom import scan
from chunkmed.dicom.suv import suv_attributes, suv_of

WEIGHT_KG, DOSE_BQ, HALF_LIFE_S = 70.0, 3.5e8, 6588.0
HOUR_S = 3600.0
#: Injected at 09:00, scanned from 10:00.
PLAIN = {
    "Modality": "PT",
    "Units": "BQML",
    "DecayCorrection": "START",
    "CorrectedImage": ["DECY", "ATTN", "SCAT"],
    "PatientWeight": WEIGHT_KG,
    "SeriesDate": "20200310",
    "SeriesTime": "100000",
    "AcquisitionDate": "20200310",
    "AcquisitionTime": "100300",
    "FrameReferenceTime": 300000.0,
    "ActualFrameDuration": 180000,
}
ISOTOPE = {
    "RadiopharmaceuticalStartTime": "090000",
    "RadionuclideTotalDose": DOSE_BQ,
    "RadionuclideHalfLife": HALF_LIFE_S,
}
GE = (0x0009, "GEMS_PETD_01", 0x0D, "DT")
SIEMENS = (0x0071, "SIEMENS MED PT", 0x22, "DT")
PHILIPS = (0x7053, "Philips PET Private Group")


def header(isotope=None, private=(), **tags):
    """One PET header; None removes an element."""
    dataset, item = Dataset(), Dataset()
    for target, elements in ((dataset, PLAIN | tags), (item, ISOTOPE | (isotope or {}))):
        for keyword, value in elements.items():
            if value is not None:
                setattr(target, keyword, value)
    dataset.RadiopharmaceuticalInformationSequence = [item]
    for group, creator, element, vr, value in private:
        dataset.private_block(group, creator, create=True).add_new(element, vr, value)
    return dataset


def factor_of(*headers):
    found = suv_attributes(suv_of(each) for each in headers)
    assert "suv_unknown" not in found, found
    return found["suv_bw_factor"]


def reason_of(*headers):
    found = suv_attributes(suv_of(each) for each in headers)
    assert set(found) == {"suv_unknown"}
    return found["suv_unknown"]


def after(seconds):
    return WEIGHT_KG * 1000 / (DOSE_BQ * 0.5 ** (seconds / HALF_LIFE_S))


POST = {"SeriesTime": "153000"}
CASES = {
    "start": (header(), after(HOUR_S)),
    "admin": (header(DecayCorrection="ADMIN"), after(0)),
    "admin needs no times": (
        header({"RadiopharmaceuticalStartTime": None}, DecayCorrection="ADMIN", SeriesTime=None),
        after(0),
    ),
    "start datetime": (header({"RadiopharmaceuticalStartDateTime": "20200310083000.5"}), after(5399.5)),
    "midnight": (
        header(
            {"RadiopharmaceuticalStartTime": "233000"},
            SeriesTime="003000",
            AcquisitionTime="003000",
        ),
        after(HOUR_S),
    ),
    "midnight with dates": (
        header(
            {"RadiopharmaceuticalStartDateTime": "20200309233000"},
            SeriesTime="003000",
            AcquisitionTime="003000",
        ),
        after(HOUR_S),
    ),
    "scan started before the injection": (
        header({"RadiopharmaceuticalStartTime": "100020"}, AcquisitionTime="100000"),
        after(-20),
    ),
    "post-processed, GE": (header(private=[(*GE, "19700101100000.00")], **POST), after(HOUR_S)),
    "post-processed, Siemens": (header(private=[(*SIEMENS, "20200310100000")], **POST), after(HOUR_S)),
    "own series time beside private": (header(private=[(*GE, "20200310110000")]), after(HOUR_S)),
    "grams per millilitre": (header(Units="GML", PatientWeight=None), 1.0),
    "Philips SUV": (header(Units="CNTS", private=[(*PHILIPS, 0x00, "DS", "0.00123")]), 0.00123),
    "Philips activity": (
        header(Units="CNTS", private=[(*PHILIPS, 0x00, "DS", "0"), (*PHILIPS, 0x09, "DS", "2.5")]),
        2.5 * after(HOUR_S),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_factor(name):
    dataset, wanted = CASES[name]
    assert factor_of(dataset) == pytest.approx(wanted, rel=1e-9)


def test_without_private_elements_the_start_follows_from_the_frame():
    # The mean count rate of a frame of three minutes lies a little before its middle.
    dataset = header(SeriesTime="153000", AcquisitionTime="100330", FrameReferenceTime=300000.0)
    assert factor_of(dataset) == pytest.approx(after(HOUR_S), rel=1e-4)


def test_one_late_file_makes_all_use_the_other_source():
    # The series is dated after its first bed and before its second.
    beds = [
        header(SeriesTime="100200", AcquisitionTime=time, FrameReferenceTime=offset_ms)
        for time, offset_ms in (("100000", 90000.0), ("100300", 270000.0))
    ]
    assert factor_of(*beds) == pytest.approx(after(HOUR_S), rel=1e-4)
    assert factor_of(beds[1]) == pytest.approx(after(HOUR_S + 120), rel=1e-9)


def test_not_decay_corrected():
    tags = {"DecayCorrection": "NONE", "CorrectedImage": ["ATTN"], "AcquisitionTime": "100000"}
    assert factor_of(header(**tags)) == pytest.approx(after(HOUR_S + 90), rel=1e-4)
    # Two beds at two times have no factor in common.
    later = header(**tags | {"AcquisitionTime": "100500"})
    assert "(0054,1102)" in reason_of(header(**tags), later)


REFUSED = {
    "(0010,1030)": header(PatientWeight=None),
    "(0010,1030) is implausible": header(PatientWeight=70000),
    "(0018,1074) is missing": header({"RadionuclideTotalDose": None}),
    "(0018,1074) is implausible in Bq": header({"RadionuclideTotalDose": 350.0}),
    "(0018,1075)": header({"RadionuclideHalfLife": 0}),
    "(0018,1072)": header({"RadiopharmaceuticalStartTime": None}),
    "(0018,1072) contradicts": header({"RadiopharmaceuticalStartTime": "110000"}),
    "(0018,1078) or": header({"RadiopharmaceuticalStartDateTime": "20200101090000"}),
    "(0018,1078) or the date": header({"RadionuclideHalfLife": 282240.0}),
    "(0008,0031)": header(SeriesTime=None),
    "(0008,0032) is missing": header(AcquisitionTime=None),
    "(0008,0032) and neither": header(SeriesTime="153000", FrameReferenceTime=0),
    "(0028,0051) is missing": header(CorrectedImage=None),
    "(0028,0051) lacks ATTN": header(CorrectedImage=["DECY"]),
    "(0028,0051) contradicts": header(CorrectedImage=["ATTN"]),
    "(0054,1102)": header(DecayCorrection=None),
    "(0054,1001) is missing": header(Units=None),
    "(0054,1001) are another code": header(Units="WEIRD"),
    "(7053,1009)": header(Units="CNTS"),
    "(0054,1006)": header(Units="GML", SUVType="LBM"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_the_tag_that_stands_in_the_way_is_named(reason):
    assert reason in reason_of(REFUSED[reason])


def test_files_must_agree():
    assert "different factors" in reason_of(header(), header(PatientWeight=71.0))
    assert "(0018,1074) is missing" in reason_of(header(), header({"RadionuclideTotalDose": None}))
    assert suv_attributes([None, suv_of(Dataset())]) == {}


def test_a_private_element_of_another_block_is_not_taken():
    foreign = header(private=[(0x0009, "SOMEBODY ELSE", 0x0D, "DT", "20200310100000")], **POST)
    assert factor_of(foreign) != pytest.approx(after(HOUR_S), rel=1e-6)


def test_files_of_a_series_share_one_record():
    assert suv_of(header()) is suv_of(header(ReconstructionDiameter=600))


# ----------------------------------------------------------------------------------- real series


def test_real_series(data):
    stack = scan(data / "pet_ac_ge_perslice_slope_jpegls").select()
    assert stack.attributes["suv_bw_factor"] == pytest.approx(4.2111e-4, rel=2e-5)
    assert stack.attributes["units"] == "Bq/ml"
    assert len(stack.attributes["rescale_slopes"]) == 135
    pytest.importorskip("jpeg_ls")
    top = max(stack.read([(0, 1), (z, z + 15), (0, 128), (0, 128)]).max() for z in range(0, 135, 15))
    assert top * stack.attributes["suv_bw_factor"] == pytest.approx(51.09, abs=0.005)


def test_real_series_without_the_dose(data, tmp_path):
    for path in sorted((data / "pet_ac_ge_perslice_slope_jpegls").iterdir())[:3]:
        dataset = pydicom.dcmread(path)
        del dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose
        dataset.save_as(tmp_path / path.name)
    attributes = scan(tmp_path).select().attributes
    assert attributes["suv_unknown"] == "RadionuclideTotalDose (0018,1074) is missing"
    assert "suv_bw_factor" not in attributes
