"""Image nodes of a store: the image itself and each label image, with coordinates and attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.coords import CHANNEL, coordinates
from chunkmed.errors import InputError, StoreError
from chunkmed.provenance import versions
from chunkmed.store import files, ngff
from chunkmed.store.answers import NO_ANSWER
from chunkmed.store.arrays import ArrayWriter, StoredArray, create_array, open_array
from chunkmed.store.attempts import Attempt
from chunkmed.store.commit import Staging, writing
from chunkmed.store.layout import layout_of
from chunkmed.store.listing import consolidated
from chunkmed.store.manifest import MANIFEST, Manifest, checksums
from chunkmed.store.metadata import coordinate_array, decode_coordinate, group
from chunkmed.store.nodes import identity, node_of, not_ours
from chunkmed.store.place import ObjectPath, Place
from chunkmed.store.pointer import store_of
from chunkmed.store.pyramid import Level
from chunkmed.store.sealed import damaged_metadata, dumps, read_sealed, write_sealed

__all__ = ["StoredImage", "array_path", "create_image", "open_image", "place_of"]


#: How often a node is opened that is exchanged meanwhile.
_TRIES = 20


def array_path(level: int = 0) -> str:
    """Return the path of the voxels of a level below the node folder."""
    return f"{level}/image"


def place_of(array: StoredArray) -> tuple[Place, str | None, int] | None:
    """Return store, label image (None: the image itself) and level that an array of ours belongs to.

    None for an array that is no level of an image: scratch, and what others wrote.
    """
    folder, number = array.path.parent.parent, array.path.parent.name
    if array.commit is None or array.path.name != "image" or not number.isdigit():
        return None
    if isinstance(folder, ObjectPath):
        found = store_of(folder)
        return None if found is None else (*found, int(number))
    if not (folder / MANIFEST).is_file():
        return None
    above = folder.parents[1]
    if folder.parent.name == "labels" and (above / MANIFEST).is_file():
        return above, folder.name, int(number)
    return folder, None, int(number)


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
    levels: int
    """Number of resolutions, the full one included."""
    name: str
    """What it was called when it was written."""


def create_image(
    staging: Staging | Attempt,
    levels: Sequence[Level],
    dtype: Any,
    *,
    channels: int = 0,
    name: str,
    attributes: Mapping[str, Any],
    about: Mapping[str, Any],
    trigger_time_ms: Sequence[Sequence[float]] | None = None,
    label: bool = False,
) -> list[ArrayWriter]:
    """Write everything of an image but its voxels; return the writers for those, one per level.

    With ``channels`` the second axis of the arrays holds so many.
    """
    with writing(staging.target):
        metadata: dict[str, bytes] = {}
        writers = []
        for level in levels:
            times = None if level.number else trigger_time_ms
            writers.append(_create_level(staging, level, channels, dtype, attributes, times, metadata))
        own = {"version": versions()["chunkmed"], "commit": staging.fingerprint, **about}
        own["affine"] = levels[0].grid.affine.tolist()
        described = ngff.multiscales(
            [level.grid for level in levels], name, label=label, channels=channels > 0
        )
        nodes = {path: json.loads(raw) for path, raw in metadata.items()}
        root = consolidated(group({"ome": described, "chunkmed": own}), nodes)
        write_sealed(staging.folder / "zarr.json", root, sync=False)
        return writers


def _create_level(
    staging: Staging | Attempt,
    level: Level,
    channels: int,
    dtype: Any,
    attributes: Mapping[str, Any],
    trigger_time_ms: Sequence[Sequence[float]] | None,
    metadata: dict[str, bytes],
) -> ArrayWriter:
    """Write a level but its voxels; add the metadata of its nodes by their paths."""
    grid, number = level.grid, level.number
    coords = coordinates(grid, trigger_time_ms)
    described = {**attributes, "coordinates": " ".join(key for key in coords if key not in grid.dims)}
    shape = (grid.shape[0], *([channels] if channels else []), *grid.shape[1:])
    writer, meta = create_array(
        staging.folder / array_path(number),
        shape,
        dtype,
        commit=staging.fingerprint,
        dims=(grid.dims[0], *([CHANNEL] if channels else []), *grid.dims[1:]),
        attributes=described,
        layout=layout_of(shape, level.parts),
    )
    small = {f"{array_path(number)}/zarr.json": meta, f"{number}/zarr.json": dumps(group({}))}
    for key, (dims, values, about_axis) in coords.items():
        names = [dims] if isinstance(dims, str) else list(dims)
        axis, chunk, raw = coordinate_array(np.asarray(values), names, about_axis)
        small |= {f"{number}/{key}/zarr.json": dumps(axis), f"{number}/{key}/{chunk}": raw}
    for path, raw in small.items():
        files.make_folder((staging.folder / path).parent)
        files.write(staging.folder / path, [raw])
    staging.objects |= checksums(small)
    ending = "/zarr.json"
    metadata |= {key.removesuffix(ending): raw for key, raw in small.items() if key.endswith(ending)}
    return writer


def open_image(store: Place, label: str | None = None, level: int = 0) -> StoredImage:
    """Return an image of a store, checked: committed, complete, metadata as it was written.

    Raises
    ------
    InputError
        ``no-level``.
    StoreError
        ``no-store``, ``no-label``, ``not-a-store``, ``uncommitted``, ``incomplete`` (naming what is
        missing) or ``damaged-metadata``.
    """
    for _ in range(_TRIES):
        before = identity(store, label)
        try:
            return _open(node_of(store, label), level)
        except StoreError as error:
            # A writer may have put another node in its place between two looks.
            if error.kind in NO_ANSWER or identity(store, label) == before:
                raise
    return _open(node_of(store, label), level)


def _open(folder: Place, level: int) -> StoredImage:
    about, name = _about(folder)
    manifest = Manifest.read(folder)
    _check_complete(folder, manifest, str(about["commit"]))
    return _read_image(folder, manifest, about, level, name)


def _about(folder: Place) -> tuple[dict[str, Any], str]:
    """Return the ``chunkmed`` attributes of an image, and its name."""
    try:
        attributes: dict[str, Any] = read_sealed(folder / "zarr.json")["attributes"]
        about: dict[str, Any] = attributes["chunkmed"]
        about["commit"]
    except (OSError, KeyError) as error:
        raise not_ours(folder, error) from error
    except StoreError as error:
        if error.kind in NO_ANSWER:
            raise
        # Without our manifest beside it, it is somebody else's store, not a damaged one of ours.
        if (folder / MANIFEST).is_file():
            raise
        raise not_ours(folder, error) from error
    return about, str(attributes["ome"]["multiscales"][0]["name"])


def _check_complete(folder: Place, manifest: Manifest, commit: str) -> None:
    if manifest.commit != commit:
        raise damaged_metadata(folder / MANIFEST, "manifest and root group are of different writes")
    missing = list(manifest.missing(folder))
    if missing:
        first = ", ".join(f"{item.key} ({item.why})" for item in missing[:5])
        raise StoreError(
            "the store is incomplete",
            kind="incomplete",
            where=str(folder),
            why=f"{len(missing)} of {len(manifest.objects)} objects: {first}",
            fix="convert or save again",
        )


def _read_image(
    folder: Place, manifest: Manifest, about: dict[str, Any], level: int, name: str
) -> StoredImage:
    levels = len({key.split("/")[0] for key in manifest.objects if key.endswith("/image/zarr.json")})
    if not -levels <= level < levels:
        raise InputError(
            f"there is no level {level}",
            kind="no-level",
            where=str(folder),
            fix=f"it has the levels 0 to {levels - 1}",
        )
    level %= levels
    meta = json.loads(manifest.load(folder, f"{array_path(level)}/zarr.json"))
    attributes = {key: value for key, value in meta["attributes"].items() if key != "coordinates"}
    below = [key.split("/") for key in manifest.objects if key.startswith(f"{level}/")]
    names = sorted({parts[1] for parts in below} - {"image", "zarr.json"})
    coords = {name: _read_coordinate(folder, manifest, f"{level}/{name}") for name in names}
    array = open_array(folder / array_path(level), str(about["commit"]))
    return StoredImage(array, coords, tuple(meta["dimension_names"]), attributes, about, levels, name)


def _read_coordinate(folder: Place, manifest: Manifest, path: str) -> tuple[Any, ...]:
    axis = json.loads(manifest.load(folder, f"{path}/zarr.json"))
    (chunk,) = [key for key in manifest.objects if key.startswith(f"{path}/c")]
    values = decode_coordinate(axis, manifest.load(folder, chunk))
    return tuple(axis.get("dimension_names") or ()), values, axis["attributes"]
