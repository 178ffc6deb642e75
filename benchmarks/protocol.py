"""What whole-or-absent costs: the commit protocol against the same shards and nothing else.

    python benchmarks/protocol.py [DICOM_FOLDER] > benchmarks/results/protocol.jsonl

Ledger, manifest, fsync of every file and folder, rename: in pairs whose order alternates, each into a
new folder, 128 MiB and 1 GiB. Waiting for the disk is part of it: the larger case says how fast it is.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from shards import INNERS, SHAPE, SHARD, Box, cut, machine, paired, shards, volume

from chunkmed.store import staged
from chunkmed.store.arrays import create_array
from chunkmed.store.layout import Layout
from chunkmed.store.sealed import write_sealed

COMMIT = "f" * 16
#: Pairs by how many volumes of 128 MiB are written.
PAIRS = {1: 50, 8: 16}


def protocol(values: np.ndarray, root: Path, copies: int) -> dict:
    """Compare the whole protocol with shards alone, in pairs whose order alternates."""
    layout = Layout(INNERS[0], SHARD)
    shape = (copies, *SHAPE[1:])
    boxes = [((t, t + 1), *box[1:]) for t in range(copies) for box in shards()]

    def part(box: Box) -> np.ndarray:
        return values[cut(((0, 1), *box[1:]))]

    def shards_alone(path: Path) -> None:
        writer, _ = create_array(path, shape, values.dtype, commit="b", layout=layout)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda box: writer.write(box, part(box)), boxes))

    def whole(path: Path) -> None:
        with staged(path, COMMIT) as staging:
            writer, _ = create_array(staging.folder / "a", shape, values.dtype, commit=COMMIT, layout=layout)
            write_sealed(staging.folder / "zarr.json", {"commit": COMMIT}, sync=False)
            with ThreadPoolExecutor(2) as pool:
                for written in pool.map(lambda box: writer.write(box, part(box)), boxes):
                    staging.record({f"a/{key}": value for key, value in written.items()})

    times: dict[str, list[float]] = {"alone": [], "whole": []}
    actions = [("alone", shards_alone), ("whole", whole)]
    for number in range(PAIRS[copies]):
        for name, action in actions if number % 2 else actions[::-1]:
            path = root / f"{name}.zarr"
            started = time.perf_counter()
            action(path)
            times[name].append(time.perf_counter() - started)
            shutil.rmtree(path)
            os.sync()
    return {
        "case": "protocol",
        "mib": copies * values.nbytes // 2**20,
        "alone_s": round(statistics.median(times["alone"]), 4),
        "whole_s": round(statistics.median(times["whole"]), 4),
        "ratio": paired(times["whole"], times["alone"]),
        "ratio_of_medians": round(statistics.median(times["whole"]) / statistics.median(times["alone"]), 3),
    }


def main(folder: str | None) -> None:
    """Run both sizes."""
    values = volume(folder)
    print(json.dumps(machine(folder)), flush=True)
    with tempfile.TemporaryDirectory() as name:
        for copies in PAIRS:
            print(json.dumps(protocol(values, Path(name), copies)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
