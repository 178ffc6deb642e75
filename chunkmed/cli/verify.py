"""``chunkmed verify STORE``."""

from __future__ import annotations

from pathlib import Path

import click

from chunkmed.errors import StoreError

__all__ = ["command"]


@click.command()
@click.argument("path", metavar="STORE", type=click.Path(path_type=Path))
def command(path: Path) -> None:
    """Read every object of STORE and compare it with what was written."""
    from chunkmed import store

    found = store.verify(path)
    for damage in found:
        click.echo(f"{damage.key}: {damage.why}")
    if found:
        raise StoreError(f"{len(found)} objects are damaged", kind="damaged", where=str(path))
    labels = ", ".join(store.label_names(path)) or "none"
    click.echo(f"{path}: whole; label images: {labels}")
