"""``chunkmed convert PATH STORE``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["accepting", "command"]


def accepting(function: click.decorators.FC) -> click.decorators.FC:
    """Add the options that say what is accepted of DICOM."""
    options = (
        click.option("--allow-missing", is_flag=True, help="Accept a series in which slices are missing."),
        click.option("--allow-irregular", is_flag=True, help="Accept slices at uneven distances."),
        click.option(
            "--frames",
            type=click.Choice(["t", "z"]),
            help="What frames are, time or slices, where a file does not say.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@click.argument("source", metavar="PATH")
@click.argument("store")
@click.option("--series", metavar="SELECTOR", help="Which series, where PATH holds several (see: scan).")
@accepting
@click.option("--overwrite", is_flag=True, help="Replace STORE, its label images included.")
@click.option("--no-pyramid", is_flag=True, help="Leave out the coarser levels that viewers use.")
@click.option("--memory", metavar="SIZE", help='Peak memory, like "2 GB"; half of what is free by default.')
@click.option("--workers", type=click.IntRange(min=1), help="Tasks at a time; all cores by default.")
def command(
    source: str,
    store: str,
    series: str | None,
    allow_missing: bool,
    allow_irregular: bool,
    frames: str | None,
    overwrite: bool,
    no_pyramid: bool,
    memory: str | None,
    workers: int | None,
) -> None:
    """Convert the DICOM series below PATH to the OME-Zarr store STORE.

    Strict: missing, doubled and unevenly spaced slices are refused unless an option accepts them.
    What was assumed is printed, and kept in the store.
    """
    from chunkmed import images
    from chunkmed.cli.progress import Progress
    from chunkmed.graph.budget import config
    from chunkmed.store import describe

    with config(memory, workers), Progress():
        image = images.convert(
            source,
            store,
            series=series,
            allow_missing=allow_missing,
            allow_irregular=allow_irregular,
            frames=frames,
            overwrite=overwrite,
            pyramid=not no_pyramid,
        )
    for sentence in describe(Path(store).resolve())["assumptions"]:
        click.echo(f"assumed    {sentence}")
    sizes = " x ".join(f"{size} {dim}" for dim, size in image.sizes.items())
    click.echo(f"wrote      {store}: {sizes}, {image.dtype}")
