"""``image.cm`` as text and as a card in notebooks."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import xarray as xr
from many_blocks import small_blocks, sourced
from matplotlib.image import imread

import chunkmed as cm
import chunkmed.accessors
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.grid import Grid

VALUES = np.zeros((3, 4, 6, 8), np.int16)
GRID = Grid((0.0, 3.0, 6.0, 9.0), tuple(np.arange(6) * 1.5), tuple(np.arange(8) * 1.5), (0.0, 40.0, 80.0))


class Cells(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.cells, self.open, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


def test_the_card_says_where_the_image_lies_and_what_it_costs():
    image = attach(sourced(VALUES, (1, 2, 3, 4)), GRID, name="<heart>", attrs={"units": "HU"})
    cells = Cells(ndi.gaussian_filter(image, 1).cm._repr_html_())
    assert cells.open == []
    told = dict(zip(cells.cells[::2], cells.cells[1::2], strict=True))
    assert told["image"] == "<heart>"
    assert told["shape"] == "t 3, z 4, y 6, x 8"
    assert told["values"] == "int16, 1.15 kB, HU"
    assert told["spacing"] == "z 3 mm, y 1.5 mm, x 1.5 mm"
    assert told["times"] == "3, 40 ms apart"
    assert told["plan"].startswith("1 pass, ") and "peak memory" in told["plan"]
    # The peak depends on what the process holds at the moment.
    text = repr(ndi.gaussian_filter(image, 1).cm)
    assert all(value in text for name, value in told.items() if name != "plan")


def test_a_card_of_what_is_there_and_of_what_does_not_fit():
    assert "in memory" in repr(attach(VALUES, GRID).cm)
    image = attach(sourced(VALUES, (1, 2, 3, 4)), GRID)
    with cm.config(memory="10 MB", workers=1):
        assert "does not fit 10 MB" in repr(image.cm)
    assert "left to dask: 1" in repr(image.cumsum("t").cm)


def pictured(image):
    """The pixels of the card's picture, 0 to 1, and its size on the page; None where it has none."""
    images = Cells(image.cm._repr_html_()).images
    if not images:
        return None
    (found,) = images
    raw = base64.b64decode(found["src"].removeprefix("data:image/png;base64,"))
    return imread(io.BytesIO(raw)), (int(found["width"]), int(found["height"]))


def test_the_picture_of_a_stored_image_is_its_coarsest_level(tmp_path, monkeypatch):
    monkeypatch.setattr("chunkmed.store.pyramid._ENOUGH", 4)
    rising = np.broadcast_to(np.arange(8, dtype=np.int16) * 10, VALUES.shape).copy()
    with small_blocks((2, 2, 4)):
        image = cm.save(attach(rising, GRID), tmp_path / "a.zarr")
    with recording() as readings:
        pixels, size = pictured(image)
    coarse = cm.open(tmp_path / "a.zarr", level=-1)
    assert coarse.shape[1:] < image.shape[1:]
    assert {each.source for each in readings} == {lift(coarse).node.token}
    assert pixels.shape[:2] == coarse.shape[2:] and (np.diff(pixels, axis=1) > 0).all()
    assert size == (160, 120)


def test_pictures_are_upright():
    values = np.zeros(VALUES.shape, np.int16)
    values[:, :, 0, 0] = 100  # where y and x begin
    for direction, corner in (
        (((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0, 0)),
        (((-1, 0, 0), (0, -1, 0), (0, 0, 1)), (-1, -1)),
        (((1, 0, 0), (0, 0, -1), (0, 1, 0)), (-1, 0)),
        (((1, 0, 0), (0, 0, 1), (0, -1, 0)), (0, 0)),
        (((1, 0, 0), (0, 0, 1), (0, 1, 0)), (-1, 0)),
    ):
        grid = Grid(GRID.z_mm, GRID.y_mm, GRID.x_mm, GRID.time_ms, direction=direction)
        pixels, _ = pictured(attach(values, grid))
        assert pixels[corner] == pixels.max() and (pixels == pixels.max()).sum() == 1, direction


def test_what_takes_long_has_no_picture():
    image = attach(sourced(VALUES, (1, 2, 3, 4)), GRID)
    assert pictured(ndi.generic_filter(image, np.max, size=2) + 1) is not None
    with recording() as readings:
        for lazy in (image - image.mean(), image.cumsum("t"), ndi.label(image > 5)[0]):
            readings.clear()
            assert pictured(lazy) is None and not readings
    with recording() as readings:
        large = sourced(np.zeros((1, 3, 2000, 2000), "u1"), (1, 3, 2000, 2000))
        assert pictured(xr.DataArray(large, dims=tuple("tzyx"))) is None and not readings


def test_a_picture_that_cannot_be_read_is_said_so(tmp_path):
    image = cm.save(attach(VALUES, GRID), tmp_path / "<a>.zarr")
    for shard in (tmp_path / "<a>.zarr" / "0" / "image" / "c").rglob("*"):
        if shard.is_file():
            shard.write_bytes(shard.read_bytes()[:-9])
    cells = Cells(image.cm._repr_html_())
    assert not cells.images and cells.cells[0].startswith("no picture: ") and "<a>" in cells.cells[0]


def test_colours_and_other_arrays():
    colour = np.zeros((1, 1, 4, 5, 3), np.uint8)
    colour[..., 2] = 255
    pixels, _ = pictured(xr.DataArray(colour, dims=("t", "z", "y", "x", "c")))
    assert pixels[0, 0].tolist() == [0, 0, 1]
    assert pictured(xr.DataArray(np.zeros(4), dims="t")) is None
    assert pictured(xr.DataArray(np.full((3, 4), np.nan), dims=("y", "x")))[0].max() == 0
    assert "plan" in repr(xr.DataArray(np.zeros((2, 2, 2)), dims=("a", "b", "c")).chunk(1).cm)
