"""Elementwise chains are made in pieces; the pieces of one image are the image."""

import numpy as np
import pytest
from many_blocks import sourced

from chunkmed.graph import elementwise
from chunkmed.graph.elementwise import chain_of, piece_bytes, run_chain
from chunkmed.graph.evaluate import evaluate
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Pointwise


@pytest.fixture
def chain():
    """(image - row) * image > 3, and what it takes."""
    import dask.array as da

    image = np.random.default_rng(0).normal(size=(3, 40, 50))
    whole, row = da.from_array(image, chunks=(1, 40, 50)), da.from_array(image[0, :1], chunks=(1, 50))
    node = lift(((whole - row) * 2 + 1.5) > 3).node
    parts = chain_of(node, {item.token for item in _below(node)})
    inside = {part.token for part in parts}
    given = {item.token: item for part in parts for item in part.inputs if item.token not in inside}
    arrays = {token: image if item.shape == image.shape else image[0, :1] for token, item in given.items()}
    return parts, arrays, ((image - image[0, :1]) * 2 + 1.5) > 3


def _below(node):
    return [each for item in node.inputs if isinstance(item, Pointwise) for each in (item, *_below(item))]


@pytest.mark.parametrize("piece", [1, 56, 400, 16000, 48000, 1 << 19])
def test_any_piece(monkeypatch, chain, piece):
    monkeypatch.setattr(elementwise, "_PIECE", piece)
    parts, arrays, expected = chain
    box = tuple((0, n) for n in expected.shape)
    np.testing.assert_array_equal(run_chain(parts, box, arrays), expected)


def test_memory_of_a_piece(monkeypatch, chain):
    monkeypatch.setattr(elementwise, "_PIECE", 8000)
    parts, _, expected = chain
    # A float64 and what is made of it.
    assert piece_bytes(parts, tuple((0, n) for n in expected.shape)) == 1000 * 16
    assert piece_bytes(parts, ((0, 1), (0, 2), (0, 5))) == 10 * 16


#: Functions of two arrays, as users write them; dask hands them on as operators and ufuncs.
WRITTEN = {
    "sum": lambda a, b: a + b - 3,
    "products": lambda a, b: (a * b) * 2 + a,
    "squares": lambda a, b: np.sqrt(abs((a**2 + b**2) + 0)),
    "powers": lambda a, b: (abs(a) ** 3 + b**2) ** 2,
    "ratio": lambda a, b: (a / (abs(b) + 1)) * 2,
    "whole parts": lambda a, b: (a // (abs(b) + 1)) % 3,
    "conditions": lambda a, b: ((a > 3) & (b <= 1)) | ~(a != b),
    "negative": lambda a, b: abs(-a) + -b,
    "other dtypes": lambda a, b: ((a.astype("float32") * b).astype("int16") + 1).astype("uint8"),
    "views in between": lambda a, b: np.real((a + b) * 1j + 2) + np.imag((a * b) * 1j + 3),
    "where": lambda a, b: np.where(a > b, a + 1, b * 2) + 1,
    "extremes": lambda a, b: np.maximum(np.minimum(a + 1, b), 0) - a,
}


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32", "float64", "bool"])
@pytest.mark.parametrize("name", WRITTEN)
def test_pieces_are_what_numpy_makes_of_all(monkeypatch, name, dtype):
    """What lies between two functions is in memory that is used again; inputs stay as they were."""
    if dtype == "bool" and name == "negative":
        pytest.skip("NumPy has no negative of truth values")
    rng = np.random.default_rng(1)
    arrays = [rng.integers(0, 2 if dtype == "bool" else 100, (3, 41, 50)).astype(dtype) for _ in range(2)]
    copies = [array.copy() for array in arrays]
    expected = WRITTEN[name](*arrays)
    whole = WRITTEN[name](*(sourced(array, (1, 41, 50)) for array in arrays))
    monkeypatch.setattr(elementwise, "_PIECE", 3000)
    node = lift(whole).node
    box = tuple((0, n) for n in expected.shape)
    (found,) = evaluate([(node, box)], {})
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
