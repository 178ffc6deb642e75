"""A store in the browser. The only importer of neuroglancer, which the extra ``[view]`` brings."""

from chunkmed.viewer.viewing import Viewing, view_store

__all__ = ["Viewing", "view_store"]
