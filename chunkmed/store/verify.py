"""Check every object of a store against what was committed."""

from __future__ import annotations

from collections.abc import Iterator

from chunkmed.errors import StoreError
from chunkmed.store.answers import NO_ANSWER
from chunkmed.store.listing import label_names, listed_names, nodes_below
from chunkmed.store.manifest import MANIFEST, Damage, Manifest
from chunkmed.store.nodes import node_of, not_ours
from chunkmed.store.place import Place
from chunkmed.store.sealed import read_sealed

__all__ = ["verify"]


def verify(store: Place) -> list[Damage]:
    """Return everything in a store that is not byte for byte what was written.

    Every object of the image and of each label image is read and compared with its manifest:
    flipped bits, truncation, swapped and missing objects, stale copies.

    Raises
    ------
    StoreError
        ``no-store``, or ``not-a-store`` if it is not one of ours at all.
    """
    root = node_of(store)
    if not (root / MANIFEST).is_file() and not (root / "zarr.json").is_file():
        raise not_ours(root, FileNotFoundError(MANIFEST))
    found = list(_node(root, ""))
    for name in label_names(store):
        found += _node(node_of(store, name), f"labels/{name}/")
    return found + list(_listing(root, listed_names(store)))


def _node(folder: Place, prefix: str) -> Iterator[Damage]:
    try:
        commit = read_sealed(folder / "zarr.json")["attributes"]["chunkmed"]["commit"]
    except (StoreError, OSError, KeyError) as error:
        yield Damage(f"{prefix}zarr.json", _said(error))
        commit = None
    try:
        manifest = Manifest.read(folder)
    except StoreError as error:
        yield Damage(f"{prefix}{MANIFEST}", _said(error))
        return
    if commit is not None and commit != manifest.commit:
        yield Damage(f"{prefix}{MANIFEST}", "it is of another write than the root group")
    for item in manifest.damaged(folder):
        yield Damage(f"{prefix}{item.key}", item.why)


def _said(error: Exception) -> str:
    """Return what is wrong; an object store that does not answer has told nothing."""
    if isinstance(error, StoreError) and error.kind in NO_ANSWER:
        raise error
    return str(error)


def _listing(store: Place, names: list[str]) -> Iterator[Damage]:
    """Yield what is wrong with the lists of label images and of all metadata."""
    try:
        listing = store / "labels" / "zarr.json"
        if (names or listing.is_file()) and read_sealed(listing)["attributes"]["ome"]["labels"] != names:
            yield Damage("labels/zarr.json", "it does not list the label images that are there")
        root = read_sealed(store / "zarr.json")
        if root["consolidated_metadata"]["metadata"] != nodes_below(store, names):
            yield Damage("zarr.json", "its copy of the metadata is older than the metadata")
    except (StoreError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        yield Damage("labels/zarr.json", _said(error))
