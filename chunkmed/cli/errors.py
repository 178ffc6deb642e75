"""``chunkmed errors [KIND]``."""

from __future__ import annotations

import json

import click

from chunkmed.errors import InputError

__all__ = ["command"]


@click.command()
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(kind: str | None, as_json: bool) -> None:
    """List the kinds of errors, or say what KIND means."""
    from chunkmed.kinds import KINDS
    from chunkmed.names import nearest

    if kind is not None and kind not in KINDS:
        raise InputError(
            f"there is no kind {kind!r}", kind="no-such-kind", fix=nearest(kind, KINDS, "see chunkmed errors")
        )
    chosen = KINDS if kind is None else {kind: KINDS[kind]}
    if as_json:
        click.echo(json.dumps(dict(chosen), indent=2))
        return
    for name, meaning in chosen.items():
        click.echo(f"{name:<22} {meaning}")
