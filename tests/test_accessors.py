"""``image.cm`` as text and as a card in notebooks."""

from html.parser import HTMLParser

import numpy as np
from many_blocks import sourced

import chunkmed as cm
import chunkmed.accessors
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.grid import Grid

VALUES = np.zeros((3, 4, 6, 8), np.int16)
GRID = Grid((0.0, 3.0, 6.0, 9.0), tuple(np.arange(6) * 1.5), tuple(np.arange(8) * 1.5), (0.0, 40.0, 80.0))


class Cells(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.cells, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
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
