"""Groups of commands, as click has them: a command that is misspelt is told the nearest there is."""

from __future__ import annotations

import click

__all__ = ["Group"]


class Group(click.Group):
    """A group of commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words name, and the words that are left."""
        if self.get_command(ctx, args[0]) is None:
            from chunkmed.errors import InputError
            from chunkmed.names import nearest

            fix = nearest(args[0], self.list_commands(ctx), f"see {ctx.command_path} --help")
            raise InputError(f"there is no command {args[0]!r}", kind="usage", fix=fix)
        return super().resolve_command(ctx, args)
