"""A teacher at work in one of the four tasks: it labels a student's rollout, or drives the rat itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import numpy as np

from vrodent.simulation import CpuSimulation
from vrodent.training.teachers.guidance import Ground, Guide, pose
from vrodent.training.teachers.guides import BowlGuide, ForageGuide, GapsGuide, TwoTapGuide
from vrodent.training.teachers.network import Teacher
from vrodent.training.teachers.privileged import observe

_LYING = 0.1  # cosine between an up-vector and the vertical, a little below the 0.3 at which its practice ended

GUIDES: Mapping[str, Callable[[float], Guide]] = {
    "gaps": lambda speed: GapsGuide(speed=speed),
    "forage": lambda speed: ForageGuide(speed=speed),
    "bowl": lambda speed: BowlGuide(speed=speed),
    "two_tap": lambda speed: TwoTapGuide(speed=speed),
}
"""The guide of each task, given the speed in m/s at which the rat is to walk."""


class TaskTeacher:
    """A teacher with the guide of one task. Keeps nothing between steps.

    Args:
        teacher: the networks.
        guide: what it is told.
        action_scale: ctrl = clip(stance + action_scale * action, -1, 1), as in its practice.
    """

    def __init__(self, teacher: Teacher, guide: Guide, action_scale: float = 0.5):
        self.teacher, self.guide, self.action_scale = teacher, guide, action_scale
        self._act = eqx.filter_jit(lambda network, seen: network.act(seen))

    def observe(self, env: CpuSimulation) -> np.ndarray:
        """The privileged observation of the present moment, (world, n) float32; zero where the physics has failed."""
        seen = observe(env, self.guide, self.guide.guide(env), self.action_scale)
        return np.where(np.isfinite(seen).all(axis=1, keepdims=True), seen, 0.0).astype(np.float32)

    def act(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and log standard deviation of the standing-centred action, each (world, 38)."""
        mean, log_std = self._act(self.teacher, jax.numpy.asarray(observation))
        return np.asarray(mean), np.asarray(log_std)

    def hopeless(self, env: CpuSimulation) -> np.ndarray:
        """(world,) bool: the rat lies on its side or back. In the bowl, where it begins so, righting is part of the lesson."""
        if self.guide.ground is Ground.BOWL:
            return np.zeros(env.num_worlds, bool)
        at = pose(env.physics.fields, env.index)
        return (at.rotation[:, 2, 2] < _LYING) | (at.pelvis[:, 2, 2] < _LYING)

    def ctrl(self, env: CpuSimulation) -> np.ndarray:
        """(world, 38): MuJoCo's control by the mean action, to drive the rat with."""
        mean, _ = self.act(self.observe(env))
        return np.clip(env.standing_ctrl + self.action_scale * mean, -1.0, 1.0)


def task_teachers(
    teacher: Teacher | Mapping[str, Teacher], speeds: Mapping[str, float], action_scale: float = 0.5
) -> dict[str, TaskTeacher]:
    """Teachers for several tasks.

    Args:
        teacher: the networks, of one for all or by task.
        speeds: m/s to walk at, by task.
        action_scale: see `TaskTeacher`.

    Raises:
        ValueError: there is no such task.
    """
    unknown = sorted(set(speeds) - set(GUIDES))
    if unknown:
        raise ValueError(f"There is no guide for {unknown[0]!r}; there are guides for {', '.join(GUIDES)}.")
    experts = {task: teacher if isinstance(teacher, Teacher) else teacher[task] for task in speeds}
    return {task: TaskTeacher(experts[task], GUIDES[task](speed), action_scale) for task, speed in speeds.items()}
