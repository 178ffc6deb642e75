"""``chunkmed which IDENTIFIER...``."""

from __future__ import annotations

import json

import click

from chunkmed.errors import SourceError

__all__ = ["command"]


@click.command()
@click.argument("identifiers", nargs=-1, required=True, metavar="IDENTIFIER...")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(identifiers: tuple[str, ...], as_json: bool) -> None:
    """Say which files on this machine the keyed identifiers of errors, stores and reports stand for.

    The answer comes from a private file of yours, which no store and no report holds.
    """
    from chunkmed.private import map_file, paths_of

    found = {identifier: paths_of(identifier) for identifier in identifiers}
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for identifier, paths in found.items():
            for path in paths:
                click.echo(f"{identifier}  {path.encode('utf-8', 'backslashreplace').decode()}")
    unknown = [identifier for identifier, paths in found.items() if not paths]
    if unknown and as_json:
        # One document, which says it.
        click.get_current_context().exit(1)
    if unknown:
        raise SourceError(
            f"nothing is known of {', '.join(unknown)}",
            kind="no-such-identifier",
            where=str(map_file()),
            why="it was given on another machine, by another user or with another key",
        )
