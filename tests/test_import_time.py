"""Importing chunkmed must not wait for what only some functions need."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import chunkmed

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    "numba",
    "matplotlib",
    "pydicom",
    "distributed",
    "zarr",
    "xarray",
    "dask.array",
    "scipy",
    "hypothesis",
)


def imported(code):
    """Return the modules that are there after running code in a fresh process."""
    code += "\nimport sys\nprint()\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import chunkmed",
        "import chunkmed; dir(chunkmed); chunkmed.__version__",
        "import chunkmed.cli",
        "from chunkmed.cli import cli; cli.main(['--help'], standalone_mode=False)",
        "import chunkmed.errors, chunkmed.units, chunkmed.provenance",
        "import chunkmed.cli.cohort; from chunkmed.cohort import status",
    ],
    ids=["chunkmed", "dir", "cli", "help", "foundations", "cohort status"],
)
def test_light(code):
    assert not set(HEAVY) & imported(code)


@pytest.mark.parametrize(
    "code", ["import chunkmed.ndimage", "import chunkmed as cm; cm.measure; cm.open; cm.follow"]
)
def test_work_needs_no_pictures_and_no_cluster(code):
    assert not {"matplotlib", "distributed", "hypothesis", "pytest"} & imported(code)


RUN = """
import tempfile, numpy as np, chunkmed as cm
from pathlib import Path
folder = Path(tempfile.mkdtemp())
image = cm.open(np.arange(64, dtype=np.int16).reshape(1, 4, 4, 4), spacing_mm=(5.0, 1.0, 1.0))
cm.save(image, folder / "image.zarr")
from chunkmed.job import run_job
from chunkmed.recipe import load
recipe = load("threshold-objects").with_parameters({"above": 31})
assert run_job(recipe, folder / "image.zarr", folder / "out").table is not None
"""


def test_a_recipe_with_its_picture_looks_for_no_cluster():
    """dask imports distributed to see whether there is a client: a third of a second of every command."""
    pytest.importorskip("distributed")
    found = imported(RUN)
    assert "matplotlib" in found and "numba" in found
    assert "distributed" not in found


def test_opening_a_store_needs_no_compiler():
    assert "numba" not in imported("import chunkmed as cm; cm.open; cm.convert; cm.save")


def test_public_names():
    rooms = [name for name in chunkmed.__all__ if inspect.ismodule(getattr(chunkmed, name))]
    assert len(chunkmed.__all__) - len(rooms) <= 20 and len(rooms) <= 8
    assert chunkmed.__all__ == sorted(chunkmed.__all__) == dir(chunkmed)
    for name in chunkmed.__all__:
        assert getattr(chunkmed, name) is not None
    assert callable(chunkmed.measure) and callable(chunkmed.follow)
    with pytest.raises(AttributeError, match="no attribute 'measured'"):
        chunkmed.measured  # noqa: B018


def test_a_submodule_does_not_hide_a_function():
    code = "import chunkmed.explanation, chunkmed.measures, chunkmed.tracking, chunkmed as cm\n"
    code += "assert callable(cm.measure) and callable(cm.explain) and callable(cm.follow)"
    assert "chunkmed.measures" in imported(code)
