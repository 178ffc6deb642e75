"""What chunkmed planned, kept for the results."""

from __future__ import annotations

from chunkmed.graph.plan import Plan

__all__ = ["Plans"]


class Plans:
    """An observer that keeps the plan of every pass."""

    def __init__(self) -> None:
        self.tasks = 0
        self.plans: list[Plan] = []

    def start(self, name: str, tasks: int, plan: Plan) -> None:
        """Take note of a pass that begins."""
        self.tasks += tasks
        self.plans.append(plan)

    def advance(self, voxels: int, nbytes: int) -> None:
        """Take no note of a block."""

    def finish(self) -> None:
        """Take no note of the end."""

    @property
    def predicted_mib(self) -> float:
        """Peak memory as it was planned."""
        return round(max(plan.peak_bytes for plan in self.plans) / 2**20, 1)
