"""``chunkmed scan PATH``."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command()
@click.argument("path")
def command(path: str) -> None:
    """List the DICOM series below PATH, with the selectors that --series takes."""
    from chunkmed import dicom

    click.echo(str(dicom.scan(path)))
