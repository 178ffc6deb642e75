"""What a store holds, from its metadata and manifests: no voxel is read."""

from __future__ import annotations

import math
from typing import Any

from chunkmed.grid import mean_step
from chunkmed.store.image import StoredImage, array_path, open_image
from chunkmed.store.listing import label_names
from chunkmed.store.manifest import Manifest
from chunkmed.store.nodes import node_of
from chunkmed.store.place import Place

__all__ = ["describe"]


def describe(store: Place) -> dict[str, Any]:
    """Return the contents of a store as plain values, ready for JSON.

    Parameters
    ----------
    store : path
        A store that chunkmed wrote.

    Returns
    -------
    dict
        ``path``, ``node`` (the zarr group, for other readers), ``version``, ``commit``,
        ``assumptions``, ``history`` and ``image``; ``labels`` by name. An image has ``dims``,
        ``dtype``, ``attributes``, ``axes`` (name -> unit, first and last position) and ``levels``
        (shape, spacing, bytes uncompressed and stored, shards).

    Raises
    ------
    StoreError
        As :func:`chunkmed.store.open_image`.
    """
    image = open_image(store)
    labels = {name: _image(store, name, open_image(store, name)) for name in label_names(store)}
    return {
        "path": str(store),
        "node": str(node_of(store)),
        "version": image.about.get("version"),
        "commit": image.about["commit"],
        "series_key": image.about.get("series_key"),
        "image": _image(store, None, image),
        "labels": labels,
        "assumptions": image.about.get("assumptions", []),
        "history": image.about.get("history", []),
    }


def _image(store: Place, label: str | None, image: StoredImage) -> dict[str, Any]:
    stored = Manifest.read(node_of(store, label))
    levels = [image, *(open_image(store, label, level) for level in range(1, image.levels))]
    return {
        "dims": list(image.dims),
        "dtype": image.array.dtype.name,
        "attributes": image.attributes,
        "axes": {dim: _axis(image, dim) for dim in image.dims if dim in image.coords},
        "uniform": bool(image.coords["grid"][2].get("uniform", 1)),
        "levels": [_level(number, level, stored) for number, level in enumerate(levels)],
    }


def _axis(image: StoredImage, dim: str) -> dict[str, Any]:
    _, positions, about = image.coords[dim]
    return {"units": about.get("units", ""), "first": float(positions[0]), "last": float(positions[-1])}


def _level(number: int, level: StoredImage, stored: Manifest) -> dict[str, Any]:
    array, prefix = level.array, f"{array_path(number)}/c/"
    sizes = [size for key, (size, _) in stored.objects.items() if key.startswith(prefix)]
    return {
        "shape": list(array.shape),
        "spacing": [_step(level, dim) for dim in level.dims[-3:]],
        "shard": list(array.grid.shard),
        "chunk": list(array.grid.inner),
        "shards": len(sizes),
        "bytes": math.prod(array.shape) * array.dtype.itemsize,
        "stored_bytes": sum(sizes),
    }


def _step(level: StoredImage, dim: str) -> float | None:
    """Return the mean step along an axis, None where there is a single position."""
    positions = level.coords[dim][1]
    return mean_step(positions, 0.0) if len(positions) > 1 else None
