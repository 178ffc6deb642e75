"""Many machines: dask workers of this one, at an address, or jobs of a batch system.

The only importer of distributed and dask-jobqueue.
"""

from chunkmed.cluster.connecting import connect
from chunkmed.cluster.connection import Connection
from chunkmed.cluster.members import joined, membership, reaches_others
from chunkmed.cluster.settings import BATCH_SYSTEMS

__all__ = ["BATCH_SYSTEMS", "Connection", "connect", "joined", "membership", "reaches_others"]
