"""An agent with a planted cause: of its four policy units, one bends the trunk from side to side, and so turns the body; the others move
fingers, or nothing."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tests.recording.tiny import Cells, Output, TinyMemory

from vrodent.body import RatIndex, standing_ctrl
from vrodent.task import get_task

CAUSE = 2
"""The policy unit that turns the body."""
PERIOD = 50
"""Frames of one turn to the left and one to the right."""
PERIODS, PHASES = (31.0, 83.0, float(PERIOD), 35.0), (0.0, 1.0, 2.0, 3.0)


class Turner(eqx.Module):
    """Its first core unit counts frames; each policy unit is a square wave of that count, with a period of its own."""

    stance: jax.Array
    weights: jax.Array

    def __init__(self) -> None:
        model = get_task("two_tap").spec().compile()
        names = RatIndex.of(model).actuator_names
        weights = np.zeros((4, len(names)), np.float32)
        weights[CAUSE, [names.index(f"{part}_bend") for part in ("lumbar", "cervical", "caudal")]] = 2.0
        weights[0, [names.index(f"finger_{side}") for side in "LR"]] = 1.0
        self.stance, self.weights = jnp.asarray(standing_ctrl(model)), jnp.asarray(weights)

    def initial_memory(self, num_worlds):
        def zeros(units):
            return Cells(jnp.zeros((num_worlds, units)), jnp.zeros((num_worlds, units)))

        return TinyMemory(zeros(2), (zeros(4),))

    def act(self, observation, memory, key=None, perturbation=None):
        c = memory.core.c + jnp.array([1.0, 0.0])
        memory = memory._replace(core=Cells(jnp.tanh(c), c))
        if perturbation is not None:
            memory = memory._replace(core=perturbation(memory).core)
        c = jnp.sin(memory.core.c[:, :1] * (2 * jnp.pi / jnp.array(PERIODS)) + jnp.array(PHASES))
        memory = memory._replace(policy=(Cells(jnp.tanh(3 * c), c),))
        if perturbation is not None:
            memory = memory._replace(policy=perturbation(memory).policy)
        mean = memory.policy[0].h @ self.weights
        action = mean if key is None else mean + 0.05 * jax.random.normal(key, mean.shape)
        return Output(mean, action, memory.core.h.sum(axis=1, keepdims=True)), memory

    def ctrl(self, action):
        return jnp.clip(self.stance + 0.5 * action, -1.0, 1.0)
