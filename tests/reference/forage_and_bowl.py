"""Reading dm_control's mazes and bowls into arenas of ours."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from vrodent.task import Arena, get_task, maze
from vrodent.task.scenery import WALL_COLOURS

if TYPE_CHECKING:
    from tests.reference.original import Original

    from vrodent.simulation import CpuSimulation


def read_forage(episode: Original, model: mujoco.MjModel) -> Arena:
    """The arena that our builder makes of the original's text maze, wall colour and orbs.

    That its numbers are those of the original's compiled model is for `test_forage_arena.py` to show.
    """
    task: Any = get_task("forage")
    original: Any = episode.env.task
    drawn = maze.Maze(
        entities=np.array(original._maze_arena.maze.entity_layer), variations=np.array(original._maze_arena.maze.variations_layer)
    )
    colour = WALL_COLOURS.index(original._maze_arena._current_wall_texture["*"].name)
    orbs = [episode.model.body(f"target_0_{i}/").pos for i in range(len(original._active_targets[0]))]
    arena = task.arena(drawn, model, colour=colour, orbs=np.array(orbs), start=episode.data.qpos[:3], turn=0.0)
    return dataclasses.replace(arena, qpos=episode.data.qpos.copy())


def read_bowl(episode: Original, model: mujoco.MjModel) -> Arena:
    """The terrain and the posture."""
    shape = (int(episode.model.hfield_nrow[0]), int(episode.model.hfield_ncol[0]))
    return Arena(qpos=episode.data.qpos.copy(), hfield=episode.model.hfield_data.reshape(shape).copy())


def carry(episode: Original, simulation: CpuSimulation, qpos: np.ndarray) -> None:
    """Put both rats into a posture, at rest, in the middle of an episode.

    Args:
        episode: the original, whose observation is brought up to date.
        simulation: one world in the same state.
        qpos: (74,).
    """
    fields = simulation.physics.fields
    episode.data.qpos[:], episode.data.qvel[:] = qpos, 0.0
    fields.qpos[0], fields.qvel[0] = qpos, 0.0
    mujoco.mj_forward(episode.model, episode.data)
    fields.forward()
    episode.env._observation_updater.reset(episode.env.physics, episode.env.random_state)
    episode.timestep = episode.timestep._replace(observation=episode.env._observation_updater.get_observation())
