"""The tasks as `dm_env` environments, as dm_control's users know them."""

from __future__ import annotations

from typing import Any

import dm_env as dm_environment
import numpy as np
from dm_env import specs

from vrodent.body import PROPRIOCEPTION_SIZE
from vrodent.simulation.camera import EYE_SIZE
from vrodent.simulation.cpu import CpuSimulation, Observation
from vrodent.simulation.physics import Variant
from vrodent.task import Task


class RodentDmEnv(dm_environment.Environment):
    """One world of a task. Rewards are float64, and the discount is the original's: 0 where the rat falls into a gap, else 1.

    Args:
        task: one of the four, or any `Task`.
        seed: of all episodes.
        physics, camera, shadows: as in `vrodent.make`.
    """

    def __init__(
        self, task: str | Task, *, seed: int = 0, physics: Variant = "reference", camera: bool = True, shadows: bool = False
    ) -> None:
        self.simulation = CpuSimulation(task, 1, seed=seed, physics=physics, camera=camera, num_threads=1, shadows=shadows)
        self._camera = camera
        self._over = True

    def reset(self) -> dm_environment.TimeStep:
        """Start the next episode."""
        self._over = False
        return dm_environment.restart(_first(self.simulation.reset()))

    def step(self, action: np.ndarray) -> dm_environment.TimeStep:
        """Advance by 0.02 s; after the end of an episode, start the next and ignore the action."""
        if self._over:
            return self.reset()
        step = self.simulation.step(np.asarray(action)[None])
        self._over = bool(step.terminated[0] or step.truncated[0])
        return dm_environment.TimeStep(
            step_type=dm_environment.StepType.LAST if self._over else dm_environment.StepType.MID,
            reward=float(step.info.reward[0]),
            discount=float(step.info.discount[0]),
            observation=_first(step.observation),
        )

    def observation_spec(self) -> dict[str, specs.Array]:
        """What the rat senses."""
        senses: dict[str, specs.Array] = {"proprioception": specs.Array((PROPRIOCEPTION_SIZE,), np.float32, "proprioception")}
        if self._camera:
            senses["egocentric"] = specs.BoundedArray((EYE_SIZE, EYE_SIZE, 3), np.uint8, 0, 255, "egocentric")
        return senses

    def action_spec(self) -> specs.BoundedArray:
        """MuJoCo's control of each actuator."""
        names = "\t".join(self.simulation.index.actuator_names)
        return specs.BoundedArray((self.simulation.action_size,), np.float64, -1.0, 1.0, names)

    def render(self, **options: Any) -> np.ndarray:
        """A picture from outside: see `vrodent.simulation.camera.render`."""
        return self.simulation.render(0, **options)

    def close(self) -> None:
        """Free the simulation's graphics."""
        self.simulation.close()


def _first(observation: Observation) -> dict[str, np.ndarray]:
    return {name: array[0] for name, array in observation.items()}


def dm_env(
    task: str | Task, seed: int = 0, *, physics: Variant = "reference", camera: bool = True, shadows: bool = False
) -> RodentDmEnv:
    """Make a `dm_env` environment of one task; see `RodentDmEnv` for the arguments."""
    return RodentDmEnv(task, seed=seed, physics=physics, camera=camera, shadows=shadows)
