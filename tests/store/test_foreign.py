"""Sharded arrays that others wrote, and what others make of ours: zarr-python and zarrs."""

import contextlib
import json

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, ZstdCodec

from chunkmed.errors import StoreError
from chunkmed.store import Layout, create_array, open_array

BOX = [(0, 1), (1, 9), (2, 22), (0, 31)]
CODECS = {
    "none": [],
    "blosc lz4": [BloscCodec(cname="lz4", shuffle="bitshuffle")],
    "blosc zstd": [BloscCodec(cname="zstd", shuffle="shuffle")],
    "zstd": [ZstdCodec(level=3)],
    "gzip": [GzipCodec()],
}


@contextlib.contextmanager
def pipeline(name):
    if name == "zarrs":
        pytest.importorskip("zarrs", reason="the test extra is not installed")
        with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
            yield
    else:
        yield


def values_of(dtype="int16"):
    values = (np.random.default_rng(0).random((1, 10, 23, 31)) * 100).astype(dtype)
    values[:, :4] = 0
    return values


def written(path, values, codecs, *, location="end", index_codecs=None, endian="little", fill=7):
    inner = [BytesCodec(endian=endian if values.dtype.itemsize > 1 else None), *codecs]
    sharding = ShardingCodec(
        chunk_shape=(1, 4, 10, 15),
        codecs=inner,
        index_codecs=index_codecs or [BytesCodec(), Crc32cCodec()],
        index_location=location,
    )
    array = zarr.create_array(
        path,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(1, 8, 20, 30),
        serializer=sharding,
        compressors=None,
        filters=None,
        fill_value=True if values.dtype == bool else fill,
    )
    array[...] = values


def cut(values):
    return values[tuple(slice(a, b) for a, b in BOX)]


@pytest.mark.parametrize("writer", ["zarr", "zarrs"])
@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("codec", sorted(CODECS))
def test_we_read_their_shards(tmp_path, codec, location, checked, writer):
    codecs = [*CODECS[codec], *([Crc32cCodec()] if checked else [])]
    with pipeline(writer):
        written(tmp_path / "a", values_of(), codecs, location=location)
    np.testing.assert_array_equal(open_array(tmp_path / "a", None).read(BOX), cut(values_of()))


@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint32", "float32", "float64"])
def test_we_read_their_dtypes(tmp_path, dtype, endian):
    values = values_of(dtype)
    written(tmp_path / "a", values, CODECS["zstd"], endian=endian)
    found = open_array(tmp_path / "a", None, fill_missing=True).read(BOX)
    assert found.dtype == values.dtype and found.dtype.isnative
    np.testing.assert_array_equal(found, cut(values))


def test_an_index_without_a_checksum(tmp_path):
    written(tmp_path / "a", values_of(), CODECS["zstd"], index_codecs=[BytesCodec()])
    np.testing.assert_array_equal(open_array(tmp_path / "a", None).read(BOX), cut(values_of()))


@pytest.mark.parametrize("fill", [np.nan, np.inf, -2.5])
def test_fill_values_that_json_has_no_number_for(tmp_path, fill):
    values = values_of("float32")
    values[:, :4] = fill
    written(tmp_path / "a", values, CODECS["zstd"], fill=fill)
    np.testing.assert_array_equal(open_array(tmp_path / "a", None).read(BOX), cut(values))


def test_their_missing_shards_are_filled_only_when_asked(tmp_path):
    written(tmp_path / "a", np.full((1, 10, 23, 31), 7, np.int16), CODECS["zstd"])
    with pytest.raises(StoreError) as refused:
        open_array(tmp_path / "a", None).read(BOX)
    assert refused.value.kind == "missing-shard"
    assert (open_array(tmp_path / "a", None, fill_missing=True).read(BOX) == 7).all()


def test_two_openings_of_a_foreign_array_are_two_sources(tmp_path):
    written(tmp_path / "a", values_of(), CODECS["zstd"])
    first, second = open_array(tmp_path / "a", None), open_array(tmp_path / "a", None)
    assert first.token != second.token


