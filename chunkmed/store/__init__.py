"""OME-Zarr stores that are whole or absent: the only room that knows how they lie on disk."""

from chunkmed.store.arrays import ArrayWriter, StoredArray, create_array, open_array
from chunkmed.store.attempts import Attempt
from chunkmed.store.claims import claim, release, sweep_older
from chunkmed.store.commit import Staging, staged
from chunkmed.store.describe import describe
from chunkmed.store.foreign import (
    ForeignImage,
    foreign_array,
    is_ours,
    is_zarr,
    is_zarr_array,
    open_foreign,
)
from chunkmed.store.image import (
    StoredImage,
    array_path,
    create_image,
    open_image,
    place_of,
)
from chunkmed.store.layout import Layout, layout_of
from chunkmed.store.listing import label_names
from chunkmed.store.lock import locked
from chunkmed.store.manifest import Damage
from chunkmed.store.naming import check_name
from chunkmed.store.nodes import has_image, is_store, node_of
from chunkmed.store.options import storage_options, use_storage_options
from chunkmed.store.place import ObjectPath, Place, is_url, locate
from chunkmed.store.pyramid import Level, levels_of, owned_levels, unit_of
from chunkmed.store.refused import Overwrite
from chunkmed.store.sealed import check_attributes
from chunkmed.store.verify import verify

__all__ = [
    "ArrayWriter",
    "Attempt",
    "Damage",
    "ForeignImage",
    "Layout",
    "Level",
    "ObjectPath",
    "Overwrite",
    "Place",
    "Staging",
    "StoredArray",
    "StoredImage",
    "array_path",
    "check_attributes",
    "check_name",
    "claim",
    "create_array",
    "create_image",
    "describe",
    "foreign_array",
    "has_image",
    "is_ours",
    "is_store",
    "is_url",
    "is_zarr",
    "is_zarr_array",
    "label_names",
    "layout_of",
    "levels_of",
    "locate",
    "locked",
    "node_of",
    "open_array",
    "open_foreign",
    "open_image",
    "owned_levels",
    "place_of",
    "release",
    "staged",
    "storage_options",
    "sweep_older",
    "unit_of",
    "use_storage_options",
    "verify",
]
