"""OME-Zarr of others (0.4 and 0.5, zarr 2 and 3), raw zarr arrays, dask and NumPy arrays as images."""

from __future__ import annotations

import pickle

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr

import chunkmed as cm
from chunkmed.errors import InputError, StoreError

VALUES = np.random.default_rng(0).integers(0, 1000, (2, 3, 5, 40, 30)).astype(np.int16)
FORMATS = pytest.mark.parametrize("version", [2, 3])


def written(
    path, version, axes, values, scale, *, unit="micrometer", translation=None, channels=(), extra=None
):
    group = zarr.open_group(path, mode="w", zarr_format=version)
    sides = tuple(min(n, 16) for n in values.shape)
    group.create_array("s0", shape=values.shape, dtype=values.dtype, chunks=sides)[...] = values
    kinds = {"t": "time", "c": "channel"}
    listed = [{"name": name, "type": kinds.get(name, "space")} for name in axes]
    for axis in listed:
        if axis["type"] != "channel" and unit:
            axis["unit"] = "second" if axis["type"] == "time" else unit
        axis.update((extra or {}).get(axis["name"], {}))
    steps = [{"type": "scale", "scale": scale}]
    steps += [{"type": "translation", "translation": translation}] if translation else []
    image = {"axes": listed, "datasets": [{"path": "s0", "coordinateTransformations": steps}]}
    about = {"multiscales": [image | ({"version": "0.4"} if version == 2 else {})]}
    if channels:
        about["omero"] = {"channels": [{"label": name} for name in channels]}
    group.attrs.update(about if version == 2 else {"ome": {"version": "0.5", **about}})
    return path


@FORMATS
def test_five_axes_with_a_channel_by_name(tmp_path, version):
    written(
        tmp_path / "a.zarr", version, "tczyx", VALUES, [0.5, 1, 2, 0.5, 0.25],
        translation=[1, 0, 10, 20, 30], channels=("DAPI", "GFP", "RFP"),
    )  # fmt: skip
    image = cm.open(tmp_path / "a.zarr", channel="GFP")
    assert image.dims == ("t", "z", "y", "x") and not cm.explain(image * 2).opaque
    np.testing.assert_array_equal(image, VALUES[:, 1])
    np.testing.assert_array_equal(image[:, 1:3, :, 3:20].values, VALUES[:, 1, 1:3, :, 3:20])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image)), image)
    assert image.cm.spacing == {"z": 0.002, "y": 0.0005, "x": 0.00025}
    assert (image.t.values.tolist(), image.z.values[0]) == ([1000.0, 1500.0], 0.01)
    for wrong in (None, "YFP", 3):
        with pytest.raises(InputError, match="'DAPI', 'GFP', 'RFP'") as refused:
            cm.open(tmp_path / "a.zarr", channel=wrong)
        assert refused.value.kind == "no-channel"


@FORMATS
def test_axes_in_any_order_and_number(tmp_path, version):
    written(tmp_path / "a.zarr", version, "xyz", VALUES[0, 0].T, [0.25, 0.5, 2], unit="millimeter")
    image = cm.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.values[0], VALUES[0, 0])
    assert image.cm.spacing == {"z": 2.0, "y": 0.5, "x": 0.25}
    written(tmp_path / "b.zarr", version, "yx", VALUES[0, 0, 0], [0.5, 0.25], unit="millimeter")
    np.testing.assert_array_equal(cm.open(tmp_path / "b.zarr").values[0, 0], VALUES[0, 0, 0])
    # It is computed and stored as any image.
    saved = cm.convert(tmp_path / "a.zarr", tmp_path / "ours.zarr")
    np.testing.assert_array_equal(saved, image)
    assert saved.cm.grid == image.cm.grid


def test_directions_of_axes_are_taken_over(tmp_path):
    toward = {"z": "superior-to-inferior", "y": "posterior-to-anterior", "x": "right-to-left"}
    extra = {name: {"orientation": {"type": "anatomical", "value": value}} for name, value in toward.items()}
    written(tmp_path / "a.zarr", 3, "zyx", VALUES[0, 0], [2, 1, 1], unit="millimeter", extra=extra)
    assert cm.resample.orientation(cm.open(tmp_path / "a.zarr")) == "LAI"


@FORMATS
def test_without_units_the_user_says_the_spacing(tmp_path, version):
    written(tmp_path / "a.zarr", version, "zyx", VALUES[0, 0], [2, 1, 1], unit=None)
    with pytest.raises(InputError) as refused:
        cm.open(tmp_path / "a.zarr")
    assert refused.value.kind == "no-spacing"
    assert cm.open(tmp_path / "a.zarr", spacing_mm="2 um").cm.spacing == dict.fromkeys("zyx", 0.002)


