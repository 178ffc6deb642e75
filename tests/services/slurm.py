"""A real Slurm on this machine: two virtual nodes on 127.0.0.1.

It needs root, and ``apt-get install slurm-wlm munge``.
By hand: ``python tests/services/slurm.py start DIR``, ``export SLURM_CONF=DIR/slurm.conf``, ``... stop DIR``.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

COMMANDS = ("slurmctld", "slurmd", "munged", "mungekey", "sbatch", "scancel", "squeue", "scontrol")
NODES = ("n1", "n2")
NODE_MB = 4000
_WAIT_S = 60.0
_CONFIGURATION = """\
ClusterName=chunkmed
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/none
ReturnToService=2
KillWait=2
PartitionName=debug Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""
_NODE = (
    "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} "
    "CPUs=2 RealMemory={memory} State=UNKNOWN\n"
)


def missing() -> str:
    """Return why there is no Slurm here; "" where there is."""
    if os.getuid() != 0:
        return "Slurm's daemons need root"
    absent = [name for name in COMMANDS if _command(name) is None]
    return (
        f"Slurm is not installed (no {', '.join(absent)}): apt-get install slurm-wlm munge" if absent else ""
    )


def _command(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def call(name: str, *arguments: str) -> str:
    """Run one of Slurm's commands; return what it says."""
    command = [_command(name) or name, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_WAIT_S).stdout


def start(folder: Path) -> Path:
    """Start munge, controller and nodes below a folder; return the configuration they use."""
    for name in ("state", "spool", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # Nobody else may reach munge's socket and key.
    folder.chmod(0o755)
    controller, *ports = _free_ports(1 + len(NODES))
    nodes = [_NODE.format(name=n, port=p, memory=NODE_MB) for n, p in zip(NODES, ports, strict=True)]
    configuration = folder / "slurm.conf"
    text = _CONFIGURATION.format(folder=folder, controller=controller)
    configuration.write_text(text.replace("PartitionName", "".join(nodes) + "PartitionName"))
    os.environ["SLURM_CONF"] = str(configuration)
    call("mungekey", "--create", "--force", f"--keyfile={folder}/munge.key")
    own = [f"--{name}-file={folder}/munged.{name}" for name in ("pid", "log", "seed")]
    call("munged", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket", *own)
    call("slurmctld", "-f", str(configuration))
    for name in NODES:
        call("slurmd", "-f", str(configuration), "-N", name)
    _wait(lambda: call("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(NODES), "idle nodes")
    return configuration


def stop(folder: Path) -> None:
    """End jobs and daemons, by their numbers."""
    with suppress(OSError, subprocess.SubprocessError):
        call("scancel", "--user", "root")
        _wait(lambda: not jobs(), "the end of all jobs")
    for path in [*sorted(folder.glob("slurm*.pid")), folder / "munged.pid"]:
        with suppress(OSError, ValueError):
            os.kill(int(path.read_text()), signal.SIGTERM)


@contextmanager
def running(folder: Path) -> Iterator[Path]:
    """Give the configuration of a Slurm that runs inside of the block."""
    before = os.environ.get("SLURM_CONF")
    try:
        yield start(folder)
    finally:
        stop(folder)
        os.environ.pop("SLURM_CONF", None)
        if before is not None:
            os.environ["SLURM_CONF"] = before


def jobs(*states: str) -> list[str]:
    """Return the numbers of jobs that are in the queue, of those states only where some are named."""
    given = ["--states", ",".join(states)] if states else []
    return call("squeue", "-h", "-o", "%A", *given).split()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait(reached, what: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_WAIT_S:g} s for {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]](Path(sys.argv[2]).resolve())
