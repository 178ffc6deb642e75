"""Modality LUTs and floating-point pixels: pydicom's values, in all byte orders."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

import chunkmed as cm
from chunkmed.errors import SourceError
from chunkmed.grid import Grid
from chunkmed.testing import write_series

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
SHAPE = (5, 6)
pytestmark = pytest.mark.filterwarnings("ignore")


def series(folder, dtype, change, syntax=ExplicitVRLittleEndian, slices=3):
    """Write slices of random numbers; ``change`` gets each data set and its values."""
    grid = Grid(*(tuple(np.arange(n) * 2.0) for n in (slices, *SHAPE)), time_ms=(0.0,))
    rng, out = np.random.default_rng(0), []
    for path in write_series(folder, lambda t, z: np.zeros(SHAPE, np.int16), grid):
        dataset = pydicom.dcmread(path)
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType", "PixelPaddingValue"):
            dataset.pop(keyword, None)
        dataset.PixelRepresentation = int(np.dtype(dtype).kind == "i")
        values = rng.integers(-90 if np.dtype(dtype).kind == "i" else 0, 90, SHAPE).astype(dtype)
        if np.dtype(dtype).kind != "f":
            values[0, :2] = np.iinfo(dtype).min, np.iinfo(dtype).max
            dataset.BitsStored = dataset.BitsAllocated = 8 * values.itemsize
            dataset.HighBit = dataset.BitsStored - 1
            order = "<" if syntax.is_little_endian else ">"
            dataset.PixelData = values.astype(values.dtype.newbyteorder(order)).tobytes()
        change(dataset, values)
        dataset.file_meta.TransferSyntaxUID = syntax
        encoding = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
        pydicom.dcmwrite(path, dataset, **encoding, force_encoding=True)
        out.append(pydicom.dcmread(path))
    return sorted(out, key=lambda each: float(each.ImagePositionPatient[2]))


def table(first, entries, bits, vr="US", kind="HU", signed=False, packed=False, order="<"):
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(entries) % 65536, first, bits])
    words = np.asarray(entries, np.uint8 if packed else np.uint16)
    raw = words.astype(words.dtype.newbyteorder(order)).tobytes()
    item.add_new("LUTData", vr, raw + b"\0" * (len(raw) % 2) if vr == "OW" else words.tolist())
    item.ModalityLUTType = kind
    return Sequence([item])


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize(("dtype", "first"), [("uint16", 20), ("int16", -40), ("uint8", 10)])
def test_a_modality_lut_is_pydicoms(tmp_path, syntax, vr, dtype, first):
    entries = (np.arange(100) ** 2 + 7).astype(np.uint16)
    order = "<" if syntax.is_little_endian else ">"

    def change(dataset, _):
        signed = dtype == "int16"
        dataset.ModalityLUTSequence = table(first, entries, 16, vr, signed=signed, order=order)
        # It takes their place.
        dataset.RescaleSlope, dataset.RescaleIntercept = 3, -9

    written = series(tmp_path / "in", dtype, change, syntax)
    cm.convert(tmp_path / "in", tmp_path / "out.zarr")
    for image in (cm.open(tmp_path / "in"), cm.open(tmp_path / "out.zarr")):
        assert image.dtype == np.uint16
        for z, dataset in enumerate(written):
            # In 16 bits pydicom's subtraction overflows.
            stored = dataset.pixel_array.astype(int)
            np.testing.assert_array_equal(image[0, z], apply_modality_lut(stored, dataset))
            np.testing.assert_array_equal(image[0, z], entries[np.clip(stored - first, 0, 99)])
        assert image.attrs["modality_lut"] is True and image.attrs["rescale_type"] == "HU"
        np.testing.assert_array_equal(image[0, 1, 2:4, 1:3], image.values[0, 1, 2:4, 1:3])


@pytest.mark.parametrize("count", [99, 100])
@pytest.mark.parametrize("way", ["a byte each", "two to a word", "a word each"])
def test_entries_of_8_bits(tmp_path, count, way):
    entries = (np.arange(count) % 251).astype(np.uint8)

    def change(dataset, _):
        packed, vr = way != "a word each", "OW"
        if way == "two to a word":
            words = np.append(entries, [0] * (count % 2)).astype(np.uint8).view("<u2")
            dataset.ModalityLUTSequence = table(0, words, 8)
            dataset.ModalityLUTSequence[0].LUTDescriptor = [count, 0, 8]
        else:
            dataset.ModalityLUTSequence = table(0, entries, 8, vr, packed=packed)

    written = series(tmp_path, "uint16", change)
    image = cm.open(tmp_path)
    assert image.dtype == np.uint8
    for z, dataset in enumerate(written):
        wanted = entries[np.clip(dataset.pixel_array.astype(int), 0, count - 1)]
        np.testing.assert_array_equal(image[0, z], wanted)


def test_a_lut_of_all_values(tmp_path):
    entries = np.random.default_rng(1).integers(0, 4096, 65536).astype(np.uint16)

    def change(dataset, _):
        dataset.ModalityLUTSequence = table(-32768, entries, 12, "OW", signed=True)
        dataset.add_new("PixelPaddingValue", "SS", -5)

    written = series(tmp_path, "int16", change)
    stack, image = cm.scan(tmp_path).stacks[0], cm.open(tmp_path)
    for z, dataset in enumerate(written):
        np.testing.assert_array_equal(image[0, z], entries[dataset.pixel_array.astype(int) + 32768])
    # Other stored values may have the same output value.
    assert stack.padding is None and any("padding is not marked" in text for text in stack.warnings)


@pytest.mark.parametrize(
    "told", [[101, 0, 16], [99, 0, 16], [100, 0, 9], [100, 0, 17], [100, 0], [100, 0, 4]]
)
def test_a_lut_that_contradicts_itself_is_refused(tmp_path, told):
    def change(dataset, _):
        dataset.ModalityLUTSequence = table(0, np.arange(100) * 40, 16)
        dataset.ModalityLUTSequence[0].LUTDescriptor = told

    series(tmp_path, "uint16", change)
    with pytest.raises(SourceError, match="Modality LUT has not as many entries") as refused:
        cm.open(tmp_path)
    assert refused.value.kind == "unsupported-object"
    # Nothing helps: the table of a scan gives the reason.
    assert "these images cannot be read; its Modality LUT has not" in str(cm.scan(tmp_path))


FLOATS = {"float32": ("FloatPixelData", 32), "float64": ("DoubleFloatPixelData", 64)}


def as_floats(dataset, values, padding=None):
    keyword, bits = FLOATS[values.dtype.name]
    for word in ("PixelData", "PixelRepresentation", "BitsStored", "HighBit"):
        dataset.pop(word, None)
    dataset.BitsAllocated = bits
    values = (values / 7).astype(values.dtype)
    values[1, 1], values[1, 2] = np.nan, -np.inf
    if padding is not None:
        values[2] = padding
        setattr(dataset, keyword.replace("Data", "PaddingValue"), padding)
    # pydicom writes bytes as they are.
    setattr(dataset, keyword, values.tobytes())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("dtype", FLOATS)
def test_floating_point_pixels(tmp_path, dtype, syntax):
    written = series(tmp_path / "in", dtype, as_floats, syntax)
    cm.convert(tmp_path / "in", tmp_path / "out.zarr")
    for image in (cm.open(tmp_path / "in"), cm.open(tmp_path / "out.zarr")):
        assert image.dtype == dtype
        for z, dataset in enumerate(written):
            np.testing.assert_array_equal(image[0, z], dataset.pixel_array)
        assert np.isneginf(image[0, 0, 1, 2]) and np.isnan(image[0, 0, 1, 1])


@pytest.mark.parametrize("dtype", FLOATS)
def test_floating_point_padding_and_rescale(tmp_path, dtype):
    def change(dataset, values):
        as_floats(dataset, values, padding=-99.5)
        dataset.RescaleSlope, dataset.RescaleIntercept = 2, 1

    written = series(tmp_path, dtype, change)
    image = cm.open(tmp_path)
    assert image.dtype == dtype
    np.testing.assert_array_equal(image[0, 0], written[0].pixel_array * 2 + 1)
    assert image.attrs["padding_value"] == -198.0
    assert not image.cm.valid[0, :, 2].any() and image.cm.valid[0, 0, 3].all()


@pytest.mark.parametrize("keyword", ["BitsAllocated", "SamplesPerPixel"])
def test_floating_point_pixels_that_are_none(tmp_path, keyword):
    def spoil(dataset, values):
        as_floats(dataset, values)
        # As long as it says, but no numbers of 32 bits in one colour.
        setattr(dataset, keyword, {"BitsAllocated": 16, "SamplesPerPixel": 3}[keyword])
        dataset.FloatPixelData *= 3
        dataset.PhotometricInterpretation = "RGB" if keyword == "SamplesPerPixel" else "MONOCHROME2"

    series(tmp_path, "float32", spoil)
    with pytest.raises(SourceError, match=r"floating-point samples|colours of more") as refused:
        cm.open(tmp_path)
    assert refused.value.kind == "unsupported-object"
