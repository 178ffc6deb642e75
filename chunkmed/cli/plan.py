"""``chunkmed plan RECIPE STORE``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from chunkmed.cli.options import parse_options, place_options
from chunkmed.units import format_bytes

__all__ = ["command"]


@click.command()
@click.argument("recipe")
@click.argument("source", metavar="STORE")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the recipe.")
@click.option("--memory", metavar="SIZE", help='Peak memory, like "2 GB"; half of what is free by default.')
@click.option("--workers", type=click.IntRange(min=1), help="Tasks at a time; all cores by default.")
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    recipe: str,
    source: str,
    settings: tuple[str, ...],
    memory: str | None,
    workers: int | None,
    storage_options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say what running RECIPE on the image of STORE will cost: passes, blocks, bytes, peak memory.

    Nothing is read but metadata. Passes over labels are planned without knowing the labels.
    """
    from chunkmed.cli.run import parse_settings
    from chunkmed.graph.budget import config
    from chunkmed.images import open as open_image
    from chunkmed.recipe import load, plan_recipe

    chosen = load(recipe).with_parameters(parse_settings(settings))
    with config(memory, workers, storage_options=parse_options(storage_options)) as budget:
        passes = plan_recipe(chosen, open_image(source))
    rows = [_row(each) for each in passes]
    told = {"passes": rows, "peak_bytes": max((row["peak_bytes"] for row in rows), default=0)}
    told |= {"budget_bytes": budget.memory, "workers": budget.workers}
    click.echo(json.dumps(told, indent=2) if as_json else "\n".join(_lines(rows, told)))


def _row(each: Any) -> dict[str, Any]:
    plan = each.cost.plan
    return {
        "name": each.name,
        "steps": list(each.cost.steps),
        "tasks": plan.tasks,
        "block": list(plan.block),
        "halo": list(each.cost.halo),
        "read_bytes": plan.read_bytes,
        "source_bytes": plan.source_bytes,
        "written_bytes": each.cost.written_bytes,
        "task_bytes": plan.task_bytes,
        "peak_bytes": plan.peak_bytes,
        "workers": plan.budget.workers,
        "why": each.cost.why,
    }


def _lines(rows: Sequence[dict[str, Any]], told: dict[str, Any]) -> Iterator[str]:
    names = ("pass", "tasks", "block", "halo", "read", "written", "peak memory")
    table = [names, *(_cells(number, row) for number, row in enumerate(rows, 1))]
    widths = [max(len(line[i]) for line in table) for i in range(len(names))]
    for line in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    read, written = (sum(row[f"{name}_bytes"] for row in rows) for name in ("read", "written"))
    yield f"in all     {len(rows)} passes, {format_bytes(read)} read, {format_bytes(written)} written"
    peak, budget = format_bytes(told["peak_bytes"]), format_bytes(told["budget_bytes"])
    yield f"memory     {peak} at most, of a budget of {budget} with {told['workers']} workers"


def _cells(number: int, row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{number} {row['name']}",
        str(row["tasks"]),
        " x ".join(map(str, row["block"])),
        " x ".join(map(str, row["halo"])),
        format_bytes(row["read_bytes"]),
        format_bytes(row["written_bytes"]),
        format_bytes(row["peak_bytes"]),
    )
