"""The two-tap task against dm_control's: taps once, twice in time, too early, too late, and twice within the debounce."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
from tests.reference.original import Original, compare, script_orbs, wandering

from vrodent.simulation import CpuSimulation
from vrodent.task import Arena

# Control steps of 0.02 s at which the rat lifts its forepaws, and those of them whose height the successive orbs hang in.
_LIFTS = (10, 50, 80, 160, 280, 287, 320, 385, 460, 503)
_ORB_OF_LIFT = (10, 50, 160, 280, 320, 460)
# 10 and 50: in time, 0.8 s. The next orb appears in the raised paw; 80: too soon. 160: once, and no second. 280, 287, 320: the second
# within the debounce is none, the third is in time. The next orb appears in the raised paw; 385: the time is over. 460, 503: late, in time.
_EXPECTED_TAPS = [1, 2, 1, 3, 1, 4, 1, 2, 1, 4, 1, 2]
_STEPS = 520


def _actions(simulation: CpuSimulation) -> np.ndarray:
    """Stand, and lift both forepaws for five steps at each of the times."""
    names = simulation.index.actuator_names
    elbow = [i for i, name in enumerate(names) if name.startswith("elbow")]
    arm = [i for i, name in enumerate(names) if name.startswith(("shoulder", "wrist"))]
    actions = np.tile(simulation.standing_ctrl, (_STEPS, 1))
    for lift in _LIFTS:
        actions[lift : lift + 5, elbow], actions[lift : lift + 5, arm] = 1.0, -1.0
    return actions


def _paw_path(simulation: CpuSimulation, start: Arena, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(step, 3) of the left paw and the torso, with the orb out of reach; the orb pushes nothing, so the path is the same with it."""
    palm = simulation.physics.model.geom("walker/hand_L_collision").id
    far = np.full_like(start.targets, 1.0)
    simulation.reset_to(np.arange(1), [replace(start, targets=far)])
    paw, torso = [], []
    for action in actions:
        simulation.step(action[None])
        paw.append(simulation.physics.fields.geom_xpos[0, palm].copy())
        torso.append(simulation.physics.fields.xpos[0, simulation.index.torso].copy())
    return np.array(paw), np.array(torso)


def _orbs(simulation: CpuSimulation, start: Arena, actions: np.ndarray) -> np.ndarray:
    """Positions (orb, 3), each just before and above where the paw gets in the first lift meant for it."""
    paw, torso = _paw_path(simulation, start, actions)
    highest = [lift + paw[lift : lift + 8, 2].argmax() for lift in _ORB_OF_LIFT]
    forward = (paw - torso)[highest] * [1.0, 1.0, 0.0]
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    return paw[highest] + 0.017 * forward + [0.0, 0.0, 0.015]


@pytest.fixture(scope="module")
def simulation() -> CpuSimulation:
    return CpuSimulation("two_tap", camera=False, num_threads=1)


def test_every_kind_of_tap_equals_the_original(simulation: CpuSimulation) -> None:
    actions = _actions(simulation)
    start = Original("two_tap", 0).arena(simulation.model)
    orbs = np.concatenate([_orbs(simulation, start, actions), np.ones((2, 3))])
    episode = Original("two_tap", 0, prepare=lambda env: script_orbs(env, orbs))
    np.testing.assert_array_equal(episode.data.qpos, start.qpos)
    targets = np.concatenate([orbs, np.ones((len(start.targets) - len(orbs), 3))])
    simulation.reset_to(np.arange(1), [replace(start, targets=targets)])

    memories: list[tuple[tuple[bool, bool, float], tuple[bool, bool, float]]] = []
    found = compare(episode, simulation, actions, after_step=lambda: memories.append(_memories(episode, simulation)))

    taps = np.array(found.events["tap"])
    assert taps[taps > 0].tolist() == _EXPECTED_TAPS
    assert found.agree
    assert found.beyond() == {}
    assert [ours for ours, _ in memories] == [theirs for _, theirs in memories]


def _memories(episode: Original, simulation: CpuSimulation) -> tuple[tuple[bool, bool, float], tuple[bool, bool, float]]:
    """What the orb remembers, ours and theirs: touched, touched twice, time of the physics step of the first touch."""
    progress, orb = simulation.progress, episode.orb()
    ours = bool(progress.touched[0]), bool(progress.touched_twice[0])
    time = float(progress.touch_time[0]) if ours[0] else -1.0
    return (*ours, time), (*orb.activated, float(orb._touch_time) if orb.activated[0] else -1.0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_actions_equal_the_original(simulation: CpuSimulation, seed: int) -> None:
    episode = Original("two_tap", seed)
    simulation.reset_to(np.arange(1), [episode.arena(simulation.model)])
    found = compare(episode, simulation, wandering(seed, simulation.standing_ctrl, 150))
    assert found.steps == 150 and found.agree
    assert found.beyond() == {}


@pytest.mark.slow
def test_a_full_episode_ends_as_the_original(simulation: CpuSimulation) -> None:
    episode = Original("two_tap", 4)
    simulation.reset_to(np.arange(1), [episode.arena(simulation.model)])
    found = compare(episode, simulation, wandering(4, simulation.standing_ctrl, 1600))
    assert found.ended == 1499 and found.agree
    assert found.beyond() == {}


def test_a_moved_orb_is_felt_by_the_same_geoms_as_in_the_original(simulation: CpuSimulation) -> None:
    """In both the palms feel it and the fingers do not: see the docstring of `vrodent.task.two_tap`."""
    episode = Original("two_tap", 0)
    simulation.reset_to(np.arange(1), [episode.arena(simulation.model)])
    theirs, ours = episode.model, simulation.physics.models[0]
    palm, orb = theirs.geom("walker/hand_L_collision").id, theirs.geom("target_0_0/geom").id
    assert ours.geom("target_0_0/geom").id == orb
    data, rng, felt = mujoco.MjData(ours), np.random.default_rng(0), set()
    fingers = {name for i in range(ours.ngeom) if "finger" in (name := ours.geom(i).name)}
    overlaps = 0
    for _ in range(40):
        theirs.geom_pos[orb] = ours.geom_pos[orb] = episode.data.geom_xpos[palm] + rng.uniform([0, -0.01, 0.005], [0.025, 0.01, 0.03])
        contacts = []
        for model in (theirs, ours):
            data.qpos[:] = episode.data.qpos
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_collision(model, data)
            contacts.append({model.geom(int(i)).name for pair in data.contact.geom for i in pair if orb in pair and i != orb})
            distances = [mujoco.mj_geomDistance(model, data, orb, model.geom(name).id, 1.0, None) for name in fingers]
        overlaps += min(distances) < 0
        assert contacts[0] == contacts[1]
        felt |= contacts[1]
    assert "walker/hand_L_collision" in felt and not felt & fingers
    assert overlaps > 10
