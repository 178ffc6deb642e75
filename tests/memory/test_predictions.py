"""What a plan promises about memory, against what the process takes: every operation, a process each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from memory.measured import SEVERAL, operations

SCRIPT = Path(__file__).with_name("measured.py")
SHAPE = "4,96,256,256"
#: The same code on every Python: one is enough where time is short.
pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12) and not os.environ.get("CHUNKMED_LONG"),
    reason="measured on one Python; CHUNKMED_LONG=1 measures on all",
)
#: Statistics are one function in different words, and so are distances: one of each kind stands for them.
ALIKE = {
    "distance_transform_cdt",
    "variance",
    "standard_deviation",
    "minimum",
    "maximum",
    "sum_labels",
    "minimum_position",
    "maximum_position",
    "histogram",
    "percentiles",
}
NAMES = sorted(set(operations(Path())) - (set() if os.environ.get("CHUNKMED_LONG") else ALIKE))


#: A mean over t keeps six numbers of each voxel of a shard.
MEMORY = {"reductions over t": "760 MB"}


@pytest.fixture(scope="module")
def server():
    """One process that everything is measured in, one after the other."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen([sys.executable, str(SCRIPT)], **pipes) as process:
        yield process
        process.stdin.close()


def measured(server, name, memory, workers):
    server.stdin.write(json.dumps([name, SHAPE, memory, str(workers)]) + "\n")
    found = json.loads(server.stdout.readline())
    assert "error" not in found, found["error"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_peak_is_what_was_predicted(server, name):
    found = measured(server, name, MEMORY.get(name, "500 MB"), 2)
    assert 0.6 * found["predicted"] <= found["measured"] <= found["predicted"], found


@pytest.mark.parametrize("name", ["save", "chain", "label"])
def test_a_process_that_has_just_begun(name):
    # It grows by kernels and modules while it works.
    words = [sys.executable, str(SCRIPT), name, SHAPE, "500 MB", "2"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert 0.6 * found["predicted"] <= found["measured"] <= found["predicted"], found


@pytest.mark.parametrize("name", [name for name in NAMES if name != SEVERAL])
def test_the_smallest_budget_that_is_named_works_and_less_is_refused(server, name):
    found = measured(server, name, "smallest", 1)
    assert "refused" in found["below"], found
    assert found["measured"] <= found["memory"], found
