"""NIfTI in and out: what others read of ours, what we read of theirs, what is refused and how."""

from __future__ import annotations

import gc
import gzip
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from formats.counting import counted
from many_blocks import little_memory, small_blocks, sourced

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.errors import InputError, SourceError, StoreError
from chunkmed.formats.nifti import NiftiReader
from chunkmed.grid import Grid

nib = pytest.importorskip("nibabel", reason="the test extra is not installed")

OBLIQUE = ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0))
SHAPE = (3, 5, 40, 33)


def grid_of(shape=SHAPE, **about):
    t, z, y, x = shape
    steps = {"z_mm": 2.5, "y_mm": 0.8984375, "x_mm": 0.7}
    axes = {
        n: tuple(np.round(np.arange(k) * s, 6)) for (n, s), k in zip(steps.items(), (z, y, x), strict=True)
    }
    usual = {"time_ms": tuple(69.47 * np.arange(t).round(6)), "direction": OBLIQUE}
    return Grid(**{**axes, **usual, "origin_mm": (-174.699997, 12.123457, 901.25), **about})


def image_of(dtype="int16", shape=SHAPE, **about):
    rng = np.random.default_rng(0)
    size = (*shape, *about.pop("channels", ()))
    values = rng.integers(0, 200, size).astype(dtype)
    return attach(sourced(values, (1, 2, 16, 16, 3)[: values.ndim]), grid_of(shape, **about))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint32", "int64", "float32", "float64"])
def test_a_round_trip_gives_the_image_back(tmp_path, dtype, name):
    image = image_of(dtype)
    with small_blocks((2, 16, 16)):
        path = cm.to_nifti(image, tmp_path / name)
    found = cm.open(path)
    assert found.dtype == (np.uint8 if dtype == "bool" else image.dtype)
    np.testing.assert_array_equal(found, image)
    assert found.cm.grid == image.cm.grid
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    theirs = nib.load(path)
    np.testing.assert_array_equal(np.asarray(theirs.dataobj).T, image.values)


GRIDS = {
    "one time point": {"shape": (1, 5, 40, 33)},
    "a slice": {"shape": (1, 1, 40, 33), "thickness_mm": 4.0},
    "b-values": {"time_dim": "b", "time_ms": (0.0, 500.0, 1000.0)},
    "unknown": {"known": False, "direction": np.eye(3).tolist(), "origin_mm": (0.0, 0.0, 0.0)},
    "times that count": {"time_known": False, "time_ms": (0.0, 1.0, 2.0)},
    "a start": {"time_ms": (12.5, 52.5, 92.5)},
    "left-handed": {"direction": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))},
    "patient axes": {"direction": np.eye(3).tolist(), "origin_mm": (0.0, 0.0, 0.0), "frame_key": "3f2a"},
}


@pytest.mark.filterwarnings("ignore:.*does not say how the image lies")
@pytest.mark.parametrize("case", GRIDS)
def test_grids_come_back(tmp_path, case):
    about = {**GRIDS[case]}
    about["direction"] = tuple(tuple(row) for row in about.get("direction", OBLIQUE))
    image = image_of(**about)
    found = cm.open(cm.to_nifti(image, tmp_path / "a.nii"))
    assert found.cm.grid == image.cm.grid and found.dims == image.dims


def test_the_affine_is_in_ras_with_sform_and_qform(tmp_path):
    image = image_of()
    header = nib.load(cm.to_nifti(image, tmp_path / "a.nii")).header
    wanted = np.diag([-1, -1, 1, 1]) @ image.cm.grid.affine
    for form, code in (header.get_sform(coded=True), header.get_qform(coded=True)):
        np.testing.assert_allclose(form, wanted, atol=2e-4)
        assert code == 1
    assert header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(header.get_zooms(), (0.7, 0.8984375, 2.5, 0.06947), rtol=1e-6)


