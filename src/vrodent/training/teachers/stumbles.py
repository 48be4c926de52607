"""Moments of clumsiness in practice, so that a teacher knows what to do where a student leaves it.

A student's actions are a teacher's, blurred: it does not reach as far and arrives in postures that the teacher never meets by itself. A
teacher that practised alone was as lost in them as its student (two_tap: handed rats that had come to a stop under the orb, it tapped
none in 14 s). Errors injected while data are gathered are the cure of Laskey et al. 2017, DART, arXiv:1703.09327.
"""

from __future__ import annotations

import numpy as np

_STEPS = (10, 60)  # control steps, how long one lasts
_STRENGTH = (0.0, 0.9)  # what an action is multiplied by
_OFFSET = 0.15  # standard deviation of what is added to every action, the same for as long as it lasts


class Stumbles:
    """Who is clumsy, for how long, and how.

    Args:
        rate: stumbles that begin a second in each world that has none.
        num_worlds: worlds.
        action_size: numbers in an action.
    """

    def __init__(self, rate: float, num_worlds: int, action_size: int):
        self._chance = rate * 0.02
        self._left = np.zeros(num_worlds, int)
        self._strength, self._offset = np.ones((num_worlds, 1)), np.zeros((num_worlds, action_size))

    def __call__(self, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The actions (world, action) in [-1, 1] that are taken, where these were chosen; time passes by one step."""
        if self._chance == 0.0:
            return action
        self._left = np.maximum(self._left - 1, 0)
        begins = np.flatnonzero((self._left == 0) & (rng.random(len(self._left)) < self._chance))
        self._left[begins] = rng.integers(_STEPS[0], _STEPS[1] + 1, len(begins))
        self._strength[begins] = rng.uniform(*_STRENGTH, (len(begins), 1))
        self._offset[begins] = rng.normal(0.0, _OFFSET, (len(begins), self._offset.shape[1]))
        taken = np.clip(self._strength * action + self._offset, -1.0, 1.0)
        return np.where(self._left[:, None] > 0, taken, action).astype(np.float32)
