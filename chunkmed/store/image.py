"""Image nodes of a store: the image itself and each label image, with coordinates and attributes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from chunkmed.coords import coordinates
from chunkmed.errors import StoreError
from chunkmed.grid import Grid
from chunkmed.provenance import versions
from chunkmed.store import ngff
from chunkmed.store.arrays import ArrayWriter, StoredArray, create_array, open_array
from chunkmed.store.commit import check_name, replace_json

__all__ = [
    "StoredImage",
    "append_history",
    "create_image",
    "is_store",
    "label_names",
    "list_label",
    "open_image",
]


@dataclass(frozen=True)
class StoredImage:
    """What a store says of one image."""

    array: StoredArray
    coords: dict[str, Any]
    """xarray coordinates: name -> (dims, values, attributes)."""
    dims: tuple[str, ...]
    attributes: dict[str, Any]
    """Attributes of the image itself: units, modality, padding value ..."""
    about: dict[str, Any]
    """The ``chunkmed`` attributes: versions, history, assumptions, commit."""


def create_image(
    folder: Path,
    grid: Grid,
    dtype: Any,
    *,
    name: str,
    attributes: Mapping[str, Any],
    about: Mapping[str, Any],
    trigger_time_ms: Sequence[Sequence[float]] | None = None,
    label: bool = False,
) -> ArrayWriter:
    """Write everything of an image but its voxels into an empty folder; return the writer."""
    coords = coordinates(grid, trigger_time_ms)
    extra = " ".join(key for key in coords if key not in grid.dims)
    own = {"version": versions()["chunkmed"], "commit": secrets.token_hex(16), **about}
    own["affine"] = grid.affine.tolist()
    root = zarr.open_group(str(folder), mode="a", zarr_format=3)
    root.attrs.update({"ome": ngff.multiscales(grid, name, label=label), "chunkmed": own})
    level = root.create_group("0")
    for key, (dims, values, about_axis) in coords.items():
        _write_coordinate(level, key, dims, np.asarray(values), about_axis)
    path = folder / "0" / "image"
    described = {**attributes, "coordinates": extra}
    writer = create_array(path, grid.shape, dtype, dims=grid.dims, attributes=described)
    consolidate(folder)
    return writer


def _write_coordinate(level: Any, name: str, dims: Any, values: Any, about: Mapping[str, Any]) -> None:
    names = [dims] if isinstance(dims, str) else list(dims)
    array = level.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=values.shape or "auto",
        dimension_names=names or None,
        attributes=dict(about),
        compressors=None,
    )
    array[...] = values


def is_store(path: Path) -> bool:
    """Whether a path looks like an OME-Zarr store."""
    return (path / "zarr.json").is_file() or (path / ".zgroup").is_file()


def open_image(store: Path, label: str | None = None) -> StoredImage:
    """Return an image of a store.

    Raises
    ------
    StoreError
        If there is no such store or label image, or chunkmed did not write it.
    """
    folder = store if label is None else store / "labels" / check_name(label)
    about, level = _open_group(store, folder, label)
    image = level["image"]
    dims = tuple(str(dim) for dim in image.metadata.dimension_names)
    attributes = {key: value for key, value in dict(image.attrs).items() if key != "coordinates"}
    coords = {
        name: (tuple(array.metadata.dimension_names or ()), np.asarray(array[...]), dict(array.attrs))
        for name, array in level.arrays()
        if name != "image"
    }
    array = open_array(folder / "0" / "image", str(about["commit"]))
    return StoredImage(array, coords, dims, attributes, about)


def _open_group(store: Path, folder: Path, label: str | None) -> tuple[dict[str, Any], Any]:
    if not store.exists():
        raise StoreError("no such store", kind="no-store", where=str(store), fix="check the path")
    if label is not None and not is_store(folder):
        known = ", ".join(label_names(store)) or "none"
        raise StoreError(
            f"no label image {label!r}", kind="no-label", where=str(store), fix=f"it has: {known}"
        )
    try:
        root = zarr.open_group(str(folder), mode="r", zarr_format=3, use_consolidated=False)
        about: Any = root.attrs["chunkmed"]
        return dict(about), root["0"]
    except (KeyError, OSError, ValueError, TypeError) as error:
        raise StoreError(
            "this is not a store that chunkmed wrote",
            kind="not-a-store",
            where=str(store),
            why=f"its root group lacks {error}" if isinstance(error, KeyError) else str(error),
            fix="convert the DICOM series again",
        ) from error


def label_names(store: Path) -> list[str]:
    """Return the names of the label images of a store."""
    listing = store / "labels" / "zarr.json"
    if not listing.is_file():
        return []
    names: list[str] = json.loads(listing.read_text())["attributes"]["ome"]["labels"]
    return names


def list_label(store: Path, name: str) -> None:
    """Name a label image in the listing: the last step of saving it."""
    names = sorted({*label_names(store), check_name(name)})
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": ngff.labels_metadata(names)},
    }
    replace_json(store / "labels" / "zarr.json", json.dumps(group, indent=2))
    consolidate(store)


def append_history(store: Path, record: Mapping[str, Any]) -> None:
    """Add one record to the history of a store."""
    path = store / "zarr.json"
    group = json.loads(path.read_text())
    group["attributes"]["chunkmed"].setdefault("history", []).append(dict(record))
    replace_json(path, json.dumps(group, indent=2))


def consolidate(store: Path) -> None:
    """Copy the metadata of every node into the root's, replaced in one step.

    xarray warns about stores without it. chunkmed itself reads the nodes' own metadata, so that a
    listing that lags behind after a crash misleads nobody.
    """
    root = json.loads((store / "zarr.json").read_text())
    root.pop("consolidated_metadata", None)
    nodes: dict[str, Any] = {}
    for path in sorted(store.rglob("zarr.json")):
        name = path.parent.relative_to(store).as_posix()
        if name != "." and ".partial-" not in name:
            nodes[name] = json.loads(path.read_text())
            nodes[name].pop("consolidated_metadata", None)
    root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": nodes}
    replace_json(store / "zarr.json", json.dumps(root, indent=2))
