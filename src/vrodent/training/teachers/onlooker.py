"""A student that looks on while a teacher moves its rat, and tells it what an oracle would.

A skill that was always told the truth runs as fast as who sees everything, and leaps from where an edge is; its student tells it where an
edge may be. Practised with what the student tells, a skill learns what to do on such a word, and to look where it can be told more. The
rat moves as if that were the student's skill already: where the student asks for another, by the other.
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

    Attributes:
        share: (world,) in [0, 1], how much of the rat it gives to that skill.
        rest: (world, 38), what its other skills do with theirs, control around the stance.

    Raises:
        ValueError: the agent commands no skills, or reckons by a compass what it would tell this one.
    """

    def __init__(self, agent: Agent, num_worlds: int, role: Role):
        if agent.motor is None:
            raise ValueError("this agent commands no skills, so that it has nothing to tell one: give one taught with --skills.")
        if agent.config.homing_skill == role and type(self) is Onlooker:
            raise ValueError(f"this agent reckons the course of its skill to {role.name.lower()}: bind its eyes, by --blindfold.")
        outlet = agent.motor.skills[role].outlet
        silent = outlet.weight * 0.0, outlet.bias * 0.0
        self.agent = eqx.tree_at(lambda a: (a.motor.skills[role].outlet.weight, a.motor.skills[role].outlet.bias), agent, silent)
        self.role = role
        self.share, self.rest = np.ones(num_worlds, np.float32), np.zeros((num_worlds, agent.config.action_size), np.float32)
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

    def take(self, worlds: np.ndarray, *said: np.ndarray) -> None:
        """Keep what is said of some worlds (n,): estimates of the body, what the skill hears, its share, what the others do."""
        for kept, new in zip((self._estimates, self._told, self.share, self.rest), said, strict=True):
            kept[worlds] = new

    def moved(self, deflection: np.ndarray) -> np.ndarray:
        """Control around the stance, (world, 38), of the whole agent whose skill does so (world, 38)."""
        return self.share[:, None] * deflection + self.rest

    def _look(self, senses: Observation, worlds: np.ndarray, size: int, fresh: bool) -> None:
        rows = np.resize(worlds, size)  # the first again, to fill up
        memory = jax.tree.map(lambda array: array[rows], self.memory)
        seen = {name: senses[name][rows] for name in ("proprioception", "egocentric")}
        said, after = _tell(self.agent, int(self.role), seen, memory, jnp.full(size, fresh))
        self.take(worlds, *(np.asarray(part)[: len(worlds)] for part in said))
        for kept, new in zip(jax.tree.leaves(self.memory), jax.tree.leaves(after), strict=True):
            kept[worlds] = np.asarray(new)[: len(worlds)]


@eqx.filter_jit
def _tell(
    agent: Agent, role: int, senses: dict[str, Any], memory: Memory, reset: jax.Array
) -> tuple[tuple[jax.Array, ...], Memory]:
    output, after = agent.unroll(jax.tree.map(lambda array: jnp.asarray(array)[None], senses), memory, reset[None])
    command, motor = output.command, agent.motor
    assert command is not None and isinstance(motor, Motor)
    said = command.estimates, motor.heard(role, command), motor.shares(command.asked)[..., role], agent.config.action_scale * output.mean
    return tuple(part[0] for part in said), after
