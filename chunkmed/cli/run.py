"""``chunkmed run RECIPE INPUT OUT``."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import click

from chunkmed.cli.options import (
    budget_options,
    channel_of,
    cluster_options,
    dicom_options,
    foreign_options,
    parse_options,
    place_options,
    resources,
    spacing_of,
)
from chunkmed.errors import InputError

__all__ = ["command", "parse_settings"]


@click.command()
@click.argument("recipe")
@click.argument("source", metavar="INPUT")
@click.argument("out")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the recipe.")
@dicom_options
@foreign_options
@click.option(
    "--labels",
    multiple=True,
    metavar="[NAME=]FILE[#LABEL]",
    help="Label image (store, NIfTI, DICOM SEG) for an input or a step (by default the one that is drawn).",
)
@budget_options
@cluster_options
@place_options
@click.option("--overwrite", is_flag=True, help="Replace results that are in OUT.")
@click.option("--json", "as_json", is_flag=True, help="Print summary and files as JSON.")
def command(
    recipe: str,
    source: str,
    out: str,
    settings: tuple[str, ...],
    series: str | None,
    labels: tuple[str, ...],
    spacing: str | None,
    channel: str | None,
    memory: str | None,
    workers: int | None,
    storage_options: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
    **more: Any,
) -> None:
    """Run RECIPE on INPUT and write store, tables, curve and picture into OUT.

    RECIPE is a name (see: chunkmed recipe list) or a TOML file; INPUT a DICOM folder or file, a
    store, NIfTI, or a TIFF stack; OUT a folder. INPUT and OUT may be URLs like s3://bucket/study.
    """
    from chunkmed.cli.progress import Progress
    from chunkmed.graph.budget import config
    from chunkmed.job import run_job
    from chunkmed.recipe import load

    chosen = load(recipe).with_parameters(parse_settings(settings))
    default = chosen.labels[0] if chosen.labels else chosen.picture
    given = dict(_label(text, default) for text in labels)
    choices = {
        name: more.pop(name) for name in ("allow_missing", "allow_irregular", "merge_series", "frames")
    }
    inputs = [source, *(path.partition("#")[0] for path in given.values())]
    with (
        config(storage_options=parse_options(storage_options) or {}),
        resources(memory, workers, see=inputs, writes=[out], **more),
        Progress(),
    ):
        result = run_job(
            chosen,
            source,
            out,
            series=series,
            **choices,
            labels=given,
            spacing_mm=spacing_of(spacing),
            channel=channel_of(channel),
            overwrite=overwrite,
        )
    if as_json:
        told = {"summary": result.summary, "assumptions": result.assumptions, "seconds": result.seconds}
        told |= {"missing": result.missing}
        click.echo(json.dumps(told | {"files": [str(path) for path in result.files]}, indent=2))
        return
    _print(result)


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """Return parameters from ``NAME=VALUE``: TOML values, plain text, ``NAME.KEY=VALUE`` for tables."""
    out: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--set {text}", kind="bad-setting", fix="write --set NAME=VALUE")
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        name, _, key = name.partition(".")
        if key:
            table = out.setdefault(name, {})
            if not isinstance(table, dict):
                raise InputError(f"--set {text}", kind="bad-setting", why=f"{name} is set already")
            table[key] = parsed
        else:
            out[name] = parsed
    return out


def _label(text: str, default: str | None) -> tuple[str, str]:
    step, equals, path = text.partition("=")
    if equals:
        return step, path
    if default is None:
        raise InputError(f"--labels {text}", kind="bad-setting", fix="write --labels STEP=STORE")
    return default, text


def _print(result: Any) -> None:
    from chunkmed.units import format_bytes

    for sentence in result.assumptions:
        click.echo(f"assumed    {sentence}")
    for name, value in result.summary.items():
        if name.startswith(("ed_", "es_", "edv", "esv", "stroke", "ejection_fraction_percent")):
            click.echo(f"{name:<26} {value:.6g}")
    if result.table is not None and not result.summary:
        _print_objects(result.table)
    if result.missing:
        click.echo(f"missing    {result.missing}")
    took = f"{result.seconds:.1f} s, peak memory {format_bytes(result.peak_bytes)}"
    click.echo(f"done       {took}, image {format_bytes(result.image_bytes)}")
    for path in result.files:
        click.echo(f"wrote      {path}")


def _print_objects(table: Any) -> None:
    """Print one line per object, as far as they fit a screen."""
    frame = table.isel(t=0) if "t" in table.dims else table
    names = [str(name) for name in frame if frame[name].dims == ("label",)]
    for label in frame.label.values[:20]:
        row = frame.sel(label=label)
        values = ", ".join(f"{name} {_told(row[name].item())}" for name in names)
        click.echo(f"object {label:<4} {values}")
    if frame.sizes["label"] > 20:
        click.echo(f"... {frame.sizes['label'] - 20} more in the table")


def _told(value: float | bool) -> str:
    from chunkmed.units import format_number

    return ("yes" if value else "no") if isinstance(value, bool) else format_number(value)
