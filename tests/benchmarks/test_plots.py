"""What is plotted against size: the last batch of each case, the fastest variant of each peer."""

from __future__ import annotations

import sys
from pathlib import Path

# This folder has the same name: a package that is farther back still comes before it.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.plots import draw, lines_of


def row(case, peer, wall_s, batch="2026-01-01", variant="", peak_mib=100.0):
    about = {"batch": batch, "pair": 0, "operation": "chain", "workers": 2, "budget": None}
    measured = {"wall_s": wall_s, "cpu_s": 1.0, "others_cpu_s": 0.0, "peak_mib": peak_mib, "output_mib": 1.0}
    return {**about, **measured, "case": case, "peer": peer, "variant": variant, "tasks": 1, "differs": 0}


ROWS = [
    row("small", "chunkmed", 9.0, batch="2025-01-01"),
    row("small", "chunkmed", 1.0),
    row("small", "dask_image", 5.0, variant="unit"),
    row("small", "dask_image", 4.0, variant="larger", peak_mib=300.0),
    row("big4", "chunkmed", 20.0),
    row("tiny", "chunkmed", 0.1),
]


def test_lines():
    found = lines_of(ROWS, "chain")
    small, large = 4 * 64 * 512 * 512 * 2 / 1e9, 120 * 64 * 512 * 512 * 2 / 1e9
    assert found == {
        "chunkmed": [(small, 1.0, 100.0), (large, 20.0, 100.0)],
        "dask_image": [(small, 4.0, 300.0)],
    }
    assert lines_of(ROWS, "gaussian") == {}


def test_a_picture_is_written(tmp_path):
    draw(ROWS, "chain", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
