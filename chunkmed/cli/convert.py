"""``chunkmed convert PATH STORE``."""

from __future__ import annotations

import json
from typing import Any

import click

from chunkmed.cli.options import budget_options, dicom_options, parse_options, place_options

__all__ = ["command"]


@click.command()
@click.argument("path")
@click.argument("store")
@dicom_options
@click.option("--overwrite", is_flag=True, help="Replace a store that is there.")
@click.option("--no-pyramid", is_flag=True, help="Write no coarser levels.")
@click.option("--keep-phi", is_flag=True, help="Keep names, dates and UIDs of the headers in the store.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@budget_options
@place_options
def command(
    path: str,
    store: str,
    series: str | None,
    overwrite: bool,
    no_pyramid: bool,
    keep_phi: bool,
    as_json: bool,
    memory: str | None,
    workers: int | None,
    storage_options: tuple[str, ...],
    **choices: Any,
) -> None:
    """Convert one DICOM series below PATH to the OME-Zarr STORE, a folder or a URL like s3://bucket/a.zarr.

    Whatever is not regular is refused, and the message says which option accepts it.
    """
    from chunkmed import dicom
    from chunkmed.cli.progress import Progress, scanning
    from chunkmed.conversion import convert
    from chunkmed.graph.budget import config
    from chunkmed.store import describe, locate

    with scanning() as progress:
        study = dicom.scan(path, progress=progress)
    options = parse_options(storage_options)
    with config(memory, workers, storage_options=options), Progress("slices"):
        target = locate(store)
        image = convert(
            study,
            target,
            series=series,
            overwrite=overwrite,
            pyramid=not no_pyramid,
            keep_phi=keep_phi,
            **choices,
        )
    about = describe(target)
    if as_json:
        told = {"store": store, "sizes": dict(image.sizes), "dtype": str(image.dtype)}
        click.echo(json.dumps(told | {"assumptions": about["assumptions"]}, indent=2))
        return
    for sentence in about["assumptions"]:
        click.echo(f"assumed    {sentence}")
    sizes = " x ".join(f"{size} {dim}" for dim, size in image.sizes.items())
    click.echo(f"wrote      {store}: {sizes}, {image.dtype}")
