"""What a job of a batch system looks like: read from TOML and checked whole before one is submitted."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chunkmed.errors import InputError
from chunkmed.names import nearest

__all__ = ["BATCH_SYSTEMS", "JobSettings", "lifetime_s", "read_settings"]

#: Names of batch systems, and of the classes of dask-jobqueue that speak to them.
BATCH_SYSTEMS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
}
_TEXT, _WHOLE, _LIST, _TRUTH = (str,), (int,), (list,), (bool,)
_COMMON = {
    "cores": _WHOLE,
    "processes": _WHOLE,
    "memory": _TEXT,
    "interface": _TEXT,
    "host": _TEXT,
    "local_directory": _TEXT,
    "log_directory": _TEXT,
    "shared_temp_directory": _TEXT,
    "python": _TEXT,
    "job_script_prologue": _LIST,
    "job_extra_directives": _LIST,
    "job_directives_skip": _LIST,
    "worker_extra_args": _LIST,
    "lifetime_s": _WHOLE,
    "tls": _TRUTH,
}
_QUEUE = {"queue": _TEXT, "walltime": _TEXT}
_OWN: dict[str, dict[str, tuple[type, ...]]] = {
    "slurm": {**_QUEUE, "account": _TEXT, "job_cpu": _WHOLE, "job_mem": _TEXT},
    "pbs": {**_QUEUE, "account": _TEXT, "resource_spec": _TEXT},
    "lsf": {**_QUEUE, "project": _TEXT, "ncpus": _WHOLE, "mem": _WHOLE, "lsf_units": _TEXT},
    "sge": {**_QUEUE, "project": _TEXT, "resource_spec": _TEXT},
    "htcondor": {"disk": _TEXT},
    "oar": {**_QUEUE, "project": _TEXT, "resource_spec": _TEXT},
}


@dataclass(frozen=True)
class JobSettings:
    """The options of a batch system's jobs, by the names that dask-jobqueue has for them."""

    system: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def of(self, *names: str) -> dict[str, Any]:
        """Return those options that are given."""
        return {name: self.options[name] for name in names if name in self.options}


def read_settings(system: str, path: str | os.PathLike[str] | None) -> JobSettings:
    """Read the options of jobs from a TOML file; what is left out is dask-jobqueue's own configuration.

    Raises
    ------
    InputError
        ``bad-cluster-config`` with the option that is wrong.
    """
    if path is None:
        return JobSettings(system)
    try:
        options = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _bad(path, "the cluster's configuration cannot be read", why, "check the file") from error
    known = _COMMON | _OWN[system]
    for name, value in options.items():
        _check(name, value, known, path)
    return JobSettings(system, options)


def _check(name: str, value: Any, known: Mapping[str, tuple[type, ...]], path: Any) -> None:
    if name not in known:
        raise _bad(path, f"unknown option {name}", "", nearest(name, known))
    wanted = known[name]
    fits = isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool))
    if fits and isinstance(value, list):
        fits = all(isinstance(item, str) for item in value)
    if fits and isinstance(value, int) and bool not in wanted:
        fits = value > 0
    if not fits:
        what = {str: "a text", int: "a whole number above 0", list: "a list of texts", bool: "true or false"}
        raise _bad(path, f"{name} = {value!r}", f"it is {what[wanted[0]]}", "change it")


def _bad(path: Any, what: str, why: str, fix: str) -> InputError:
    return InputError(what, kind="bad-cluster-config", where=str(path), why=why, fix=fix)


def lifetime_s(walltime: str, system: str = "slurm") -> tuple[int, int]:
    """Return after how many seconds a worker leaves by itself, and by how much that may vary.

    Its job would be killed at its wall time, in the middle of a task; and all of them at once, as they
    were started at once.

    Parameters
    ----------
    walltime : str
        ``"HH:MM:SS"`` or ``"D-HH:MM:SS"``; LSF has ``"HH:MM"``.
    system : str
        Name of the batch system.

    Examples
    --------
    >>> lifetime_s("01:00:00"), lifetime_s("2-00:00:00"), lifetime_s("00:05:00")
    ((3240, 180), (172200, 300), (240, 30))
    """
    days, _, clock = walltime.rpartition("-")
    parts = clock.split(":") + (["0"] if system == "lsf" else [])
    try:
        hours, minutes, seconds = (int(part) for part in parts)
        whole = int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds
    except ValueError:
        whole = 0
    if whole <= 0:
        fix = 'write it like "HH:MM"' if system == "lsf" else 'write it like "HH:MM:SS"'
        raise InputError(f"walltime = {walltime!r}", kind="bad-cluster-config", fix=fix)
    margin = min(max(whole // 10, 60), whole // 2, 600)
    return whole - margin, margin // 2
