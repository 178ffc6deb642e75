"""Every row of the parity table on one block in memory: CPU time per voxel, scipy's and ours.

    python -m benchmarks functions --match median --dtypes int16,float32

The rows are those that the tests compare: a function of the table cannot be without a figure. Both run on the
same block in one thread, in turns; the block's borders are the image's, so there is no halo. First
use (compiling, or loading what is compiled) stands apart.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage

from benchmarks.machine import about
from benchmarks.processes import pin
from benchmarks.runs import ROOT, append, now
from benchmarks.tables import markdown

__all__ = ["command", "measured", "rows"]

#: A block of a shard: what a task works on.
SHAPE = (32, 128, 256)
_KINDS = ("filter", "mask")
#: A function that takes longer than this is measured once.
_LONG_S = 3.0


def rows(match: str, dtypes: tuple[str, ...]) -> Iterator[tuple[Any, str]]:
    """Yield rows of the parity table that make an image of an image, with each dtype."""
    sys.path.insert(0, str(ROOT / "tests"))
    from parity.table import ROWS

    for row in ROWS:
        if row.call in _KINDS and match in row.id:
            yield from ((row, dtype) for dtype in row.dtypes if not dtypes or dtype in dtypes)


def image_of(dtype: str) -> Any:
    """Return blobs with noise, as in the cases; a mask of half of it."""
    rng = np.random.default_rng(3)
    blobs = scipy.ndimage.gaussian_filter(rng.standard_normal(SHAPE, np.float32), 4)
    blobs *= 60 / blobs.std()
    values = np.clip(128 + blobs + 10 * rng.standard_normal(SHAPE), 0, 255)
    return values > 128 if dtype == "bool" else values.astype(dtype)


def measured(row: Any, dtype: str, repeats: int) -> dict[str, Any]:
    """Return nanoseconds of CPU per voxel of one row: the best of some turns of each."""
    image, arguments = image_of(dtype), row.arguments_for(len(SHAPE))
    ours = _ours(row.name, image, arguments)
    functions = {
        "scipy": lambda: getattr(scipy.ndimage, row.name)(image, **arguments),
        "chunkmed": ours,
    }
    found: dict[str, Any] = {"row": row.id, "dtype": dtype, "first_use_s": round(_seconds(ours), 3)}
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(repeats):
        for name, function in functions.items():
            best[name] = min(best[name], _seconds(function))
        if max(best.values()) > _LONG_S:
            break
    found |= {f"{name}_ns": round(value / image.size * 1e9, 2) for name, value in best.items()}
    return found | {"times_faster": round(best["scipy"] / best["chunkmed"], 2)}


def _ours(name: str, image: Any, arguments: dict[str, Any]) -> Callable[[], Any]:
    import chunkmed.ndimage as ndi
    from chunkmed.graph.box import whole
    from chunkmed.graph.evaluate import evaluate
    from chunkmed.graph.lift import lift
    from chunkmed.graph.trace import ArrayReader
    from chunkmed.graph.views import from_reader

    node = lift(getattr(ndi, name)(from_reader(ArrayReader(image)), **arguments)).node
    return lambda: evaluate([(node, whole(node.shape))])


def _seconds(function: Callable[[], Any]) -> float:
    start_s = time.process_time()
    function()
    return time.process_time() - start_s


def command(options: argparse.Namespace) -> None:
    """Measure the rows, add lines to the results, print the table."""
    warnings.simplefilter("ignore")
    pin(1)
    batch = {"batch": now(), **about()}
    found = []
    for row, dtype in rows(options.match, tuple(filter(None, options.dtypes.split(",")))):
        try:
            line = measured(row, dtype, options.repeats)
        except Exception as error:
            print(f"{row.id} {dtype}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        found.append(line)
        append(options.results, batch | line)
        print(line, file=sys.stderr, flush=True)
    print(rendered(found))


def rendered(found: list[dict[str, Any]]) -> str:
    """Return the table as Markdown, what gains most first."""
    names = ("row", "dtype", "scipy_ns", "chunkmed_ns", "times_faster", "first_use_s")
    ordered = sorted(found, key=lambda line: -line["times_faster"])
    return "\n".join(markdown(names, [[str(line[name]) for name in names] for line in ordered]))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be chosen."""
    parser.set_defaults(action=command)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "functions.jsonl")
    parser.add_argument("--match", default="", help="part of a row's name")
    parser.add_argument("--dtypes", default="", help="like int16,float32; all of each row without")
    parser.add_argument("--repeats", type=int, default=3)
