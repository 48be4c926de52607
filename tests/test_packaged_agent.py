"""The packaged agent does what its card says, on a few arenas of its own: quick, in reference physics, actions sampled."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vrodent
from vrodent.simulation import CpuSimulation


def run(task: str, num_worlds: int, steps: int) -> CpuSimulation:
    agent, env = vrodent.load_agent("four-tasks"), vrodent.make(task, num_worlds=num_worlds, seed=7)
    observation, memory = env.reset(), agent.initial_memory(num_worlds)
    for number in range(steps):
        seen = {name: jnp.asarray(values) for name, values in observation.items()}
        output, memory = agent.act(seen, memory, jax.random.key(number))
        observation = env.step(np.asarray(agent.ctrl(output.action))).observation
    return env


@pytest.mark.slow
def test_it_walks_along_the_corridor() -> None:
    """The first platform ends a metre ahead; a rat that stands stays where it is."""
    env = run("gaps", 6, 150)
    assert np.median(env.physics.fields.qpos[:, 0]) - 5.0 > 0.4


@pytest.mark.slow
def test_it_comes_to_its_feet_in_the_bowl() -> None:
    """Of rats dropped in random orientations one in four or so lands on its feet by chance (of 48 under the standing control 13 did)."""
    env = run("bowl", 12, 250)
    up = np.minimum(env.physics.fields.xmat[:, env.index.torso, 8], env.physics.fields.xmat[:, env.index.pelvis, 8])
    assert (up > 0.5).sum() >= 7  # by chance seven or more of twelve do once in forty times