@pytest.mark.parametrize("codec", ["zstd", "gzip", "blosc lz4", "none"])
def test_their_damaged_shards_are_errors_where_that_can_be_told(tmp_path, codec):
    written(tmp_path / "a", values_of(), [*CODECS[codec], Crc32cCodec()])
    victim = tmp_path / "a/c/0/0/0/0"
    raw = victim.read_bytes()
    for at in range(0, len(raw), max(1, len(raw) // 40)):
        victim.write_bytes(raw[:at] + bytes([raw[at] ^ 8]) + raw[at + 1 :])
        try:
            found = open_array(tmp_path / "a", None).read(BOX)
        except StoreError as error:
            assert error.kind == "damaged-shard"
        else:
            # A byte that the box has no use for.
            np.testing.assert_array_equal(found, cut(values_of()))


@pytest.mark.parametrize("entry", [2**40, 2**63, 2**64 - 2])
def test_an_index_that_points_nowhere(tmp_path, entry):
    written(tmp_path / "a", values_of(), CODECS["zstd"], index_codecs=[BytesCodec()], location="start")
    victim = tmp_path / "a/c/0/0/0/0"
    raw = bytearray(victim.read_bytes())
    place = next(i for i in range(0, 64, 16) if raw[i : i + 8] != b"\xff" * 8) + 8
    raw[place : place + 8] = entry.to_bytes(8, "little")
    victim.write_bytes(raw)
    with pytest.raises(StoreError) as refused:
        open_array(tmp_path / "a", None).read([(0, 1), (0, 8), (0, 20), (0, 30)])
    assert refused.value.kind == "damaged-shard"


@pytest.mark.parametrize(
    "change",
    [
        {"codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]},
        {"chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}}},
        {"data_type": "complex64"},
    ],
)
def test_what_is_not_read_is_refused(tmp_path, change):
    written(tmp_path / "a", values_of(), CODECS["zstd"])
    meta = json.loads((tmp_path / "a" / "zarr.json").read_text()) | change
    (tmp_path / "a" / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError) as refused:
        open_array(tmp_path / "a", None)
    assert refused.value.kind == "foreign-array"


def test_a_transposed_array_is_refused(tmp_path):
    zarr.create_array(
        tmp_path / "a",
        shape=(8, 8),
        dtype="int16",
        chunks=(4, 4),
        shards=(8, 8),
        filters=[zarr.codecs.TransposeCodec(order=(1, 0))],
    )
    with pytest.raises(StoreError, match="transpose"):
        open_array(tmp_path / "a", None)


@pytest.mark.parametrize("reader", ["zarr", "zarrs"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint32", "int64", "float32", "float64"])
def test_they_read_our_shards(tmp_path, dtype, reader):
    values = values_of(dtype)
    layout = Layout((1, 4, 10, 15), (1, 8, 20, 30))
    writer, _ = create_array(tmp_path / "a", values.shape, dtype, commit="c", layout=layout)
    for index in np.ndindex(1, 2, 2, 2):
        box = writer.grid.shard_box(index)
        writer.write(box, values[tuple(slice(a, b) for a, b in box)])
    with pipeline(reader):
        found = zarr.open_array(tmp_path / "a", mode="r")[...]
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(open_array(tmp_path / "a", "c").read(BOX), cut(values))


def test_minus_zero_is_kept(tmp_path):
    values = np.full((1, 8, 20, 30), -0.0)
    layout = Layout((1, 4, 10, 15), (1, 8, 20, 30))
    writer, _ = create_array(tmp_path / "a", values.shape, "float64", commit="c", layout=layout)
    writer.write([(0, n) for n in values.shape], values)
    assert np.signbit(open_array(tmp_path / "a", "c").read([(0, n) for n in values.shape])).all()


@pytest.mark.parametrize("endian", ["little", "big"])
def test_a_box_is_decoded_into_a_given_buffer(tmp_path, endian):
    written(tmp_path / "a", values_of(), CODECS["zstd"], endian=endian)
    room = np.full((2, 20, 40, 40), -1, np.int16)
    part = room[1:, 2:10, 5:25, 3:34]
    assert open_array(tmp_path / "a", None).read(BOX, out=part) is part
    np.testing.assert_array_equal(part, cut(values_of()))
    assert (room[0] == -1).all() and (room[1, :2] == -1).all() and (room[1, :, :, 34:] == -1).all()
    with pytest.raises(ValueError, match="shape"):
        open_array(tmp_path / "a", None).read(BOX, out=room)
