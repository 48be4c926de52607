"""Step sixteen worlds of a task with random actions and sum their rewards.

    python examples/step_a_task.py
"""

from __future__ import annotations

import numpy as np

import vrodent


def run(task: str = "gaps", num_worlds: int = 16, steps: int = 100, seed: int = 0) -> np.ndarray:
    """Total reward of each world, (world,)."""
    env = vrodent.make(task, num_worlds=num_worlds, seed=seed)
    rng = np.random.default_rng(seed)
    total = np.zeros(num_worlds)
    try:
        observation = env.reset()
        print({name: (array.shape, array.dtype.name) for name, array in observation.items()})
        for _ in range(steps):
            # The control that holds the rat standing, and some noise around it: the middle of the range is no posture a rat could hold.
            action = np.clip(env.standing_ctrl + rng.normal(0.0, 0.2, (num_worlds, env.action_size)), -1.0, 1.0)
            step = env.step(action)
            total += step.reward
            ended = step.terminated | step.truncated
            if ended.any():  # worlds restart when you say so
                observation = env.reset(ended)
    finally:
        env.close()
    return total


if __name__ == "__main__":
    print(run())
