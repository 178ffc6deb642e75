"""``connect``: from one word or an address to workers that are proved to be fit for the work."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from chunkmed.cluster.addresses import check_address, security_for
from chunkmed.cluster.batch import batch_cluster, processes_and_threads
from chunkmed.cluster.connection import Connection
from chunkmed.cluster.library import distributed
from chunkmed.cluster.local import local_cluster
from chunkmed.cluster.settings import BATCH_SYSTEMS, JobSettings, read_settings
from chunkmed.errors import InputError, PlanError
from chunkmed.graph.budget import expecting
from chunkmed.graph.scratch import scratch_below
from chunkmed.units import parse_bytes

__all__ = ["connect"]

Paths = Sequence[str | os.PathLike[str]]


def connect(
    where: str = "processes",
    *,
    workers: int | None = None,
    memory: int | float | str | None = None,
    jobs: int | None = None,
    config: str | os.PathLike[str] | None = None,
    tls: str | os.PathLike[str] | None = None,
    insecure: bool = False,
    see: Paths = (),
    writes: Paths = (),
    scratch: str | os.PathLike[str] | None = None,
    timeout_s: float = 600.0,
) -> Connection:
    """Let everything inside of the ``with`` block run on other workers.

    Plans keep each worker below 60 % of its memory limit, where dask would begin to move data to disk. A
    worker that dies changes no result; what is finished lies on disk, so that the death of the
    scheduler or of this process loses nothing: the same call goes on from there.

    Parameters
    ----------
    where : str
        ``"processes"`` or ``"threads"`` of this machine (behind 127.0.0.1, without a dashboard);
        ``"tls://host:port"`` or ``"tcp://127.0.0.1:port"`` of a dask scheduler; or a batch system:
        ``"slurm"``, and untested ``"pbs"``, ``"lsf"``, ``"sge"``, ``"htcondor"``, ``"oar"``.
    workers : int, optional
        Of this machine; all cores by default.
    memory : int or str, optional
        Of all workers of this machine together (half of what is free by default), or of each job.
    jobs : int, optional
        How many jobs of a batch system, 1 by default. Those that are cancelled, preempted or over
        are replaced; workers leave before the wall time of their job.
    config : path, optional
        TOML with the options of jobs: ``queue``, ``cores``, ``memory``, ``walltime``, ``account``,
        ``interface``, ``job_extra_directives``, ... as dask-jobqueue names them; what is missing is
        dask's configuration (``jobqueue.slurm``).
    tls : path, optional
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``tls://``; by default what dask's
        configuration names. Batch systems get a certificate of their own.
    insecure : bool, default False
        Accept ``tcp://`` to another machine.
    see : sequence of path, optional
        Inputs that workers must see.
    writes : sequence of path, optional
        Where results go: workers must see it, and be able to write.
    scratch : path, optional
        Folder for intermediate results that all machines share; ``CHUNKMED_SCRATCH``, or the system's
        temporary folder by default.
    timeout_s : float, default 600
        How long to wait for the first worker.

    Returns
    -------
    Connection
        With ``client``, ``budget``, ``submit(function, ...)`` and ``close()``.

    Raises
    ------
    InputError
        ``insecure-address``, ``bad-address``, ``no-certificates``, ``bad-cluster``, ``bad-cluster-config``,
        ``missing-extra``.
    PlanError
        ``no-scheduler``, ``no-workers``, ``no-batch-system``, ``job-refused``, ``unseen-input``,
        ``unseen-folder``, ``worker-version``.

    Examples
    --------
    >>> import chunkmed as cm
    >>> with cm.connect("threads", workers=2, memory="4 GB") as cluster:
    ...     cluster.budget.workers, cluster.budget.memory
    (2, 2400000000)
    >>> try:
    ...     cm.connect("tcp://10.0.0.7:8786")
    ... except cm.errors.InputError as error:
    ...     error.kind
    'insecure-address'
    """
    with ExitStack() as stack:
        client = _client(where, stack, workers, memory, jobs, config, tls, insecure, timeout_s)
        _wait_for_workers(client, where, timeout_s)
        if scratch is not None:
            stack.enter_context(scratch_below(scratch))
        connection = Connection(client, stack)
        connection.prove_sight(see, writes)
        connection.budget  # noqa: B018 - refused now where workers cannot be planned on
        connection._stack = stack.pop_all()
        return connection


def _client(
    where: str,
    stack: ExitStack,
    workers: int | None,
    memory: int | float | str | None,
    jobs: int | None,
    config: str | os.PathLike[str] | None,
    tls: str | os.PathLike[str] | None,
    insecure: bool,
    timeout_s: float,
) -> Any:
    batch = where in BATCH_SYSTEMS
    if not batch and (jobs is not None or config is not None):
        raise InputError(
            f"{where} has no jobs", kind="bad-cluster", fix=f"jobs are of {', '.join(BATCH_SYSTEMS)}"
        )
    if where in ("processes", "threads"):
        cluster = stack.enter_context(local_cluster(where == "processes", workers, memory))
        return stack.enter_context(distributed().Client(cluster))
    if batch:
        return _batch_client(_with_memory(read_settings(where, config), memory), stack, jobs, insecure)
    if "://" not in where:
        known = ", ".join(("processes", "threads", *BATCH_SYSTEMS))
        raise InputError(
            f"there is no cluster {where!r}", kind="bad-cluster", fix=f"write {known}, or tls://HOST:PORT"
        )
    check_address(where, insecure=insecure)
    return stack.enter_context(_reached(where, tls, timeout_s))


def _with_memory(settings: JobSettings, memory: int | float | str | None) -> JobSettings:
    if memory is None:
        return settings
    return JobSettings(settings.system, {**settings.options, "memory": f"{parse_bytes(memory)}B"})


def _batch_client(settings: JobSettings, stack: ExitStack, jobs: int | None, insecure: bool) -> Any:
    count = 1 if jobs is None else jobs
    if count < 1:
        raise InputError(f"jobs = {jobs}", kind="bad-cluster", fix="give at least 1")
    cluster = stack.enter_context(batch_cluster(settings, count, insecure=insecure))
    client = stack.enter_context(distributed().Client(cluster))
    # Plans are for the jobs that were asked for, not for those that happen to have begun.
    stack.enter_context(expecting(client, *processes_and_threads(cluster, count)))
    return client


def _reached(address: str, tls: str | os.PathLike[str] | None, timeout_s: float) -> Any:
    security = security_for(address, tls)
    try:
        return distributed().Client(address, security=security, timeout=min(timeout_s, 30.0))
    except (OSError, ValueError, TypeError) as error:
        cause = error.__cause__ or error
        raise PlanError(
            "no dask scheduler answers",
            kind="no-scheduler",
            where=address,
            why=_without_objects(str(cause)) or type(cause).__name__,
            fix="check that it runs, its address and its certificates",
        ) from error


def _without_objects(text: str) -> str:
    """Return one line without what only its programmer reads."""
    return " ".join(re.sub(r"in <[^>]*>: ", "", text).split())


def _wait_for_workers(client: Any, where: str, timeout_s: float) -> None:
    try:
        client.wait_for_workers(1, timeout=timeout_s)
    except TimeoutError as error:
        batch = where in BATCH_SYSTEMS
        raise PlanError(
            "the dask cluster has no workers",
            kind="no-workers",
            where=where,
            why=f"none began within {timeout_s:g} s",
            fix="see the queue of the batch system and the logs of the jobs (log_directory)"
            if batch
            else "start workers, or wait for them",
        ) from error
