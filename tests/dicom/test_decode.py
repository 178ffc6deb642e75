"""Compressed frames, colours and mosaics against the reference, and what a hostile stream costs."""

import hashlib
import os
import struct

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, UltrasoundMultiFrameImageStorage

from chunkmed.dicom import child, children, encapsulated, scan
from chunkmed.dicom.codecs import CODECS, Codec, Shape
from chunkmed.dicom.colour import colour_rows
from chunkmed.dicom.headers import Layout

SHAPE = Shape(64, 64, 1, 16, False, False)


def whole(stack):
    return stack.read([(0, size) for size in stack.shape])


def stored_hash(values):
    return hashlib.sha256(np.ascontiguousarray(values, "<i4").tobytes()).hexdigest()


@pytest.mark.parametrize("syntax", ["4.50", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "2.5"])
def test_every_codec_gives_the_reference_values(syntax, data, reference):
    rows = reference["ct_one_slice_16_transfer_syntaxes"]["per_file"]
    (row,) = (row for row in rows if row["path"].endswith(f".{syntax}.dcm"))
    stack = scan(data / "ct_one_slice_16_transfer_syntaxes" / row["path"]).select()
    slope, intercept = (float(part) for part in row["rescale"])
    values = np.rint((whole(stack).astype(float) - intercept) / slope)
    assert stored_hash(values) == row["pydicom_stored"]["sha256_i4"]


def test_twelve_bit_jpeg_is_within_the_rounding_of_its_transform(data, reference):
    rows = reference["ct_one_slice_16_transfer_syntaxes"]["per_file"]
    (row,) = (row for row in rows if row["path"].endswith(".4.51.dcm"))
    stack = scan(data / "ct_one_slice_16_transfer_syntaxes" / row["path"]).select()
    slope, intercept = (float(part) for part in row["rescale"])
    values = np.rint((whole(stack).astype(float) - intercept) / slope)
    assert values.mean() == pytest.approx(row["pydicom_stored"]["mean"], abs=0.05)


@pytest.mark.parametrize("name", ["HTJ2KLossless_08_RGB.dcm", "J2K_pixelrep_mismatch.dcm"])
def test_odd_compressed_files(name, data, reference):
    (row,) = (row for row in reference["single_files_odd"]["per_file"] if row["path"] == name)
    assert (
        stored_hash(whole(scan(data / "single_files_odd" / name).select()))
        == row["pydicom_stored"]["sha256_i4"]
    )


def test_colours_have_a_last_axis(data, reference):
    stack = scan(data / "single_files_odd" / "HTJ2KLossless_08_RGB.dcm").select()
    assert stack.shape == (1, 1, 480, 640, 3)
    box = [(0, 1), (0, 1), (10, 20), (5, 9), (1, 3)]
    np.testing.assert_array_equal(stack.read(box), whole(stack)[:, :, 10:20, 5:9, 1:3])


def layout(photometric, planar=0):
    return Layout("1.2.840.10008.1.2.1", 1, 2, 3, 1, 8, 8, 7, False, photometric, planar, True, False)


def test_uncompressed_colours():
    rgb = [[[255, 0, 0], [0, 0, 255]]]
    assert colour_rows(bytes([255, 0, 0, 0, 0, 255]), layout("RGB"), 1).tolist() == rgb
    assert colour_rows(bytes([255, 0, 0, 0, 0, 255]), layout("RGB", 1), 1).tolist() == rgb
    # ITU-R BT.601: red is 76, 85, 255.
    red = colour_rows(bytes([76, 85, 255, 76, 85, 255]), layout("YBR_FULL"), 1)
    assert np.abs(red.astype(int) - [255, 0, 0]).max() <= 1
    shared = colour_rows(bytes([76, 76, 85, 255]), layout("YBR_FULL_422"), 1)
    np.testing.assert_array_equal(shared, red)


@pytest.mark.parametrize("vr", ["OB", "OW"])
@pytest.mark.parametrize("samples", [1, 3])
def test_eight_bits_in_a_big_endian_file_lie_as_their_vr_says(tmp_path, vr, samples):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = UltrasoundMultiFrameImageStorage, "1.2.3", "US"
    # Frames of an odd size: of words of two bytes some lie in two frames.
    made.NumberOfFrames, made.Rows, made.Columns, made.SamplesPerPixel = 3, 5, 7, samples
    made.PhotometricInterpretation = "RGB" if samples > 1 else "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.FrameTime, made.FrameIncrementPointer = 40, 0x00181063
    if samples > 1:
        made.PlanarConfiguration = 0
    made.add_new("PixelData", vr, np.random.default_rng(0).bytes(5 * 7 * 3 * samples) + b"\0")
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    wanted = pydicom.dcmread(tmp_path / "a.dcm").pixel_array[:, None]
    stack = scan(tmp_path / "a.dcm").select()
    np.testing.assert_array_equal(whole(stack), wanted)
    part = [(1, 3), (0, 1), (2, 5), (1, 6)]
    np.testing.assert_array_equal(
        stack.read([*part, (0, samples)] if samples > 1 else part), wanted[1:3, :, 2:5, 1:6]
    )


