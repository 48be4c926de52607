"""One world of a GPU simulation, as a simulation of its own on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from vrodent.simulation.cpu import CpuSimulation

if TYPE_CHECKING:
    from vrodent.simulation.gpu import GpuSimulation


def twin(simulation: GpuSimulation, world: int, camera: bool = False) -> CpuSimulation:
    """A CPU simulation of one world, which is in the arena, the posture, the motion and the progress of a world on the GPU.

    Args:
        simulation: reset at least once.
        world: which.
        camera: whether the twin sees.

    Raises:
        ValueError: there is no such world.
        RuntimeError: the simulation has not been reset.
    """
    if not 0 <= world < simulation.num_worlds:
        raise ValueError(f"world must be at least 0 and less than num_worlds = {simulation.num_worlds}, got {world}.")
    if simulation.progress is None:
        raise RuntimeError("Nothing to copy yet: call reset() first.")
    one = CpuSimulation(simulation.task, seed=simulation.seed, physics=simulation.variant, camera=camera, num_threads=1)
    one.reset_to(np.arange(1), [simulation.world_arenas[world]])
    for name in ("qpos", "qvel", "act", "ctrl", "qacc_warmstart"):
        getattr(one.physics.fields, name)[0] = np.asarray(getattr(simulation.physics.fields, name)[world])
    if simulation.placed is not None:
        one.physics.place_targets(np.asarray(simulation.placed, float)[world][None])
    one.physics.fields.time[0] = simulation.seconds(world)
    one.physics.fields.forward(np.arange(1, dtype=np.int32))
    one.progress = jax.tree.map(lambda array: np.asarray(array)[world][None], simulation.progress)
    return one
