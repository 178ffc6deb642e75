"""A cluster that is in use: its client, what may be planned on it, and its end."""

from __future__ import annotations

import os
import pickle
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import cloudpickle

from chunkmed.cluster.sight import Evidence, Seen, look, nonces, sample, verdict
from chunkmed.errors import PlanError, SourceError
from chunkmed.graph.budget import Budget, budget_of_client
from chunkmed.graph.lost import named
from chunkmed.graph.scratch import scratch_folder
from chunkmed.provenance import content_hash
from chunkmed.store import is_url

__all__ = ["Connection"]

_CANNOT_IMPORT = ("ImportError", "ModuleNotFoundError", "AttributeError")


class _Call:
    """A call on its way, packed: neither the scheduler nor dask's logs see what it is given."""

    def __init__(self, function: Callable[..., Any], arguments: Any, settings: Any) -> None:
        self._packed = cloudpickle.dumps((function, arguments, settings))

    def __repr__(self) -> str:
        return "call"

    def run(self) -> Any:
        """Unpack it, and call."""
        function, arguments, settings = pickle.loads(self._packed)  # noqa: S301 - of our own client
        return function(*arguments, **settings)


def _call(call: _Call) -> Any:
    return call.run()


class Connection(AbstractContextManager["Connection"]):
    """Workers that everything inside of the ``with`` block runs on.

    Made by :func:`chunkmed.connect`.

    Parameters
    ----------
    client : distributed.Client
        Of a scheduler.
    stack : contextlib.ExitStack
        What is let go with it: client, cluster.
    """

    def __init__(self, client: Any, stack: ExitStack) -> None:
        self.client = client
        """The ``distributed.Client``; dask's default as long as the connection lasts."""
        self._stack = stack

    @property
    def budget(self) -> Budget:
        """What plans may take: of each worker 60 % of its limit, all of its threads."""
        return budget_of_client(self.client)

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **settings: Any) -> Any:
        """Run a function on a worker; return its ``distributed.Future`` at once.

        The key of the task is a random number: neither it nor the logs of dask show the arguments.

        Examples
        --------
        >>> import chunkmed as cm
        >>> with cm.connect("threads", workers=1) as cluster:
        ...     cluster.submit(sum, [1, 2, 3]).result()
        6
        """
        key = f"chunkmed-call-{uuid.uuid4().hex}"
        return self.client.submit(_call, _Call(function, arguments, settings), key=key, pure=False)

    def prove_sight(
        self, see: Sequence[str | os.PathLike[str]], writes: Sequence[str | os.PathLike[str]]
    ) -> None:
        """Let every worker show that it sees inputs, outputs and scratch as this process does.

        Workers that come later are asked too; those that do not see them leave again.

        Parameters
        ----------
        see : sequence of path
            Inputs: files or folders.
        writes : sequence of path
            Where something will be written; a folder may still be missing, one above it is there.

        Raises
        ------
        PlanError
            ``unseen-input``, ``unseen-folder``, ``worker-version``, ``worker-without-chunkmed``.
        SourceError, StoreError
            Where this process itself cannot read or write.
        """
        # Object stores are seen from everywhere, or say themselves why not.
        inputs = {str(path): sample(path) for path in map(_existing, (p for p in see if not is_url(p)))}
        places = [path for path in (*writes, scratch_folder()) if not is_url(path)]
        folders = sorted({str(_above(Path(str(path)))) for path in places})
        told, name = self._stack.enter_context(nonces([Path(folder) for folder in folders]))
        evidence = Evidence(inputs, told, name)
        for worker, seen in self._look(evidence).items():
            if (wrong := verdict(seen, evidence, worker)) is not None:
                raise wrong
        from chunkmed.cluster.latecomers import Doorkeeper

        self.client.register_plugin(Doorkeeper(evidence), name=f"chunkmed-{content_hash(name)}")

    def _look(self, evidence: Evidence) -> dict[str, Seen]:
        try:
            found: dict[str, Seen] = self.client.run(look, evidence)
        except Exception as error:
            # What a worker cannot import comes back as a plain Exception that quotes it.
            if not any(name in f"{type(error).__name__} {error}" for name in _CANNOT_IMPORT):
                raise
            raise PlanError(
                "a worker has no chunkmed, or another one",
                kind="worker-without-chunkmed",
                why=str(error),
                fix="start workers with the Python that runs this",
            ) from error
        return found

    def close(self) -> None:
        """Let workers go that were started here, and cancel their jobs."""
        self._stack.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if error is not None and (meant := named(error)) is not None:
            raise meant from error


def _existing(path: str | os.PathLike[str]) -> Path:
    found = Path(path).absolute()
    if not found.exists():
        raise SourceError(
            "no such file or folder", kind="no-such-path", where=str(path), fix="check the path"
        )
    return found


def _above(path: Path) -> Path:
    """Return the folder itself, or the nearest above it that is there."""
    found = path.absolute()
    while not found.is_dir():
        found = found.parent
    return found
