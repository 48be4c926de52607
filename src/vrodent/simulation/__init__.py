"""Many worlds of one task stepped together."""

from vrodent.simulation.cpu import CpuSimulation, Step, StepInfo, make
from vrodent.simulation.physics import BatchPhysics

__all__ = ["BatchPhysics", "CpuSimulation", "Step", "StepInfo", "make"]
