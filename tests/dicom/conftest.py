"""The reference data: real series with independently computed values."""

import json
import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"
DATA = Path(os.environ.get("CHUNKMED_TEST_DATA") or _BESIDE)


@pytest.fixture(scope="session")
def data() -> Path:
    if not (DATA / "REFERENCE.json").is_file():
        pytest.skip(f"no reference data in {DATA}: set CHUNKMED_TEST_DATA to the folder of REFERENCE.json")
    return DATA


@pytest.fixture(scope="session")
def reference(data):
    return json.loads((data / "REFERENCE.json").read_text())


@pytest.fixture(scope="session", autouse=True)
def _identifier_key(tmp_path_factory):
    # Never the user's own key.
    os.environ.setdefault("CHUNKMED_KEY_FILE", str(tmp_path_factory.mktemp("key") / "identifier.key"))
