"""What one unroll holds, for one world; in replay and in batches."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from vrodent.agent import AgentConfig, Memory
from vrodent.agent.config import IMAGE_SIZE
from vrodent.agent.memory import initial_memory


class Unroll(NamedTuple):
    """A fixed slice of time of one world, as the actor saw it; in a batch every array has the world axis after the time axis.

    A row is an observation and what was done in it. Where an episode ends, the row after its last action holds its *final observation*:
    nothing is done in it (`acted` 0, `discount` 0), its value is what the last action bootstraps from, and the next row begins the next
    episode (`reset` 1). The last row of every array that has time + 1 rows is the observation after the unroll's last action.

    Attributes:
        proprioception: (time + 1, 158) float32.
        egocentric: (time + 1, 64, 64, 3) uint8, or of frozen eyes (time + 1, features) float32, see `vrodent.agent.Agent.see`.
        reset: (time + 1,) float32, 1 where the agent's memory is emptied before the row.
        acted: (time,) float32, 1 where an action was taken, 0 for final observations and steps whose physics diverged.
        action: (time, 38) float32, the agent's action, before it becomes MuJoCo's control.
        behaviour_mean: (time, 38) float32, of the Gaussian the action was drawn from.
        behaviour_log_std: (time, 38) float32.
        reward: (time,) float32, after the action, in the task's own units.
        discount: (time,) float32 in {0, 1}, without gamma: 0 after a termination and at a final observation.
        teacher_mean: (time, 38) float32; (time, 0) where no teacher teaches.
        teacher_log_std: (time, 38) float32; (time, 0) where no teacher teaches.
        hint: (time, hint) float32, what the teacher was told; (time, 0) where nothing is foretold.
        memory: the agent's memory before the first row, each leaf (units,).
    """

    proprioception: Any
    egocentric: Any
    reset: Any
    acted: Any
    action: Any
    behaviour_mean: Any
    behaviour_log_std: Any
    reward: Any
    discount: Any
    teacher_mean: Any
    teacher_log_std: Any
    hint: Any
    memory: Memory


def unroll_shapes(config: AgentConfig, length: int, taught: bool, hint_size: int = 0, *, frozen_eyes: bool = False) -> Unroll:
    """Shapes and types of one world's unroll of so many steps, with or without a teacher's labels, with hints of so many numbers, and with
    pictures or what frozen eyes made of them."""

    def of(*shape: int, dtype: type = np.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    picture = of(length + 1, IMAGE_SIZE, IMAGE_SIZE, 3, dtype=np.uint8)
    seen = of(length + 1, config.image_features) if frozen_eyes else picture
    size, labels = config.action_size, config.action_size if taught else 0
    return Unroll(
        proprioception=of(length + 1, config.proprioception_size),
        egocentric=seen,
        reset=of(length + 1),
        acted=of(length),
        action=of(length, size),
        behaviour_mean=of(length, size),
        behaviour_log_std=of(length, size),
        reward=of(length),
        discount=of(length),
        teacher_mean=of(length, labels),
        teacher_log_std=of(length, labels),
        hint=of(length, hint_size),
        memory=jax.tree.map(lambda leaf: of(leaf.shape[1]), jax.eval_shape(lambda: initial_memory(config, 1))),
    )


def empty_unroll(shapes: Unroll, num_worlds: int) -> Unroll:
    """Zeros of those shapes, the world axis first."""
    return jax.tree.map(lambda leaf: np.zeros((num_worlds, *leaf.shape), leaf.dtype), shapes)
