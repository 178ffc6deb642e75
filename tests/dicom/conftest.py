"""The reference data: real series with independently computed values."""

import json

import pytest


@pytest.fixture(scope="session")
def data(real_data):
    return real_data


@pytest.fixture(scope="session")
def reference(data):
    return json.loads((data / "REFERENCE.json").read_text())
