"""The gaps task against dm_control's: running, falling into a gap, full episodes."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference.forage_and_bowl import carry
from tests.reference.original import Original, compare, wandering

from vrodent.simulation import CpuSimulation


@pytest.fixture(scope="module")
def simulation() -> CpuSimulation:
    return CpuSimulation("gaps", camera=False, num_threads=1)


def _start(simulation: CpuSimulation, seed: int) -> Original:
    episode = Original("gaps", seed)
    simulation.reset_to(np.array([0]), [episode.arena(simulation.model)])
    return episode


def _over_the_widest_gap(simulation: CpuSimulation) -> np.ndarray:
    """A posture, nose down, over the middle of the widest gap."""
    pos, size = simulation.arenas.geom_pos[0, 1:, 0], simulation.arenas.geom_size[0, 1:, 0]
    used = pos < 45
    begin, end = (pos + size)[used][:-1], (pos - size)[used][1:]
    widest = (end - begin).argmax()
    qpos = simulation.model.qpos0.copy()
    qpos[:3] = (begin + end)[widest] / 2, 0.0, 0.1
    qpos[3:7] = np.cos(np.pi / 4), 0.0, np.sin(np.pi / 4), 0.0
    return qpos


@pytest.mark.parametrize("seed", [1, 2])
def test_falling_into_a_gap_ends_both_with_discount_0(simulation: CpuSimulation, seed: int) -> None:
    episode = _start(simulation, seed)
    carry(episode, simulation, _over_the_widest_gap(simulation))
    found = compare(episode, simulation, wandering(seed, simulation.standing_ctrl, 300))
    assert found.agree and found.beyond() == {}
    assert found.ended is not None and found.ended == found.steps - 1
    assert episode.timestep.discount == 0.0
    assert found.events["fell"][-1] and not any(found.events["fell"][:-1])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_random_actions_equal_the_original(simulation: CpuSimulation, seed: int) -> None:
    episode = _start(simulation, seed)
    found = compare(episode, simulation, wandering(seed, simulation.standing_ctrl, 150))
    assert found.steps == 150 and found.agree
    assert found.beyond() == {}


@pytest.mark.slow
def test_a_full_episode_ends_as_the_original(simulation: CpuSimulation) -> None:
    episode = _start(simulation, 6)
    found = compare(episode, simulation, wandering(6, simulation.standing_ctrl, 1600))
    assert found.ended == 1499 and found.agree
    assert found.beyond() == {}
