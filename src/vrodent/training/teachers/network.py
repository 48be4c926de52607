"""The teacher's networks: residual layer-norm perceptrons, an actor with tanh-squashed Gaussian actions, and twin critics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp

_LOG_STD_MID, LOG_STD_HALF_RANGE = -3.0, 2.5  # log standard deviations lie in (-5.5, -0.5)
_OBSERVATION_CLIP = 8.0  # standard deviations
VARIANCE_FLOOR = 1e-3
"""Added to the variance of each number of an observation."""


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """Sizes of a teacher.

    Attributes:
        observation_size: length of the privileged observation.
        action_size: number of actions.
        actor_width: units of the actor's residual stream.
        critic_width: units of each critic's residual stream.
        blocks: residual blocks of each network.
        action_scale: ctrl = clip(stance + action_scale * action, -1, 1).
    """

    observation_size: int
    action_size: int = 38
    actor_width: int = 256
    critic_width: int = 256
    blocks: int = 1
    action_scale: float = 0.5

    def __post_init__(self) -> None:
        for name in ("observation_size", "action_size", "actor_width", "critic_width", "blocks"):
            if getattr(self, name) < 1:
                raise ValueError(f"TeacherConfig.{name} must be at least 1, got {getattr(self, name)}.")
        if not 0 < self.action_scale <= 2:
            raise ValueError(f"TeacherConfig.action_scale must lie in (0, 2], got {self.action_scale}.")


class Dense(eqx.Module):
    """An affine map, weights (in, out), drawn with variance scale**2 / in, zero bias."""

    weight: jax.Array
    bias: jax.Array

    def __init__(self, key: jax.Array, inputs: int, outputs: int, scale: float = 1.0):
        self.weight = jax.random.normal(key, (inputs, outputs)) * (scale / math.sqrt(inputs))
        self.bias = jnp.zeros(outputs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x @ self.weight + self.bias


def _standardise(x: jax.Array) -> jax.Array:
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)


class ResidualMLP(eqx.Module):
    """Linear in, residual blocks of `x + W2 relu(W1 layernorm(x))` with a hidden layer twice as wide, layer norm, linear out.

    Layer norm without learned scale, on the residual stream's reading side, is what keeps a critic from exploding at many updates a step
    (Lee et al. 2024, SimBa, arXiv:2410.09754).
    """

    inlet: Dense
    blocks: tuple[tuple[Dense, Dense], ...]
    outlet: Dense

    def __init__(self, key: jax.Array, inputs: int, width: int, outputs: int, blocks: int):
        keys = jax.random.split(key, 2 + 2 * blocks)
        self.inlet = Dense(keys[0], inputs, width)
        self.outlet = Dense(keys[1], width, outputs, 0.1)
        self.blocks = tuple(
            (Dense(keys[2 + 2 * i], width, 2 * width), Dense(keys[3 + 2 * i], 2 * width, width, 0.3)) for i in range(blocks)
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.inlet(x)
        for widen, narrow in self.blocks:
            x = x + narrow(jax.nn.relu(widen(_standardise(x))))
        return self.outlet(_standardise(x))


class Actor(eqx.Module):
    """Privileged observation (normalised) to a tanh-squashed diagonal Gaussian over actions."""

    net: ResidualMLP

    def __init__(self, key: jax.Array, config: TeacherConfig):
        self.net = ResidualMLP(key, config.observation_size, config.actor_width, 2 * config.action_size, config.blocks)

    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(..., observation) -> mean and log standard deviation before the squash, each (..., action)."""
        mean, raw = jnp.split(self.net(observation), 2, -1)
        return mean, _LOG_STD_MID + LOG_STD_HALF_RANGE * jnp.tanh(raw)

    def sample(self, observation: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """A squashed action (..., action) in (-1, 1) and its log density (...,).

        Source: Haarnoja et al. 2018, arXiv:1812.05905, appendix C; log(1 - tanh(u)^2) in its numerically stable form.
        """
        return self.with_noise(observation, jax.random.normal(key, (*observation.shape[:-1], self.net.outlet.bias.shape[0] // 2)))

    def with_noise(self, observation: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
        """As `sample`, with the standard normal numbers (..., action) given."""
        mean, log_std = self(observation)
        u = mean + jnp.exp(log_std) * noise
        log_gauss = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
        log_slope = 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))
        return jnp.tanh(u), (log_gauss - log_slope).sum(-1)


class Critic(eqx.Module):
    """Two independent action values; their minimum is the pessimistic one (Fujimoto et al. 2018, arXiv:1802.09477)."""

    nets: tuple[ResidualMLP, ResidualMLP]

    def __init__(self, key: jax.Array, config: TeacherConfig):
        size = config.observation_size + config.action_size
        first, second = jax.random.split(key)
        self.nets = (
            ResidualMLP(first, size, config.critic_width, 1, config.blocks),
            ResidualMLP(second, size, config.critic_width, 1, config.blocks),
        )

    def __call__(self, observation: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Both values, each (...,)."""
        x = jnp.concatenate([observation, action], -1)
        return self.nets[0](x)[..., 0], self.nets[1](x)[..., 0]


class Teacher(eqx.Module):
    """An actor with the normalisation of its observations: all that is needed to drive a rat, or to label a student's rollout."""

    actor: Actor
    observation_mean: jax.Array
    observation_variance: jax.Array
    config: TeacherConfig = eqx.field(static=True)

    def __init__(self, key: jax.Array, config: TeacherConfig):
        self.config = config
        self.actor = Actor(key, config)
        self.observation_mean = jnp.zeros(config.observation_size)
        self.observation_variance = jnp.ones(config.observation_size)

    def normalise(self, observation: jax.Array) -> jax.Array:
        """Standardised and clipped at 8 standard deviations."""
        scaled = (observation - self.observation_mean) * jax.lax.rsqrt(self.observation_variance + VARIANCE_FLOOR)
        return jnp.clip(scaled, -_OBSERVATION_CLIP, _OBSERVATION_CLIP)

    def act(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the teacher would do.

        Args:
            observation: (world, observation), privileged.

        Returns:
            mean and log standard deviation, each (world, action), of the action in standing-centred coordinates. The mean is the squashed
            mode; the deviation is the Gaussian's own, carried through the squash to first order.
        """
        mean, log_std = self.actor(self.normalise(observation))
        squashed = jnp.tanh(mean)
        return squashed, log_std + jnp.log(jnp.maximum(1 - squashed**2, 1e-3))
