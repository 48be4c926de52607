"""A simulation's exact present as arrays, so that a resumed run goes on to the last bit."""

from __future__ import annotations

import jax
import numpy as np

from vrodent.simulation import CpuSimulation

_FIELDS = ("qpos", "qvel", "act", "ctrl", "time", "qacc_warmstart")


def snapshot(simulation: CpuSimulation) -> dict[str, np.ndarray]:
    """Copies of everything that the next step depends on and that seed, world and episode number do not give.

    Returns:
        "episode" (world,), MuJoCo's integration fields (world, ...) and the task's progress as "progress0", "progress1", ...
    """
    arrays = {name: np.array(getattr(simulation.physics.fields, name)) for name in _FIELDS}
    arrays["episode"] = simulation.episode.copy()
    for i, leaf in enumerate(jax.tree.leaves(simulation.progress)):
        arrays[f"progress{i}"] = np.array(leaf)
    return arrays


def restore(simulation: CpuSimulation, arrays: dict[str, np.ndarray]) -> None:
    """Bring a simulation made with the same arguments to a snapshot.

    The senses of the present moment are not restored (accelerometers are those of a physics step that is past); whoever takes a snapshot
    keeps the observation it has. All later ones are equal to the last bit.

    Raises:
        ValueError: the snapshot is of another number of worlds.
    """
    episode = arrays["episode"]
    if episode.shape != simulation.episode.shape:
        raise ValueError(f"The snapshot holds {episode.size} worlds, the simulation {simulation.num_worlds}.")
    simulation.episode[:] = episode
    everywhere = np.arange(simulation.num_worlds)
    simulation.reset_to(everywhere, [simulation.draw(int(world), int(episode[world])) for world in everywhere])
    structure = jax.tree.structure(simulation.progress)
    simulation.progress = jax.tree.unflatten(structure, [arrays[f"progress{i}"].copy() for i in range(structure.num_leaves)])
    fields = simulation.physics.fields
    for name in _FIELDS:
        getattr(fields, name)[:] = arrays[name]
    fields.forward()
    fields.qacc_warmstart[:] = arrays["qacc_warmstart"]  # the forward pass has just overwritten it
