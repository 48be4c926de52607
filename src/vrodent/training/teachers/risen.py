"""How rats stand that were thrown into the bowl and have been righted: what a climber is to set off from.

A climber that had practised from a standing start alone, however disturbed, had not set off from there after 6 s in 8 trials of 24; in 6
after 0.17 million steps more of the same, and in 3 after another 0.11 million of which a third began here (reference physics, told
0.5 m/s): its mean action held it where righting had left it.
"""

from __future__ import annotations

import numpy as np

from vrodent.simulation import CpuSimulation, make
from vrodent.training import progress
from vrodent.training.teachers.guides import BowlGuide
from vrodent.training.teachers.moments import Moments
from vrodent.training.teachers.network import Teacher
from vrodent.training.teachers.task_teacher import Role, TaskTeacher, lies

_WORLDS = 64
_STEPS = 150  # control steps, after which who still lies is let be


def risen(righter: Teacher, count: int, seed: int, action_scale: float) -> Moments:
    """Throw rats into bowls and keep the moments at which a teacher has brought them to their feet.

    Args:
        righter: the teacher.
        count: moments to gather, at least one.
        seed: of terrains and throws.
        action_scale: of the action that is kept with each moment, see `PracticeConfig`.

    They are thrown in training physics, four times as fast as reference physics: it is postures and speeds that are kept.

    Returns:
        so many moments.

    Raises:
        RuntimeError: two throws of all rats brought nobody to its feet.
    """
    kept = Moments(capacity=count)
    env = make("bowl", min(_WORLDS, count), seed=seed, physics="training", camera=False)
    rising = TaskTeacher(righter, BowlGuide(speed=0.0), unit=action_scale, role=Role.RISE)
    progress.say(f"Throwing rats into bowls until {count} have been righted, to set off from there.")
    throws = 0
    while len(kept) < count:
        env.reset()
        _throw(env, rising, kept)
        throws += 1
        if throws == 2 and not len(kept):
            raise RuntimeError(f"the teacher that rights rats brought none of {2 * env.num_worlds} to its feet; was it taught to?")
    env.close()
    return kept


def _throw(env: CpuSimulation, rising: TaskTeacher, kept: Moments) -> None:
    """Keep each world's first moment on its feet, the start included."""
    waiting, action = np.ones(env.num_worlds, bool), np.zeros((env.num_worlds, env.action_size))
    for _ in range(_STEPS):
        for world in np.flatnonzero(waiting & ~lies(env)):
            kept.keep(env, int(world), action[world])
            waiting[world] = False
        if not waiting.any():
            break
        action, _ = rising.act(rising.observe(env))
        env.step(np.clip(env.standing_ctrl + rising.unit * action, -1.0, 1.0))
