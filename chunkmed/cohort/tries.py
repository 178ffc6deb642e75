"""How much of the machine a case gets, and whether it is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from chunkmed.cohort.settings import Limits

__all__ = ["Share"]

#: Below this no process works: interpreter, libraries, kernels that are compiled.
_LEAST_BYTES = 600 << 20
#: What a process holds beside an image, and how many like the image there may be.
_BASE_BYTES, _COPIES = 320 << 20, 3
_WANTS_MEMORY = ("out-of-memory", "killed", "budget-too-small")
_MAY_PASS = ("crashed", "exited", "killed", "worker-lost")


@dataclass(frozen=True)
class Share:
    """The machine, cut into equal slots: a case takes one, or several where its image is large.

    Examples
    --------
    >>> share = Share.of(Limits(memory=8 << 30, workers=4))
    >>> share.slots, share.needed(100 << 20), share.needed(6 << 30)
    (4, 1, 4)
    """

    slots: int
    memory: int
    """Bytes of one slot."""
    workers: int = 1
    """Tasks at a time in one slot."""
    most: int | None = None
    """How many slots one case may take: those of one machine of a cluster; None for all."""

    @property
    def widest(self) -> int:
        """How many slots one case may take."""
        return self.slots if self.most is None else min(self.slots, self.most)

    @classmethod
    def of(cls, limits: Limits) -> Share:
        """Return the shares of a machine: fewer slots than workers where there is little memory."""
        slots = max(1, min(limits.workers, limits.memory // _LEAST_BYTES))
        return cls(slots, limits.memory // slots, max(1, limits.workers // slots))

    def needed(self, image_bytes: int) -> int:
        """Return how many slots a case takes at first."""
        return max(1, min(self.widest, self._wished(image_bytes)))

    def _wished(self, image_bytes: int) -> int:
        return -(-(_BASE_BYTES + _COPIES * image_bytes) // self.memory)

    def spreads(self, image_bytes: int) -> bool:
        """Whether a case is for all machines of a cluster: one of them is too small for it.

        Its own process is on one of them too, beside its tasks.
        """
        return self.widest < min(self.slots, self._wished(image_bytes)) and self.beside >= _LEAST_BYTES

    @property
    def beside(self) -> int:
        """Bytes that a machine has for a process beside tasks that take all of the slots.

        Slots are 60 % of what a worker may hold.
        """
        return self.memory * self.widest // 2

    def again(self, kind: str, attempts: int, slots: int, retries: int) -> int:
        """Return with how many slots a failed case is tried again; 0 where that would change nothing."""
        if attempts > retries:
            return 0
        if kind in _WANTS_MEMORY and slots < self.widest:
            return min(self.widest, 2 * slots)
        return slots if kind in _MAY_PASS else 0
