"""``chunkmed convert PATH STORE``."""

from __future__ import annotations

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
@budget_options
def command(
    path: str,
    store: Path,
    series: str | None,
    overwrite: bool,
    no_pyramid: bool,
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
        image = convert(study, store, series=series, overwrite=overwrite, pyramid=not no_pyramid, **choices)
    for sentence in describe(store.resolve())["assumptions"]:
        click.echo(f"assumed    {sentence}")
    sizes = " x ".join(f"{size} {dim}" for dim, size in image.sizes.items())
    click.echo(f"wrote      {store}: {sizes}, {image.dtype}")
