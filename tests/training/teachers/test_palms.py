"""Where palms are, and when they strike, against MuJoCo and the worlds that remember it."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.agent.tapping import TapClock, palm_places
from vrodent.body import proprioception
from vrodent.simulation import CpuSimulation, make
from vrodent.training.teachers.guidance import pose
from vrodent.training.teachers.guides import TwoTapGuide
from vrodent.training.teachers.palms import palm_chains
from vrodent.training.teachers.strikes import DWELL, REFRACTORY, STRIKE, StruckTwoTap


@pytest.fixture(name="env")
def _env() -> CpuSimulation:
    env = make(StruckTwoTap(strike=STRIKE), num_worlds=4, seed=6, camera=False)  # type: ignore[arg-type]
    env.reset()
    return env


def _in_torso(env: CpuSimulation, points: np.ndarray) -> np.ndarray:
    """Points (world, n, 3) in the world's frame, in the torso's."""
    at = pose(env.physics.fields, env.index)
    return np.einsum("wpi,wij->wpj", points - at.position[:, None], at.rotation)


def test_palms_are_where_mujoco_has_them(env):
    """In 60 steps of violent noise; 0.1 um, single precision of lengths of 10 cm."""
    chain, senses = palm_chains()
    rng, spread = np.random.default_rng(2), []
    for _ in range(60):
        env.step(np.clip(env.standing_ctrl + rng.normal(0.0, 0.6, (4, 38)), -1.0, 1.0))
        fields = env.physics.fields
        felt = proprioception(fields, env.index)
        expected = _in_torso(env, fields.geom_xpos[:, env.index.palm_geoms])
        np.testing.assert_allclose(palm_places(chain, jnp.asarray(felt[:, senses])), expected, atol=1e-7)
        spread.append(expected)
    assert np.std(spread, axis=(0, 1)).max() > 0.005


def test_the_clock_tells_what_a_teacher_is_told_when_the_orb_is_where_it_is_believed(env):
    """Orbs 3.7 to 4.2 cm off palms that twitch in and out of 4 cm but touch none: nearness, cases and the time of every step of 3 s."""
    chain, senses = palm_chains()
    clock = eqx.tree_at(
        lambda c: (c.chain, c.senses, c.strike, c.touch, c.dwell, c.refractory, c.step), TapClock(3, 0),
        (chain, jnp.asarray(senses), *(jnp.asarray(number) for number in (STRIKE, 0.0, DWELL, REFRACTORY, 0.02))),
    )  # fmt: skip
    stand, rng = np.tile(env.standing_ctrl, (4, 1)), np.random.default_rng(1)
    for _ in range(60):
        env.step(stand)
    env.arenas.targets[:, 0] = env.physics.fields.geom_xpos[:, env.index.palm_geoms[0]] + [0.0, 0.0, 1.0]
    memory, struck = jnp.zeros((4, 2)), []
    tick = eqx.filter_jit(lambda clock, memory, distance: clock.tick(memory, distance, jnp.ones(4, bool)))
    for step in range(150):
        if step % 12 == 0:
            ahead = env.physics.fields.geom_xpos[:, env.index.palm_geoms[0]] - env.physics.fields.xpos[:, env.index.torso]
            ahead[:, 2] = 0.0
            off = rng.uniform(0.037, 0.042, (4, 1)) * ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
            env.arenas.targets[:, 0] = env.physics.fields.geom_xpos[:, env.index.palm_geoms[0]] + off
        env.step(stand + rng.normal(0.0, 0.003, stand.shape))
        told = TwoTapGuide().guide(env)
        toward = _in_torso(env, told.target[:, None])[:, 0]
        felt = jnp.asarray(proprioception(env.physics.fields, env.index))
        distance = clock.distance(felt, jnp.asarray(4.0 * toward))
        memory, reckoned = tick(clock, memory, distance)
        np.testing.assert_array_equal(np.argmax(reckoned[:, 1:4], axis=1), told.phase)
        np.testing.assert_allclose(reckoned[:, 4], np.where(told.phase == 1, told.timer, 2.0), atol=1e-5)
        assert (env.progress.phase == 0).all()
        struck.append(told.phase == 1)
    assert 0.1 < np.mean(struck) < 0.99 and (np.diff(np.array(struck).astype(int), axis=0) == 1).sum() >= 4