def test_a_tilted_gantry_has_an_sform_only(tmp_path):
    lean = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.3), (0.0, 0.0, 1.0))
    image = image_of(direction=lean)
    header = nib.load(cm.to_nifti(image, tmp_path / "a.nii")).header
    assert (header["sform_code"], header["qform_code"]) == (1, 0)
    np.testing.assert_allclose(header.get_sform(), np.diag([-1, -1, 1, 1]) @ image.cm.grid.affine, atol=2e-4)
    assert cm.open(tmp_path / "a.nii").cm.grid == image.cm.grid


def test_simpleitk_and_nibabel_see_the_same_patient(tmp_path):
    sitk = pytest.importorskip("SimpleITK", reason="the test extra is not installed")
    image = image_of(shape=(1, 5, 40, 33))
    path = cm.to_nifti(image, tmp_path / "a.nii.gz")
    theirs, affine = sitk.ReadImage(str(path)), image.cm.grid.affine
    np.testing.assert_array_equal(sitk.GetArrayFromImage(theirs), image.values[0])
    for index in ((0, 0, 0), (7, 3, 2)):
        # Both count in LPS.
        np.testing.assert_allclose(
            theirs.TransformIndexToPhysicalPoint(index), (affine @ [*index, 1])[:3], atol=1e-3
        )


def test_an_extension_counts_only_while_the_header_says_the_same(tmp_path):
    image = image_of()
    ours = nib.load(cm.to_nifti(image, tmp_path / "a.nii"))
    moved = ours.affine.copy()
    moved[0, 3] += 10
    # nibabel copies extensions with a header.
    nib.save(nib.Nifti1Image(np.asarray(ours.dataobj), moved, ours.header), tmp_path / "moved.nii")
    assert len(nib.load(tmp_path / "moved.nii").header.extensions) == 1
    found = cm.open(tmp_path / "moved.nii").cm.grid
    assert found.origin_mm[0] == pytest.approx(image.cm.grid.origin_mm[0] - 10, abs=1e-4)
    nib.save(ours.slicer[:, :, 1:], tmp_path / "cut.nii")
    assert cm.open(tmp_path / "cut.nii").sizes["z"] == 4
    nib.save(nib.Nifti1Image(np.asarray(ours.dataobj), ours.affine, ours.header), tmp_path / "same.nii")
    assert cm.open(tmp_path / "same.nii").cm.grid == image.cm.grid


@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_their_files_of_both_versions_and_orders(tmp_path, kind, order):
    values = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    cls = getattr(nib, kind)
    header = cls.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    header.set_xyzt_units("micron", "msec")
    affine = np.array([[0, -2000, 0, 5000], [3000, 0, 0, 0], [0, 0, 4000, -1000], [0, 0, 0, 1.0]])
    nib.save(cls(values, affine, header), tmp_path / "a.nii")
    found = cm.open(tmp_path / "a.nii")
    np.testing.assert_array_equal(found.values[0], values.T)
    assert found.cm.spacing == {"z": 4.0, "y": 2.0, "x": 3.0}
    np.testing.assert_allclose(found.cm.grid.affine[:3, 3], [-5, 0, -1])


def test_a_qform_counts_where_there_is_no_sform(tmp_path):
    affine = np.diag([-0.7, 0.9, -2.5, 1])
    affine[:3, 3] = (1, 2, 3)
    theirs = nib.Nifti1Image(np.zeros((4, 3, 2), np.uint8), None)
    theirs.header.set_qform(affine, code=1)
    nib.save(theirs, tmp_path / "a.nii")
    np.testing.assert_allclose(
        cm.open(tmp_path / "a.nii").cm.grid.affine, np.diag([-1, -1, 1, 1]) @ affine, atol=1e-6
    )


SCALES = {
    ("int16", 1, -1024): "int32",
    ("uint8", 1, -5): "int16",
    ("uint8", 2, 0): "int16",
    ("int16", 0.5, 0): "float32",
    ("int32", 0.1, 3): "float64",
    ("float32", 2, 1): "float32",
    ("int16", 0, 7): "int16",
    ("int64", 3, 0): "float64",
}


