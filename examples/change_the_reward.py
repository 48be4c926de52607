"""Give a task another reward: the corridor of gaps, rewarded for running slowly and for nothing else.

A task is a dataclass of settings with pure functions of batched arrays. Settings change with the constructor; anything else by
overriding one method. The result goes wherever a task's name goes.

    python examples/change_the_reward.py
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import vrodent
from vrodent.body import RatIndex
from vrodent.task import Arenas, Outcome
from vrodent.task.gaps import Gaps


@dataclass(frozen=True, kw_only=True)
class Stroll(Gaps):
    """Gaps, with a reward of 1 for a torso that moves forward at `speed`, falling off as a Gaussian of width `width`.

    Attributes:
        speed: m/s along the corridor.
        width: m/s.
    """

    speed: float = 0.2
    width: float = 0.1

    def step(
        self, progress: Any, fields: Any, touched: Any, substep_time: Any, arenas: Arenas, index: RatIndex, xp: ModuleType
    ) -> Outcome:
        """As in gaps, but for the reward. `xp` is numpy here, and jax.numpy in a simulator that lives on a device."""
        outcome = super().step(progress, fields, touched, substep_time, arenas, index, xp)
        forward = fields.qvel[:, 0]
        return outcome._replace(reward=xp.exp(-0.5 * ((forward - self.speed) / self.width) ** 2))


def run(steps: int = 50) -> tuple[float, float]:
    """Mean reward of a standing rat, for a stroll at 0.2 m/s and for standing still."""
    means = []
    for speed in (0.2, 0.0):
        env = vrodent.make(Stroll(speed=speed, platform_length=(1.0, 1.5)), num_worlds=2, seed=0, camera=False)
        env.reset()
        rewards = [env.step(np.tile(env.standing_ctrl, (2, 1))).reward.mean() for _ in range(steps)]
        means.append(float(np.mean(rewards)))
        env.close()
    return means[0], means[1]


if __name__ == "__main__":
    stroll, still = run()
    print(f"a rat that stands earns {stroll:.2f} a step when asked to stroll, and {still:.2f} when asked to stand")
