"""scipy's own tests of scipy.ndimage, run through chunkmed.ndimage on images in random blocks.

``PYTHONPATH=.:tests python -m parity.scipys REPORT.json [sets of parameters per test] [files]``

The files are those of the installed scipy. pytest collects them, with one change: the name ``ndimage``
in them is the stand-in of :mod:`parity.scipys_proxy`.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import hypothesis
import numpy as np
import pytest
import scipy.ndimage
from many_blocks import small_blocks
from parity.scipys_plugin import Suite

__all__ = ["FILES", "run_suite", "suite_folder"]

FILES = (
    "test_filters.py",
    "test_morphology.py",
    "test_interpolation.py",
    "test_fourier.py",
    "test_measurements.py",
    "test_splines.py",
)
#: Of pytest what the runner does not need, and what must not act twice inside of another pytest.
_PLUGINS_OFF = ("cacheprovider", "doctest", "faulthandler", "logging", "timeout", "xdist")


def suite_folder() -> Path | None:
    """Return the folder of scipy's tests, None where they were not installed."""
    folder = Path(scipy.ndimage.__file__).parent / "tests"
    return folder if all((folder / name).is_file() for name in FILES) else None


@contextmanager
def _settings() -> Iterator[None]:
    """Small blocks, one thread, few examples of hypothesis; all as before afterwards."""
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.register_profile(
        "scipys",
        deadline=None,
        database=None,
        derandomize=True,
        max_examples=5,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("scipys")
    state = np.random.get_state()
    try:
        with small_blocks(most=3), dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
            yield
    finally:
        np.random.set_state(state)
        hypothesis.settings.load_profile(before)


def run_suite(sets: int = 0, files: Sequence[str] = FILES, without: Sequence[str] = ()) -> dict[str, Any]:
    """Run scipy's tests and return the report.

    Parameters
    ----------
    sets : int
        Sets of parameters per test; 0 runs all.
    files : sequence of str
        Names of files, or tests in them as pytest names them.
    without : sequence of str
        Tests that are left out where ``sets`` is not 0.
    """
    folder = suite_folder()
    assert folder is not None
    suite = Suite(sets, without)
    options = ["-c", os.devnull, "--rootdir", str(folder), "--noconftest", "--import-mode=importlib"]
    options += [
        "--capture=no",
        "--tb=short",
        "-q",
        "-q",
        "--no-header",
        "--no-summary",
        *(f"-pno:{name}" for name in _PLUGINS_OFF),
    ]
    with _settings():
        pytest.main([*options, *(str(folder / name) for name in files)], plugins=[suite])
    return suite.report()


def main(arguments: Sequence[str]) -> None:
    """Write a report and print its numbers."""
    path, sets, files = Path(arguments[0]), int((*arguments, "0")[1]), list(arguments[2:]) or FILES
    report = run_suite(sets, files)
    path.write_text(json.dumps(report, indent=1))
    numbers = {key: value for key, value in report.items() if key != "tests"}
    sys.stdout.write(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