@pytest.mark.parametrize("case", SCALES, ids=str)
def test_scales_never_wrap(tmp_path, case):
    dtype, slope, inter = case
    # As the header holds it.
    slope = float(np.float32(slope)) if slope != int(slope) else slope
    ends = np.iinfo(dtype) if dtype != "float32" else np.finfo("float32")
    edge = [ends.min, ends.max] if dtype != "float32" else [-1.5, 1e20]
    values = np.array([*edge, 0, 1], dtype).reshape(4, 1, 1)
    raw = _raw_nifti(values, slope, inter)
    (tmp_path / "a.nii").write_bytes(raw)
    found = cm.open(tmp_path / "a.nii")
    assert found.dtype == SCALES[case]
    exact = [
        int(v) * slope + inter if found.dtype.kind in "iu" else v * slope + inter
        for v in values.ravel().tolist()
    ]
    wanted = values.ravel() if slope == 0 else np.array(exact, found.dtype)
    np.testing.assert_array_equal(found.values.ravel(), wanted)


def _raw_nifti(values, slope=1.0, inter=0.0):
    """Return a file whose scale nibabel does not touch."""
    image = nib.Nifti1Image(values, np.eye(4), dtype=values.dtype)
    raw = bytearray(image.to_bytes())
    raw[112:120] = struct.pack("<ff", slope, inter)
    return bytes(raw)


def _header(tmp_path, **fields):
    """Write a small file with some fields of its header changed."""
    places = {"dim": (40, "8h"), "datatype": (70, "h"), "pixdim": (76, "8f"), "vox_offset": (108, "f")}
    places |= {"scl": (112, "2f"), "units": (123, "B"), "sform_code": (254, "h"), "srow": (280, "12f")}
    places |= {"magic": (344, "4s"), "qform_code": (252, "h")}
    raw = bytearray(nib.Nifti1Image(np.zeros((4, 3, 2), np.int16), np.eye(4)).to_bytes())
    for name, value in fields.items():
        at, form = places[name]
        raw[at : at + struct.calcsize("<" + form)] = struct.pack("<" + form, *np.atleast_1d(value).tolist())
    path = tmp_path / "a.nii"
    path.write_bytes(raw)
    return path


SHEAR = [1, 0.3, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]
BAD = {
    "bad-affine": {"srow": [np.nan] * 12},
    "bad-affine zero": {"srow": [0.0] * 12},
    "bad-affine flat": {"srow": [1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]},
    "sheared": {"srow": SHEAR},
    "not-nifti": {"magic": b"no!\0"},
    "two-files": {"magic": b"ni1\0"},
    "bad-shape": {"dim": [0, 4, 3, 2, 1, 1, 1, 1]},
    "bad-shape negative": {"dim": [3, -4, 3, 2, 1, 1, 1, 1]},
    "bad-shape five": {"dim": [5, 4, 3, 2, 1, 2, 1, 1]},
    "truncated-file": {"dim": [3, 4, 3, 200, 1, 1, 1, 1]},
    "unsupported-dtype": {"datatype": 32},
    "bad-offset": {"vox_offset": np.nan},
    "bad-rescale": {"scl": [2.0, np.nan]},
    "bad-units": {"units": 5},
}


@pytest.mark.parametrize("case", BAD)
def test_bad_headers_are_refused_by_name(tmp_path, case):
    path = _header(tmp_path, **BAD[case])
    with pytest.raises(SourceError) as refused:
        cm.open(path).compute()
    assert refused.value.kind == case.split()[0]
    assert "a.nii" in str(refused.value)


def test_shapes_that_no_file_holds_take_no_memory(tmp_path):
    raw = bytearray(nib.Nifti2Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).to_bytes())
    for t, x in ((2**50, 1), (1, 2**50), (1, 2**28)):
        raw[16:80] = struct.pack("<8q", 4, x, 1, 1, t, 1, 1, 1)
        (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(raw) + bytes(1 << 19)))
        with little_memory(1 << 30), pytest.raises(SourceError) as refused:
            cm.open(tmp_path / "a.nii.gz").compute()
        assert refused.value.kind in ("truncated-file", "bad-shape")


