"""The zarr v3 metadata that the store writes and reads: groups, coordinates, sharded images.

Source: zarr v3 core specification; codecs ``bytes``, ``blosc``, ``crc32c``, ``sharding_indexed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import StoreError
from chunkmed.store.layout import Layout
from chunkmed.store.shards import Codec, Packing, ShardGrid

__all__ = ["coordinate_array", "decode_coordinate", "group", "sharded_array", "sharding_of"]

_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_CRC = {"name": "crc32c"}


def group(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}


def _array(
    shape: Sequence[int],
    dtype: np.dtype[Any],
    chunk: Sequence[int],
    codecs: list[Any],
    dims: Sequence[str] | None,
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    fill: Any = False if dtype.kind == "b" else 0.0 if dtype.kind == "f" else 0
    out = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [int(n) for n in shape],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [int(n) for n in chunk]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": dict(attributes),
        "storage_transformers": [],
    }
    return out if dims is None else out | {"dimension_names": list(dims)}


def coordinate_array(
    values: npt.NDArray[Any], dims: Sequence[str], attributes: Mapping[str, Any]
) -> tuple[dict[str, Any], str, bytes]:
    """Return metadata, key and bytes of a small array in a single plain chunk."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    key = "/".join(["c", *("0" for _ in values.shape)])
    meta = _array(values.shape, values.dtype, values.shape, [_BYTES], dims or None, attributes)
    return meta, key, little.tobytes()


def decode_coordinate(meta: Mapping[str, Any], raw: bytes) -> npt.NDArray[Any]:
    """Return the values of a coordinate array."""
    dtype = np.dtype(str(meta["data_type"])).newbyteorder("<")
    return np.frombuffer(raw, dtype).reshape(meta["shape"]).astype(str(meta["data_type"]))


def sharded_array(
    shape: Sequence[int],
    dtype: np.dtype[Any],
    layout: Layout,
    codec: Codec,
    dims: Sequence[str] | None,
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the metadata of an array in shards."""
    blosc = {
        "typesize": dtype.itemsize,
        "cname": codec.name,
        "clevel": codec.level,
        "shuffle": codec.shuffle,
        "blocksize": 0,
    }
    sharding = {
        "chunk_shape": [int(n) for n in layout.inner],
        "codecs": [_BYTES, {"name": "blosc", "configuration": blosc}, _CRC],
        "index_codecs": [_BYTES, _CRC],
        "index_location": "end",
    }
    codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return _array(shape, dtype, layout.shard, codecs, dims, attributes)


def sharding_of(meta: Mapping[str, Any], where: str) -> tuple[ShardGrid, np.dtype[Any], Packing]:
    """Return layout, dtype and form of a sharded array, whoever wrote it.

    Raises
    ------
    StoreError
        ``foreign-array`` for what is not sharded, or packed in a way that is not read here.
    """
    try:
        (sharding,) = meta["codecs"]
        inside = sharding["configuration"]
        shard = meta["chunk_grid"]["configuration"]["chunk_shape"]
        grid = ShardGrid(tuple(meta["shape"]), tuple(shard), tuple(inside["chunk_shape"]))
        dtype, packing = _packing(meta, inside)
        known = sharding["name"] == "sharding_indexed" and _is_default_key(meta["chunk_key_encoding"])
        why = "its codecs are not shards" if not known else ""
    except (KeyError, ValueError, TypeError, IndexError) as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        raise StoreError("this array is not read here", kind="foreign-array", where=where, why=why)
    return grid, dtype, packing


def _packing(meta: Mapping[str, Any], inside: Mapping[str, Any]) -> tuple[np.dtype[Any], Packing]:
    first, *rest = inside["codecs"]
    names = [codec["name"] for codec in rest]
    compressors = [name for name in names if name != "crc32c"]
    checked = names[-1:] == ["crc32c"]
    order = [codec["name"] for codec in inside["index_codecs"]]
    if first["name"] != "bytes" or names != [*compressors[:1], *["crc32c"] * checked]:
        raise ValueError(f"codecs {[first['name'], *names]}")
    if compressors and compressors[0] not in ("blosc", "zstd", "gzip"):
        raise ValueError(f"codec {compressors[0]!r}")
    if order not in (["bytes"], ["bytes", "crc32c"]):
        raise ValueError(f"index codecs {order}")
    big = first.get("configuration", {}).get("endian") == "big"
    dtype = np.dtype(str(meta["data_type"])).newbyteorder(">" if big else "<")
    if dtype.kind not in "biuf":
        raise ValueError(f"values of dtype {dtype.name}")
    fill = _fill_value(meta["fill_value"], dtype)
    at_start = inside.get("index_location", "end") == "start"
    return dtype, Packing((compressors or [""])[0], checked, at_start, len(order) == 2, fill)


def _is_default_key(encoding: Mapping[str, Any]) -> bool:
    separator = encoding.get("configuration", {}).get("separator", "/")
    return bool(encoding["name"] == "default" and separator == "/")


def _fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(value, str) and value.startswith("0x"):
        # A float by its bits, as zarr writes those that have no other name.
        return np.array(int(value, 16), dtype=f"u{dtype.itemsize}").view(dtype.newbyteorder("="))[()]
    return np.array(value).astype(dtype.newbyteorder("="))[()]
