"""``chunkmed recipe list | show | check | schema``."""

from __future__ import annotations

import json

import click

from chunkmed.cli.groups import Group

__all__ = ["command"]


@click.group(cls=Group)
def command() -> None:
    """List, show and check recipes."""


@command.command("list")
def _list() -> None:
    """List the recipes that come with chunkmed."""
    from chunkmed.recipe import load, shipped

    for name in sorted(shipped()):
        click.echo(f"{name:<22} {load(name).description}")


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a recipe as TOML: a start for one of your own."""
    from chunkmed.recipe import load

    click.echo(load(name).text, nl=False)


@command.command()
@click.argument("path")
def check(path: str) -> None:
    """Check a recipe without running it."""
    from chunkmed.recipe import load

    found = load(path)
    click.echo(f"{found.name}: {len(found.steps)} steps, {len(found.measurements)} measurements, no errors")


@command.command()
def schema() -> None:
    """Print the JSON schema of recipes."""
    from chunkmed.recipe import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
