"""What all tests share: the folder with real data, and a key of the tests' own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The first example of a test may have to compile a kernel.
settings.register_profile("chunkmed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("chunkmed")

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


#: Long tests of what no interpreter changes: they run on the oldest Python, and on all with CHUNKMED_LONG=1.
_ALIKE = (
    "tests/properties/",
    "tests/services/",
    "test_warp.py::test_any_blocks_are_one_block",
    "test_parity.py::test_time_series_is_scipys",
    "test_parity.py::test_numpy_is_scipy_itself",
    "test_parity.py::test_plain_dask_array",
    # Each dtype is compiled by itself; int16 stands for the others.
    *("-uint16]", "-float64]", "-float32]", "-uint8]"),
    *("test_trace.py::test_nested_dtypes_below", "test_trace.py::test_opaque_below", "test_pyramid.py"),
    # The parser of DICOM is the same release on all.
    *("dicom/test_outcomes.py", "dicom/test_round_trip.py", "dicom/test_headers.py", "store/test_edges.py"),
    "tests/test_doctests.py",
    *("tests/slices/", "tests/viewer/", "tests/report/test_plot.py", "tests/cli/test_plot.py"),
    *("tests/ndimage/", "tests/intensity/", "test_packed.py", "test_shapes.py"),
    # The main job runs on all of them, before the tests.
    "tests/cli/test_cli.py",
    "tests/test_privacy.py",
    "tests/cohort/",
    # Whole series through dcm2niix, and label images of other programs.
    *("test_dcm2niix.py", "test_labels.py", "test_foreign_images.py"),
    "test_scipys.py::test_scipys_own_tests",
    # Pages, readers and peers of others, peaks of processes.
    *("tests/test_guide.py", "tests/store/test_readers.py", "tests/memory/", "test_phantoms.py"),
    # Kernels and what is built on them alone: the parity table runs on all.
    *("tests/kernels/", "test_masks.py", "test_resample.py", "test_compare.py", "test_tracking.py"),
    *("test_same_grid.py", "tests/faults/", "tests/recipe/", "test_totals.py", "test_linear.py"),
    *("tests/test_main_job.py", "test_warp.py", "test_program.py", "test_reductions.py"),
)


#: Seconds each, beside others that show nearly the same: with CHUNKMED_LONG=1 only.
_LONG = (
    # The README's first command runs it; Ctrl-C is tried in one process, too.
    *("test_cli.py::test_demo", "test_a_signal_leaves_what_goes_on[2-130]"),
    *("test_readers.py::test_bioio", "test_readers.py::test_zarr_with_zarrs"),
    *("ejection_fraction[3003]", "ejection_fraction[4004]", "ejection_fraction[5005]"),
    *("integers_is_rounded_like_numpy[int8", "integers_is_rounded_like_numpy[uint32"),
    *(
        "benchmarks/test_harness.py",
        "benchmarks/test_ingest.py",
        "test_trace.py::test_processes",
        "test_a_process_that_has_just_begun",
    ),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CHUNKMED_LONG"):
        return
    alike = pytest.mark.skip(reason="the same on every Python; CHUNKMED_LONG=1 runs on all")
    long = pytest.mark.skip(reason="long; CHUNKMED_LONG=1 runs it")
    for item in items:
        if any(name in item.nodeid for name in _LONG):
            item.add_marker(long)
        elif sys.version_info >= (3, 12) and any(name in item.nodeid for name in _ALIKE):
            item.add_marker(alike)


def _together(nodeid: str) -> str:
    """Return the name of those tests that one worker runs: it compiles their kernels, the other does not."""
    path, _, name = nodeid.partition("::")
    if "test_store_faults" in path:
        # Each takes long, in a process of its own.
        return nodeid
    if "test_parity.py" in path and "[" in name:
        return f"parity of {name.partition('[')[2].partition('-')[0].rstrip(']')}"
    if "tests/cohort/" in path:
        # One process forks their cases: it takes seconds to start.
        return "tests/cohort"
    return path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep apart what shares nothing, together what shares kernels and fixtures."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _together(nodeid)

    return Together(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what share of scipy's own tests passed: a test records it."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "scipy's own tests" and report.when == "call":
                    terminalreporter.write_line(f"{name}: {value}")
