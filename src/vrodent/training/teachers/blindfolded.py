"""An onlooker with its eyes bound, in the bowl, where a trained student's eyes tell its skill little and take most of the time.

A skill to climb is told its course, which an agent reckons that has a compass (`vrodent.agent.compass`) and others make out badly, and what
of its body is not felt. Neither needs a picture.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Agent
from vrodent.simulation import CpuSimulation
from vrodent.simulation.cpu import Observation
from vrodent.training.teachers.onlooker import Onlooker
from vrodent.training.teachers.privileged import TOLD
from vrodent.training.teachers.skills import Role
from vrodent.training.teachers.task_teacher import lies

_DECIDED = 10.0  # asked for, so that the other skills have nothing of the rat
_SPEED = 0.5  # m/s, as students are taught to tell in the bowl
_COURSE, _PACE = slice(0, 2), 2  # in what is told


class Blindfolded(Onlooker):
    """It feels its rats' bodies, asks to rise where one lies, and tells the true course everywhere else.

    Args:
        agent: that commands skills.
        env: its rats; no camera is needed.
        role: of the skill that is told.

    Raises:
        ValueError: the agent commands no skills.
    """

    def __init__(self, agent: Agent, env: CpuSimulation, role: Role):
        super().__init__(agent, env.num_worlds, role)
        self._env = env
        self._before = np.zeros((env.num_worlds, agent.config.proprioception_size + 1), np.float32)

    def look(self, senses: Observation, worlds: np.ndarray, *, fresh: bool) -> None:
        """Feel the present moment of some worlds, once a control step."""
        if fresh:
            self._before[worlds] = 0.0
        felt = np.asarray(senses["proprioception"], np.float32)
        asked = _DECIDED * np.eye(len(Role), dtype=np.float32)[np.where(lies(self._env), Role.RISE, self.role)]
        said = _feel(self.agent, int(self.role), *(jnp.asarray(part) for part in (felt, self._before, asked)))
        self.take(worlds, *(np.asarray(part)[worlds] for part in said))
        self._before[worlds] = np.concatenate([felt[worlds], np.ones((len(worlds), 1), np.float32)], axis=1)

    def told(self, truth: np.ndarray) -> np.ndarray:
        """As that of one that sees, but for the course, which is true."""
        heard = super().told(truth)
        if self.role is Role.CLIMB:
            heard[:, TOLD][:, _COURSE] = truth[:, TOLD][:, _COURSE]
        return heard


@eqx.filter_jit
def _feel(agent: Agent, role: int, felt: jax.Array, before: jax.Array, asked: jax.Array) -> tuple[jax.Array, ...]:
    given = jnp.concatenate([asked, jnp.zeros((len(asked), TOLD.stop - TOLD.start)).at[:, _PACE].set(_SPEED)], axis=1)
    assert agent.motor is not None
    deflection, command = agent.motor(felt, before, given, agent.stance)
    return command.estimates, agent.motor.heard(role, command), agent.motor.shares(asked)[:, role], deflection
