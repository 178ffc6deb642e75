"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["budget_options", "dicom_options", "limit_option"]

Command = TypeVar("Command", bound=Callable[..., Any])

_DICOM = (
    click.option(
        "--series", metavar="SELECTOR", help="Which series, where there are several (see: chunkmed scan)."
    ),
    click.option(
        "--allow-missing", is_flag=True, help="Accept missing slices, and NaN where an image is missing."
    ),
    click.option("--allow-irregular", is_flag=True, help="Accept slices at uneven distances."),
    click.option("--merge-series", is_flag=True, help="Join series that are certain to be one image."),
    click.option(
        "--frames", type=click.Choice(["t", "z"]), help="What frames are where the headers do not say it."
    ),
)
_BUDGET = (
    click.option(
        "--memory", metavar="SIZE", help='Peak memory, like "2 GB"; half of what is free by default.'
    ),
    click.option("--workers", type=click.IntRange(min=1), help="Tasks at a time; all cores by default."),
)


def dicom_options(command: Command) -> Command:
    """Add which series of a DICOM folder is meant, and what of it is accepted."""
    return _added(command, (*_DICOM, limit_option))


def limit_option(command: Command) -> Command:
    """Add how much a DICOM file may ask for; it holds as long as the command runs."""
    option: Callable[[Command], Command] = click.option(
        "--limit",
        "limits",
        metavar="NAME=VALUE",
        multiple=True,
        expose_value=False,
        callback=_limited,
        help="What a file may ask for: depth, elements, frames, header_bytes, frame_bytes, expansion.",
    )
    return option(command)


def _limited(ctx: click.Context, _: click.Parameter, given: tuple[str, ...]) -> None:
    if given:
        from chunkmed.dicom import limited

        pairs = (text.partition("=")[::2] for text in given)
        ctx.with_resource(limited(**{name.strip().replace("-", "_"): value.strip() for name, value in pairs}))


def budget_options(command: Command) -> Command:
    """Add how much memory and how many workers there are."""
    return _added(command, _BUDGET)


def _added(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
