import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr

from chunkmed.report import write_json, write_table

RNG = np.random.default_rng(0)


def make_table():
    count = np.array([[5, 7, 1], [4, 0, 2]])
    return xr.Dataset(
        {
            "count": (("t", "label"), count),
            "volume_ml": (("t", "label"), RNG.random((2, 3)) / 3),
            "mean": (("t", "label"), RNG.random((2, 3)).astype("float32")),
            "center_of_mass_mm": (("t", "label", "axis"), RNG.random((2, 3, 3))),
            "position_of_maximum": (("t", "label", "axis"), RNG.integers(0, 9, (2, 3, 3))),
        },
        {"t": ("t", [0.0, 41.7], {"units": "ms"}), "label": [1, 2, 5], "axis": ["z", "y", "x"]},
    )


def test_parquet_and_csv_hold_the_same_numbers(tmp_path):
    table = make_table()
    parquet, text = write_table(table, tmp_path / "deep" / "heart.v1")
    assert (parquet.name, text.name) == ("heart.v1.parquet", "heart.v1.csv")
    columns = pq.read_table(parquet).to_pydict()
    assert list(columns)[:5] == ["t", "time_ms", "label", "count", "volume_ml"]
    assert {"center_of_mass_z_mm", "center_of_mass_x_mm", "position_of_maximum_y"} <= set(columns)
    with text.open() as file:
        rows = list(csv.DictReader(file))
    for name, values in columns.items():
        assert [float(row[name]) for row in rows] == values
    assert columns["label"] == [1, 2, 5, 1, 5]  # the label without voxels is left out
    assert columns["time_ms"] == [0.0, 0.0, 0.0, 41.7, 41.7]
    first = table.isel(t=1).sel(label=5)
    assert columns["center_of_mass_x_mm"][-1] == float(first.center_of_mass_mm.sel(axis="x"))
    assert not list(tmp_path.rglob("*.draft"))


def test_time_without_units_is_only_an_index(tmp_path):
    table = make_table()
    table["t"].attrs.clear()
    assert "time_ms" not in pq.read_table(write_table(table, tmp_path / "a")[0]).column_names


@pytest.mark.parametrize(
    ("pick", "keys", "rows"),
    [({"t": 0}, ["label"], 3), ({"label": 0}, ["t", "time_ms"], 2), ({"t": 0, "label": 0}, [], 1)],
)
def test_dims_may_be_missing(tmp_path, pick, keys, rows):
    found = pq.read_table(write_table(make_table().isel(pick), tmp_path / "a")[0])
    assert found.num_rows == rows
    assert found.column_names[: len(keys) + 1] == [*keys, "count"]


def test_matrices_become_one_column_per_element(tmp_path):
    values = xr.DataArray(np.arange(8.0).reshape(2, 2, 2), dims=["label", "axis", "other"])
    table = (
        values.assign_coords(axis=["z", "y"], other=["a", "b"]).to_dataset(name="spread_mm2").expand_dims(t=1)
    )
    found = pq.read_table(write_table(table, tmp_path / "a")[0]).to_pydict()
    assert found["label"] == [0, 1] and found["spread_y_a_mm2"] == [2.0, 6.0]


def test_other_first_dims_keep_their_values(tmp_path):
    found = pq.read_table(write_table(make_table().rename(t="b"), tmp_path / "a")[0]).to_pydict()
    assert found["b"][-1] == 1 and found["b_value"][-1] == 41.7


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = write_json(tmp_path / "a.json", {"n": 1})
    with pytest.raises(UnicodeEncodeError):
        write_json(path, {"n": "\ud800"})
    assert json.loads(path.read_text()) == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_takes_numpy_values(tmp_path):
    obj = {"ef": np.float32(0.5), 1: np.arange(2), "nan": np.nan, "ok": np.bool_(True), "set": make_table()}
    found = json.loads(write_json(tmp_path / "a.json", obj).read_text())
    assert found["ef"] == 0.5 and found["1"] == [0, 1] and found["nan"] is None and found["ok"] is True
    assert found["set"]["count"] == [[5, 7, 1], [4, 0, 2]]
