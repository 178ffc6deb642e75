"""``chunkmed verify STORE``."""

from __future__ import annotations

import json

import click

from chunkmed.cli.options import parse_options, place_options
from chunkmed.errors import StoreError

__all__ = ["command"]

_MOST_NAMED = 100


@click.command()
@click.argument("path", metavar="STORE")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@place_options
def command(path: str, as_json: bool, storage_options: tuple[str, ...]) -> None:
    """Read every object of STORE and compare it with what was written."""
    from chunkmed import store
    from chunkmed.graph.budget import config

    with config(storage_options=parse_options(storage_options)):
        place = store.locate(path)
    found = store.verify(place)
    for damage in [] if as_json else found:
        click.echo(f"{damage.key}: {damage.why}")
    if found:
        raise StoreError(
            f"{len(found)} objects are damaged",
            kind="damaged",
            where=path,
            why=", ".join(f"{damage.key} ({damage.why})" for damage in found[:_MOST_NAMED])
            if as_json
            else "",
            fix="write the store again from its source",
        )
    names = store.label_names(place)
    if as_json:
        click.echo(json.dumps({"store": path, "whole": True, "labels": list(names)}, indent=2))
        return
    click.echo(f"{path}: whole; label images: {', '.join(names) or 'none'}")
