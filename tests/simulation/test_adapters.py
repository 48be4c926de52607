"""The tasks as Gymnasium and dm_env environments."""

from __future__ import annotations

import dataclasses
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

import dm_env
import gymnasium
import numpy as np
import pytest
from dm_env import test_utils
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import vrodent
from vrodent.registration import GYMNASIUM_IDS
from vrodent.simulation.gymnasium_env import RodentVectorEnv
from vrodent.task import get_task


@pytest.mark.parametrize("name", GYMNASIUM_IDS)
def test_gymnasium_checks_the_environment(name: str) -> None:
    env = gymnasium.make(name, render_mode="rgb_array", width=64, height=48)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Proprioception has no bounds, and pictures need not be normalised: these are no faults.
        for harmless in ("infinity", "normalized", "-inf", "low"):
            warnings.filterwarnings("ignore", message=f".*{harmless}.*")
        check_env(env.unwrapped)
    env.close()


def _play(env: gymnasium.Env, seed: int | None, steps: int) -> list[bytes]:
    observation, _ = env.reset(seed=seed)
    seen = [observation["proprioception"].tobytes()]
    for _ in range(steps):
        observation, reward, *_ = env.step(np.zeros(38, np.float32))
        seen += [observation["proprioception"].tobytes(), np.float64(reward).tobytes(), observation["egocentric"].tobytes()]
    return seen


def test_a_seed_decides_everything() -> None:
    env = gymnasium.make("vrodent/Forage-v0")
    once = _play(env, 7, 2)
    following = _play(env, None, 2)
    assert following != once
    assert _play(env, 7, 2) == once
    assert _play(env, None, 2) == following
    assert _play(env, 8, 2) != once
    env.close()


@pytest.fixture
def short_gaps() -> Iterator[Any]:
    """Three worlds whose episodes are truncated at 0.06 s."""
    envs = RodentVectorEnv(dataclasses.replace(get_task("gaps"), time_limit=0.06), 3)  # type: ignore[type-var,arg-type]
    yield envs
    envs.close()


def test_vector_environment_restarts_in_the_same_step(short_gaps: Any) -> None:
    """`final_obs` is what a simulation that is not restarted shows; the observation is the first of the next episode."""
    assert short_gaps.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    task = dataclasses.replace(get_task("gaps"), time_limit=0.06)  # type: ignore[type-var]
    plain = vrodent.make(task, num_worlds=3, seed=4)
    first, _ = short_gaps.reset(seed=4)
    np.testing.assert_array_equal(first["proprioception"], plain.reset()["proprioception"])
    action = np.random.default_rng(0).uniform(-1, 1, (3, 38))
    for _ in range(2):
        _, _, terminated, truncated, info = short_gaps.step(action)
        plain.step(action)
        assert not terminated.any() and not truncated.any() and "final_obs" not in info
    observation, _, terminated, truncated, info = short_gaps.step(action)
    last = plain.step(action).observation
    assert truncated.all() and not terminated.any() and info["_final_obs"].all()
    for world in range(3):
        for sense in ("proprioception", "egocentric"):
            np.testing.assert_array_equal(info["final_obs"][world][sense], last[sense][world])
        assert info["final_info"][world]["time"] == pytest.approx(0.06)
    np.testing.assert_array_equal(observation["proprioception"], plain.reset()["proprioception"])
    _, _, _, truncated, _ = short_gaps.step(action)
    assert not truncated.any()
    plain.close()


def test_make_vec_makes_ours() -> None:
    envs = gymnasium.make_vec("vrodent/TwoTap-v0", num_envs=2, render_mode="rgb_array", camera=False)
    assert isinstance(envs.unwrapped, RodentVectorEnv)
    observation, _ = envs.reset(seed=1)
    assert observation in envs.observation_space
    observation, reward, terminated, truncated, info = envs.step(envs.action_space.sample())
    assert observation in envs.observation_space
    assert reward.shape == terminated.shape == truncated.shape == info["tap"].shape == (2,)
    pictures = envs.render()
    assert pictures is not None and len(pictures) == 2 and pictures[0].shape == (240, 320, 3)
    with pytest.raises(ValueError, match="one seed"):
        envs.reset(seed=[1, 2])
    envs.close()


def test_unknown_render_mode() -> None:
    with pytest.raises(ValueError, match="human"):
        RodentVectorEnv("gaps", 1, camera=False, render_mode="human")


class _DmEnvChecks(test_utils.EnvironmentTestMixin):
    """dm_env's own tests; episodes end after five steps, so that the sequence of actions covers ends."""

    task: str

    def make_object_under_test(self) -> dm_env.Environment:
        return vrodent.dm_env(dataclasses.replace(get_task(self.task), time_limit=0.1), seed=3)  # type: ignore[type-var]

    def make_action_sequence(self) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(0)
        for _ in range(12):
            yield rng.uniform(-1, 1, 38)


class TestGaps(_DmEnvChecks, unittest.TestCase):
    task = "gaps"


class TestForage(_DmEnvChecks, unittest.TestCase):
    task = "forage"


class TestBowl(_DmEnvChecks, unittest.TestCase):
    task = "bowl"


class TestTwoTap(_DmEnvChecks, unittest.TestCase):
    task = "two_tap"


def test_dm_env_seed_and_end() -> None:
    """One seed twice gives the same; a fall ends with the original's discount of 0, and the next step starts anew."""
    one, two = vrodent.dm_env("gaps", seed=5, camera=False), vrodent.dm_env("gaps", seed=5, camera=False)
    for env in (one, two):
        env.reset()
    np.testing.assert_array_equal(one.simulation.arenas.geom_pos, two.simulation.arenas.geom_pos)
    fields = one.simulation.physics.fields
    fields.qpos[0, 2] = -0.5  # below the platforms
    last = one.step(np.zeros(38))
    assert last.last() and last.discount == 0.0
    assert one.step(np.zeros(38)).first()
