"""dm_control's bowl episodes and ours are equal to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from dm_control.locomotion.arenas import bowl as dm_bowl
from scipy import stats
from tests.reference.forage_and_bowl import carry
from tests.reference.original import Differences, Original, compare

from vrodent.simulation import CpuSimulation

ROUNDING = {"appendages_pos": 1e-15, "reward": 4e-16}
"""The original rotates each vector, and sums the squares of the distance, in a product of its own; all else is equal to the last bit."""


@pytest.fixture(scope="module")
def episode() -> Original:
    return Original("bowl", seed=0)


@pytest.fixture(scope="module")
def simulation() -> CpuSimulation:
    return CpuSimulation("bowl", camera=False, num_threads=1)


def _start(episode: Original, simulation: CpuSimulation, seed: int) -> None:
    episode.reset(seed)
    simulation.reset_to(np.array([0]), [episode.arena(simulation.model)])


def _assert_equal(found: Differences) -> None:
    assert found.agree
    assert {name: worst for name, worst in found.largest.items() if worst > ROUNDING.get(name, 0.0)} == {}


def test_a_full_episode_of_random_actions(episode: Original, simulation: CpuSimulation) -> None:
    _start(episode, simulation, 2)
    actions = np.clip(np.cumsum(np.random.default_rng(2).normal(scale=0.3, size=(1100, 38)), axis=0), -1, 1)
    found = compare(episode, simulation, actions)
    _assert_equal(found)
    assert found.ended == 999, "20 s"
    assert found.total_reward > 0


@pytest.mark.parametrize("seed", [4, 8])
def test_structured_actions(episode: Original, simulation: CpuSimulation, seed: int) -> None:
    _start(episode, simulation, seed)
    phase = 2 * np.pi * (2.0 * np.arange(150)[:, None] * 0.02 + np.linspace(0, 1, 38))
    _assert_equal(compare(episode, simulation, np.clip(simulation.standing_ctrl + 0.6 * np.sin(phase), -1, 1)))


@pytest.mark.parametrize("distance", [2.5, 5.0, 7.0])
def test_far_from_the_centre(episode: Original, simulation: CpuSimulation, distance: float) -> None:
    """Both rats are put on the slope, at the rim or beyond it, upright, and stand: equal reward, full beyond the rim."""
    _start(episode, simulation, 3)
    qpos = simulation.model.qpos0.copy()
    qpos[:3] = distance, 0.0, 0.55 if distance < 6 else 0.0
    carry(episode, simulation, qpos)
    found = compare(episode, simulation, np.tile(simulation.standing_ctrl, (60, 1)))
    _assert_equal(found)
    reward = found.total_reward / 60
    assert reward == pytest.approx(1.0) if distance > 6 else 0.2 < reward < 0.95


@pytest.mark.parametrize("seed", range(12))
def test_the_rat_is_raised_to_the_same_height(episode: Original, simulation: CpuSimulation, seed: int) -> None:
    episode.reset(seed)
    ours = simulation.task.resting_qpos(episode.data.qpos[3:7], simulation.model)
    np.testing.assert_array_equal(ours, episode.data.qpos)


class _Replay:
    """Stands in for our generator and returns the numbers that the original drew."""

    def __init__(self, numbers: np.ndarray) -> None:
        self._numbers = numbers

    def uniform(self, low: float, high: float, shape: tuple[int, int]) -> np.ndarray:
        assert (low, high, shape) == (dm_bowl._TERRAIN_SMOOTHNESS, 1, self._numbers.shape)
        return self._numbers


@pytest.mark.parametrize("seed", [0, 11])
def test_the_same_bumps_make_the_same_terrain(episode: Original, simulation: CpuSimulation, seed: int) -> None:
    """The original draws the orientation and then the bumps; the same bumps through our formula give its heights."""
    episode.env.random_state.seed(seed)
    episode.reset(seed)
    rng = np.random.RandomState(seed)
    rng.randn(4)
    bumps = rng.uniform(0.5, 1, (60, 60))
    theirs = episode.model.hfield_data.reshape(201, 201)
    np.testing.assert_array_equal(simulation.task.terrain(_Replay(bumps)), theirs)


def test_orientations_are_uniform(simulation: CpuSimulation) -> None:
    """The up-vector's height of a random rotation is uniform in [-1, 1]."""
    quats = np.array([simulation.task.draw(np.random.default_rng(seed), simulation.model).qpos[3:7] for seed in range(300)])
    np.testing.assert_allclose((quats**2).sum(axis=1), 1.0, rtol=1e-12)
    up = 1 - 2 * (quats[:, 1] ** 2 + quats[:, 2] ** 2)
    assert stats.kstest(up, stats.uniform(-1, 2).cdf).pvalue > 1e-3
