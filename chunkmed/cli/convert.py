"""``chunkmed convert PATH STORE``."""

from __future__ import annotations

import json
from typing import Any

import click

from chunkmed.cli.options import (
    budget_options,
    channel_of,
    dicom_options,
    foreign_options,
    parse_options,
    place_options,
    spacing_of,
)

__all__ = ["command"]


@click.command()
@click.argument("path")
@click.argument("store")
@dicom_options
@foreign_options
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
    spacing: str | None,
    channel: str | None,
    memory: str | None,
    workers: int | None,
    storage_options: tuple[str, ...],
    **choices: Any,
) -> None:
    """Convert one DICOM series below PATH, or an image of another format, to the OME-Zarr STORE.

    STORE is a folder or a URL like s3://bucket/a.zarr. NIfTI, TIFF (a pattern in quotes: "scan/*.tif")
    and zarr of others are read too.

    Whatever is not regular is refused, and the message says which option accepts it.
    """
    from chunkmed import dicom
    from chunkmed.cli.progress import Progress, scanning
    from chunkmed.conversion import convert
    from chunkmed.foreign import is_foreign
    from chunkmed.graph.budget import config
    from chunkmed.store import describe, locate

    choices |= {"spacing_mm": spacing_of(spacing), "channel": channel_of(channel)}
    source: Any = path
    if not is_foreign(path):
        with scanning() as progress:
            source = dicom.scan(path, progress=progress)
    options = parse_options(storage_options)
    with config(memory, workers, storage_options=options), Progress("slices"):
        target = locate(store)
        image = convert(
            source,
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
