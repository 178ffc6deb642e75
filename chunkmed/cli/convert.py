"""``chunkmed convert PATH STORE``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from chunkmed.cli.options import budget_options, dicom_options

__all__ = ["command"]


@click.command()
@click.argument("path")
@click.argument("store", type=click.Path(path_type=Path))
@dicom_options
@click.option("--overwrite", is_flag=True, help="Replace a store that is there.")
@click.option("--no-pyramid", is_flag=True, help="Write no coarser levels.")
@click.option("--keep-phi", is_flag=True, help="Keep names, dates and UIDs of the headers in the store.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@budget_options
def command(
    path: str,
    store: Path,
    series: str | None,
    overwrite: bool,
    no_pyramid: bool,
    keep_phi: bool,
    as_json: bool,
    memory: str | None,
    workers: int | None,
    **choices: Any,
) -> None:
    """Convert one DICOM series below PATH to the OME-Zarr STORE.

    Whatever is not regular is refused, and the message says which option accepts it.
    """
    from chunkmed import dicom
    from chunkmed.cli.progress import Progress, scanning
    from chunkmed.conversion import convert
    from chunkmed.graph.budget import config
    from chunkmed.store import describe

    with scanning() as progress:
        study = dicom.scan(path, progress=progress)
    with config(memory, workers), Progress("slices"):
        image = convert(
            study,
            store,
            series=series,
            overwrite=overwrite,
            pyramid=not no_pyramid,
            keep_phi=keep_phi,
            **choices,
        )
    about = describe(store.resolve())
    if as_json:
        told = {"store": str(store), "sizes": dict(image.sizes), "dtype": str(image.dtype)}
        click.echo(json.dumps(told | {"assumptions": about["assumptions"]}, indent=2))
        return
    for sentence in about["assumptions"]:
        click.echo(f"assumed    {sentence}")
    sizes = " x ".join(f"{size} {dim}" for dim, size in image.sizes.items())
    click.echo(f"wrote      {store}: {sizes}, {image.dtype}")