def test_a_header_that_is_good_is_read(tmp_path):
    # Else the refusals above would show nothing.
    assert cm.open(_header(tmp_path, srow=np.eye(4)[:3].ravel())).shape == (1, 2, 3, 4)


def test_every_truncation_is_an_error(tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (30, 20, 9)).astype(np.int16)
    for raw in (_raw_nifti(values), gzip.compress(_raw_nifti(values), 6)):
        path = tmp_path / "cut.nii.gz"
        for size in [0, 1, 100, 347, 351, *range(400, len(raw), len(raw) // 20), len(raw) - 1]:
            path.write_bytes(raw[:size])
            with pytest.raises(SourceError) as refused:
                cm.open(path).compute()
            assert refused.value.kind in ("truncated-file", "not-nifti")


def test_a_flipped_bit_of_a_gzip_file_is_found_at_its_end(tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (30, 20, 9)).astype(np.int16)
    raw = bytearray(gzip.compress(_raw_nifti(values), 6))
    for at in range(200, len(raw), 997):
        (tmp_path / "a.nii.gz").write_bytes(raw[:at] + bytes([raw[at] ^ 16]) + raw[at + 1 :])
        with pytest.raises(SourceError) as refused:
            cm.open(tmp_path / "a.nii.gz").compute()
        assert refused.value.kind in ("damaged-file", "truncated-file", "not-nifti", "bad-affine")


def test_opening_reads_the_header_and_a_box_its_rows(tmp_path):
    image = image_of(shape=(4, 20, 64, 64), time_ms=(0.0, 1.0, 2.0, 3.0))
    path = cm.to_nifti(image, tmp_path / "a.nii")
    with counted() as opening:
        cm.open(path)
    assert opening.bytes < 4096 and opening.bytes < path.stat().st_size / 50
    part = {"t": slice(2, 3), "z": slice(3, 5), "y": slice(10, 20), "x": slice(5, 9)}
    with counted() as box:
        values = NiftiReader(path).read([(each.start, each.stop) for each in part.values()])
    np.testing.assert_array_equal(values, image.isel(part).values)
    # Rows are read whole.
    assert (box.calls, box.bytes) == (1 + 2, 544 + 2 * 10 * 64 * 2)


def slices(start, stop):
    return [(0, 1), (start, stop), (0, 256), (0, 512)]


def test_a_gzip_file_is_decompressed_once_and_reached_from_near(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**15, (1, 24, 256, 512)).astype(np.int16)
    image = attach(sourced(values, (1, 8, 256, 256)), grid_of(values.shape, time_ms=(0.0,)))
    path = cm.to_nifti(image, tmp_path / "a.nii.gz")
    size = path.stat().st_size
    with counted() as opening:
        cm.open(path)
    assert opening.bytes < 100_000 < size / 20
    reader = NiftiReader(path)
    with counted() as first:
        np.testing.assert_array_equal(reader.read(slices(20, 22)), values[:, 20:22])
    assert 0.8 * size < first.bytes < size
    with counted() as again:
        np.testing.assert_array_equal(reader.read(slices(5, 6)), values[:, 5:6])
    # From the state that was kept within a megabyte before it.
    assert again.bytes < 0.25 * size
    reader = NiftiReader(path)
    with counted() as whole:
        np.testing.assert_array_equal(
            np.concatenate([reader.read(slices(z, z + 3)) for z in range(0, 24, 3)], 1), values
        )
    assert whole.bytes < 1.05 * size


@pytest.mark.parametrize("extra", [b"", b"\0" * 512, b"more than that"])
def test_gzip_files_of_several_members(tmp_path, extra):
    values = np.random.default_rng(0).integers(0, 99, (30, 20, 9)).astype(np.int16)
    raw = _raw_nifti(values)
    parts = [raw[:100], raw[100:5000], b"", raw[5000:]]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(map(gzip.compress, parts)) + extra)
    np.testing.assert_array_equal(cm.open(tmp_path / "a.nii.gz").values[0], values.T)


def test_readers_travel_and_notice_that_a_file_changed(tmp_path):
    image = image_of()
    for name in ("a.nii", "a.nii.gz"):
        path = cm.to_nifti(image, tmp_path / name)
        found = cm.open(path)
        copy = pickle.loads(pickle.dumps(found))
        np.testing.assert_array_equal(copy, image)
        cm.to_nifti(image + 1, path, overwrite=True)
        with pytest.raises(SourceError) as refused:
            pickle.loads(pickle.dumps(found)).compute()
        assert refused.value.kind == "file-changed"


def test_colours_are_rgb(tmp_path):
    image = image_of("uint8", (1, 2, 9, 7), channels=(3,))
    path = cm.to_nifti(image, tmp_path / "a.nii")
    assert nib.load(path).get_data_dtype() == np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    np.testing.assert_array_equal(cm.open(path), image)


def test_what_is_not_written(tmp_path):
    uneven = image_of(z_mm=(0.0, 1.0, 2.0, 5.0, 6.0))
    cases = {
        "non-uniform": lambda: cm.to_nifti(uneven, tmp_path / "a.nii"),
        "bad-dtype": lambda: cm.to_nifti(image_of("float16"), tmp_path / "a.nii"),
        "bad-name": lambda: cm.to_nifti(image_of(), tmp_path / "a.img"),
    }
    for kind, call in cases.items():
        with pytest.raises(InputError) as refused:
            call()
        assert refused.value.kind == kind
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(
        cm.open(cm.to_nifti(uneven, tmp_path / "a.nii", allow_irregular=True)).z, uneven.z
    )
    with pytest.raises(StoreError) as refused:
        cm.to_nifti(image_of(), tmp_path / "a.nii")
    assert refused.value.kind == "exists"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_failed_write_leaves_what_was_there(tmp_path, name):
    path = cm.to_nifti(image_of(), tmp_path / name)
    before = path.read_bytes()

    def failing(block):
        raise RuntimeError("stop")

    broken = image_of().copy(data=image_of().data.map_blocks(failing, dtype="int16"))
    with pytest.raises(RuntimeError, match="stop"):
        cm.to_nifti(broken, path, overwrite=True)
    assert path.read_bytes() == before and [e.name for e in tmp_path.iterdir()] == [name]


def test_a_full_disk_is_an_error_of_ours(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(StoreError, match="No space left") as refused:
        cm.to_nifti(image_of(), tmp_path / "a.nii")
    assert refused.value.kind == "unwritable" and not list(tmp_path.iterdir())


def test_uneven_times_are_warned_of(tmp_path):
    image = image_of(time_ms=(0.0, 10.0, 50.0))
    with pytest.warns(UserWarning, match="one step between time points"):
        cm.to_nifti(image, tmp_path / "a.nii")
    assert cm.open(tmp_path / "a.nii").t.values.tolist() == [0.0, 10.0, 50.0]


def test_a_side_above_32767_takes_version_2(tmp_path):
    image = image_of("uint8", (1, 1, 2, 40000), time_ms=(0.0,))
    path = cm.to_nifti(image, tmp_path / "a.nii")
    assert isinstance(nib.load(path), nib.Nifti2Image)
    np.testing.assert_array_equal(cm.open(path), image)
    assert cm.open(path).cm.grid == image.cm.grid


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_program_ends_without_a_word(tmp_path, name):
    image = cm.open(np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4), spacing_mm=(5.0, 1.0, 1.0))
    cm.to_nifti(image, tmp_path / name)
    script = f"import chunkmed as cm; image = cm.open({str(tmp_path / name)!r}); print(image.values.sum())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("276\n", "")


def test_files_are_closed_with_their_image(tmp_path):
    image = cm.open(np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4), spacing_mm=(5.0, 1.0, 1.0))
    before = set(Path("/proc/self/fd").iterdir())
    for name in ("a.nii", "a.nii.gz"):
        cm.to_nifti(image, tmp_path / name)
        assert cm.open(tmp_path / name).values.sum() == 276
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) <= before
