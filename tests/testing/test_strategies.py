import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import chunkmed.testing.strategies as cst


@given(st.data())
def test_chunks_cover_the_image(data):
    image = data.draw(cst.images(ndim=3, max_side=9))
    chunks = data.draw(cst.chunkings(image.shape, 3))
    assert tuple(map(sum, chunks)) == image.shape
    assert all(len(c) >= min(3, n) for c, n in zip(chunks, image.shape, strict=True))
    assert all(min(c) > 0 for c in chunks)


@given(cst.images(ndim=2, dtypes=["int16"], max_side=5))
def test_images_keep_their_promises(image):
    assert image.dtype == np.int16 and image.ndim == 2 and max(image.shape) <= 5


@given(cst.structures(3), cst.border_modes())
def test_structures_are_symmetric_with_their_centre_set(structure, mode):
    assert structure.shape == (3, 3, 3) and structure[1, 1, 1]
    assert np.array_equal(structure, np.flip(structure))
    assert mode in cst.BORDER_MODES
