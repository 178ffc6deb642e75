"""What all tests share: the folder with real data, and a key of the tests' own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Keyed identifiers of tests must not touch the user's key; set before chunkmed reads it.
os.environ.setdefault("CHUNKMED_KEY_FILE", str(Path(__file__).parent / ".pytest-identifier.key"))
_GIVEN = os.environ.get("CHUNKMED_TEST_DATA", Path(__file__).parents[2] / "shared" / "data" / "dicom")
# As a scan names files: without links and dots.
DATA = Path(_GIVEN).resolve()


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"no real DICOM data at {DATA}: set CHUNKMED_TEST_DATA")
    return DATA
