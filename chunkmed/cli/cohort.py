"""``chunkmed cohort plan | run | status | resume | retry | group``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from chunkmed.cli.groups import Group
from chunkmed.cli.options import budget_options, cluster_options, connected
from chunkmed.errors import InputError

__all__ = ["command"]

#: Of the summary of a group.
_COUNTS = ("done", "failed", "without_objects", "outliers")

#: Some cases failed, each named.
SOME_FAILED = 3
_SAY_EVERY_S = 2.0
_CHOICES = (
    click.option("--allow-missing", is_flag=True, help="Accept missing slices and images."),
    click.option("--allow-irregular", is_flag=True, help="Accept slices at uneven distances."),
    click.option("--merge-series", is_flag=True, help="Join series that are certain to be one image."),
    click.option("--frames", type=click.Choice(["t", "z"]), help="What frames are where nothing says it."),
)


def _limits(command: Any) -> Any:
    """Add what one case may take, and what all may."""
    more = (
        click.option("--timeout", "timeout_s", type=float, metavar="SECONDS", help="Longest time of a case."),
        click.option(
            "--retries",
            type=click.IntRange(min=0),
            help="Tries more for a case that crashed or lacked memory (1 by default).",
        ),
    )
    for option in reversed(more):
        command = option(command)
    return budget_options(command)


def _dicom(command: Any) -> Any:
    for option in reversed(_CHOICES):
        command = option(command)
    return command


@click.group(cls=Group)
def command() -> None:
    """Run a recipe on many series, each in a process of its own; nothing is lost when one fails."""


@command.command()
@click.argument("root", metavar="ROOT")
@click.argument("out")
@click.option("--recipe", required=True, help="Name or TOML file of a recipe, or package.module:function.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the recipe.")
@click.option("--where", metavar="EXPR", help="Which, like \"modality == 'CT' and n_slices > 100\".")
@click.option("--case-id", metavar="ID", help='Your names: "manifest.csv:column", or a path like "{case}/*".')
@click.option("--labels", multiple=True, metavar="[STEP=]PATTERN", help='Label images, "{case}/seg.zarr".')
@_dicom
@_limits
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print all cases as JSON.")
def plan(
    root: str, out: str, settings: tuple[str, ...], labels: tuple[str, ...], dry_run: bool, as_json: bool,
    **more: Any,
) -> None:  # fmt: skip
    """Look at all series below ROOT, and write into OUT which of them are cases.

    ROOT is a folder with a folder of DICOM or a store for each case, or a CSV file with a column "path".
    """
    from chunkmed.cli.cohort_plan import about
    from chunkmed.cli.run import parse_settings
    from chunkmed.cohort.cohorts import prepare

    more["retries"] = 1 if more["retries"] is None else more["retries"]
    found = prepare(
        root, parameters=parse_settings(settings), labels=_labels(labels), progress=_looking(), **more
    )
    lines = about(found, out, dry_run)
    if not dry_run:
        found.write(Path(out))
    rows = [case.row() for case in found.cases]
    click.echo(json.dumps(rows, indent=2) if as_json else "\n".join(lines))


def _labels(texts: tuple[str, ...]) -> Any:
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    pairs = [text.partition("=") for text in texts]
    for step, equals, _ in pairs:
        if not equals:
            raise InputError(f"--labels {step}", kind="bad-setting", fix="write --labels STEP=PATTERN")
    return {step: pattern for step, _, pattern in pairs} or None


def _looking() -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def progress(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        click.echo(f"\rlooked at  {done} of {total} places{end}", nl=False, err=True)

    return progress


@command.command()
@click.argument("out")
@_limits
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="Print the final status as JSON.")
def run(out: str, as_json: bool, **settings: Any) -> None:
    """Run the cases of OUT that are not done yet. Exit code 3: some failed, each is named in the tables."""
    _run(out, as_json, settings)


@command.command()
@click.argument("out")
@_limits
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="Print the final status as JSON.")
def resume(out: str, as_json: bool, **settings: Any) -> None:
    """Go on where a run ended, however it ended: the same as run."""
    _run(out, as_json, settings)


@command.command()
@click.argument("out")
@click.option("--failed", is_flag=True, required=True, help="Those that failed.")
@_limits
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="Print the final status as JSON.")
def retry(out: str, failed: bool, as_json: bool, **settings: Any) -> None:
    """Run the cases that failed once more, perhaps with more --memory or --timeout."""
    _run(out, as_json, settings, retry_failed=failed)


def _run(out: str, as_json: bool, settings: dict[str, Any], *, retry_failed: bool = False) -> NoReturn:
    from chunkmed.cohort.nursery import NURSERY

    if settings["scheduler"] is None and settings["cluster"] is None and Path(out).is_dir():
        NURSERY.begin()
    from chunkmed.cohort.cohorts import open as open_cohort

    cohort = open_cohort(out)
    limits = {name: settings.pop(name) for name in ("memory", "workers", "timeout_s", "retries")}
    scheduler, cluster = settings.pop("scheduler"), settings.pop("cluster")
    started = {name: limits[name] for name in ("memory", "workers")} if cluster is not None else {}
    with connected(
        scheduler, cluster, see=cohort.inputs(), writes=[out], **started, **settings
    ) as connection:
        found = cohort.run(connection, retry_failed=retry_failed, progress=_Progress(), **limits)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else str(found))
    if found.failed and not as_json:
        click.echo(f"see        chunkmed cohort group {out}: every failed case is named there")
    click.get_current_context().exit(SOME_FAILED if found.failed else 0)


class _Progress:
    """One line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.said_at_s, self.said = 0.0, ""

    def __call__(self, done: int, failed: int, total: int) -> None:
        text = f"{done + failed} of {total} cases, {failed} failed"
        now, is_over = time.monotonic(), done + failed == total
        if text == self.said or not (is_over or now - self.said_at_s > _SAY_EVERY_S):
            return
        self.said_at_s, self.said = now, text
        if sys.stderr.isatty():
            click.echo(f"\r{text}" + ("\n" if is_over else ""), nl=False, err=True)
        else:
            click.echo(text, err=True)


