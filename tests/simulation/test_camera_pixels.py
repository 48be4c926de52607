"""With shadows, what our rat sees is what dm_control's sees, to the last bit; without them, what its renderer draws with shadows off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.reference.forage_and_bowl import carry
from tests.reference.original import Original

from vrodent.simulation import CpuSimulation
from vrodent.task import TASK_NAMES

_WITHOUT = {"shadow": False, "reflection": False}


class Pair:
    """The same episode in the original and in ours, seen with and without shadows."""

    def __init__(self, task: str, seed: int) -> None:
        self.original = Original(task, seed, camera=True)
        self.ours = {shadows: CpuSimulation(task, shadows=shadows) for shadows in (True, False)}
        self.seen = {}
        for shadows, simulation in self.ours.items():
            self.seen[shadows] = simulation.reset_to(np.array([0]), [self.original.arena(simulation.model)])

    def step(self, action: np.ndarray) -> None:
        self.original.step(action)
        for shadows, simulation in self.ours.items():
            self.seen[shadows] = simulation.step(action[None]).observation

    def carry(self, qpos: np.ndarray) -> None:
        for shadows, simulation in self.ours.items():
            carry(self.original, simulation, qpos)
            self.seen[shadows] = simulation.observe()

    def assert_same_pixels(self) -> None:
        np.testing.assert_array_equal(self.seen[True]["egocentric"][0], self.original.sense("egocentric_camera"))
        options = self.original.env.task._walker.observables._scene_options
        plain = self.original.env.physics.render(
            64, 64, camera_id="walker/egocentric", scene_option=options, render_flag_overrides=_WITHOUT
        )
        np.testing.assert_array_equal(self.seen[False]["egocentric"][0], plain)

    def close(self) -> None:
        for simulation in self.ours.values():
            simulation.close()


@pytest.fixture(params=TASK_NAMES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    made = Pair(request.param, seed=2)
    yield made
    made.close()


def test_same_pixels(pair: Pair) -> None:
    """At the start, while struggling, and from many places and directions in the arena."""
    rng = np.random.default_rng(0)
    pair.assert_same_pixels()
    for _ in range(3):
        pair.step(rng.uniform(-1, 1, 38))
        pair.assert_same_pixels()
    start = pair.original.data.qpos.copy()
    low, high = pair.original.model.jnt_range[1:].T
    reach = {"gaps": (15.0, 0.9), "forage": (2.6, 2.6), "bowl": (9.0, 9.0), "two_tap": (2.0, 2.0)}[pair.original.name]
    for _ in range(6):
        qpos = start.copy()
        qpos[:2] += rng.uniform(-1, 1, 2) * reach
        qpos[2] = rng.uniform(0.05, 0.6)
        qpos[3:7] = rng.normal(size=4)
        qpos[7:] = np.where(rng.uniform(size=len(low)) < 0.5, low, high)  # bent, so that limbs get before the eye
        pair.carry(qpos)
        pair.assert_same_pixels()


def _stand_on(pair: Pair, part: str, place: np.ndarray) -> np.ndarray:
    qpos = pair.original.model.qpos0.copy()
    pair.carry(qpos)
    simulation = pair.ours[True]
    body = simulation.model.body("walker/" + part).id
    qpos[:3] += place - simulation.physics.fields.xpos[0, body]
    return qpos


def test_a_touched_orb_changes_colour_alike() -> None:
    pair = Pair("two_tap", seed=2)
    orb = pair.ours[True].arenas.targets[0, 0]
    pair.carry(_stand_on(pair, "hand_L", orb))
    pair.step(np.zeros(38))
    assert pair.ours[True].progress.touched[0]
    for turn in (0.0, 0.7):  # look at it from where it is in sight
        away = pair.original.model.qpos0.copy()
        away[:2] = orb[:2] - (0.4 * np.cos(turn), 0.4 * np.sin(turn))
        away[3:7] = np.cos(turn / 2), 0, 0, np.sin(turn / 2)
        pair.carry(away)
        pair.assert_same_pixels()
    pair.close()


def test_a_taken_orb_vanishes_alike() -> None:
    pair = Pair("forage", seed=2)
    orb = pair.ours[True].arenas.targets[0, 0]
    pair.carry(_stand_on(pair, "torso", orb))
    pair.step(np.zeros(38))
    assert pair.ours[True].progress.taken[0, 0]
    away = pair.original.model.qpos0.copy()
    away[:2] = orb[:2] - (0.3, 0.0)
    pair.carry(away)
    pair.assert_same_pixels()
    pair.close()


@pytest.mark.parametrize("task", TASK_NAMES)
def test_one_context_draws_many_worlds(task: str) -> None:
    """Each of many worlds that share a context looks as it does alone, also after some have changed their arenas."""
    together = CpuSimulation(task, 3, seed=5, num_threads=1)
    together.reset()
    together.reset(np.array([False, True, False]))
    frames = together.step(np.zeros((3, 38))).observation["egocentric"]
    for world in range(3):
        alone = CpuSimulation(task, 1, seed=5)
        alone.reset_to(np.array([0]), [together.draw(world, 1 if world == 1 else 0)])
        np.testing.assert_array_equal(alone.step(np.zeros((1, 38))).observation["egocentric"][0], frames[world])
        alone.close()
    assert len({frame.tobytes() for frame in frames}) == 3
    together.close()


def test_threads_do_not_change_a_pixel() -> None:
    frames = []
    for threads in (1, 3):
        simulation = CpuSimulation("bowl", 5, seed=1, num_threads=threads)
        simulation.reset()
        frames.append(simulation.step(np.zeros((5, 38))).observation["egocentric"])
        simulation.close()
    np.testing.assert_array_equal(*frames)
