"""What a teacher looks at in a simulation on a GPU: copies on the host, of the fields that it reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from vrodent.task import Arenas

if TYPE_CHECKING:
    from vrodent.simulation.gpu import GpuSimulation


class HostView:
    """A moment of a `GpuSimulation` with the attributes of a `CpuSimulation` that teachers read, in NumPy and double precision.

    A field is copied from the device when it is first read. Good until the next step or reset: take a new one then.

    Args:
        simulation: reset at least once.

    Attributes:
        physics: has `fields` and `model`.
        task, index, num_worlds, standing_ctrl, world_arenas, arenas, progress: as of a `CpuSimulation`.
    """

    def __init__(self, simulation: GpuSimulation) -> None:
        self.task, self.index, self.num_worlds = simulation.task, simulation.index, simulation.num_worlds
        self.standing_ctrl, self.world_arenas = simulation.standing_ctrl, simulation.world_arenas
        self.physics = SimpleNamespace(fields=_HostFields(simulation), model=simulation.physics.model)
        self._simulation = simulation

    @property
    def progress(self) -> Any:
        """The episodes' progress, (world, ...)."""
        return jax.tree.map(_host, self._simulation.progress)

    @property
    def arenas(self) -> Arenas:
        """The stacked arenas, (world, ...)."""
        return Arenas(*map(_host, self._simulation.arenas))


class _HostFields:
    """Fields by name, copied once each."""

    def __init__(self, simulation: GpuSimulation) -> None:
        self._simulation = simulation

    def __getattr__(self, name: str) -> np.ndarray:
        simulation = self._simulation
        value = simulation.times if name == "time" else _host(getattr(simulation.physics.fields, name))
        setattr(self, name, value)
        return value


def _host(array: Any) -> np.ndarray:
    copied = np.array(array)
    return copied.astype(np.float64) if copied.dtype == np.float32 else copied
