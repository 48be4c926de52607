"""The network of the paper: two encoders, a core LSTM with the value heads, stacked policy LSTMs, a Gaussian over actions.

    image -> residual convolutions --+                +-> value heads
                                     +-> core LSTM ---+
    proprioception -> perceptron ----+                +-|-> policy0 -> policy1 -> policy2 -> mean, deviation
                                     |                  |     ^
                                     +------------------+-----+  shortcut: proprioception and features

With `skill_widths` the last layer gives a command instead of a mean, and `vrodent.agent.motor` makes the mean of it.

No gradient passes the bar: the policy's loss never trains the core, and trains the encoders only if `policy_trains_encoders`.
Source: Merel et al. 2020, arXiv:1911.09451, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from vrodent.agent import gaussian
from vrodent.agent.config import AgentConfig
from vrodent.agent.encoders import ImageEncoder, Normaliser, ProprioceptionEncoder, ValueHead
from vrodent.agent.layers import LSTM, Linear
from vrodent.agent.memory import LSTMMemory, Memory, initial_memory
from vrodent.agent.motor import Command, Motor

Observation = Mapping[str, jax.Array]
"""`proprioception` (..., 158) float and `egocentric` (..., 64, 64, 3) uint8, or in its place (..., features) float32, what `Agent.see` made
of it; leading axes (world,) or (time, world)."""

Perturbation = Callable[[Memory], Memory]
"""A pure function applied to the memory between layers, see `Agent.act`."""


class ActorOutput(NamedTuple):
    """What one step gives. `action`, `mean`, `log_std` (world, 38); `log_prob` (world,) of `action`; `value` (world, heads), as the
    heads give it: whoever normalises returns for learning also undoes it."""

    action: jax.Array
    log_prob: jax.Array
    mean: jax.Array
    log_std: jax.Array
    value: jax.Array


class UnrollOutput(NamedTuple):
    """What many steps give: `mean`, `log_std` (time, world, 38), `value` (time, world, heads), the core's output `core`
    (time, world, core units), and, of an agent with skills, `command`, of (time, world, n) arrays."""

    mean: jax.Array
    log_std: jax.Array
    value: jax.Array
    core: jax.Array
    command: Command | None = None


class Agent(eqx.Module):
    """The rat's mind, plain data: every method is a pure function of it and of its arguments.

    Attributes:
        stance: (38,), MuJoCo's control of the standing posture, on which actions are centred; never learned.
        normaliser: statistics of proprioception; set by the trainer, never learned.
        motor: the skills that are commanded; None where the policy's mean is read from its last layer.
    """

    image_encoder: ImageEncoder
    proprioception_encoder: ProprioceptionEncoder
    core: LSTM
    value_head: ValueHead
    policy: tuple[LSTM, ...]
    mean_head: Linear
    log_std_head: Linear
    normaliser: Normaliser
    stance: jax.Array
    motor: Motor | None
    config: AgentConfig = eqx.field(static=True)

    def __init__(self, config: AgentConfig, seed: int = 0, stance: ArrayLike | None = None) -> None:
        """Draw an untrained agent, which stands.

        Args:
            config: sizes and choices.
            seed: of the initial weights.
            stance: (38,) in [-1, 1], `vrodent.body.standing_ctrl(model)`; zeros when not given, which is not a standing rat.

        Raises:
            ValueError: the stance has another shape or lies outside [-1, 1].
        """
        # Each part draws from a stream of its own: another number of policy layers leaves core and encoders as they were.
        rngs = [np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(7 + config.num_policy_layers)]
        shortcut = config.proprioception_size + config.feature_size
        first = config.core_size + shortcut
        later = config.policy_size + (first if config.skip else 0)
        self.config = config
        self.image_encoder = ImageEncoder(config, rngs[0])
        self.proprioception_encoder = ProprioceptionEncoder(config, rngs[1])
        self.core = LSTM(config.feature_size, config.core_size, rngs[2])
        self.value_head = ValueHead(config, rngs[3])
        # The heads start small: the first policy of an untrained agent is to stand, not to twitch.
        self.mean_head = Linear(config.policy_size, config.command_size, rngs[4], scale=0.05)
        self.log_std_head = Linear(config.policy_size, config.action_size, rngs[5], scale=0.05)
        self.policy = tuple(LSTM(later if i else first, config.policy_size, rng) for i, rng in enumerate(rngs[6:-1]))
        self.motor = Motor(config, rngs[-1]) if config.skill_widths else None
        self.normaliser = Normaliser(config.proprioception_size)
        self.stance = _checked_stance(stance, config)

    def initial_memory(self, num_worlds: int) -> Memory:
        """Memory at the start of a trial: zeros, each (world, unit)."""
        return initial_memory(self.config, num_worlds)

    def ctrl(self, action: jax.Array) -> jax.Array:
        """MuJoCo's control, (..., 38) in [-1, 1], of an action (..., 38) around the standing posture."""
        return jnp.clip(self.stance + self.config.action_scale * action, -1.0, 1.0)

    def see(self, egocentric: jax.Array) -> jax.Array:
        """What the image encoder makes of pictures: (..., 64, 64, 3) uint8 -> (..., features). Features are given back as they are."""
        if jnp.issubdtype(egocentric.dtype, jnp.floating):
            return egocentric
        before = egocentric.shape[:-3]
        return self.image_encoder(egocentric.reshape(-1, *egocentric.shape[-3:])).reshape(*before, -1)

    def act(
        self, observation: Observation, memory: Memory, key: jax.Array | None = None, perturbation: Perturbation | None = None
    ) -> tuple[ActorOutput, Memory]:
        """One control step.

        Args:
            observation: of (world, ...) arrays.
            memory: after the previous step, or `initial_memory`.
            key: for the draw of the action; without one the action is the mean.
            perturbation: memory in, memory out. It is called once a layer, core first, right after that layer's update and before
                anything downstream is computed; what it returns for that layer is taken, for other layers ignored, so that it changes
                the action of this very step. An overwritten cell state acts at once through the layer's output gate, unless `h` of that
                unit is overwritten too. Layers not yet reached still hold the previous step's memory when it is called.

        Returns:
            outputs, and the memory for the next step.
        """
        proprioception, features = self._encode(observation)
        memory = self._update(0, self.core, features, memory, perturbation)
        value = self.value_head(memory.core.h)
        entry = self._policy_entry(memory.core.h, proprioception, features)
        x = entry
        for i, layer in enumerate(self.policy):
            memory = self._update(i + 1, layer, x, memory, perturbation)
            x = self._policy_input(memory.policy[i].h, entry)
        felt = observation["proprioception"]
        given, log_std = self._heads(memory.policy[-1].h)
        mean = given
        if self.motor is not None and not isinstance(memory.felt, tuple):
            clock, reckoned = self.motor.tick(felt, given, memory.clock)
            compass, course = self.motor.home(felt, memory.felt, memory.compass)
            mean = self._moved(self.motor, felt, memory.felt, given, reckoned, course)[0]
            memory = memory._replace(felt=_marked(felt), clock=clock, compass=compass)
        action = mean if key is None else gaussian.sample(mean, log_std, key)
        return ActorOutput(action, gaussian.log_prob(action, mean, log_std), mean, log_std, value), memory

    def unroll(self, observation: Observation, memory: Memory, reset: jax.Array) -> tuple[UnrollOutput, Memory]:
        """Many control steps at once, as `act` would take them one by one.

        Args:
            observation: of (time, world, ...) arrays.
            memory: before the first step, (world, unit) arrays.
            reset: (time, world) bool; memory is zeroed before a step where it is true, which is the first step of a trial.

        Returns:
            outputs, and the memory after the last step.
        """
        proprioception, features = self._encode(observation)
        core_h, core = self.core.unroll(features, memory.core, reset)
        value = self.value_head(core_h)
        entry = self._policy_entry(core_h, proprioception, features)
        h = core_h
        x, policy = entry, []
        for i, layer in enumerate(self.policy):
            h, last = layer.unroll(x, memory.policy[i], reset)
            policy.append(last)
            x = self._policy_input(h, entry)
        felt = observation["proprioception"]
        given, log_std = self._heads(h)
        after = memory._replace(core=core, policy=tuple(policy))
        if self.motor is None or isinstance(memory.felt, tuple):
            return UnrollOutput(given, log_std, value, core_h), after
        clock, reckoned = self.motor.tick_along(felt, given, memory.clock, reset)
        before = _shifted(felt, memory.felt, reset)
        compass, course = self.motor.home_along(felt, before, memory.compass, reset)
        mean, command = self._moved(self.motor, felt, before, given, reckoned, course)
        after = after._replace(felt=_marked(felt[-1]), clock=clock, compass=compass)
        return UnrollOutput(mean, log_std, value, core_h, command), after

    def drives(self, observation: Observation, memory: Memory) -> tuple[jax.Array, ...]:
        """What its input and bias contribute to the gates of each LSTM in one control step, core first.

        Args:
            observation: of (world, ...) arrays.
            memory: after that step: each layer's `h` is what those above it received.

        Returns:
            (world, 4 units) each; with the memory before the step and `weight_hidden` they give the memory after it.
        """
        proprioception, features = self._encode(observation)
        entry = self._policy_entry(memory.core.h, proprioception, features)
        inputs = (features, entry, *(self._policy_input(below.h, entry) for below in memory.policy[:-1]))
        return tuple(layer.drive(x) for layer, x in zip((self.core, *self.policy), inputs, strict=True))

    def _encode(self, observation: Observation) -> tuple[jax.Array, jax.Array]:
        proprioception = self.normaliser(observation["proprioception"])
        features = self.proprioception_encoder(proprioception), self.see(observation["egocentric"])
        return proprioception, jnp.concatenate(features, axis=-1)

    def _policy_entry(self, core: jax.Array, proprioception: jax.Array, features: jax.Array) -> jax.Array:
        if not self.config.policy_trains_encoders:
            features = jax.lax.stop_gradient(features)
        return jnp.concatenate([jax.lax.stop_gradient(core), proprioception, features], axis=-1)

    def _policy_input(self, below: jax.Array, entry: jax.Array) -> jax.Array:
        return jnp.concatenate([below, entry], axis=-1) if self.config.skip else below

    def _heads(self, policy: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the last policy layer (..., units) gives: actions or a command, and the log standard deviation of actions."""
        return self.mean_head(policy), _bounded_log_std(self.log_std_head(policy), self.config)

    def _moved(
        self,
        motor: Motor,
        felt: jax.Array,
        before: jax.Array,
        given: jax.Array,
        reckoned: jax.Array | tuple[()],
        course: jax.Array | tuple[()],
    ) -> tuple[jax.Array, Command]:
        """The mean action that a command makes, and the command."""
        deflection, command = motor(felt, before, given, self.stance, reckoned, course)
        return deflection / self.config.action_scale, command

    def _update(self, index: int, layer: LSTM, x: jax.Array, memory: Memory, perturbation: Perturbation | None) -> Memory:
        before = (memory.core, *memory.policy)[index]
        after, gate = layer.update(layer.drive(x), before)
        if perturbation is None:
            return memory.with_layer(index, after)
        changed = perturbation(memory.with_layer(index, after))
        h, c = (changed.core, *changed.policy)[index]
        follows = (h == after.h) & (c != after.c)
        return memory.with_layer(index, LSTMMemory(jnp.where(follows, gate * jnp.tanh(c), h), c))


def learned(agent: Agent) -> Agent:
    """A mask of the agent's shape, true for arrays that learning may change: for `equinox.partition` and for weight decay."""
    mask = jax.tree.map(eqx.is_inexact_array, agent)
    if mask.motor is not None:
        frozen = jax.tree.map(lambda _: False, mask.motor)
        mask = eqx.tree_at(lambda a: a.motor, mask, eqx.tree_at(_estimator, frozen, _estimator(mask.motor)))
    return eqx.tree_at(lambda a: (a.normaliser.mean, a.normaliser.std, a.stance), mask, (False, False, False))


def num_parameters(agent: Agent) -> int:
    """How many numbers learning may change."""
    return sum(x.size for x in jax.tree.leaves(eqx.filter(agent, learned(agent))))


def _estimator(motor: Motor) -> tuple[object, object]:
    return motor.hidden, motor.estimates


def _marked(felt: jax.Array) -> jax.Array:
    """(..., 159): what was felt, and that it was."""
    return jnp.concatenate([felt, jnp.ones((*felt.shape[:-1], 1), felt.dtype)], axis=-1)


def _shifted(felt: jax.Array, first: jax.Array, reset: jax.Array) -> jax.Array:
    """(time, world, 159): what was felt a step before each, zeros where a trial starts."""
    before = jnp.concatenate([first[None], _marked(felt[:-1])])
    return jnp.where(reset[..., None], 0.0, before)


def _bounded_log_std(x: jax.Array, config: AgentConfig) -> jax.Array:
    low, high = math.log(config.min_std), math.log(config.max_std)
    share = (math.log(config.initial_std) - low) / (high - low)
    return low + (high - low) * jax.nn.sigmoid(x + math.log(share / (1.0 - share)))


def _checked_stance(stance: ArrayLike | None, config: AgentConfig) -> jax.Array:
    if stance is None:
        return jnp.asarray(np.zeros(config.action_size, np.float32))
    stance = np.asarray(stance, np.float32)
    if stance.shape != (config.action_size,):
        raise ValueError(f"stance must have shape ({config.action_size},), one control an actuator, not {stance.shape}")
    if not np.all(np.abs(stance) <= 1.0):
        raise ValueError(f"stance must lie within [-1, 1], MuJoCo's range of controls; its values reach {np.max(np.abs(stance))}")
    return jnp.asarray(stance)
