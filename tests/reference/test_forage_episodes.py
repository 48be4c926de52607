"""dm_control's forage episodes and ours are equal to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference.forage_and_bowl import carry
from tests.reference.original import Differences, Original, compare

from vrodent.simulation import CpuSimulation
from vrodent.task.forage import MAX_ORBS, ForageProgress

ROUNDING = {"appendages_pos": 1e-15}
"""The original rotates each vector in a product of its own; all else is equal to the last bit."""


@pytest.fixture(scope="module")
def simulation() -> CpuSimulation:
    return CpuSimulation("forage", camera=False, num_threads=1)


def _start(simulation: CpuSimulation, seed: int) -> Original:
    """The same episode in both. The maze maker remembers its past, so that each needs a new original."""
    episode = Original("forage", seed)
    simulation.reset_to(np.array([0]), [episode.arena(simulation.model)])
    return episode


def _assert_equal(found: Differences) -> None:
    assert found.agree
    assert {name: worst for name, worst in found.largest.items() if worst > ROUNDING.get(name, 0.0)} == {}


def wandering(seed: int, steps: int) -> np.ndarray:
    """(step, 38) random actions that persist for a while, so that the rat is thrown about."""
    rng = np.random.default_rng(seed)
    return np.clip(np.cumsum(rng.normal(scale=0.3, size=(steps, 38)), axis=0), -1, 1)


def _take_all_but(episode: Original, simulation: CpuSimulation, left: int) -> None:
    """Let all orbs but one have been taken in both: the original then looks at fewer contacts, a third of the time of a step."""
    task = episode.env.task
    for number, target in enumerate(task._active_targets[0]):
        target._activated = task._target_rewarded[0][number] = number != left
    taken = np.arange(MAX_ORBS) < len(task._active_targets[0])
    taken[left] = False
    simulation.progress = ForageProgress(taken[None], taken[None])


def test_a_full_episode_of_random_actions(simulation: CpuSimulation) -> None:
    episode = _start(simulation, 5)
    _take_all_but(episode, simulation, 3)
    found = compare(episode, simulation, wandering(5, 1600))
    _assert_equal(found)
    assert found.ended == 1499, "30 s"


@pytest.mark.parametrize("seed", [1, 6])
def test_structured_actions(simulation: CpuSimulation, seed: int) -> None:
    episode = _start(simulation, seed)
    phase = 2 * np.pi * (2.0 * np.arange(150)[:, None] * 0.02 + np.linspace(0, 1, 38))
    found = compare(episode, simulation, np.clip(simulation.standing_ctrl + 0.6 * np.sin(phase), -1, 1))
    _assert_equal(found)


def test_an_orb_in_the_centre_is_taken_before_the_rat_is_placed(simulation: CpuSimulation) -> None:
    episode = _start(simulation, 1)
    targets = simulation.arenas.targets[0, : simulation.arenas.num_targets[0]]
    assert (np.abs(targets[:, :2]).max(axis=1) == 0).sum() == 1, "this maze has an orb in the centre"
    assert np.linalg.norm(episode.data.qpos[:2]) > 0.4, "and the rat starts elsewhere"
    found = compare(episode, simulation, wandering(1, 3))
    _assert_equal(found)
    assert found.events["orbs_taken"] == [1, 1, 1] and found.total_reward == 50.0


def _carry(episode: Original, simulation: CpuSimulation, place: np.ndarray) -> None:
    """Put both rats somewhere, upright, in the middle of an episode."""
    qpos = episode.data.qpos.copy()
    qpos[:7] = [*place[:2], 0.02, 1, 0, 0, 0]
    carry(episode, simulation, qpos)


@pytest.mark.parametrize("seed", [2])
def test_every_orb_touched_ends_the_episode_with_discount_one(simulation: CpuSimulation, seed: int) -> None:
    """Both rats are carried from orb to orb and thrash about there for 0.4 s."""
    episode = _start(simulation, seed)
    number = int(simulation.arenas.num_targets[0])
    total, taken, ended = 0.0, 0, None
    for visit in range(4 * number):
        target = visit % number
        if simulation.progress.taken[0, target]:
            continue
        _carry(episode, simulation, simulation.arenas.targets[0, target])
        found = compare(episode, simulation, wandering(100 * seed + visit, 20))
        _assert_equal(found)
        total += found.total_reward
        assert total == 50.0 * found.events["orbs_taken"][-1] and found.events["orbs_taken"][-1] >= taken
        taken = found.events["orbs_taken"][-1]
        if found.ended is not None:
            ended = found
            break
    assert ended is not None and taken == number, f"{taken} of {number} orbs touched"
    assert episode.timestep.last() and episode.timestep.discount == 1.0


def test_an_orb_counts_once(simulation: CpuSimulation) -> None:
    episode = _start(simulation, 7)
    target = next(t for t in range(int(simulation.arenas.num_targets[0])) if not simulation.progress.taken[0, t])
    total = 0.0
    for visit in range(3):
        _carry(episode, simulation, simulation.arenas.targets[0, target])
        found = compare(episode, simulation, wandering(visit, 15))
        _assert_equal(found)
        total += found.total_reward
    assert simulation.progress.taken[0, target]
    assert total == 50.0 * simulation.progress.taken[0].sum()
    alpha = episode.model.mat(f"target_0_{target}/target_sphere").rgba[3]
    assert alpha == 0.0 and not simulation.task.look(simulation.progress, simulation.arenas, np).target_visible[0, target]
