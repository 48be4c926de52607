"""A student that looks on while a teacher moves its rat, and tells it what an oracle would.

A skill that was always told the truth runs as fast as who sees everything, and leaps from where an edge is; its student tells it where an
edge may be. Practised with what the student tells, a skill learns what to do on such a word, and to look where it can be told more.
Source: Kumar et al. 2021, arXiv:2107.04034, the other way round: there the estimator learns on with the policy fixed, here the policy.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Agent, Memory
from vrodent.agent.motor import Motor
from vrodent.simulation.cpu import Observation
from vrodent.training.teachers.privileged import BODY, TOLD, not_felt
from vrodent.training.teachers.skills import Role

_CHUNK = 8  # worlds looked at together after a restart: whatever their number, one shape


class Onlooker:
    """What an agent makes of what its rats sense, while others move them. It remembers, world by world.

    Args:
        agent: that commands skills.
        num_worlds: rats.
        role: of the skill that is told.

    Raises:
        ValueError: the agent commands no skills.
    """

    def __init__(self, agent: Agent, num_worlds: int, role: Role):
        if agent.motor is None:
            raise ValueError("this agent commands no skills, so that it has nothing to tell one: give one taught with --skills.")
        self.agent, self.role = agent, role
        self.memory: Memory = jax.tree.map(np.array, agent.initial_memory(num_worlds))
        self._told = np.zeros((num_worlds, TOLD.stop - TOLD.start), np.float32)
        self._estimates = np.zeros((num_worlds, len(not_felt())), np.float32)

    def look(self, senses: Observation, worlds: np.ndarray, *, fresh: bool) -> None:
        """Take in the present moment of some worlds, once a control step.

        Args:
            senses: of all worlds, with pictures.
            worlds: (n,) int, which to look at.
            fresh: whether their trials begin here, of which nothing is remembered.
        """
        size = _CHUNK if fresh else len(worlds)
        for first in range(0, len(worlds), size):
            self._look(senses, worlds[first : first + size], size, fresh)

    def told(self, truth: np.ndarray) -> np.ndarray:
        """What the skill's teacher observes, if it is told by the agent.

        Args:
            truth: (world, OBSERVATION_SIZE), its privileged observation.

        Returns:
            the same, but for what is not felt and what an oracle tells, which are the agent's.
        """
        heard = truth.copy()
        heard[:, BODY][:, not_felt()] = self._estimates
        heard[:, TOLD] = self._told
        return heard

    def _look(self, senses: Observation, worlds: np.ndarray, size: int, fresh: bool) -> None:
        rows = np.resize(worlds, size)  # the first again, to fill up
        memory = jax.tree.map(lambda array: array[rows], self.memory)
        seen = {name: senses[name][rows] for name in ("proprioception", "egocentric")}
        estimates, told, after = _tell(self.agent, int(self.role), seen, memory, jnp.full(size, fresh))
        self._estimates[worlds], self._told[worlds] = np.asarray(estimates)[: len(worlds)], np.asarray(told)[: len(worlds)]
        for kept, new in zip(jax.tree.leaves(self.memory), jax.tree.leaves(after), strict=True):
            kept[worlds] = np.asarray(new)[: len(worlds)]


@eqx.filter_jit
def _tell(
    agent: Agent, role: int, senses: dict[str, Any], memory: Memory, reset: jax.Array
) -> tuple[jax.Array, jax.Array, Memory]:
    output, after = agent.unroll(jax.tree.map(lambda array: jnp.asarray(array)[None], senses), memory, reset[None])
    command, motor = output.command, agent.motor
    assert command is not None and isinstance(motor, Motor)
    return command.estimates[0], motor.heard(role, command)[0], after
