"""What is done to the units of an agent in one trial, and the agent that bears it: other units, values and noise in every world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.agent import Clamp
from vrodent.agent.perturbation import Variable
from vrodent.recording.mind import ActingAgent


@dataclass(frozen=True, kw_only=True, eq=False)
class Intervention:
    """Units of one layer held at values, or moved by them, while the window is open.

    Attributes:
        layer: `core`, `policy0`, ...
        units: (k,) numbers of the units in the layer.
        course: (frame, k) values from the opening of the window on; the last is held. One row holds from the start.
        noise: (k,) standard deviation of Gaussian noise that is added to the course, drawn anew for every frame; the same for one trial
            and unit in all conditions.
        add: add the course to what the units would be, instead of putting it in their place.
    """

    layer: str
    units: np.ndarray
    course: np.ndarray
    noise: np.ndarray = field(default_factory=lambda: np.zeros(0))
    add: bool = False

    def __post_init__(self) -> None:
        units = np.asarray(self.units)
        if units.ndim != 1 or not np.issubdtype(units.dtype, np.integer) or len(np.unique(units)) < len(units):
            raise ValueError(f"an intervention's units must be different whole numbers, got {self.units!r}.")
        if self.course.ndim != 2 or self.course.shape[0] < 1 or self.course.shape[1] != len(units):
            raise ValueError(f"an intervention's course must be (frame, {len(units)}), a column a unit; got {self.course.shape}.")
        if self.noise.shape not in ((0,), (len(units),)):
            raise ValueError(f"an intervention's noise must have one value for each of {len(units)} units, got {self.noise.shape}.")
        if not (np.isfinite(self.course).all() and np.isfinite(self.noise).all()):
            raise ValueError(f"an intervention in {self.layer} has values that are not finite.")

    def check(self, sizes: Mapping[str, int]) -> None:
        """See that an agent has these units.

        Args:
            sizes: units of each layer of the agent.

        Raises:
            ValueError: it has not.
        """
        if self.layer not in sizes:
            raise ValueError(f"there is no layer {self.layer!r}; this agent has {', '.join(sizes)}.")
        size = sizes[self.layer]
        missing = [int(unit) for unit in self.units if not 0 <= unit < size]
        if missing:
            raise ValueError(f"there is no unit {self.layer}:{missing[0]}; this agent has {self.layer}:0 to {self.layer}:{size - 1}.")


def layer_sizes_of(agent: ActingAgent) -> dict[str, int]:
    """Units of each layer of an agent, in the order in which activity flows."""
    memory = agent.initial_memory(1)
    return {"core": memory.core.h.shape[1], **{f"policy{i}": layer.h.shape[1] for i, layer in enumerate(memory.policy)}}


class LoopMind:
    """An agent at work in many worlds, with interventions of its own in each.

    The noise of an action is drawn from the seed, the trial and the frame: trials with one number have the same noise in any world.

    Args:
        agent: the agent.
        num_worlds: number of worlds.
        seed: of the noise.
        variable: whether interventions overwrite output `h` or cell state `c`.
        deterministic: take the mean of the policy instead of a sample.
    """

    def __init__(self, agent: ActingAgent, num_worlds: int, seed: int, variable: Variable, *, deterministic: bool = False) -> None:
        self._agent, self._seed = agent, seed
        self._variable: Variable = variable
        self._initial = self._memory = agent.initial_memory(num_worlds)
        self._key = None if deterministic else jax.random.key(seed)
        self._layers = layer_sizes_of(agent)
        self._interventions: list[tuple[Intervention, ...]] = [()] * num_worlds
        self._noise: list[dict[str, np.random.Generator]] = [{} for _ in range(num_worlds)]
        self._fresh = np.ones(num_worlds, bool)

    def restart(self, world: int, trial: int, interventions: tuple[Intervention, ...]) -> None:
        """A trial begins in a world: its memory is set back at the next step."""
        self._interventions[world], self._fresh[world] = interventions, True
        self._noise[world] = {
            one.layer: np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(trial, list(self._layers).index(one.layer))))
            for one in interventions
            if one.noise.any()
        }

    def act(
        self, observation: Mapping[str, np.ndarray], trial: np.ndarray, frame: np.ndarray, since: np.ndarray
    ) -> tuple[np.ndarray, dict[str, jax.Array]]:
        """Choose controls.

        Args:
            observation: of all worlds.
            trial, frame: (world,) which draw the noise.
            since: (world,) frames since the window opened, negative where it is closed.

        Returns:
            MuJoCo's control (world, 38), and the activity of every layer by the name of its series, (world, unit).
        """
        clamp = self._clamp(since)
        seen = {name: jnp.asarray(values) for name, values in observation.items()}
        draws = (jnp.asarray(np.maximum(trial, 0)), jnp.asarray(frame))
        ctrl, self._memory = _compiled_step(
            self._agent, clamp, seen, self._memory, self._initial, jnp.asarray(self._fresh), self._key, draws
        )
        self._fresh[:] = False
        layers = zip(self._layers, (self._memory.core, *self._memory.policy), strict=True)
        return np.asarray(ctrl), {f"activity_{name}_{x}": getattr(held, x) for name, held in layers for x in "hc"}

    def _clamp(self, since: np.ndarray) -> Clamp:
        shapes = {name: (len(since), size) for name, size in self._layers.items()}
        where = {name: np.zeros(shape, bool) for name, shape in shapes.items()}
        value, keep = ({name: np.zeros(shape, np.float32) for name, shape in shapes.items()} for _ in range(2))
        for world, interventions in enumerate(self._interventions):
            for one in interventions:
                rng = self._noise[world].get(one.layer)
                # Drawn for the whole layer, window open or not: a unit's noise does not depend on which others have some.
                drawn = None if rng is None else rng.standard_normal(self._layers[one.layer])[one.units] * one.noise
                if since[world] < 0:
                    continue
                where[one.layer][world, one.units] = True
                row = one.course[min(int(since[world]), len(one.course) - 1)]
                value[one.layer][world, one.units] = row if drawn is None else row + drawn
                keep[one.layer][world, one.units] = float(one.add)
        arrays = (tuple(jnp.asarray(part) for part in held.values()) for held in (where, value, keep))
        where_, value_, keep_ = arrays
        return Clamp(where_, value_, self._variable, keep_)


def _step(
    agent: ActingAgent, clamp: Clamp, observation: Any, memory: Any, initial: Any, fresh: jax.Array, key: Any,
    draws: tuple[jax.Array, jax.Array],
) -> tuple[jax.Array, Any]:  # fmt: skip
    memory = jax.tree.map(lambda now, first: jnp.where(fresh[:, None], first, now), memory, initial)

    def one(clamp: Clamp, observation: Any, memory: Any, draw: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, Any]:
        # World by world, so that each has a key of its own; vectorised, it is the same arithmetic as all worlds at once.
        observation, memory = jax.tree.map(lambda x: x[None], (observation, memory))
        own = None if key is None else jax.random.fold_in(jax.random.fold_in(key, draw[0]), draw[1])
        output, memory = agent.act(observation, memory, own, clamp)
        return agent.ctrl(output.action)[0], jax.tree.map(lambda x: x[0], memory)

    return jax.vmap(one)(clamp, observation, memory, draws)


_compiled_step = eqx.filter_jit(_step)
"""One for all experiments of a process: the next one of the same agent, or of another with its shapes, need not compile again."""
