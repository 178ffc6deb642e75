"""Workers that are jobs of a batch system: as many as were asked for, replaced when they are lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import dask.config

from chunkmed.cluster.certificates import certificates
from chunkmed.cluster.library import NO_PAGES, jobqueue
from chunkmed.cluster.settings import BATCH_SYSTEMS, JobSettings, lifetime_s
from chunkmed.errors import InputError, PlanError

__all__ = ["batch_cluster", "processes_and_threads"]

#: What dask-jobqueue is not told as it stands in the settings.
_OWN_KEYS = ("lifetime_s", "tls", "host", "shared_temp_directory", "worker_extra_args")
_SIZE = ("cores", "memory")


@contextmanager
def batch_cluster(settings: JobSettings, jobs: int, *, insecure: bool) -> Iterator[Any]:
    """Submit jobs, each of which runs workers; they are cancelled at the end.

    Connections are encrypted with a certificate of this cluster alone, unless that is refused by
    ``tls = false`` and ``insecure``. Workers leave before the wall time of their job is over, and when
    the scheduler, which lives in this process, is gone.

    Yields
    ------
    dask_jobqueue.JobQueueCluster

    Raises
    ------
    PlanError
        ``no-batch-system`` where its commands are missing, ``job-refused`` where it takes no job.
    InputError
        ``bad-cluster-config``.
    """
    make = getattr(jobqueue(), BATCH_SYSTEMS[settings.system])
    _check_size(settings)
    _check_commands(settings.system, make.job_cls)
    with _security(settings, insecure) as security, _made(make, settings, security) as cluster:
        from chunkmed.cluster.dead_jobs import replacing_dead_jobs

        _submit(cluster, settings.system, jobs)
        with replacing_dead_jobs(cluster, settings.system):
            yield cluster


def _submit(cluster: Any, system: str, jobs: int) -> None:
    from chunkmed.cluster.jobs import submit_first

    try:
        cluster.sync(submit_first, cluster)
    except RuntimeError as error:
        raise PlanError(
            f"{system} takes no job",
            kind="job-refused",
            why=_last_line(str(error)),
            fix="change the cluster's configuration (--cluster-config)",
        ) from error
    # A job that is cancelled is replaced under adapt(), not under scale().
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)


def _check_commands(system: str, job: Any) -> None:
    command = str(job.submit_command).split()[0]
    if shutil.which(command) is None:
        raise PlanError(
            f"there is no {system} on this machine",
            kind="no-batch-system",
            why=f"no command {command}",
            fix=f"run it on a machine that submits jobs to {system}",
        )


def _check_size(settings: JobSettings) -> None:
    own = f"jobqueue.{settings.system}"
    known = {name: settings.options.get(name) or dask.config.get(f"{own}.{name}") for name in _SIZE}
    if missing := [name for name, value in known.items() if value is None]:
        raise InputError(
            f"the {' and '.join(missing)} of a job: not given",
            kind="bad-cluster-config",
            fix=f"write them into --cluster-config FILE, or into dask's configuration ({own})",
        )


def _made(make: Any, settings: JobSettings, security: Any) -> Any:
    from chunkmed.cluster.jobs import job_class

    given = {name: value for name, value in settings.options.items() if name not in _OWN_KEYS}
    host = {"host": settings.options["host"]} if "host" in settings.options else {}
    options = {
        "log_directory": str(_state_folder() / "logs"),
        **given,
        "job_cls": job_class(make.job_cls),
        "security": security,
        "worker_extra_args": _worker_arguments(settings),
        "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0", **host},
    }
    # Nobody waits for ever where lost jobs are never replaced.
    patience = {"distributed.scheduler.no-workers-timeout": "1 hour"}
    try:
        with dask.config.set(patience | NO_PAGES):
            return make(**options)
    except (ValueError, OSError, RuntimeError) as error:
        raise InputError(
            "the jobs of workers cannot be described",
            kind="bad-cluster-config",
            why=" ".join(str(error).split())[:300],
            fix="change the cluster's configuration (--cluster-config)",
        ) from error


def _security(settings: JobSettings, insecure: bool) -> AbstractContextManager[Any]:
    if settings.options.get("tls", True):
        return certificates(Path(settings.options.get("shared_temp_directory", _state_folder())))
    if not insecure:
        raise InputError(
            "unencrypted workers on other machines are refused",
            kind="insecure-address",
            where="tls = false",
            fix="leave it out, or accept it with --insecure (insecure=True)",
        )
    return nullcontext()


def _worker_arguments(settings: JobSettings) -> list[str]:
    walltime = settings.options.get("walltime") or dask.config.get(
        f"jobqueue.{settings.system}.walltime", None
    )
    arguments = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    if "lifetime_s" in settings.options:
        life, stagger = settings.options["lifetime_s"], 0
    elif walltime:
        life, stagger = lifetime_s(str(walltime), settings.system)
    else:
        life, stagger = 0, 0
    if life:
        arguments += ["--lifetime", f"{life}s", "--lifetime-stagger", f"{stagger}s"]
    return [*arguments, *settings.options.get("worker_extra_args", [])]


def processes_and_threads(cluster: Any, jobs: int) -> tuple[int, int]:
    """Return how many processes and threads there are once all jobs run."""
    job = cluster._dummy_job
    return jobs * job.worker_processes, jobs * job.worker_processes * job.worker_process_threads


def _state_folder() -> Path:
    """Return a private folder of the user that other machines see too: below the home folder."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(base) / "chunkmed"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _last_line(text: str) -> str:
    """Return what a command said last: that of its standard error."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), text)