def test_mosaic_is_one_stack_of_its_slices(data, reference):
    (stack,) = scan(data / "mr_fmri_siemens_mosaic").stacks
    expected = reference["mr_fmri_siemens_mosaic"]["nibabel_mosaic"]
    assert (stack.problem, stack.shape) == (None, (2, 5, 72, 72))
    values, grid = whole(stack), stack.grid
    assert [v.mean() for v in values] == pytest.approx([row["mean"] for row in expected])
    assert (grid.x_mm[0], grid.y_mm[0], grid.z_mm) == (-108.0, -108.0, (16.0, 28.0, 40.0, 52.0, 64.0))
    assert grid.time_ms == (0.0, 2435.0)
    part = [(1, 2), (3, 5), (7, 9), (0, 4)]
    np.testing.assert_array_equal(stack.read(part), values[1:2, 3:5, 7:9, 0:4])


def test_a_damaged_stream_costs_a_frame_and_not_the_next(data):
    codec = CODECS["1.2.840.10008.1.2.4.80"]
    with pytest.raises(child.DecodeError):
        children.decode_frame(codec, b"\xff\xd8 nothing", SHAPE)
    stack = scan(data / "pet_ac_ge_perslice_slope_jpegls").select()
    box = [(0, 1), (0, 2), (0, 128), (0, 128)]
    values = stack.read(box)
    os.environ["CHUNKMED_DECODE"] = "inline"
    try:
        np.testing.assert_array_equal(stack.read(box), values)
    finally:
        del os.environ["CHUNKMED_DECODE"]


def rle(side, value):
    """Return an RLE frame of one value, 16 bits; rows of an even number of bytes."""
    run = bytes([257 - side, 0]) * side  # replicate: the high byte, then the low one
    low = bytes([257 - side, value]) * side
    return struct.pack("<16I", 2, 64, 64 + len(run), *[0] * 13) + run + low


def test_two_frames_are_on_their_way_and_come_back_in_order():
    codec, sides = CODECS["1.2.840.10008.1.2.5"], [8, 128, 8, 8, 64, 128, 16, 120]
    with children.decoding() as decoder:
        waiting = []
        for value, side in enumerate(sides, 1):
            decoder.send(codec, rle(side, value), Shape(side, side, 1, 16, False, False))
            waiting.append((value, side))
            if len(waiting) == 2:
                wanted, size = waiting.pop(0)
                assert np.array_equal(decoder.receive(), np.full((size, size), wanted))
        assert np.array_equal(decoder.receive(), np.full((sides[-1],) * 2, len(sides)))


def test_a_child_that_owes_an_answer_is_not_used_again():
    codec, shape = CODECS["1.2.840.10008.1.2.5"], Shape(8, 8, 1, 16, False, False)
    with pytest.raises(RuntimeError, match="reader"), children.decoding() as decoder:
        decoder.send(codec, rle(8, 1), shape)
        raise RuntimeError("the reader of the next frame")
    assert np.array_equal(children.decode_frame(codec, rle(8, 2), shape), np.full((8, 8), 2))


def test_the_frame_before_a_damaged_one_is_not_blamed():
    codec, shape = CODECS["1.2.840.10008.1.2.4.80"], Shape(8, 8, 1, 16, False, False)
    good = CODECS["1.2.840.10008.1.2.5"]
    with children.decoding() as decoder:
        decoder.send(good, rle(8, 5), shape)
        decoder.send(codec, b"\xff\xd8 nothing", shape)
        assert decoder.receive()[0, 0] == 5
        with pytest.raises(child.DecodeError):
            decoder.receive()


def test_a_killed_child_is_named_and_replaced():
    codec: Codec = CODECS["1.2.840.10008.1.2.5"]
    stream = struct.pack("<16I", 2, 64, 96, *[0] * 13) + bytes([129, 7] * 32).ljust(32, b"\0") * 2
    with pytest.raises(child.DecodeError):
        children.decode_frame(codec, stream, SHAPE)
    (one, *_) = children._POOL.idle
    one.process.kill()
    one.process.wait()
    with pytest.raises(child.DecodeError, match="killed"):
        children.decode_frame(codec, stream, SHAPE)
    assert one not in children._POOL.idle
    with pytest.raises(child.DecodeError, match=r"^(?!.*killed)"):
        children.decode_frame(codec, stream, SHAPE)


def test_frames_are_found_by_offset_table_and_walk(tmp_path):
    item = lambda body: struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body  # noqa: E731
    parts = [b"\xff\xd8aa", b"bb", b"\xff\xd8cc"]
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    for number, table in enumerate((b"", struct.pack("<II", 0, 22))):
        path = tmp_path / str(number)
        path.write_bytes(b"head" + item(table) + b"".join(map(item, parts)) + end)
        descriptor = os.open(path, os.O_RDONLY)
        identity = (str(path), path.stat().st_size, 0)
        frames = [encapsulated.compressed_frame(descriptor, identity, 4, 2, i) for i in (0, 1)]
        assert frames == [b"\xff\xd8aabb", b"\xff\xd8cc"]
        with pytest.raises(encapsulated.DamagedError):
            encapsulated.compressed_frame(descriptor, identity, 4, 4, 0)
        os.close(descriptor)
