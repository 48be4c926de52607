"""A small agent with the real one's protocol: two core units that average over time, three policy units, a Gaussian of fixed width."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from vrodent.body import standing_ctrl
from vrodent.task import get_task

NUM_CORE, NUM_POLICY, NUM_ACTIONS = 2, 3, 38


class Cells(NamedTuple):
    """Output and cell state, (world, unit) each."""

    h: jax.Array
    c: jax.Array


class TinyMemory(NamedTuple):
    """As the real agent's."""

    core: Cells
    policy: tuple[Cells, ...]


class Output(NamedTuple):
    """As the real agent's, as far as a recording reads it."""

    mean: jax.Array
    action: jax.Array
    value: jax.Array


class TinyAgent(eqx.Module):
    """Its core slowly follows the mean picture and the height of the body; its policy mixes core and joint angles."""

    weights: jax.Array
    stance: jax.Array
    noise: float = eqx.field(static=True)

    def __init__(self, seed: int = 0, noise: float = 0.3) -> None:
        self.weights = jax.random.normal(jax.random.key(seed), (NUM_CORE + 30 + NUM_ACTIONS, NUM_POLICY))
        self.stance = jnp.asarray(standing_ctrl(get_task("two_tap").spec().compile()))
        self.noise = noise

    def initial_memory(self, num_worlds):
        def zeros(units):
            return Cells(jnp.zeros((num_worlds, units)), jnp.zeros((num_worlds, units)))

        return TinyMemory(zeros(NUM_CORE), (zeros(NUM_POLICY),))

    def act(self, observation, memory, key=None, perturbation=None):
        felt = observation["proprioception"]
        seen = observation["egocentric"].astype(jnp.float32).mean(axis=(1, 2, 3)) / 255.0
        drive = jnp.stack([seen, felt[:, 114]], axis=1)
        c = 0.9 * memory.core.c + 0.1 * drive
        memory = memory._replace(core=Cells(jnp.tanh(c), c))
        if perturbation is not None:
            memory = memory._replace(core=perturbation(memory).core)
        into = jnp.concatenate([memory.core.h, felt[:, :30]], axis=1) @ self.weights[: NUM_CORE + 30]
        c = 0.5 * memory.policy[0].c + 0.5 * into
        memory = memory._replace(policy=(Cells(jnp.tanh(c), c),))
        if perturbation is not None:
            memory = memory._replace(policy=perturbation(memory).policy)
        mean = jnp.tanh(memory.policy[0].h @ self.weights[NUM_CORE + 30 :].T)
        action = mean if key is None else mean + self.noise * jax.random.normal(key, mean.shape)
        return Output(mean, action, memory.core.h.sum(axis=1, keepdims=True)), memory

    def ctrl(self, action):
        return jnp.clip(self.stance + 0.5 * action, -1.0, 1.0)
