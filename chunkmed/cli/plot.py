"""``chunkmed plot STORE PICTURE``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chunkmed.errors import InputError, StoreError

__all__ = ["command"]


@click.command()
@click.argument("source", metavar="STORE")
@click.argument("picture", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["views", "montage"]),
    default="views",
    show_default=True,
    help="Axial, coronal and sagittal through a point, or many slices.",
)
@click.option("--labels", metavar="NAME", help="Label image of the store to outline.")
@click.option("--fill", is_flag=True, help="Fill labels with their colours instead.")
@click.option(
    "--window",
    metavar="NAME|CENTRE,WIDTH",
    help="Values from black to white: lung, bone ..., or two numbers; percentiles by default.",
)
@click.option("--lps", metavar="X,Y,Z", help="Where the views cross, in patient mm.")
@click.option("--time", "t", default=0, show_default=True, help="Index of the time point.")
@click.option(
    "--axis", help="Across which axis slices are taken; t: over time. By default z, of a single slice t."
)
@click.option("--count", "n", type=click.IntRange(min=1), help="How many slices; 12 by default.")
@click.option("--every", type=click.IntRange(min=1), help="Every so many slices instead.")
@click.option("--dpi", default=100, show_default=True, type=click.IntRange(20, 1200), help="Dots per inch.")
def command(
    source: str,
    picture: Path,
    kind: str,
    labels: str | None,
    fill: bool,
    window: str | None,
    lps: str | None,
    t: int,
    axis: str | None,
    n: int | None,
    every: int | None,
    dpi: int,
) -> None:
    """Write slices of STORE as PICTURE (.png, .pdf, .svg ...), to scale and the right way round.

    The coarsest level is read that has a voxel for each pixel of the picture.
    """
    from chunkmed.images import open as open_image
    from chunkmed.report.files import draw_picture

    image = open_image(source)
    layer = None if labels is None else open_image(source, label=labels)
    given: dict[str, Any] = {"t": t, "window": None if window is None else _window(window)}
    given |= {"overlay" if fill else "contours": layer}
    at = {"lps": _numbers(lps, 3, "--lps")} if lps is not None else layer
    if kind == "montage":
        given |= {"axis": axis, "n": n, "every": every, "at": at}
    else:
        given["at"] = at
    try:
        click.echo(f"wrote      {draw_picture(image, picture, kind, dpi=dpi, **given)}")
    except OSError as error:
        raise StoreError("the picture cannot be written", kind="unwritable", why=str(error)) from error


def _window(text: str) -> Any:
    return _numbers(text, 2, "--window") if "," in text else text


def _numbers(text: str, count: int, option: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != count:
        raise InputError(f"{option} {text}", kind="bad-setting", fix=f"give {count} numbers with commas")
    return found
