"""A cohort of small 4D studies whose volumes are known, some of them bad in ways that have a name.

Long form: ``python tests/hostile_cohort.py 1000`` writes so many studies, one in ten of them bad, runs
them once without and once with three kills of the client, and compares both with the truth.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import xarray as xr
from pydicom.uid import JPEG2000Lossless, JPEGExtended12Bit

import chunkmed as cm
from chunkmed.testing import BeatingEllipsoid, write_study

TIMES, SLICES = 2, 10
#: Counting voxels of 65 mm3 is not better: 3.3 % at worst in 150 of these hearts.
TOLERANCE = 0.045

RECIPE = """
schema = 1
description = "Both ventricles of a phantom, and a step that some studies do not survive"
[parameters]
above = 165
[input]
modality = "MR"
[[step]]
name = "survived"
do = "hostile_cohort:trapped"
of = "image"
[[step]]
name = "blood"
do = "threshold"
of = "survived"
above = "$above"
[[step]]
name = "ventricles"
do = "keep_largest"
of = "blood"
count = 2
[[measure]]
labels = "ventricles"
of = "image"
what = ["volume_ml", "mean"]
"""

#: What the corner of an image says is to happen to the process that measures it.
HANG, EAT, CRASH, EXIT, RAISE, KILL = 1001, 1002, 1003, 1004, 1005, 1006


def trapped(image: xr.DataArray) -> xr.DataArray:
    """Return the image, unless its first voxel says otherwise: what code of others can do to a process."""
    corner = int(image.isel(t=0, z=0, y=0, x=0).compute(scheduler="synchronous"))
    if corner == HANG:
        say("about to hang")
        time.sleep(3600)
    if corner == EAT:
        kept = []
        while True:
            kept.append(np.ones(8 << 20))
            time.sleep(0.02)
    if corner == CRASH:
        ctypes.string_at(0)
    if corner == EXIT:
        os._exit(7)
    if corner == RAISE:
        raise ZeroDivisionError("somebody else's code")
    if corner == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    return image


def heart(number: int) -> BeatingEllipsoid:
    rng = np.random.default_rng(number)
    return BeatingEllipsoid(
        time_points=TIMES,
        systole_fraction=0.5,
        size=(SLICES, 54, 66),
        spacing_mm=(9.6, 2.6, 2.6),
        slice_gap_mm=0.5,
        semi_axes_mm=(float(rng.uniform(36, 44)), float(rng.uniform(22, 27)), float(rng.uniform(22, 27))),
        nominal_ejection_fraction=float(rng.uniform(0.3, 0.6)),
        seed=number,
    )


def truth_ml(number: int) -> np.ndarray:
    """(t,) volume of both ventricles together."""
    phantom = heart(number)
    other = 4 / 3 * np.pi * np.prod(phantom.other_semi_axes_mm) / 1000
    return phantom.volumes_ml + other * (1 - phantom.other_ejection_fraction * phantom.contraction)


def _edit(paths: list[Path], **tags: object) -> None:
    for path in paths:
        dataset = pydicom.dcmread(path)
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)


def _shift(paths: list[Path], z: int, by: tuple[float, float, float]) -> None:
    """Move one slice at all time points."""
    for t in range(TIMES):
        path = paths[t * SLICES + z]
        dataset = pydicom.dcmread(path)
        position = np.array([float(value) for value in dataset.ImagePositionPatient]) + by
        dataset.ImagePositionPatient = [f"{value:.4f}" for value in position]
        dataset.save_as(path)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink()


def _truncate(paths: list[Path], keep: float) -> None:
    for path in paths:
        os.truncate(path, int(path.stat().st_size * keep))


def _no_pixels(paths: list[Path]) -> None:
    for path in paths:
        dataset = pydicom.dcmread(path)
        del dataset.PixelData
        dataset.save_as(path)


def _only_odd_files(paths: list[Path]) -> None:
    folder = paths[0].parent
    _remove(paths)
    os.mkfifo(folder / "pipe.dcm")
    (folder / "nowhere.dcm").symlink_to(folder / "missing")


def _texts(paths: list[Path]) -> None:
    for path in paths:
        path.write_text("this was a study once")


def _twin(paths: list[Path]) -> None:
    """Another image at the same place, with other pixels."""
    dataset = pydicom.dcmread(paths[3])
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{dataset.SOPInstanceUID[:60]}.1"
    dataset.save_as(paths[3].with_name("twin.dcm"))


def _compressed(syntax: str) -> Callable[[list[Path]], None]:
    """Say that the pixels are compressed, while they are noise."""

    def spoil(paths: list[Path]) -> None:
        for path in paths:
            dataset = pydicom.dcmread(path)
            noise = np.random.default_rng(0).integers(0, 256, 4000).astype(np.uint8).tobytes()
            dataset.PixelData = pydicom.encaps.encapsulate([noise])
            dataset["PixelData"].VR = "OB"
            dataset["PixelData"].is_undefined_length = True
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.save_as(path)

    return spoil


def _corner(value: int) -> Callable[[list[Path]], None]:
    def mark(paths: list[Path]) -> None:
        dataset = pydicom.dcmread(paths[0])
        pixels = dataset.pixel_array.copy()
        pixels[0, 0] = value
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(paths[0])

    return mark


#: Ways of being bad: what is done to the files (t, z), and the kind that must come out.
WAYS: dict[str, tuple[Callable[[list[Path]], None], str]] = {
    "empty folder": (_remove, "no-dicom"),
    "other files": (_texts, "no-dicom"),
    "pipe and dead link": (_only_odd_files, "no-dicom"),
    "no pixels": (_no_pixels, "no-dicom"),
    "all cut off": (lambda paths: _truncate(paths, 0.1), "no-dicom"),
    "one image missing": (lambda paths: _remove(paths[3:4]), "ragged-cells"),
    "one image cut off": (lambda paths: _truncate(paths[3:4], 0.7), "ragged-cells"),
    "slice missing": (lambda paths: _remove([paths[3], paths[SLICES + 3]]), "missing-slices"),
    "slice too near": (lambda paths: _shift(paths, 3, (0, 0, 2.5)), "uneven-spacing"),
    "slice beside the line": (lambda paths: _shift(paths, 3, (4, 0, 0)), "shifted-slices"),
    "two at one place": (_twin, "duplicate-position"),
    "no spacing": (lambda paths: _edit(paths, PixelSpacing=[0, 0]), "bad-spacing"),
    "no plane": (
        lambda paths: _edit(paths, ImageOrientationPatient=[1, 0, 0, 0.6, 0.8, 0]),
        "bad-orientation",
    ),
    "slope of zero": (lambda paths: _edit(paths, RescaleSlope=0, RescaleIntercept=0), "bad-rescale"),
    "noise as JPEG 2000": (_compressed(JPEG2000Lossless), "undecodable"),
    "noise as JPEG": (_compressed(JPEGExtended12Bit), "undecodable"),
    "other modality": (lambda paths: _edit(paths, Modality="CT"), "other-modality"),
    "hangs": (_corner(HANG), "timeout"),
    "eats memory": (_corner(EAT), "out-of-memory"),
    "crashes": (_corner(CRASH), "crashed"),
    "exits": (_corner(EXIT), "exited"),
    "raises": (_corner(RAISE), "unexpected"),
    "is killed": (_corner(KILL), "killed"),
}


@cache
def _ways(count: int, bad: int) -> dict[int, str]:
    """Return which studies are bad, and how: each way in turn, anywhere."""
    names = list(WAYS)
    chosen = random.Random(0).sample(range(count), bad)
    return {number: names[i % len(names)] for i, number in enumerate(chosen)}


def write_cohort(root: Path, count: int, bad: int) -> dict[str, str]:
    """Write the studies; return the kind of each bad one by its case id."""
    ways = _ways(count, bad)
    for number in range(count):
        paths = write_study(root / f"sub-{number:04d}", heart(number), rr_jitter=0.0)
        if number in ways:
            WAYS[ways[number]][0](paths)
    return {f"{number:04d}": WAYS[way][1] for number, way in ways.items()}


def plan(root: Path, out: Path, *, timeout_s: float, memory: str = "1.3 GB", workers: int = 2):
    recipe = root.parent / "recipe.toml"
    recipe.write_text(RECIPE)
    return cm.cohort.plan(
        root, out, recipe=recipe, case_id="sub-{case}", memory=memory, workers=workers, timeout_s=timeout_s
    )


def check(out: Path, count: int, expected: dict[str, str]) -> None:
    """Compare what is on disk with the truth: every good study right, every bad one named."""
    from chunkmed.cohort.gathering import outcomes

    kinds = {outcome.case_id: outcome.kind for outcome in outcomes(out) if outcome.failed}
    assert kinds == expected, {
        case: (kinds.get(case), expected.get(case))
        for case in kinds.keys() | expected.keys()
        if kinds.get(case) != expected.get(case)
    }
    table = cm.cohort.table(out).to_pydict()
    for number in range(count):
        case = f"{number:04d}"
        if case in expected:
            assert case not in table["case_id"]
            continue
        rows = zip(table["case_id"], table["t"], table["volume_ml"], strict=True)
        found = np.zeros(TIMES)
        for row_case, t, volume in rows:
            if row_case == case:
                found[t] += volume
        np.testing.assert_allclose(found, truth_ml(number), rtol=TOLERANCE, err_msg=case)


def table_bytes(out: Path) -> bytes:
    """Return the table of a cohort and its failures, sorted."""
    cm.cohort.open(out).group(page=False)
    names = ("table.csv", "failures.csv")
    return b"".join(b"\n".join(sorted((out / "group" / name).read_bytes().splitlines())) for name in names)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(count: int) -> None:
    """Run the long form."""
    with tempfile.TemporaryDirectory(prefix="cohort") as folder:
        root = Path(folder) / "studies"
        expected = write_cohort(root, count, count // 10)
        say(f"{count} studies, {len(expected)} bad in {len(set(WAYS))} ways")
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        for out in (whole, cut):
            plan(root, out, timeout_s=120)
        command = [sys.executable, "-m", "chunkmed", "cohort", "run", "--retries", "0"]
        paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": paths}
        subprocess.run([*command, str(whole)], env=environment, check=False)
        for kill in range(1, 4):
            process = subprocess.Popen([*command, str(cut)], env=environment)
            while (found := cm.cohort.status(cut)).done + found.failed < kill * count // 4:
                time.sleep(0.2)
            process.kill()
            process.wait()
            say(f"killed after {found.done + found.failed} cases")
        subprocess.run([*command, str(cut)], env=environment, check=False)
        for out in (whole, cut):
            check(out, count, expected)
        again = cm.cohort.status(cut).starts - count
        assert again <= 3 * 2, f"{again} cases were started again by 3 kills of 2 workers"
        assert table_bytes(whole) == table_bytes(cut)
        say(
            f"every good study right, every bad one named; {again} cases redone; both tables equal",
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
