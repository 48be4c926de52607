"""What the agent remembers from one control step to the next."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent.compass import initial_compass
from vrodent.agent.config import AgentConfig
from vrodent.agent.tapping import initial_clock


class LSTMMemory(NamedTuple):
    """One LSTM's memory: output `h` and cell state `c`, each (world, unit)."""

    h: jax.Array
    c: jax.Array


class Memory(NamedTuple):
    """The whole agent's memory, a PyTree of (world, unit) arrays.

    Attributes:
        core: of the core LSTM.
        policy: of each policy LSTM.
        felt: (world, 159), the proprioception of the step before and 1, for an agent that commands skills: it has no units, and follows
            from what was sensed. Empty for others.
        clock: (world, 2), see `vrodent.agent.tapping`, likewise without units. Empty for agents without one.
        compass: (world, 5), see `vrodent.agent.compass`, likewise.
    """

    core: LSTMMemory
    policy: tuple[LSTMMemory, ...]
    felt: jax.Array | tuple[()] = ()
    clock: jax.Array | tuple[()] = ()
    compass: jax.Array | tuple[()] = ()

    def layer(self, name: str) -> LSTMMemory:
        """The memory of the layer called `core`, `policy0`, ...

        Raises:
            ValueError: there is no such layer.
        """
        names = ("core", *(f"policy{i}" for i in range(len(self.policy))))
        if name not in names:
            raise ValueError(f"there is no layer {name!r}; this agent has {', '.join(names)}")
        return (self.core, *self.policy)[names.index(name)]

    def with_layer(self, index: int, memory: LSTMMemory) -> Memory:
        """A copy with the memory of one layer replaced; layer 0 is the core, layer 1 is `policy0`."""
        layers = [self.core, *self.policy]
        layers[index] = memory
        return self._replace(core=layers[0], policy=tuple(layers[1:]))


def layer_names(config: AgentConfig) -> tuple[str, ...]:
    """`("core", "policy0", ...)`, in the order in which activity flows."""
    return ("core", *(f"policy{i}" for i in range(config.num_policy_layers)))


def layer_sizes(config: AgentConfig) -> dict[str, int]:
    """Units of each layer."""
    return {name: config.core_size if name == "core" else config.policy_size for name in layer_names(config)}


def unit_ids(config: AgentConfig) -> tuple[str, ...]:
    """Every unit's name, `core:0` ... `policy2:127`."""
    return tuple(f"{name}:{unit}" for name, size in layer_sizes(config).items() for unit in range(size))


def initial_memory(config: AgentConfig, num_worlds: int) -> Memory:
    """The memory at the start of a trial: zeros, each (world, unit)."""
    if num_worlds < 1:
        raise ValueError(f"num_worlds must be at least 1, not {num_worlds}")

    def zeros(size: int) -> LSTMMemory:
        return LSTMMemory(*(jnp.asarray(np.zeros((num_worlds, size), np.float32)) for _ in range(2)))

    felt = jnp.asarray(np.zeros((num_worlds, config.proprioception_size + 1), np.float32)) if config.skill_widths else ()
    clock = initial_clock(num_worlds) if config.tapping_skill >= 0 else ()
    compass = initial_compass(num_worlds) if config.homing_skill >= 0 else ()
    policy = tuple(zeros(config.policy_size) for _ in range(config.num_policy_layers))
    return Memory(zeros(config.core_size), policy, felt, clock, compass)


def forget(memory: Memory, reset: jax.Array) -> Memory:
    """Zero the memory of some worlds.

    Args:
        memory: of (world, unit) arrays.
        reset: (world,) bool, true where a trial starts.
    """
    return jax.tree.map(lambda x: jnp.where(reset[:, None], jnp.zeros_like(x), x), memory)
