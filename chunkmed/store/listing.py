"""What a store lists: its label images, and a copy of every node's metadata in the root's.

chunkmed itself reads the nodes' own metadata, so that a listing that lags behind after a crash
misleads nobody; others need it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chunkmed.errors import StoreError
from chunkmed.store import ngff
from chunkmed.store.manifest import MANIFEST, Manifest
from chunkmed.store.metadata import group
from chunkmed.store.naming import is_final
from chunkmed.store.sealed import read_sealed, write_sealed

__all__ = ["consolidate", "is_ours", "is_unlisted", "label_names", "list_label", "nodes_below"]


def label_names(store: Path) -> list[str]:
    """Return the names of the committed label images of a store."""
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
    consolidate(store, root)


def is_unlisted(label: Path, commit: str) -> bool:
    """Whether a label image is committed, but the root does not know this write of it."""
    store = label.parents[1]
    try:
        if Manifest.read(label).commit != commit:
            return False
        copies = read_sealed(store / "zarr.json")["consolidated_metadata"]["metadata"]
    except (StoreError, OSError, KeyError):
        return False
    known = copies.get(f"labels/{label.name}", {}).get("attributes", {}).get("chunkmed", {})
    return bool(known.get("commit") != commit)


def is_ours(folder: Path) -> bool:
    """Whether a folder is a node that chunkmed wrote: its root or its manifest says so, intact."""
    try:
        return "commit" in read_sealed(folder / "zarr.json")["attributes"]["chunkmed"]
    except (StoreError, OSError, KeyError, TypeError):
        pass
    try:
        return bool(Manifest.read(folder).commit)
    except StoreError:
        return False


def consolidate(store: Path, root: dict[str, Any], *, sync: bool = True) -> None:
    """Write the root's metadata with a copy of every node's, in one step.

    xarray warns about stores without it.
    """
    copies = {"kind": "inline", "must_understand": False, "metadata": nodes_below(store)}
    root["consolidated_metadata"] = copies
    write_sealed(store / "zarr.json", root, sync=sync)


def nodes_below(store: Path) -> dict[str, dict[str, Any]]:
    """Return the metadata of every node below the root, by its path."""
    nodes, root = {}, str(store)
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if is_final(name))
        # Strings: paths would cost more than reading.
        if "zarr.json" in names and (place := folder[len(root) :].strip(os.sep)):
            with open(f"{folder}/zarr.json", "rb") as file:  # noqa: PTH123
                node: dict[str, Any] = json.load(file)
            # Below an array there are only shards, perhaps very many.
            below[:] = below if node["node_type"] == "group" else []
            node.pop("consolidated_metadata", None)
            nodes[place.replace(os.sep, "/")] = node
    return nodes
