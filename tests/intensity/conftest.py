import warnings

import dask
import pytest
from many_blocks import small_blocks


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks(), dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
