"""A stand-in for scipy.ndimage that sends every image, in random blocks, through chunkmed.ndimage.

scipy's tests call it as they call scipy: NumPy arrays go in and come out. In between images are dask
arrays of two blocks or more along every axis that is longer than 3, and results are computed.
"""

from __future__ import annotations

import functools
import inspect
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
from many_blocks import SmallChunks
from parity.scipys_halo import check_halo, watched

import chunkmed.ndimage as ndi
from chunkmed.graph.views import from_reader

__all__ = ["Calls", "random_chunks", "stand_in"]

#: Arguments that are images; the first one of every function is too.
IMAGES = ("input", "mask", "labels", "markers")
#: What scipy calls arrays that it fills.
FILLED = ("output", "distances", "indices")
#: These make structures, and take no image.
NO_IMAGE = ("generate_binary_structure", "iterate_structure")


@dataclass
class Calls:
    """What the tests called, and how images are cut for the test that runs now."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    names: list[str] = field(default_factory=list)
    """Functions that the test called, in order."""
    checked: int = 0
    """Calls whose reads were held against block and halo, in all tests."""
    counted: int = 0
    """Calls in all tests."""
    inside: bool = False

    def begin(self, test: str) -> None:
        """Start a test: its cuts depend on its name only."""
        self.rng, self.names, self.inside = np.random.default_rng(zlib.crc32(test.encode())), [], False


def random_chunks(shape: Sequence[int], rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    """Return blocks of uneven sizes, two or three along every axis longer than 3."""
    return tuple(_random_cut(int(n), rng) for n in shape)


def _random_cut(n: int, rng: np.random.Generator) -> tuple[int, ...]:
    most = min(2, n - 1)
    count = int(rng.integers(1 if n > 3 else 0, most + 1)) if most > 0 else 0
    places = np.sort(rng.choice(np.arange(1, n), count, replace=False)) if count else []
    return tuple(int(size) for size in np.diff([0, *places, n]))


def _lazy(array: np.ndarray, rng: np.random.Generator) -> da.Array:
    """Return an array in blocks: as a traced source, whose reads are seen, or as dask makes it."""
    chunks = random_chunks(array.shape, rng)
    if array.dtype.hasobject or rng.random() < 0.25:
        return da.from_array(array, chunks=chunks)
    return from_reader(SmallChunks(array.copy(), [2] * array.ndim), chunks)


def stand_in(calls: Calls) -> ModuleType:
    """Return the module that takes scipy.ndimage's place in scipy's tests."""
    module = ModuleType("scipy.ndimage")
    for name in dir(scipy.ndimage):
        value = getattr(scipy.ndimage, name)
        public = name in scipy.ndimage.__all__ and name not in NO_IMAGE
        setattr(module, name, _wrapped(name, value, calls) if public and callable(value) else value)
    return module


def _wrapped(name: str, reference: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    signature = inspect.signature(reference)

    @functools.wraps(reference)
    def function(*args: Any, **kwargs: Any) -> Any:
        ours = getattr(ndi, name, None)
        if calls.inside:  # a test's own function, called by a filter with what the filter works on
            lazy = any(isinstance(item, da.Array) for item in args)
            return (ours if lazy else reference)(*args, **kwargs)
        if ours is None:
            pytest.skip(f"not there yet: {name}")
        calls.names.append(name)
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError:
            return ours(*args, **kwargs)
        calls.inside = True
        try:
            return _called(name, ours, given, calls)
        finally:
            calls.inside = False

    return function


def _called(name: str, ours: Callable[..., Any], given: inspect.BoundArguments, calls: Calls) -> Any:
    arguments = given.arguments
    first = next(iter(arguments))
    ndim = np.ndim(arguments[first])
    for key in (first, *IMAGES):
        if isinstance(arguments.get(key), np.ndarray | list) and np.ndim(arguments[key]):
            arguments[key] = _lazy(np.asarray(arguments[key]), calls.rng)
    filled = {key: arguments[key] for key in FILLED if isinstance(arguments.get(key), np.ndarray)}
    for key, array in filled.items():
        arguments[key] = array.dtype if key == "output" else None
        if name in ("affine_transform", "geometric_transform") and arguments.get("output_shape") is None:
            arguments["output_shape"] = array.shape
    with watched() as readings:
        result = _computed(ours(*given.args, **given.kwargs))
    calls.counted += 1
    calls.checked += check_halo(name, given, ndim, readings)
    return _delivered(name, result, filled, arguments) if filled else result


def _computed(result: Any) -> Any:
    if isinstance(result, da.Array):
        return np.asarray(result.compute())
    if isinstance(result, tuple | list) and any(isinstance(item, da.Array) for item in result):
        return type(result)(_computed(item) for item in result)
    return result


def _delivered(name: str, result: Any, filled: dict[str, np.ndarray], arguments: dict[str, Any]) -> Any:
    """Fill the arrays that the test gave, and return what scipy returns beside them."""
    if "output" in filled:
        labels = name == "label"
        if labels and filled["output"].shape != result[0].shape:
            raise ValueError("output must have the shape of the input")
        _fill(filled["output"], result[0] if labels else result)
        return result[1] if labels else filled["output"]
    both = arguments.get("return_distances", True) and arguments.get("return_indices", False)
    wanted = [key for key in ("distances", "indices") if arguments.get(f"return_{key}", key == "distances")]
    parts = dict(zip(wanted, result if both else (result,), strict=True))
    for key, array in filled.items():
        if key not in parts:
            raise RuntimeError(f"{key} are not asked for")
        _fill(array, parts.pop(key))
    left = tuple(parts.values())
    return left[0] if len(left) == 1 else left or None


def _fill(target: np.ndarray, values: np.ndarray) -> None:
    if target.shape != values.shape:
        raise RuntimeError("output shape not correct")
    if target.dtype != values.dtype:
        raise RuntimeError(f"output is {target.dtype}, and must be {values.dtype}")
    target[...] = values
