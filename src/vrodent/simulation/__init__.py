"""Many worlds of one task stepped together."""

from vrodent.simulation.cpu import CpuSimulation, Step, StepInfo
from vrodent.simulation.dm_env_adapter import dm_env
from vrodent.simulation.factory import make
from vrodent.simulation.gl import GraphicsError
from vrodent.simulation.physics import BatchPhysics

__all__ = ["BatchPhysics", "CpuSimulation", "GraphicsError", "Step", "StepInfo", "dm_env", "make"]
