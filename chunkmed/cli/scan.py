"""``chunkmed scan PATH``."""

from __future__ import annotations

import json

import click

from chunkmed.cli.options import limit_option

__all__ = ["command"]


@click.command()
@click.argument("path")
@limit_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, descriptions left out.")
def command(path: str, as_json: bool) -> None:
    """List the DICOM series below PATH, with the selectors that --series takes.

    A selector is the number of a row, the name in the column "series" or the beginning of it.
    """
    from chunkmed import dicom
    from chunkmed.cli.progress import scanning

    with scanning() as progress:
        study = dicom.scan(path, progress=progress)
    click.echo(json.dumps(dicom.described(study), indent=2) if as_json else str(study))
