"""``chunkmed demo [OUT]``: the main job on a phantom whose truth is known, but not to the job."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from chunkmed.errors import ChunkmedError, StoreError

__all__ = ["command"]

_MARK = ".chunkmed-demo"
_MEMORY = "640 MB"


@click.command()
@click.argument("out", default="demo", type=click.Path(path_type=Path))
@click.option("--seed", default=7, show_default=True, help="Seed of the phantom's noise.")
def command(out: Path, seed: int) -> None:
    """Write a phantom study as DICOM into OUT, measure its ejection fraction, compare with the truth.

    The phantom is a beating ellipsoid ventricle beside a second one, as bright, in an oblique plane,
    with noise and with slices that each have their own trigger times. The job runs in a process of
    its own that sees the DICOM files and a point inside the ventricle, and nothing else.
    """
    from chunkmed.testing import write_study

    phantom = _phantom(seed)
    _prepare(out)
    started = time.monotonic()
    files = write_study(out / "dicom", phantom)
    click.echo(f"phantom    {len(files)} DICOM files in {out / 'dicom'}, {time.monotonic() - started:.1f} s")
    seconds = _run_job(out, phantom)
    _report(out, phantom, seconds)


def _phantom(seed: int) -> Any:
    from chunkmed.testing import BeatingEllipsoid

    return BeatingEllipsoid(
        time_points=24,
        semi_axes_mm=(47.0, 27.0, 25.0),
        nominal_ejection_fraction=0.58,
        size=(32, 240, 300),
        spacing_mm=(4.0, 0.75, 0.75),
        slice_gap_mm=2.0,
        rotation_deg=(28.0, 35.0, -14.0),
        noise_sigma=14.0,
        seed=seed,
    )


def _prepare(out: Path) -> None:
    """Make the folder; an earlier demo is replaced, anything else is left alone."""
    mark = out / _MARK
    try:
        if out.exists() and not mark.is_file() and any(out.iterdir()):
            raise StoreError(
                "the folder holds other things", kind="exists", where=str(out), fix="choose another"
            )
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        mark.touch()
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError("the demo cannot be written", kind="unwritable", where=str(out), why=why) from error


def _run_job(out: Path, phantom: Any) -> float:
    """Run the main job in a new process, which learns a point near the centre and no volume."""
    # A click inside the ventricle is not its centre.
    x, y, z = (round(value + shift, 1) for value, shift in zip(phantom.center_lps, (3, -4, 2), strict=True))
    seed = f"[{x}, {y}, {z}]"
    words = ["run", "ejection-fraction", str(out / "dicom"), str(out / "result")]
    words += ["--set", f"seed.lps={seed}", "--memory", _MEMORY]
    click.echo(f"command    chunkmed {' '.join(words[:4])} --set seed.lps='{seed}' --memory '{_MEMORY}'")
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "chunkmed", *words], stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    if done.returncode:
        raise ChunkmedError("the job of the demo failed", kind="demo-failed", fix="see the message above")
    return time.monotonic() - started


def _report(out: Path, phantom: Any, seconds: float) -> None:
    from rich.console import Console

    from chunkmed.units import format_bytes, parse_bytes

    result = out / "result"
    console = Console(width=100 if not sys.stdout.isatty() else None, highlight=False)
    summary = json.loads((result / "summary.json").read_text())
    about = json.loads((result / "provenance.json").read_text())
    console.print(_volume_table(result, phantom))
    console.print(_comparison(summary, phantom))
    size, peak = about["image"]["bytes"], about["peak_memory_bytes"]
    console.print(
        f"memory     budget {format_bytes(parse_bytes(_MEMORY))}, measured peak {format_bytes(peak)}, "
        f"image {format_bytes(size)}"
    )
    console.print(f"time       {seconds:.1f} s for the job")
    console.print(f"picture    {result / 'picture.png'}")
    console.print(f'store      {result / "image.zarr"}  (xarray.open_zarr(..., group="0"))')
    console.print(f"tables     {result / 'table.csv'}, {result / 'curve.csv'} (and .parquet)")
    console.print(f"more       {result / 'provenance.json'}, {result / 'assumptions.json'}")


def _measured_ml(result: Path) -> list[tuple[float, float]]:
    """Return time and volume of each frame from the curve that the job wrote."""
    import csv

    with (result / "curve.csv").open(encoding="utf-8") as file:
        return [(float(row["time_ms"]), float(row["volume_ml"])) for row in csv.DictReader(file)]


def _volume_table(result: Path, phantom: Any) -> Any:
    from rich.table import Table

    table = Table(title="Left ventricle: measured beside the truth")
    for name in ("frame", "time (ms)", "measured (ml)", "true (ml)", "difference"):
        table.add_column(name, justify="right")
    rows = zip(_measured_ml(result), phantom.volumes_ml, strict=True)
    for number, ((time_ms, measured), true) in enumerate(rows):
        difference = f"{100 * (measured / true - 1):+.2f} %"
        table.add_row(str(number), f"{time_ms:.0f}", f"{measured:.2f}", f"{true:.2f}", difference)
    return table


def _comparison(summary: dict[str, float], phantom: Any) -> Any:
    from rich.table import Table

    table = Table()
    for name in ("", "measured", "true"):
        table.add_column(name, justify="right")
    ed, es = phantom.volumes_ml[phantom.ed_index], phantom.volumes_ml[phantom.es_index]
    table.add_row("end-diastolic volume (ml)", f"{summary['edv_ml']:.2f}", f"{ed:.2f}")
    table.add_row("end-systolic volume (ml)", f"{summary['esv_ml']:.2f}", f"{es:.2f}")
    true = 100 * phantom.ejection_fraction
    measured = summary["ejection_fraction_percent"]
    table.add_row("[bold]ejection fraction (%)", f"[bold]{measured:.2f}", f"[bold]{true:.2f}")
    return table
