"""What one unroll holds, for one world; in replay and in batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vrodent.agent import Memory


class Unroll(NamedTuple):
    """A fixed slice of time of one world, as the actor saw it; in a batch every array has the world axis after the time axis.

    A row is an observation and what was done in it. Where an episode ends, the row after its last action holds its *final observation*:
    nothing is done in it (`acted` 0, `discount` 0), its value is what the last action bootstraps from, and the next row begins the next
    episode (`reset` 1). The last row of every array that has time + 1 rows is the observation after the unroll's last action.

    Attributes:
        proprioception: (time + 1, 158) float32.
        egocentric: (time + 1, 64, 64, 3) uint8; (time + 1, 0) for an agent without a camera.
        reset: (time + 1,) float32, 1 where the agent's memory is emptied before the row.
        acted: (time,) float32, 1 where an action was taken, 0 for final observations and steps whose physics diverged.
        action: (time, 38) float32, the agent's action, before it becomes MuJoCo's control.
        behaviour_mean: (time, 38) float32, of the Gaussian the action was drawn from.
        behaviour_log_std: (time, 38) float32.
        reward: (time,) float32, after the action, in the task's own units.
        discount: (time,) float32 in {0, 1}, without gamma: 0 after a termination and at a final observation.
        teacher_mean: (time, 38) float32; (time, 0) where no teacher teaches.
        teacher_log_std: (time, 38) float32; (time, 0) where no teacher teaches.
        memory: the agent's memory before the first row, each leaf (units,).
    """

    proprioception: np.ndarray
    egocentric: np.ndarray
    reset: np.ndarray
    acted: np.ndarray
    action: np.ndarray
    behaviour_mean: np.ndarray
    behaviour_log_std: np.ndarray
    reward: np.ndarray
    discount: np.ndarray
    teacher_mean: np.ndarray
    teacher_log_std: np.ndarray
    memory: Memory
