"""Moments of clumsiness: how often, how long, what they do to an action."""

import numpy as np

from vrodent.training.teachers.stumbles import Stumbles

WORLDS, STEPS = 200, 600


def _taken(rate: float, seed: int = 0) -> np.ndarray:
    """(step, world, action) of rats that always choose 0.5."""
    stumbles, rng = Stumbles(rate, WORLDS, 3), np.random.default_rng(seed)
    return np.stack([stumbles(np.full((WORLDS, 3), 0.5, np.float32), rng) for _ in range(STEPS)])


def test_without_a_rate_actions_are_what_was_chosen():
    assert (_taken(0.0) == 0.5).all()


def test_stumbles_take_their_share_of_time_and_hold_one_manner():
    """One begins 0.5 times a second, after 2 s on average, and lasts 35 steps: 0.7 s of 2.7 s. 200 worlds of 12 s: 26 +- 1 %, and less than
    that because none stumbles when it begins; the bounds are five deviations wide."""
    taken = _taken(0.5)
    clumsy = (taken != 0.5).any(axis=2)
    assert 0.19 < clumsy[100:].mean() < 0.32
    within = clumsy[1:] & clumsy[:-1]
    same = (taken[1:] == taken[:-1]).all(axis=2)
    assert same[within].mean() > 0.95  # but where one ends and the next begins at once
    lasts = [len(run) for world in clumsy.T for run in np.split(world, np.flatnonzero(np.diff(world)) + 1)[1:-1] if run[0]]
    assert min(lasts) >= 9 and 30 < np.mean(lasts) < 40


def test_a_stumble_weakens_and_shifts_and_stays_in_bounds_and_seeds_matter():
    taken = _taken(2.0)
    clumsy = taken[(taken != 0.5).any(axis=2)]
    assert 0.1 < clumsy.mean() < 0.35  # 0.5 times a strength of 0.45 on average, no shift on average
    assert np.abs(taken).max() <= 1.0
    assert (_taken(2.0) == taken).all() and (_taken(2.0, seed=1) != taken).any()
