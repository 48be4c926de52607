"""The agent as a recording drives it: one compiled step, its memory, and its activity read out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from vrodent.recording.errors import RecordingError
from vrodent.recording.schedule import Moment, Scheduled

Perturbation = Callable[[Any], Any] | Scheduled
"""Memory in, memory out; the agent applies it to each layer before anything downstream is computed. Or one that says at every step which
such function acts, by the time in the trial and by what has happened in it."""


class ActingAgent(Protocol):
    """What a recording needs of an agent. Its methods must be traceable by JAX. `Memory` has `core` and `policy`, a tuple, of `(h, c)`."""

    def initial_memory(self, num_worlds: int) -> Any:
        """Memory at the start of a trial, (world, unit) arrays."""
        ...

    def act(self, observation: Mapping[str, jax.Array], memory: Any, key: Any = None, perturbation: Any = None) -> tuple[Any, Any]:
        """Output with `mean`, `action` (world, 38) and `value` (world, head), and the new memory."""
        ...

    def ctrl(self, action: jax.Array) -> jax.Array:
        """MuJoCo's control of an action, in [-1, 1]."""
        ...


class Mind:
    """An agent at work in many worlds.

    Args:
        agent: the agent.
        num_worlds: number of worlds.
        seed: of the actions' noise.
        deterministic: take the mean of the policy instead of a sample.
        perturbation: passed to the agent at every step.

    Attributes:
        layers: size of each layer by name, in the order in which activity flows.

    Raises:
        RecordingError: the agent lacks a method.
    """

    def __init__(
        self, agent: ActingAgent, num_worlds: int, seed: int, *, deterministic: bool = False, perturbation: Perturbation | None = None
    ) -> None:
        lacking = [name for name in ("initial_memory", "act", "ctrl") if not callable(getattr(agent, name, None))]
        if lacking:
            raise RecordingError(f"{type(agent).__name__} is no agent: it has no {', '.join(lacking)}. Load one with vrodent.load_agent.")
        self._agent = agent
        self._perturbation = perturbation
        self._initial = agent.initial_memory(num_worlds)
        self._memory = self._initial
        self._key = None if deterministic else jax.random.key(seed)
        self._steps = 0
        self.layers = {name: h.shape[1] for name, (h, _) in _by_layer(self._initial).items()}

    @property
    def minds_the_moment(self) -> bool:
        """Whether the perturbation depends on the moment, which `act` then needs."""
        return isinstance(self._perturbation, Scheduled)

    def act(self, observation: Mapping[str, np.ndarray], restart: np.ndarray, moment: Moment | None = None) -> dict[str, np.ndarray]:
        """Choose actions.

        Args:
            observation: of all worlds.
            restart: (world,) bool, a trial begins: the memory is set back first.
            moment: for a perturbation that depends on it.

        Returns:
            Series by name, (world, ...) each: `action_mean`, `action`, `ctrl`, `value` and the activity of every layer.
        """
        key = None if self._key is None else jax.random.fold_in(self._key, self._steps)
        self._steps += 1
        seen = {name: jnp.asarray(values) for name, values in observation.items()}
        perturbation = self._perturbation
        if isinstance(perturbation, Scheduled):
            if moment is None:
                raise RecordingError("This perturbation depends on the moment, and none was given.")
            perturbation = perturbation.at(moment)
        series, self._memory = _compiled_step(self._agent, perturbation, seen, self._memory, self._initial, jnp.asarray(restart), key)
        return {name: np.asarray(values) for name, values in series.items()}


def _by_layer(memory: Any) -> dict[str, Any]:
    return {"core": memory.core, **{f"policy{i}": layer for i, layer in enumerate(memory.policy)}}


def _step(
    agent: ActingAgent, perturbation: Callable[[Any], Any] | None, observation: Any, memory: Any, initial: Any, restart: jax.Array, key: Any
) -> tuple[dict[str, jax.Array], Any]:
    memory = jax.tree.map(lambda now, first: jnp.where(restart[:, None], first, now), memory, initial)
    output, memory = agent.act(observation, memory, key, perturbation)
    series = {"action_mean": output.mean, "action": output.action, "ctrl": agent.ctrl(output.action), "value": output.value}
    series["value"] = series["value"].reshape(restart.shape[0], -1)
    for name, (h, c) in _by_layer(memory).items():
        series[f"activity_{name}_h"], series[f"activity_{name}_c"] = h, c
    return series, memory


_compiled_step = eqx.filter_jit(_step)
"""One for all recordings of a process: the next one of the same agent, or of another with its shapes, need not compile again."""
