"""Commands of the command line, run in the process of a test."""

from __future__ import annotations

from click.testing import CliRunner


def invoked(command, *words):
    """Run a command; return what it printed. Its errors are raised, as `main` gets them."""
    done = CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout
