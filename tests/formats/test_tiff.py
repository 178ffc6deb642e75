"""TIFF stacks: every way to lie on disk, steps of OME and ImageJ, what is read, what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import tifffile
from formats.counting import counted

import chunkmed as cm
from chunkmed.errors import InputError, SourceError

VALUES = np.random.default_rng(0).integers(0, 60000, (6, 50, 70)).astype(np.uint16)
PART = (slice(1, 3), slice(3, 29), slice(10, 60))
FORMS = {
    "plain": {},
    "big": {"bigtiff": True},
    "other byte order": {"byteorder": ">"},
    "pages alone": {"metadata": None},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 32)},
    "lzw": {"compression": "lzw"},
    "deflate, differences": {"compression": "zlib", "predictor": True, "rowsperstrip": 7},
    "deflate, tiles": {"compression": "zlib", "tile": (16, 32)},
    "zstd": {"compression": "zstd"},
    "jpeg 2000": {"compression": "jpeg2000"},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file(tmp_path, form):
    tifffile.imwrite(tmp_path / "a.tif", VALUES, **FORMS[form])
    image = cm.open(tmp_path / "a.tif", spacing_mm=(2, 1, 1))
    assert image.dims == ("t", "z", "y", "x") and image.cm.spacing == {"z": 2.0, "y": 1.0, "x": 1.0}
    np.testing.assert_array_equal(image.values[0], VALUES)
    np.testing.assert_array_equal(image[(0, *PART)].values, VALUES[PART])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image)), image)


@pytest.fixture
def scan(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for z, values in enumerate(VALUES):
        # Of 7 to 12: by name, 10 comes before 7.
        tifffile.imwrite(folder / f"slice{z + 7}.tif", values)
    return folder


def test_a_pattern_is_a_stack_in_the_order_of_its_numbers(scan):
    image = cm.open(str(scan / "*.tif"), spacing_mm="6.5 um")
    np.testing.assert_array_equal(image.values[0], VALUES)
    assert image.cm.spacing == dict.fromkeys("zyx", 0.0065)
    listed = cm.open(sorted(scan.iterdir()), spacing_mm=1)
    assert listed.values[0, 0, 0, 0] == VALUES[3, 0, 0]
    table = cm.measure(image > 30000, image, ["count", "mean"])
    assert int(table["count"].sum()) == (VALUES > 30000).sum()


def test_a_box_reads_its_rows_of_its_slices(scan):
    image = cm.open(str(scan / "*.tif"), spacing_mm=1)
    reader = reader_of(image)
    with counted() as reads:
        np.testing.assert_array_equal(reader.read([(a.start, a.stop) for a in PART]), VALUES[PART])
    assert (reads.calls, reads.bytes) == (2, 2 * 26 * 70 * 2)


def test_a_box_decodes_the_tiles_it_touches(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VALUES, tile=(16, 32), compression="zlib")
    reader = reader_of(cm.open(tmp_path / "a.tif", spacing_mm=1))
    with counted() as reads:
        reader.read([(2, 3), (17, 31), (33, 64)])
    assert reads.calls == 1 and reads.bytes < 16 * 32 * 2 * 1.1


def reader_of(image):
    from chunkmed.graph.evaluate import walk
    from chunkmed.graph.lift import lift

    return next(node.reader for node in walk([lift(image).node]) if not node.inputs)


def test_steps_of_imagej(tmp_path):
    values = np.zeros((2, 3, 2, 20, 30), np.uint8)
    values[:, :, 1] = 7
    about = {"axes": "TZCYX", "spacing": 2, "unit": "um", "finterval": 0.04}
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, metadata=about, resolution=(4, 4))
    image = cm.open(tmp_path / "a.tif", channel=1)
    assert image.shape == (2, 3, 20, 30) and (image == 7).all()
    assert image.cm.spacing == {"z": 0.002, "y": 0.00025, "x": 0.00025}
    assert image.t.values.tolist() == [0.0, 40.0]
    with pytest.raises(InputError) as refused:
        cm.open(tmp_path / "a.tif")
    assert refused.value.kind == "no-channel"


def test_steps_of_ome(tmp_path):
    about = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.5,
        "PhysicalSizeZ": 2,
        "PhysicalSizeZUnit": "mm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", VALUES, ome=True, metadata=about)
    image = cm.open(tmp_path / "a.ome.tif")
    assert image.cm.spacing == {"z": 2.0, "y": 0.0005, "x": 0.0005}
    # What the user says goes first.
    assert cm.open(tmp_path / "a.ome.tif", spacing_mm=3).cm.spacing == dict.fromkeys("zyx", 3.0)


def test_colours(tmp_path):
    colour = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    for number, more in enumerate(
        ({}, {"compression": "zlib", "rowsperstrip": 8}, {"planarconfig": "separate"})
    ):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(
            path, colour if number < 2 else np.moveaxis(colour, -1, 0), photometric="rgb", **more
        )
        if number < 2:
            np.testing.assert_array_equal(cm.open(path, spacing_mm=1).values[0, 0], colour)
        np.testing.assert_array_equal(cm.open(path, spacing_mm=1, channel=1).values[0, 0], colour[..., 1])
    apart = {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"}
    tifffile.imwrite(tmp_path / "apart.tif", np.moveaxis(colour, -1, 0), **apart)
    with pytest.raises(SourceError) as refused:
        cm.open(tmp_path / "apart.tif", spacing_mm=1, channel=0)
    assert refused.value.kind == "bad-shape"


def test_what_is_refused(scan, tmp_path):
    (tmp_path / "empty.tif").write_bytes(b"")
    (tmp_path / "junk.tif").write_bytes(b"II*\0" + bytes(range(200)))
    raw = (scan / "slice7.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(raw[: len(raw) // 2])
    cases = {
        "not-tiff": ("empty.tif", "junk.tif"),
        "truncated-file": ("cut.tif",),
        "no-such-path": ("gone*.tif",),
    }
    for kind, names in cases.items():
        for name in names:
            with pytest.raises(SourceError) as refused:
                cm.open(str(tmp_path / name), spacing_mm=1)
            assert refused.value.kind == kind
    with pytest.raises(InputError) as refused:
        cm.open(scan / "slice7.tif")
    assert refused.value.kind == "no-spacing"
    tifffile.imwrite(scan / "slice9.tif", VALUES[0, :30])
    with pytest.raises(SourceError, match=r"slice9\.tif") as refused:
        cm.open(str(scan / "*.tif"), spacing_mm=1)
    assert refused.value.kind == "unequal-slices"


def test_damage_of_a_page_names_it(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VALUES, compression="zlib")
    raw = bytearray((tmp_path / "a.tif").read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 20] = bytes(20)
    (tmp_path / "a.tif").write_bytes(raw)
    with pytest.raises(SourceError, match=r"a\.tif, page \d") as refused:
        cm.open(tmp_path / "a.tif", spacing_mm=1).compute()
    assert refused.value.kind == "damaged-file"


def test_a_file_that_changed_is_refused(scan):
    image = cm.open(str(scan / "*.tif"), spacing_mm=1)
    tifffile.imwrite(scan / "slice8.tif", VALUES[0], compression="zlib")
    with pytest.raises(SourceError, match=r"slice8\.tif") as refused:
        image.compute()
    assert refused.value.kind == "file-changed"
