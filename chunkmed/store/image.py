"""Image nodes of a store: the image itself and each label image, with coordinates and attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chunkmed.coords import CHANNEL, coordinates
from chunkmed.errors import InputError, StoreError
from chunkmed.provenance import versions
from chunkmed.store import files, ngff
from chunkmed.store.arrays import ArrayWriter, StoredArray, create_array, open_array
from chunkmed.store.commit import Staging, repair, writing
from chunkmed.store.layout import layout_of
from chunkmed.store.listing import consolidate, label_names
from chunkmed.store.manifest import MANIFEST, Manifest, checksums
from chunkmed.store.metadata import coordinate_array, decode_coordinate, group
from chunkmed.store.naming import check_name
from chunkmed.store.pyramid import Level
from chunkmed.store.sealed import damaged_metadata, dumps, read_sealed

__all__ = ["StoredImage", "array_path", "create_image", "is_store", "open_image", "place_of"]


#: How often a node is opened that is exchanged meanwhile.
_TRIES = 20


def array_path(level: int = 0) -> str:
    """Return the path of the voxels of a level below the node folder."""
    return f"{level}/image"


def place_of(array: StoredArray) -> tuple[Path, str | None, int] | None:
    """Return store, label image (None: the image itself) and level that an array of ours belongs to.

    None for an array that is no level of an image: scratch, and what others wrote.
    """
    folder, number = array.path.parents[1], array.path.parent.name
    if array.commit is None or array.path.name != "image" or not number.isdigit():
        return None
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


def create_image(
    staging: Staging,
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
        writers = [
            _create_level(
                staging, level, channels, dtype, attributes, None if level.number else trigger_time_ms
            )
            for level in levels
        ]
        own = {"version": versions()["chunkmed"], "commit": staging.fingerprint, **about}
        own["affine"] = levels[0].grid.affine.tolist()
        described = ngff.multiscales(
            [level.grid for level in levels], name, label=label, channels=channels > 0
        )
        root = group({"ome": described, "chunkmed": own})
        consolidate(staging.folder, root, sync=False)
        return writers


def _create_level(
    staging: Staging,
    level: Level,
    channels: int,
    dtype: Any,
    attributes: Mapping[str, Any],
    trigger_time_ms: Sequence[Sequence[float]] | None,
) -> ArrayWriter:
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
    return writer


def is_store(path: Path) -> bool:
    """Whether a path looks like an OME-Zarr store, or like what is left of one of ours."""
    repair(path, path)
    return (path / "zarr.json").is_file() or (path / ".zgroup").is_file() or (path / MANIFEST).is_file()


def open_image(store: Path, label: str | None = None, level: int = 0) -> StoredImage:
    """Return an image of a store, checked: committed, complete, metadata as it was written.

    Raises
    ------
    InputError
        ``no-level``.
    StoreError
        ``no-store``, ``no-label``, ``not-a-store``, ``uncommitted``, ``incomplete`` (naming what is
        missing) or ``damaged-metadata``.
    """
    folder = store if label is None else store / "labels" / check_name(label)
    for _ in range(_TRIES):
        before = _identity(folder)
        try:
            return _open(store, folder, label, level)
        except StoreError:
            # A writer may have put another node in its place between two looks.
            if _identity(folder) == before:
                raise
    return _open(store, folder, label, level)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open(store: Path, folder: Path, label: str | None, level: int) -> StoredImage:
    repair(folder, store)
    if not store.exists():
        raise no_store(store)
    if label is not None and not folder.is_dir():
        known = ", ".join(label_names(store)) or "none"
        raise StoreError(
            f"no label image {label!r}", kind="no-label", where=str(store), fix=f"it has: {known}"
        )
    about = _about(folder)
    manifest = Manifest.read(folder)
    _check_complete(folder, manifest, str(about["commit"]))
    return _read_image(folder, manifest, about, level)


def _about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = read_sealed(folder / "zarr.json")["attributes"]["chunkmed"]
        about["commit"]
    except (OSError, KeyError) as error:
        raise not_ours(folder, error) from error
    except StoreError as error:
        # Without our manifest beside it, it is somebody else's store, not a damaged one of ours.
        if (folder / MANIFEST).is_file():
            raise
        raise not_ours(folder, error) from error
    return about


def no_store(path: Path) -> StoreError:
    """Return the error for a path where nothing is."""
    return StoreError("no such store", kind="no-store", where=str(path), fix="check the path")


def not_ours(folder: Path, error: Exception) -> StoreError:
    """Return the error for a folder that chunkmed did not write."""
    return StoreError(
        "this is not a store that chunkmed wrote",
        kind="not-a-store",
        where=str(folder),
        why=f"its root group lacks {error}" if isinstance(error, KeyError) else "it has no manifest of ours",
        fix="convert the DICOM series again",
    )


def _check_complete(folder: Path, manifest: Manifest, commit: str) -> None:
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


def _read_image(folder: Path, manifest: Manifest, about: dict[str, Any], level: int) -> StoredImage:
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
    return StoredImage(array, coords, tuple(meta["dimension_names"]), attributes, about, levels)


def _read_coordinate(folder: Path, manifest: Manifest, path: str) -> tuple[Any, ...]:
    axis = json.loads(manifest.load(folder, f"{path}/zarr.json"))
    (chunk,) = [key for key in manifest.objects if key.startswith(f"{path}/c")]
    values = decode_coordinate(axis, manifest.load(folder, chunk))
    return tuple(axis.get("dimension_names") or ()), values, axis["attributes"]
