"""What cases of a cohort do on a cluster: take time, take note, and one takes all the memory there is."""

import os
import time
from pathlib import Path

import numpy as np
import xarray as xr

GREEDY = 3


def case_of(image):
    """Return the first value; note who asks, and take memory without end where it is three."""
    number = int(image.isel(t=0, z=0, y=0, x=0).compute(scheduler="synchronous"))
    if notes := os.environ.get("CHUNKMED_TEST_NOTES"):
        with (Path(notes) / os.environ.get("SLURM_JOB_ID", "none")).open("a") as note:
            note.write(f"{number}\n")
        time.sleep(1.0)
    held = []
    while number == GREEDY:
        held.append(np.ones(8 << 20))
        time.sleep(0.02)
    return xr.Dataset({"first_value": number, "voxels": image.size})
