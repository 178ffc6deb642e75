"""Check every object of a store against what was committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chunkmed.errors import StoreError
from chunkmed.store.commit import repair
from chunkmed.store.image import no_store, not_ours
from chunkmed.store.listing import label_names, nodes_below
from chunkmed.store.manifest import MANIFEST, Damage, Manifest
from chunkmed.store.sealed import read_sealed

__all__ = ["verify"]


def verify(store: Path) -> list[Damage]:
    """Return everything in a store that is not byte for byte what was written.

    Every object of the image and of each label image is read and compared with its manifest:
    flipped bits, truncation, swapped and missing objects, stale copies.

    Raises
    ------
    StoreError
        ``no-store``, or ``not-a-store`` if it is not one of ours at all.
    """
    repair(store, store)
    if not store.exists():
        raise no_store(store)
    if not (store / MANIFEST).is_file() and not (store / "zarr.json").is_file():
        raise not_ours(store, FileNotFoundError(MANIFEST))
    found = list(_node(store, ""))
    for name in label_names(store):
        found += _node(store / "labels" / name, f"labels/{name}/")
    return found + list(_listing(store))


def _node(folder: Path, prefix: str) -> Iterator[Damage]:
    try:
        commit = read_sealed(folder / "zarr.json")["attributes"]["chunkmed"]["commit"]
    except (StoreError, OSError, KeyError) as error:
        yield Damage(f"{prefix}zarr.json", str(error))
        commit = None
    try:
        manifest = Manifest.read(folder)
    except StoreError as error:
        yield Damage(f"{prefix}{MANIFEST}", str(error))
        return
    if commit is not None and commit != manifest.commit:
        yield Damage(f"{prefix}{MANIFEST}", "it is of another write than the root group")
    for item in manifest.damaged(folder):
        yield Damage(f"{prefix}{item.key}", item.why)


def _listing(store: Path) -> Iterator[Damage]:
    """Yield what is wrong with the lists of label images and of all metadata."""
    names = label_names(store)
    try:
        listing = store / "labels" / "zarr.json"
        if (names or listing.exists()) and read_sealed(listing)["attributes"]["ome"]["labels"] != names:
            yield Damage("labels/zarr.json", "it does not list the label images that are there")
        root = read_sealed(store / "zarr.json")
        if root["consolidated_metadata"]["metadata"] != nodes_below(store):
            yield Damage("zarr.json", "its copy of the metadata is older than the metadata")
    except (StoreError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        yield Damage("labels/zarr.json", str(error))
