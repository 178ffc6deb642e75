"""Servers for tests: on 127.0.0.1 only, ended by the numbers of their processes."""

import os

# Its settings must be there before a test changes some of them.
import distributed  # noqa: F401
import pytest
from services import slurm as real_slurm


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """Give the folder of a Slurm that runs."""
    if why := real_slurm.missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("slurm")
    with real_slurm.running(folder):
        yield folder


@pytest.fixture
def long_form():
    if not os.environ.get("CHUNKMED_LONG"):
        pytest.skip("takes long: CHUNKMED_LONG=1 runs it")
