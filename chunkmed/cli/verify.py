"""``chunkmed verify STORE``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from chunkmed.errors import StoreError

__all__ = ["command"]

_MOST_NAMED = 100


@click.command()
@click.argument("path", metavar="STORE", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def command(path: Path, as_json: bool) -> None:
    """Read every object of STORE and compare it with what was written."""
    from chunkmed import store

    found = store.verify(path)
    for damage in [] if as_json else found:
        click.echo(f"{damage.key}: {damage.why}")
    if found:
        raise StoreError(
            f"{len(found)} objects are damaged",
            kind="damaged",
            where=str(path),
            why=", ".join(f"{damage.key} ({damage.why})" for damage in found[:_MOST_NAMED])
            if as_json
            else "",
            fix="write the store again from its source",
        )
    names = store.label_names(path)
    if as_json:
        click.echo(json.dumps({"store": str(path), "whole": True, "labels": list(names)}, indent=2))
        return
    click.echo(f"{path}: whole; label images: {', '.join(names) or 'none'}")
