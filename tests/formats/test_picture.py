"""JPEG and PNG as imageio reads them: every kind of pixel, what is damaged, what is too large."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.errors import SourceError

GREY = np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (30, 40, 3)).astype(np.uint8)
SHAPES = {
    "grey.png": GREY,
    "deep.png": GREY.astype(np.uint16) * 200,
    "colour.png": COLOUR,
    "see-through.png": np.concatenate([COLOUR, COLOUR[..., :1]], axis=-1),
    "grey.bmp": GREY,
    "bits.png": GREY > 100,
}


@pytest.mark.parametrize("name", SHAPES)
def test_pixels_are_those_of_the_file(tmp_path, name):
    values = SHAPES[name]
    Image.fromarray(values).save(tmp_path / name)
    image = cm.imread(tmp_path / name)
    wanted = values.astype(np.uint8) * 255 if values.dtype == bool else values
    assert image.dims == ("y", "x", "c")[: values.ndim] and image.dtype == wanted.dtype
    np.testing.assert_array_equal(image, wanted)
    np.testing.assert_array_equal(image[3:7, 5:], wanted[3:7, 5:])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image)), wanted)


@pytest.mark.parametrize(("mode", "shape"), [("L", (30, 40)), ("RGB", (30, 40, 3)), ("CMYK", (30, 40, 3))])
def test_jpeg(tmp_path, mode, shape):
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "hand.jpg")
    with Image.open(tmp_path / "hand.jpg") as file:
        wanted = np.asarray(file if mode != "CMYK" else file.convert("RGB"))
    image = cm.imread(tmp_path / "hand.jpg")
    assert image.shape == shape
    np.testing.assert_array_equal(image, wanted)


def test_a_palette_is_looked_up(tmp_path):
    Image.fromarray(COLOUR).convert("P").save(tmp_path / "few.png")
    with Image.open(tmp_path / "few.png") as file:
        np.testing.assert_array_equal(cm.imread(tmp_path / "few.png"), file.convert("RGB"))


def test_it_goes_through_the_functions(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "hand.png")
    image = cm.imread(tmp_path / "hand.png")
    np.testing.assert_array_equal(ndi.histogram(image, 0, 255, 256), np.bincount(GREY.ravel(), minlength=256))
    assert int(ndi.label(image > 200)[1]) > 1


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg"])
def test_a_cut_file_is_an_error(tmp_path, name):
    Image.fromarray(COLOUR).save(tmp_path / name)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(SourceError) as told:
        cm.imread(tmp_path / name).compute()
    assert told.value.kind == "damaged-file" and str(tmp_path) not in str(told.value)


def test_a_bomb_is_refused_by_its_header(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "big.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(SourceError) as told:
        cm.imread(tmp_path / "big.png")
    assert told.value.kind == "too-large"
