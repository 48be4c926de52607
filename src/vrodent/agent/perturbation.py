"""Perturbations of named units: pure functions of the memory, for `Agent.act`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from vrodent.agent.config import AgentConfig
from vrodent.agent.memory import Memory, layer_sizes

Variable = Literal["h", "c"]


class Clamp(eqx.Module):
    """Holds chosen units at given values. Plain arrays: another value, or another step of a time course, compiles nothing anew.

    Attributes:
        where: one bool array a layer, core first, (unit,), or (world, unit) to clamp other units in other worlds.
        value: what they are held at, of the same shapes.
        variable: `h`, the units' output, the cell state running on beneath; or `c`, the cell state, their output following.
        keep: how much of a chosen unit's own value stays beside `value`, of the same shapes: 0 to hold it, 1 to add to it. None holds
            every chosen unit.
    """

    where: tuple[jax.Array, ...]
    value: tuple[jax.Array, ...]
    variable: Variable = eqx.field(static=True)
    keep: tuple[jax.Array, ...] | None = None

    def __call__(self, memory: Memory) -> Memory:
        layers = []
        for i, layer in enumerate((memory.core, *memory.policy)):
            own = layer.h if self.variable == "h" else layer.c
            value = self.value[i] if self.keep is None else self.value[i] + self.keep[i] * own
            changed = jnp.where(self.where[i], value, own)
            layers.append(layer._replace(**{self.variable: changed}))
        return memory._replace(core=layers[0], policy=tuple(layers[1:]))


def clamp(config: AgentConfig, units: Mapping[str, float], variable: Variable = "h") -> Clamp:
    """Hold units at values.

    Args:
        config: of the agent to perturb.
        units: value by unit id, `{"core:17": 0.0, "policy0:3": 0.2}`.
        variable: `h` or `c`, see `Clamp`.

    Raises:
        ValueError: an id that this agent does not have, or another variable.
    """
    if variable not in ("h", "c"):
        raise ValueError(f"variable must be 'h' (output) or 'c' (cell state), not {variable!r}")
    sizes = layer_sizes(config)
    where = {name: [False] * size for name, size in sizes.items()}
    held = {name: [0.0] * size for name, size in sizes.items()}
    for unit, value in units.items():
        layer, _, number = unit.partition(":")
        if layer not in sizes or not number.isdecimal() or int(number) >= sizes[layer]:
            known = ", ".join(f"{name}:0 to {name}:{size - 1}" for name, size in sizes.items())
            raise ValueError(f"there is no unit {unit!r}; this agent has {known}")
        where[layer][int(number)] = True
        held[layer][int(number)] = value
    return Clamp(tuple(jnp.array(x) for x in where.values()), tuple(jnp.array(x) for x in held.values()), variable)
