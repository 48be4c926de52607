"""n-step transitions against a direct walk through each world's history."""

import numpy as np
import pytest

from vrodent.training.teachers.transitions import ReplayConfig, TransitionReplay

GAMMA = 0.9


def history(rng: np.random.Generator, steps: int, worlds: int):
    terminated = rng.random((steps, worlds)) < 0.15
    truncated = (rng.random((steps, worlds)) < 0.15) & ~terminated
    reward = rng.normal(size=(steps, worlds)).astype(np.float32)
    # An observation names its step and world, so that a stored transition tells where it comes from; exact in half precision.
    now = np.stack(np.meshgrid(np.arange(steps), np.arange(worlds), indexing="ij"), axis=-1).astype(np.float32)
    following = now + np.array([1000.0, 0.0])
    return now, following.astype(np.float32), reward, terminated, truncated


def expected(reward, terminated, truncated, num_steps):
    """Every transition that should be stored: (time, world) -> (return, discount, time of the bootstrap observation)."""
    found = {}
    steps, worlds = reward.shape
    for world in range(worlds):
        for t in range(steps - num_steps + 1):
            total, discount, whole = 0.0, 1.0, True
            for k in range(num_steps):
                total += discount * reward[t + k, world]
                discount *= GAMMA
                if terminated[t + k, world]:
                    discount = 0.0
                    break
                if truncated[t + k, world]:
                    whole = k == num_steps - 1
                    break
            if whole:
                found[t, world] = total, discount
    return found


@pytest.mark.parametrize("num_steps", [1, 3])
def test_equals_a_direct_walk(num_steps):
    worlds, steps = 5, 60
    now, following, reward, terminated, truncated = history(np.random.default_rng(0), steps, worlds)
    replay = TransitionReplay(ReplayConfig(capacity=1000, num_steps=num_steps), 2, 1, GAMMA)
    action = np.zeros((worlds, 1), np.float32)
    for t in range(steps):
        replay.add(now[t], action, reward[t], terminated[t], truncated[t], following[t])
    truth = expected(reward, terminated, truncated, num_steps)
    assert replay.size == len(truth) > 100
    stored = replay.sample(np.random.default_rng(1), (4000,))
    assert len({tuple(row) for row in stored.observation}) == len(truth)  # 4000 draws of < 300 miss one with p < 1e-3
    for observation, total, discount, bootstrap in zip(
        stored.observation, stored.reward, stored.discount, stored.next_observation, strict=True
    ):
        t, world = int(observation[0]), int(observation[1])
        # float32 sums of three terms of order one
        np.testing.assert_allclose((total, discount), truth[t, world], atol=1e-5)
        if discount > 0:
            assert tuple(bootstrap) == (t + num_steps - 1 + 1000, world)


def test_ring_keeps_the_newest():
    replay = TransitionReplay(ReplayConfig(capacity=10, num_steps=1), 1, 1, GAMMA)
    no = np.zeros(1, bool)
    for t in range(25):
        replay.add(np.array([[t]], np.float32), np.zeros((1, 1), np.float32), np.zeros(1, np.float32), no, no, np.zeros((1, 1), np.float32))
    assert set(replay.sample(np.random.default_rng(0), (500,)).observation[:, 0]) == set(range(15, 25))
    assert replay.inserted == 25


def test_empty_replay_says_so():
    with pytest.raises(ValueError, match="collect some steps"):
        TransitionReplay(ReplayConfig(capacity=4), 1, 1).sample(np.random.default_rng(0), (1,))


def test_nothing_is_kept_of_steps_that_were_not_practised():
    """A window is kept if it is whole and each of its steps up to the end of its episode was practised."""
    worlds, steps, num_steps, rng = 6, 80, 3, np.random.default_rng(2)
    now, following, reward, terminated, truncated = history(rng, steps, worlds)
    practised = rng.random((steps, worlds)) < 0.8
    replay = TransitionReplay(ReplayConfig(capacity=1000, num_steps=num_steps), 2, 1, GAMMA)
    for t in range(steps):
        replay.add(now[t], np.zeros((worlds, 1), np.float32), reward[t], terminated[t], truncated[t], following[t], practised[t])
    ends = terminated | truncated
    truth = set()
    for t, world in expected(reward, terminated, truncated, num_steps):
        length = next((k + 1 for k in range(num_steps) if ends[t + k, world]), num_steps)
        if practised[t : t + length, world].all():
            truth.add((t, world))
    stored = replay.arrays()["observation"].astype(int)
    assert {tuple(row) for row in stored} == truth and len(stored) == len(truth) > 100
