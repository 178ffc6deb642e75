"""Where the image of a store and its label images lie, and whether they are committed."""

from __future__ import annotations

from chunkmed.errors import StoreError
from chunkmed.store.commit import repair
from chunkmed.store.listing import label_names
from chunkmed.store.manifest import MANIFEST
from chunkmed.store.naming import check_name
from chunkmed.store.place import ObjectPath, Place
from chunkmed.store.pointer import POINTER, Pointer, has_leftovers

__all__ = ["has_image", "identity", "is_store", "no_store", "node_of", "not_ours"]


def is_store(place: Place) -> bool:
    """Whether a place looks like an OME-Zarr store, or like what is left of one of ours."""
    if isinstance(place, ObjectPath):
        # There is no DICOM on object stores: whoever opens it says what is there.
        return True
    repair(place, place)
    return any((place / name).is_file() for name in ("zarr.json", ".zgroup", MANIFEST))


def has_image(place: Place) -> bool:
    """Whether an image was committed at a place; an object store is asked."""
    if isinstance(place, ObjectPath):
        return Pointer.read(place).image is not None
    return is_store(place)


def identity(store: Place, label: str | None) -> object:
    """Return what changes when another node takes the place of this one."""
    if isinstance(store, ObjectPath):
        return Pointer.read(store).name(label)
    try:
        found = (store if label is None else store / "labels" / label).stat()
    except (OSError, ValueError):
        # Nothing is there, or a name that none can have: what opens it says so.
        return None
    return found.st_dev, found.st_ino


def node_of(store: Place, label: str | None = None) -> Place:
    """Return the folder or prefix of the image of a store, or of a label image.

    Raises
    ------
    StoreError
        ``no-store``, ``no-label``; on object stores also ``uncommitted`` and ``not-a-store``.
    """
    if label is not None:
        check_name(label)
    if isinstance(store, ObjectPath):
        return _committed(store, label)
    folder = store if label is None else store / "labels" / label
    repair(folder, store)
    if not store.exists():
        raise no_store(store)
    if label is not None and not folder.is_dir():
        raise _no_label(store, label)
    return folder


def _committed(store: ObjectPath, label: str | None) -> ObjectPath:
    pointer = Pointer.read(store)
    if pointer.image is None:
        if not store.is_dir():
            raise no_store(store)
        if not has_leftovers(store):
            raise not_ours(store, FileNotFoundError(POINTER))
        raise StoreError(
            "the store was never finished",
            kind="uncommitted",
            where=str(store),
            why=f"it has no {POINTER}",
            fix="run the conversion or save again: what is done already is kept",
        )
    node = pointer.node(label)
    if node is None:
        raise _no_label(store, str(label))
    return node


def _no_label(store: Place, label: str) -> StoreError:
    known = ", ".join(label_names(store)) or "none"
    return StoreError(f"no label image {label!r}", kind="no-label", where=str(store), fix=f"it has: {known}")


def no_store(path: Place) -> StoreError:
    """Return the error for a path where nothing is."""
    return StoreError("no such store", kind="no-store", where=str(path), fix="check the path")


def not_ours(folder: Place, error: Exception) -> StoreError:
    """Return the error for a folder that chunkmed did not write."""
    why, fix = f"its root group lacks {error}", "convert the DICOM series again"
    if not isinstance(error, KeyError):
        why = "it has no manifest of ours"
        fix = "chunkmed scan lists the series of a DICOM folder, chunkmed convert makes a store of one"
    return StoreError(
        "this is not a store that chunkmed wrote", kind="not-a-store", where=str(folder), why=why, fix=fix
    )
