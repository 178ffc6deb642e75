"""Lengths and sizes as people write them."""

import pytest

from chunkmed.errors import InputError
from chunkmed.units import format_bytes, length_mm, parse_bytes, to_voxels


@pytest.mark.parametrize(
    ("text", "mm"),
    [
        ("1.5 mm", 1.5),
        ("2cm", 20.0),
        (" 3 mm ", 3.0),
        (".5 mm", 0.5),
        ("0.01 m", 10.0),
        ("250 um", 0.25),
        ("250 µm", 0.25),
        ("250 μm", 0.25),
        ("1e3 nm", 1e-3),
        ("1e-1 mm", 0.1),
        ("+2 mm", 2.0),
    ],
)
def test_lengths(text, mm):
    assert length_mm(text) == pytest.approx(mm, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "mm", "3", "3 miles", "1,5 mm", "3 mm mm", "three mm", "3 MM", "nan mm", "1 2 mm"]
)
def test_what_is_no_length(text):
    with pytest.raises(InputError) as refused:
        length_mm(text)
    assert refused.value.kind == "bad-length" and "mm" in str(refused.value)


def test_numbers_are_voxels():
    assert to_voxels(2, 0.5) == 2.0 and isinstance(to_voxels(2, 0.5), float)
    assert to_voxels("2 mm", 0.5) == 4.0
    assert to_voxels("1 cm", 2.5) == 4.0


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("2 GB", 2 * 10**9),
        ("2GB", 2 * 10**9),
        ("2 gb", 2 * 10**9),
        ("1.5 kB", 1500),
        ("1 MiB", 2**20),
        ("4 GiB", 2**32),
        ("1 TB", 10**12),
        ("512", 512),
        ("7 B", 7),
        (10, 10),
        (10.9, 10),
    ],
)
def test_amounts_of_memory(value, count):
    assert parse_bytes(value) == count


@pytest.mark.parametrize(
    "value",
    [
        "",
        "GB",
        "2 GBs",
        "2 mm",
        "two GB",
        "1 2",
        "1e400 GB",
        float("nan"),
        float("inf"),
        -5,
        0,
        True,
        b"1",
        [1],
    ],
)
def test_what_is_no_amount(value):
    with pytest.raises(InputError) as refused:
        parse_bytes(value)
    assert refused.value.kind == "bad-size" and "GB" in str(refused.value)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (2_140_000_000, "2.14 GB"),
        (3_000_000_000_000, "3 TB"),
        (999_400, "999 kB"),
    ],
)
def test_format(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize("count", [999.6, 999_600, 999_900_000, 999_600_000_000])
def test_rounding_never_shows_powers_of_ten(count):
    text = format_bytes(count)
    assert "e" not in text
    assert parse_bytes(text) == pytest.approx(count, rel=5e-3)


@pytest.mark.parametrize("count", [1, 17, 999, 123_456, 2**20, 10**9, 7 * 10**12])
def test_format_can_be_read_back(count):
    assert parse_bytes(format_bytes(count)) == pytest.approx(count, rel=5e-3)
