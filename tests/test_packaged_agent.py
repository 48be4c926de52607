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


@pytest.mark.slow
def test_it_finds_the_orb_and_rears_up_to_it() -> None:
    """A palm comes to within 8 cm of an orb 14 cm above the floor in 10 s, which no rat on four feet can do. Of 12 rats of another seed all
    came within 5 cm in 16 s, so five of six are to."""
    agent, env = vrodent.load_agent("four-tasks"), vrodent.make("two_tap", num_worlds=6, seed=7)
    observation, memory, nearest = env.reset(), agent.initial_memory(6), np.full(6, np.inf)
    for number in range(500):
        seen = {name: jnp.asarray(values) for name, values in observation.items()}
        output, memory = agent.act(seen, memory, jax.random.key(number))
        observation = env.step(np.asarray(agent.ctrl(output.action))).observation
        orb = env.arenas.targets[np.arange(6), env.progress.orb % env.arenas.targets.shape[1]]
        palms = env.physics.fields.geom_xpos[:, env.index.palm_geoms]
        nearest = np.minimum(nearest, np.linalg.norm(palms - orb[:, None], axis=2).min(axis=1))
    assert (nearest < 0.08).sum() >= 5
