"""Folders for intermediate arrays; they go when nothing refers to them any more."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from chunkmed.errors import PlanError

__all__ = ["Scratch"]


class Scratch:
    """A folder that lives as long as the arrays that lie in it.

    The folder is made below ``CHUNKMED_SCRATCH``, else below the system's temporary folder.
    """

    def __init__(self) -> None:
        base = os.environ.get("CHUNKMED_SCRATCH")
        try:
            self.path = Path(tempfile.mkdtemp(prefix="chunkmed-", dir=base))
        except OSError as error:
            raise PlanError(
                "there is no place for intermediate results",
                kind="no-scratch",
                where=base or tempfile.gettempdir(),
                why=error.strerror or str(error),
                fix="set CHUNKMED_SCRATCH to a folder with space",
            ) from error
        self._sweep = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def __getstate__(self) -> dict[str, object]:
        # The copy on a worker does not own the folder.
        return {"path": self.path}
