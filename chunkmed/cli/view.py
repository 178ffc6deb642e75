"""``chunkmed view STORE``."""

from __future__ import annotations

import time
import webbrowser

import click

__all__ = ["command"]


@click.command()
@click.argument("source", metavar="STORE")
@click.option("--labels", multiple=True, metavar="NAME", help="Label image to show; all by default.")
@click.option("--range", "ends", type=(float, float), metavar="LOW HIGH", help="Values from black to white.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so long; by default with Ctrl-C.")
def command(
    source: str,
    labels: tuple[str, ...],
    ends: tuple[float, float] | None,
    no_browser: bool,
    seconds: float | None,
) -> None:
    """Show STORE in the browser: axial, coronal and sagittal, in the patient's millimetres.

    It is served on 127.0.0.1 until Ctrl-C, to whoever knows the address that is printed.
    """
    from chunkmed.viewer import view_store

    with view_store(source, list(labels) or None, ends) as viewing:
        click.echo(f"view       {viewing.url}")
        click.echo("stop with Ctrl-C")
        if not no_browser:
            webbrowser.open(viewing.url)
        try:
            _wait(seconds)
        except KeyboardInterrupt:
            click.echo("stopped")


def _wait(seconds: float | None) -> None:
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        time.sleep(0.2)
