"""``chunkmed info STORE``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from chunkmed.cli.options import parse_options, place_options
from chunkmed.units import format_bytes

__all__ = ["command"]

#: Attributes of an image that say what its values mean.
_MEANING = ("modality", "units", "padding_value")


@click.command()
@click.argument("path", metavar="STORE")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@place_options
def command(path: str, as_json: bool, storage_options: tuple[str, ...]) -> None:
    """Say what STORE holds: image, levels, label images, history. No voxel is read."""
    from chunkmed import store
    from chunkmed.graph.budget import config

    with config(storage_options=parse_options(storage_options)):
        place = store.locate(path)
    about = store.describe(place)
    click.echo(json.dumps(about, indent=2) if as_json else "\n".join(_lines(about)))


def _lines(about: dict[str, Any]) -> Iterator[str]:
    yield f"{about['path']}  (chunkmed {about['version']}, commit {about['commit']})"
    if about["node"] != about["path"]:
        yield _line("zarr group", about["node"])
    yield from _image("image", about["image"])
    for name, image in about["labels"].items():
        yield from _image(f"label {name}", image)
    for text in about["assumptions"]:
        yield _line("assumed", text)
    for record in about["history"]:
        settings = ", ".join(f"{key}={value}" for key, value in record["settings"].items())
        yield _line("history", f"{record['step']} {settings}".strip())


def _line(name: str, text: str) -> str:
    return f"{name:<11} {text}"


def _image(name: str, image: dict[str, Any]) -> Iterator[str]:
    meaning = [
        f"{key} {image['attributes'][key]}" for key in _MEANING if image["attributes"].get(key, "") != ""
    ]
    yield _line(name, ", ".join([image["dtype"], *meaning]))
    first = image["dims"][0]
    axis, count = image["axes"][first], image["levels"][0]["shape"][0]
    if count > 1:
        yield _line("", f"{count} along {first}: {axis['first']:g} to {axis['last']:g} {axis['units']}")
    if not image["uniform"]:
        yield _line("", "slices at uneven distances")
    for number, level in enumerate(image["levels"]):
        yield _line("", f"level {number}: {_level(level, image['axes']['z']['units'])}")


def _level(level: dict[str, Any], units: str) -> str:
    shape = " x ".join(map(str, level["shape"][1:]))
    size, stored = format_bytes(level["bytes"]), format_bytes(level["stored_bytes"])
    shards = "1 shard" if level["shards"] == 1 else f"{level['shards']} shards"
    return f"{shape} voxels of {_steps(level, units)}, {size} in {stored} on disk in {shards}"


def _steps(level: dict[str, Any], units: str) -> str:
    """Return the size of a voxel; an axis of a single voxel may have no step."""
    steps = dict(zip("zyx", level["spacing"], strict=True))
    known = {axis: f"{step:g}" for axis, step in steps.items() if step is not None}
    if units != "mm" or not known:
        return "unknown size"
    along = "" if len(known) == len(steps) else f" along {', '.join(known)}"
    return f"{' x '.join(known.values())} {units}{along}"
