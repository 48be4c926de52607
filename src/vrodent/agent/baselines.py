"""Agents to compare with: one acts at random, one stands. Both offer what evaluation and recording ask of an agent, see `Actor`."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp

from vrodent.agent.network import Observation


class Actor(Protocol):
    """Whatever can be put into a rat. `Memory` is whatever PyTree it likes."""

    def initial_memory(self, num_worlds: int) -> Any:
        """Memory at the start of a trial."""
        ...

    def act(self, observation: Observation, memory: Any, key: jax.Array | None = None) -> tuple[Any, Any]:
        """Outputs with an attribute `action` (world, 38), and the new memory; deterministic without a key."""
        ...

    def ctrl(self, action: jax.Array) -> jax.Array:
        """MuJoCo's control, (world, 38) in [-1, 1]."""
        ...


class BaselineOutput(NamedTuple):
    """`action` (world, 38)."""

    action: jax.Array


class RandomAgent(eqx.Module):
    """Draws every control uniformly over its whole range, anew at every step."""

    action_size: int = eqx.field(static=True, default=38)

    def initial_memory(self, num_worlds: int) -> tuple[()]:
        """None."""
        return ()

    def act(self, observation: Observation, memory: tuple[()], key: jax.Array | None = None) -> tuple[BaselineOutput, tuple[()]]:
        """Uniform in [-1, 1].

        Raises:
            ValueError: no key was given.
        """
        if key is None:
            raise ValueError("RandomAgent has no deterministic action: pass a key (evaluate with deterministic=False)")
        worlds = observation["proprioception"].shape[0]
        return BaselineOutput(jax.random.uniform(key, (worlds, self.action_size), minval=-1.0, maxval=1.0)), memory

    def ctrl(self, action: jax.Array) -> jax.Array:
        """The action itself."""
        return action


class StandingAgent(eqx.Module):
    """Holds the standing posture and does nothing else.

    Attributes:
        stance: (38,), `vrodent.body.standing_ctrl(model)`.
    """

    stance: jax.Array

    def initial_memory(self, num_worlds: int) -> tuple[()]:
        """None."""
        return ()

    def act(self, observation: Observation, memory: tuple[()], key: jax.Array | None = None) -> tuple[BaselineOutput, tuple[()]]:
        """Zeros: no departure from the standing posture."""
        return BaselineOutput(jnp.zeros((observation["proprioception"].shape[0], self.stance.shape[0]))), memory

    def ctrl(self, action: jax.Array) -> jax.Array:
        """The standing posture's control, moved by the action."""
        return jnp.clip(self.stance + action, -1.0, 1.0)
