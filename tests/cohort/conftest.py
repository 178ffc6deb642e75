"""A folder of small stores: cases that take no time."""

from pathlib import Path

import pytest
from small_stores import write_store


@pytest.fixture(scope="session")
def stores(tmp_path_factory) -> Path:
    """Twelve stores, c00 to c11, each of its own value."""
    root = tmp_path_factory.mktemp("stores")
    for number in range(12):
        write_store(root / f"c{number:02d}.zarr", number)
    return root