@command.command()
@click.argument("out")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def status(out: str, as_json: bool) -> None:
    """Say how far OUT is: counts, rate, time left, failures by kind. It may be running elsewhere."""
    from chunkmed.cohort import status as status_of

    found = status_of(out)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else str(found))


@command.command()
@click.argument("out")
@click.option("--no-page", "page", flag_value=False, default=True, help="Tables only.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def group(out: str, page: bool, as_json: bool) -> None:
    """Write one table of all cases of OUT, failures, outliers, a summary and a page: OUT/group/."""
    from chunkmed.cohort import open as open_cohort

    folder = Path(out) / "group"
    before = _seen(folder)
    told = open_cohort(out).group(page=page)
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    counts = ", ".join(f"{told[name]} {name.replace('_', ' ')}" for name in _COUNTS)
    click.echo(f"{told['cases']} cases: {counts}")
    for name, numbers in told["measures"].items():
        if "median" in numbers:
            click.echo(f"{name:<32} {_spread(numbers)}")
    for path, state in sorted(_seen(folder).items()):
        if before.get(path) != state:
            click.echo(f"wrote      {path}")


def _spread(numbers: Mapping[str, float]) -> str:
    """Return the numbers of a measure in words, with how many cases have it."""
    from chunkmed.units import format_number

    low, middle, high = (format_number(numbers[name]) for name in ("minimum", "median", "maximum"))
    cases = "1 case" if numbers["cases"] == 1 else f"{numbers['cases']} cases"
    return f"{middle} in {cases}" if low == high else f"median {middle}, {low} to {high} in {cases}"


def _seen(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the files of a folder, and what tells whether they are written anew."""
    found = folder.iterdir() if folder.is_dir() else ()
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found if path.is_file()}
