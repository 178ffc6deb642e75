"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["budget_options", "channel_of", "dicom_options", "foreign_options", "spacing_of"]

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
_FOREIGN = (
    click.option(
        "--spacing",
        metavar="Z,Y,X",
        help='Voxel size in mm, or with a unit ("6.5 um"), where the files do not say it.',
    ),
    click.option(
        "--channel", metavar="NAME", help="Which channel, by name or number, where there are several."
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
    return _added(command, _DICOM)


def foreign_options(command: Command) -> Command:
    """Add what an image that is not DICOM may not say itself."""
    return _added(command, _FOREIGN)


def spacing_of(text: str | None) -> Any:
    """Return ``spacing_mm=`` of one number or length for all axes, or one for each."""
    if text is None:
        return None
    parts: list[Any] = [_number(part.strip()) for part in text.split(",")]
    return parts[0] if len(parts) == 1 else parts


def channel_of(text: str | None) -> str | int | None:
    """Return a channel by its number, else by its name."""
    return int(text) if text is not None and text.isdecimal() else text


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def budget_options(command: Command) -> Command:
    """Add how much memory and how many workers there are."""
    return _added(command, _BUDGET)


def _added(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