@FORMATS
def test_raw_arrays_by_path_and_opened(tmp_path, version):
    written(tmp_path / "a.zarr", version, "zyx", VALUES[0, 0], [2, 1, 1])
    opened = zarr.open_array(tmp_path / "a.zarr" / "s0", mode="r")
    for source in (tmp_path / "a.zarr" / "s0", opened):
        image = cm.open(source, spacing_mm=(2, 1, 1), origin_mm=(5, 6, 7), time_ms=[12.0])
        np.testing.assert_array_equal(image.values[0], VALUES[0, 0])
        assert [float(image[axis][0]) for axis in "tzyx"] == [12.0, 5.0, 6.0, 7.0]
    with pytest.raises(StoreError, match="it holds a") as refused:
        group = zarr.open_group(tmp_path / "g.zarr", mode="w", zarr_format=version)
        group.create_array("a", shape=(3, 3), dtype="u1")
        cm.open(tmp_path / "g.zarr")
    assert refused.value.kind == "not-an-image"


def test_a_store_of_ours_without_its_manifest_is_damaged_not_foreign(tmp_path):
    image = cm.open(VALUES[0, 0], spacing_mm=1)
    cm.save(image, tmp_path / "a.zarr")
    manifest = next(path for path in (tmp_path / "a.zarr").rglob("*") if "manifest" in path.name)
    manifest.unlink()
    with pytest.raises(StoreError):
        cm.open(tmp_path / "a.zarr")


def test_a_part_of_a_store_of_ours_is_not_opened_by_itself(tmp_path):
    cm.save(cm.open(VALUES[0, 0], spacing_mm=1), tmp_path / "a.zarr")
    with pytest.raises(StoreError) as refused:
        cm.open(tmp_path / "a.zarr" / "0" / "image", spacing_mm=1)
    assert refused.value.kind == "inside-a-store"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"type": "scale", "scale": [0, 1, 1]}, "bad-metadata"),
        ({"type": "scale", "scale": [1, 1]}, "bad-metadata"),
        ({"type": "rotation", "rotation": [[1]]}, "bad-metadata"),
        ({"type": "scale", "scale": ["a", 1, 1]}, "bad-metadata"),
    ],
)
def test_metadata_that_say_nothing_are_refused(tmp_path, change, kind):
    path = written(tmp_path / "a.zarr", 3, "zyx", VALUES[0, 0], [2, 1, 1])
    group = zarr.open_group(path)
    about = dict(group.attrs["ome"])
    about["multiscales"][0]["datasets"][0]["coordinateTransformations"] = [change]
    group.attrs["ome"] = about
    with pytest.raises(StoreError) as refused:
        cm.open(path)
    assert refused.value.kind == kind


@FORMATS
def test_a_damaged_chunk_is_an_error(tmp_path, version):
    path = written(tmp_path / "a.zarr", version, "zyx", VALUES[0, 0], [2, 1, 1])
    chunk = sorted(
        p for p in (path / "s0").rglob("*") if p.is_file() and "zarr" not in p.name and p.name[0] != "."
    )[0]
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(StoreError) as refused:
        cm.open(path).compute()
    assert refused.value.kind == "unreadable-chunk"


def test_arrays_in_memory_and_of_dask():
    values = VALUES[0, 0]
    np.testing.assert_array_equal(cm.open(values, spacing_mm=2).values[0], values)
    lazy = da.from_array(values, chunks=(2, 20, 20)).map_blocks(lambda block: block + 1)
    np.testing.assert_array_equal(cm.open(lazy, spacing_mm=[2, 1, 1]).values[0], values + 1)
    named = cm.open(xr.DataArray(values, dims=("x", "y", "z")), spacing_mm={"z": 1, "y": 2, "x": 3})
    assert named.shape == (1, 30, 40, 5) and named.cm.spacing == {"z": 1.0, "y": 2.0, "x": 3.0}
    assert cm.open(VALUES[0, 0, :3, :8, :3].astype("u1"), spacing_mm=1, dims="yxc").dims[-1] == "c"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "no-spacing"),
        ({"spacing_mm": -1}, "bad-spacing"),
        ({"spacing_mm": "thin"}, "bad-length"),
        ({"spacing_mm": (1, 2)}, "bad-spacing"),
        ({"spacing_mm": float("nan")}, "bad-spacing"),
        ({"spacing_mm": {"z": 1}}, "bad-spacing"),
        ({"spacing_mm": 1, "dims": "abc"}, "bad-dims"),
        ({"spacing_mm": 1, "dims": "zy"}, "bad-dims"),
        ({"spacing_mm": 1, "time_ms": [1, 2]}, "bad-times"),
        ({"spacing_mm": 1, "origin_mm": "x"}, "bad-length"),
    ],
)
def test_what_is_said_wrongly_is_refused(options, kind):
    with pytest.raises(InputError) as refused:
        cm.open(VALUES[0, 0], **options)
    assert refused.value.kind == kind


def test_what_is_no_image_is_refused():
    for source, kind in (
        (VALUES, "bad-dims"),
        (VALUES[0, 0].astype("c8"), "bad-dtype"),
        (VALUES[0, 0, :0], "empty-image"),
    ):
        with pytest.raises(InputError) as refused:
            cm.open(source, spacing_mm=1)
        assert refused.value.kind == kind
