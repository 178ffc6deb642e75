"""A key and a certificate for one cluster alone, in private files that its jobs read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chunkmed.cluster.library import distributed, temporary_security

__all__ = ["certificates"]


@contextmanager
def certificates(below: Path) -> Iterator[Any]:
    """Give the ``distributed.Security`` of a cluster; its files are gone at the end.

    Parameters
    ----------
    below : Path
        Folder that the machines of the jobs see too. The files are for this user only.
    """
    made = temporary_security()
    with tempfile.TemporaryDirectory(prefix="tls-", dir=below) as folder:
        ca, cert, key = (
            _private(Path(folder) / f"{name}.pem", text)
            for name, text in (
                ("ca", made.tls_ca_file),
                ("cert", made.tls_client_cert),
                ("key", made.tls_client_key),
            )
        )
        roles = ("client", "scheduler", "worker")
        files = {
            f"tls_{role}_{kind}": path for role in roles for kind, path in (("cert", cert), ("key", key))
        }
        yield distributed().Security(require_encryption=True, tls_ca_file=ca, **files)


def _private(path: Path, text: str) -> str:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return str(path)
