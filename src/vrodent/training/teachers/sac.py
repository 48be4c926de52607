"""Soft actor-critic for teachers: pure update functions on arrays.

Source: Haarnoja et al. 2018, arXiv:1812.05905, with n-step returns, residual layer-norm networks and one actor step to two critic steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from vrodent.training.teachers.network import Actor, Critic, TeacherConfig
from vrodent.training.teachers.transitions import Transitions


@dataclass(frozen=True, kw_only=True)
class SacConfig:
    """Learning constants.

    Attributes:
        gamma: discount per control step of 0.02 s.
        learning_rate: of Adam, for actor, critics and temperature alike.
        target_rate: fraction by which the target critics follow the critics at each critic step.
        target_entropy: nats per action dimension of the squashed policy, sought by the temperature.
        reward_scale: rewards are multiplied by it, so that values are of order 10 when rewards are of order 1 a step.
        initial_temperature: weight of entropy at the start.
        smoothness: weight of the mean action changing, squared and averaged over actions, as the observation changes by a normal draw of
            `smoothness_radius` deviations. Free to, an actor learns to throw its limbs from one stop to the other at each step, which
            no student can imitate (Mysore et al. 2021, CAPS, arXiv:2012.06644, spatial term).
        smoothness_radius: see there.
    """

    gamma: float = 0.99
    learning_rate: float = 3e-4
    target_rate: float = 0.005
    target_entropy: float = -0.5
    reward_scale: float = 0.2
    initial_temperature: float = 0.01
    smoothness: float = 0.0
    smoothness_radius: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.gamma < 1:
            raise ValueError(f"SacConfig.gamma must lie between 0 and 1, got {self.gamma}.")
        for name in ("learning_rate", "target_rate", "reward_scale", "initial_temperature", "smoothness_radius"):
            if getattr(self, name) <= 0:
                raise ValueError(f"SacConfig.{name} must be positive, got {getattr(self, name)}.")
        if self.smoothness < 0:
            raise ValueError(f"SacConfig.smoothness must not be negative, got {self.smoothness}.")


class SacVariables(NamedTuple):
    """All that learning changes. Arrays only, so that it can be stored and taken up again exactly."""

    actor: Actor
    log_temperature: jax.Array
    critic: Critic
    target_critic: Critic
    actor_optimiser: optax.OptState
    critic_optimiser: optax.OptState
    key: jax.Array


class SacMetrics(NamedTuple):
    """What an update says of itself, scalars: squared error of both critics, mean value, mean log density, temperature."""

    critic_loss: jax.Array
    value: jax.Array
    log_density: jax.Array
    temperature: jax.Array


class SacLearner:
    """Holds what is constant: the configuration and the optimiser. Every method is a pure function of arrays.

    Observations are those of the network's size, or twice as long: what the actor is told, then what is true. Critics judge by the truth,
    for they are only needed where it is known (Pinto et al. 2017, arXiv:1710.06542).
    """

    def __init__(self, network: TeacherConfig, config: SacConfig | None = None):
        self.network = network
        self.config = config or SacConfig()
        self.optimiser = optax.adam(self.config.learning_rate)

    def initial(self, seed: int) -> SacVariables:
        """Fresh networks and optimisers from a seed."""
        actor_key, critic_key, key = jax.random.split(jax.random.key(seed), 3)
        actor, critic = Actor(actor_key, self.network), Critic(critic_key, self.network)
        log_temperature = jnp.log(jnp.asarray(self.config.initial_temperature))
        return SacVariables(
            actor=actor,
            log_temperature=log_temperature,
            critic=critic,
            target_critic=jax.tree.map(jnp.array, critic),
            actor_optimiser=self.optimiser.init((actor, log_temperature)),
            critic_optimiser=self.optimiser.init(critic),
            key=key,
        )

    def _told(self, observation: jax.Array) -> jax.Array:
        return observation[..., : self.network.observation_size]

    def _true(self, observation: jax.Array) -> jax.Array:
        return observation[..., -self.network.observation_size :]

    def critic_target(self, variables: SacVariables, batch: Transitions, key: jax.Array) -> jax.Array:
        """(batch,): scaled n-step reward + discount x soft value of the last observation, by the pessimistic target critic."""
        action, log_density = variables.actor.sample(self._told(batch.next_observation), key)
        first, second = variables.target_critic(self._true(batch.next_observation), action)
        soft = jnp.minimum(first, second) - jnp.exp(variables.log_temperature) * log_density
        return jax.lax.stop_gradient(batch.reward * self.config.reward_scale + batch.discount * soft)

    def update_critic(self, variables: SacVariables, batch: Transitions) -> tuple[SacVariables, jax.Array]:
        """One step of both critics, and of their targets after them."""
        key, action_key = jax.random.split(variables.key)
        target = self.critic_target(variables, batch, action_key)

        def loss(critic: Critic) -> jax.Array:
            first, second = critic(self._true(batch.observation), batch.action)
            return jnp.mean((first - target) ** 2) + jnp.mean((second - target) ** 2)

        value, gradient = jax.value_and_grad(loss)(variables.critic)
        update, optimiser = self.optimiser.update(gradient, variables.critic_optimiser)
        critic = optax.apply_updates(variables.critic, update)
        rate = self.config.target_rate
        target_critic = jax.tree.map(lambda old, new: old + rate * (new - old), variables.target_critic, critic)
        return variables._replace(critic=critic, target_critic=target_critic, critic_optimiser=optimiser, key=key), value

    def update_actor(self, variables: SacVariables, observation: jax.Array) -> tuple[SacVariables, SacMetrics]:
        """One step of actor and temperature on (batch, observation)."""
        told, true = self._told(observation), self._true(observation)
        key, action_key = jax.random.split(variables.key)
        rough_key = jax.random.fold_in(action_key, 1)

        def loss(learned: tuple[Actor, jax.Array]) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            actor, log_temperature = learned
            action, log_density = actor.sample(told, action_key)
            value = jnp.minimum(*variables.critic(true, action))
            policy = jnp.mean(jax.lax.stop_gradient(jnp.exp(log_temperature)) * log_density - value)
            if self.config.smoothness > 0.0:
                policy = policy + self.config.smoothness * self.roughness(actor, told, rough_key)
            surplus = jax.lax.stop_gradient(jnp.mean(log_density) + self.network.action_size * self.config.target_entropy)
            return policy - log_temperature * surplus, (value.mean(), log_density.mean())

        gradient, (value, log_density) = jax.grad(loss, has_aux=True)((variables.actor, variables.log_temperature))
        update, optimiser = self.optimiser.update(gradient, variables.actor_optimiser)
        actor, log_temperature = optax.apply_updates((variables.actor, variables.log_temperature), update)
        metrics = SacMetrics(jnp.zeros(()), value, log_density, jnp.exp(log_temperature))
        return variables._replace(actor=actor, log_temperature=log_temperature, actor_optimiser=optimiser, key=key), metrics

    def roughness(self, actor: Actor, observation: jax.Array, key: jax.Array) -> jax.Array:
        """Mean squared change of the mean action when observations (batch, observation) change a little, a scalar."""
        nearby = observation + self.config.smoothness_radius * jax.random.normal(key, observation.shape)
        return jnp.mean((jnp.tanh(actor(observation)[0]) - jnp.tanh(actor(nearby)[0])) ** 2)

    @eqx.filter_jit
    def update(self, variables: SacVariables, batches: Transitions) -> tuple[SacVariables, SacMetrics]:
        """Several updates in one call: for each pair of minibatches two critic steps and one actor step.

        Args:
            variables: what learning changes.
            batches: each field (pairs, 2, batch, ...), observations normalised.

        Returns:
            the changed variables and the metrics averaged over pairs.
        """

        def pair(carry: SacVariables, two: Transitions) -> tuple[SacVariables, SacMetrics]:
            carry, _ = self.update_critic(carry, jax.tree.map(lambda x: x[0], two))
            carry, critic_loss = self.update_critic(carry, jax.tree.map(lambda x: x[1], two))
            carry, metrics = self.update_actor(carry, two.observation[1])
            return carry, metrics._replace(critic_loss=critic_loss)

        variables, metrics = jax.lax.scan(pair, variables, batches)
        return variables, jax.tree.map(jnp.mean, metrics)
