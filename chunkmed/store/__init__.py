"""OME-Zarr stores: the only room that knows zarr."""

from chunkmed.store.arrays import ArrayWriter, StoredArray, create_array, open_array
from chunkmed.store.commit import check_name, staged
from chunkmed.store.image import (
    StoredImage,
    append_history,
    create_image,
    is_store,
    label_names,
    list_label,
    open_image,
)

__all__ = [
    "ArrayWriter",
    "StoredArray",
    "StoredImage",
    "append_history",
    "check_name",
    "create_array",
    "create_image",
    "is_store",
    "label_names",
    "list_label",
    "open_array",
    "open_image",
    "staged",
]
