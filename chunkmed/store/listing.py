"""What a store lists: its label images, and a copy of every node's metadata in the root's.

chunkmed itself reads the nodes' own metadata, so that a listing that lags behind after a crash
misleads nobody; others need it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chunkmed.errors import StoreError
from chunkmed.store import ngff
from chunkmed.store.answers import NO_ANSWER
from chunkmed.store.manifest import MANIFEST, Manifest
from chunkmed.store.metadata import group
from chunkmed.store.naming import is_final
from chunkmed.store.place import ObjectPath, Place
from chunkmed.store.pointer import Pointer
from chunkmed.store.sealed import open_sealed, read_sealed, sealed_bytes, write_sealed

__all__ = [
    "consolidated",
    "is_our_node",
    "is_unlisted",
    "is_whole",
    "label_names",
    "list_attempt",
    "list_label",
    "listed_names",
    "nodes_below",
]

#: How often a listing is made again that another writer has changed meanwhile.
_TRIES = 50
_READING_THREADS = 8


def label_names(store: Place) -> list[str]:
    """Return the names of the committed label images of a store."""
    if isinstance(store, ObjectPath):
        return sorted(Pointer.read(store).labels)
    try:
        entries = sorted(os.scandir(store / "labels"), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    final = [entry for entry in entries if is_final(entry.name)]
    return [entry.name for entry in final if (Path(entry.path) / MANIFEST).is_file()]


def list_label(store: Path, record: Mapping[str, Any]) -> None:
    """Name the label images in the listing and add to the history: the last step of saving one.

    Whoever calls holds the lock of the store.
    """
    listing = group({"ome": ngff.labels_metadata(label_names(store))})
    write_sealed(store / "labels" / "zarr.json", listing)
    root = read_sealed(store / "zarr.json")
    root["attributes"]["chunkmed"].setdefault("history", []).append(dict(record))
    # One file, in one step.
    write_sealed(store / "zarr.json", consolidated(root, nodes_below(store)))


def listed_names(store: Place) -> list[str]:
    """Return the names of the committed label images as other readers find them, below ``labels``."""
    if isinstance(store, ObjectPath):
        return sorted(Pointer.read(store).labels.values())
    return label_names(store)


def list_attempt(store: ObjectPath, record: Mapping[str, Any]) -> None:
    """List the label images of a store on an object store, as :func:`list_label` does."""
    root = Pointer.read(store).node()
    if root is None:
        return
    _replace(
        root / "labels" / "zarr.json", lambda _: group({"ome": ngff.labels_metadata(listed_names(store))})
    )

    def added(content: dict[str, Any]) -> dict[str, Any]:
        content["attributes"]["chunkmed"].setdefault("history", []).append(dict(record))
        return consolidated(content, nodes_below(root, listed_names(store)))

    _replace(root / "zarr.json", added)


def _replace(place: ObjectPath, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write sealed JSON that depends on what is there; again if another writer came between."""
    for _ in range(_TRIES):
        try:
            raw, tag = place.bucket.get_tagged(place.key)
            content = open_sealed(raw, place)
        except FileNotFoundError:
            content, tag = {}, None
        if place.write_if(sealed_bytes(change(content)), tag):
            return
    raise StoreError(
        "a listing cannot be written",
        kind="unwritable",
        where=str(place),
        why="other writers change it again and again",
        kept="the label image is committed",
        fix="save it again: only the listing is left to do",
    )


def is_unlisted(label: Place, commit: str) -> bool:
    """Whether a label image is committed, but the root does not know this write of it."""
    store = label.parent.parent
    try:
        if Manifest.read(label).commit != commit:
            return False
        copies = read_sealed(store / "zarr.json")["consolidated_metadata"]["metadata"]
    except (StoreError, OSError, KeyError) as error:
        if isinstance(error, StoreError) and error.kind in NO_ANSWER:
            raise
        return False
    known = copies.get(f"labels/{label.name}", {}).get("attributes", {}).get("chunkmed", {})
    return bool(known.get("commit") != commit)


def is_whole(node: Place, commit: str, *, label: bool) -> bool:
    """Whether what a write made is there: committed, no object missing, listed where it is a label image."""
    try:
        manifest = Manifest.read(node)
    except StoreError as error:
        if error.kind in NO_ANSWER:
            raise
        return False
    if manifest.commit != commit or any(manifest.missing(node)):
        return False
    return not (label and is_unlisted(node, commit))


def is_our_node(folder: Path) -> bool:
    """Whether a folder is a node that chunkmed wrote: its root or its manifest says so, intact."""
    try:
        return "commit" in read_sealed(folder / "zarr.json")["attributes"]["chunkmed"]
    except (StoreError, OSError, KeyError, TypeError):
        pass
    try:
        return bool(Manifest.read(folder).commit)
    except StoreError:
        return False


def consolidated(root: Mapping[str, Any], nodes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the root's metadata with a copy of every node's: xarray warns about stores without it."""
    copies = {"kind": "inline", "must_understand": False, "metadata": dict(nodes)}
    return {**root, "consolidated_metadata": copies}


def nodes_below(store: Place, labels: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the metadata of every node below the root, by its path.

    Parameters
    ----------
    store : path
        The store, or its committed prefix.
    labels : collection of str
        On object stores: prefixes below ``labels`` that are committed.
    """
    if isinstance(store, ObjectPath):
        return _objects_below(store, labels)
    nodes, root = {}, str(store)
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if is_final(name))
        # Strings: paths would cost more than reading.
        if "zarr.json" in names and (place := folder[len(root) :].strip(os.sep)):
            with open(f"{folder}/zarr.json", "rb") as file:  # noqa: PTH123
                node = _node_of(file.read())
            # Below an array there are only shards, perhaps very many.
            below[:] = below if node["node_type"] == "group" else []
            nodes[place.replace(os.sep, "/")] = node
    return nodes


def _objects_below(store: ObjectPath, labels: Collection[str]) -> dict[str, dict[str, Any]]:
    nodes: dict[str, dict[str, Any]] = {}
    front = [""]
    with ThreadPoolExecutor(_READING_THREADS) as pool:
        # A level of the tree at a time; below an array, where the shards are, nothing is listed.
        while front:
            entries = list(pool.map(lambda path: (store / path if path else store).entries(), front))
            found = [path for path, (_, files) in zip(front, entries, strict=True) if "zarr.json" in files]
            metadata = pool.map(lambda path: (store / path / "zarr.json").read_bytes(), filter(None, found))
            nodes |= {path: _node_of(raw) for path, raw in zip(filter(None, found), metadata, strict=True)}
            front = [
                f"{path}/{name}" if path else name
                for path, (names, _) in zip(front, entries, strict=True)
                if nodes.get(path, {}).get("node_type") != "array"
                for name in names
                if path != "labels" or name in labels
            ]
    return nodes


def _node_of(raw: bytes) -> dict[str, Any]:
    node = json.loads(raw)
    if not isinstance(node, dict):
        raise TypeError("metadata that is no JSON object")
    node.pop("consolidated_metadata", None)
    return node
