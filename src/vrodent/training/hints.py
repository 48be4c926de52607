"""Hints: what a teacher is told and the student is not, foretold from the student's core while it is taught.

A target two pixels wide, or one out of sight that was seen before, hardly shows in the loss of an action: nothing else would make the core
keep where it is. The head that foretells is the learner's own and is not part of the agent. Source: Mirowski et al. 2017, arXiv:1611.03673
(auxiliary depth prediction); Jaderberg et al. 2017, arXiv:1611.05397 (auxiliary tasks on a recurrent core).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Command
from vrodent.agent.layers import Linear, NormedLayer

_WIDTH = 128
_STREAM = 0x48494E54  # of the seed, so that the head's weights are not the agent's


@runtime_checkable
class HintingTeacher(Protocol):
    """A teacher that can tell what it was told.

    Attributes:
        hint_size: numbers in a hint.
    """

    @property
    def hint_size(self) -> int: ...

    def hint(self, observation: np.ndarray, /) -> np.ndarray:
        """(world, hint_size), numbers of order one, of its own observation (world, n)."""
        ...


def hint_size(teachers: Mapping[str, Any]) -> int:
    """Numbers in the hints of all teachers, 0 if there are none.

    Raises:
        ValueError: their hints differ in size.
    """
    sizes = {task: teacher.hint_size if isinstance(teacher, HintingTeacher) else 0 for task, teacher in teachers.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"One head foretells the hints of all tasks, but the teachers give hints of different sizes: {sizes}.")
    return max(sizes.values(), default=0)


class HintHead(eqx.Module):
    """Foretells a hint from the core's output.

    Args:
        core_size: units of the core.
        size: numbers in a hint.
        seed: of the initial weights.
    """

    hidden: NormedLayer
    output: Linear

    def __init__(self, core_size: int, size: int, seed: int) -> None:
        rng = np.random.default_rng([seed, _STREAM])
        self.hidden = NormedLayer(core_size, _WIDTH, rng)
        self.output = Linear(_WIDTH, size, rng, scale=0.1)

    def __call__(self, core: jax.Array) -> jax.Array:
        """(..., core units) -> (..., hint)."""
        return self.output(self.hidden(core))


def hint_error(head: HintHead, core: jax.Array, hint: jax.Array, weight: jax.Array | float = 1.0) -> jax.Array:
    """Half the squared error, summed over the hint's numbers: the negative log density, up to a constant, of a Gaussian of deviation 1.

    Args:
        head: gradients flow to it and through it to the core.
        core: (..., core units).
        hint: (..., hint).
        weight: of each number, (..., hint).

    Returns:
        (...).
    """
    return 0.5 * jnp.sum(weight * (head(core) - jax.lax.stop_gradient(hint)) ** 2, axis=-1)


def hint_weight(hint: jax.Array, stakes: jax.Array) -> jax.Array:
    """What `hint_error` is to weigh each number of a hint (..., hint) by: 1, and of what the hinted skill is told its stakes (skills, told)
    more."""
    skills, told = stakes.shape
    skill = hint[..., -told - skills : -told]
    return 1.0 + jnp.concatenate([jnp.zeros_like(hint[..., :-told]), skill @ stakes], axis=-1)


def command_error(command: Command, hint: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How far an agent's command of its skills is from what a hint says.

    Args:
        command: arrays (..., n).
        hint: (..., estimates + skills + told), which skill as ones and zeros.
        weight: (skills, told), of what a skill is told; 0 where it does not heed it. Where an orb is that has not been seen yet nobody
            can say, and who walks need not know.

    Returns:
        (...), half the squared errors of estimates and, weighted, of what the hinted skill heeds, summed, and the cross entropy of the
        skill in nats; and (...), the mean squared error of what is told and heeded, over all that is told.

    Raises:
        ValueError: the hint is of another size.
    """
    ends = np.cumsum([part.shape[-1] for part in command])
    if hint.shape[-1] != ends[-1]:
        raise ValueError(f"an agent with these skills needs hints of {ends[-1]} numbers, but its teachers give {hint.shape[-1]}.")
    body, skill, told = jnp.split(jax.lax.stop_gradient(hint), ends[:-1], axis=-1)
    missed = jnp.sum((command.estimates - body) ** 2, axis=-1)
    squared = (command.told - told) ** 2
    astray = jnp.sum((skill @ weight) * squared, axis=-1)
    heeded = jnp.sum((skill @ (weight > 0.0)) * squared, axis=-1)
    doubt = -jnp.sum(skill * jax.nn.log_softmax(command.asked, axis=-1), axis=-1)
    return 0.5 * (missed + astray) + doubt, heeded / told.shape[-1]
