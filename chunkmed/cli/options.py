"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import click

from chunkmed.errors import InputError

__all__ = [
    "budget_options",
    "channel_of",
    "cluster_options",
    "connected",
    "dicom_options",
    "foreign_options",
    "limit_option",
    "parse_options",
    "place_options",
    "resources",
    "spacing_of",
]

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
_CLUSTER = (
    click.option(
        "--scheduler", metavar="ADDRESS", help="Run on the workers of a dask scheduler: tls://HOST:PORT."
    ),
    click.option(
        "--cluster",
        metavar="KIND",
        help="Run on jobs of slurm (or pbs, lsf, sge, htcondor, oar), or on processes of this machine.",
    ),
    click.option("--cluster-config", metavar="FILE", help="TOML: queue, cores, memory, walltime of a job."),
    click.option("--jobs", type=click.IntRange(min=1), help="Jobs at a time; lost ones are replaced."),
    click.option("--tls", metavar="DIR", help="Certificates for tls://: ca.pem, cert.pem, key.pem."),
    click.option("--insecure", is_flag=True, help="Accept unencrypted connections to other machines."),
    click.option("--scratch", metavar="DIR|URL", help="Intermediate results, where all machines see them."),
)
_PLACES = (
    click.option(
        "--storage-option",
        "storage_options",
        multiple=True,
        metavar="KEY=VALUE",
        help="How object stores are reached, like endpoint=https://...; the environment says the rest.",
    ),
)


def place_options(command: Command) -> Command:
    """Add how object stores are reached."""
    return _added(command, _PLACES)


def parse_options(texts: Sequence[str]) -> dict[str, object] | None:
    """Return storage options from ``KEY=VALUE``, None where there are none.

    Examples
    --------
    >>> parse_options(["region=eu-west-1", "retries=3"])
    {'region': 'eu-west-1', 'retries': '3'}
    """
    pairs = [text.partition("=") for text in texts]
    if any(not key or not equals for key, equals, _ in pairs):
        # What it is is not repeated: it may be a secret.
        raise InputError(
            "a storage option has no key", kind="bad-setting", fix="write --storage-option KEY=VALUE"
        )
    return {key: value for key, _, value in pairs} or None


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


def cluster_options(command: Command) -> Command:
    """Add which workers there are beside this process; see :func:`resources`."""
    return _added(command, _CLUSTER)


@contextmanager
def resources(
    memory: str | None,
    workers: int | None,
    *,
    scheduler: str | None,
    cluster: str | None,
    see: Sequence[str] = (),
    writes: Sequence[str] = (),
    **more: Any,
) -> Iterator[Any]:
    """Give the cluster that the options ask for, None where they ask for none; set the budget.

    Parameters
    ----------
    memory, workers
        Of :func:`budget_options`; with ``--cluster`` of the workers that are started.
    scheduler, cluster, more
        Of :func:`cluster_options`.
    see, writes : sequence of str
        Inputs, and where results go: all workers must see them.
    """
    from chunkmed.graph.budget import config

    started: dict[str, Any] = {"memory": memory, "workers": workers} if cluster is not None else {}
    # Its own memory is no limit of other machines.
    own = scheduler is None and cluster is None
    limited = own or (scheduler is not None and memory is not None)
    with (
        connected(scheduler, cluster, see=see, writes=writes, **started, **more) as connection,
        config(memory, workers) if limited else nullcontext(),
    ):
        yield connection


def connected(
    scheduler: str | None,
    cluster: str | None,
    *,
    cluster_config: str | None,
    scratch: str | None,
    **more: Any,
) -> AbstractContextManager[Any]:
    """Return the cluster that the options ask for; what gives None where they ask for none."""
    if scheduler is not None and cluster is not None:
        raise InputError("--scheduler and --cluster", kind="bad-cluster", fix="give one of them")
    if scheduler is None and cluster is None:
        given = {
            "cluster_config": cluster_config,
            **{name: more[name] for name in ("jobs", "tls", "insecure")},
        }
        if wrong := [name for name, value in given.items() if value]:
            option = f"--{wrong[0].replace('_', '-')}"
            fix = "give --scheduler ADDRESS or --cluster KIND too"
            raise InputError(f"{option} without a cluster", kind="bad-cluster", fix=fix)
        return _scratch_only(scratch)
    from chunkmed.cluster import connect

    _quietly()
    return connect(scheduler or cluster or "", config=cluster_config, scratch=scratch, **more)


def _quietly() -> None:
    """Leave it to our errors to say what was lost: dask logs each lost connection with its traceback."""
    context = click.get_current_context(silent=True)
    if context is None or not (context.obj or {}).get("debug"):
        from chunkmed.cluster.library import silence

        silence()


def _scratch_only(scratch: str | None) -> AbstractContextManager[Any]:
    if scratch is None:
        return nullcontext()
    from chunkmed.graph.scratch import scratch_below

    return scratch_below(scratch)


def _added(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
