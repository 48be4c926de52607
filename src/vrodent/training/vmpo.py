"""The actor's loss: V-MPO on V-trace advantages, for several tasks and off-policy unrolls.

E-step: among a task's rows, the better half by advantage is weighted by exp(advantage / temperature). Only the better half, because it is
what V-MPO's authors found needed with sampled advantages: the worse half's noise would otherwise be imitated too. Weights are found *per
task*, with a temperature per task, so that a task of large or noisy advantages does not take all the weight; a ratio pi/mu clipped at 1
multiplies each weight, since replayed rows come from an older policy.

M-step: weighted maximum likelihood, with the KL from an anchor policy (a slowly following copy of the agent) bounded apart for mean and
covariance, per task, by dual variables. The likelihood is decoupled as in MPO: the mean is fitted under the anchor's covariance and the
covariance under the anchor's mean, so that the spread does not collapse as soon as the mean has found something.

Source: Song et al. 2020, arXiv:1909.12238; Abdolmaleki et al. 2018, arXiv:1812.02256.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vrodent.training.gaussian import Gaussian, kl_mean_and_covariance, log_prob

_TINY = 1e-10


@dataclass(frozen=True, kw_only=True)
class VmpoConfig:
    """Bounds in nats, summed over the 38 actions.

    Attributes:
        top_fraction: part of a task's rows that the E-step uses.
        epsilon_temperature: bound of the E-step's KL.
        epsilon_mean: bound of the M-step's KL of the mean.
        epsilon_covariance: bound of the M-step's KL of the covariance.
        initial_temperature: in standard deviations of the task's value targets.
        initial_penalty: first value of both multipliers of the M-step.
    """

    top_fraction: float = 0.5
    epsilon_temperature: float = 0.1
    epsilon_mean: float = 0.01
    epsilon_covariance: float = 1e-4
    initial_temperature: float = 1.0
    initial_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.top_fraction <= 1.0:
            raise ValueError(f"vmpo.top_fraction must be in (0, 1], but is {self.top_fraction}.")
        for name in ("epsilon_temperature", "epsilon_mean", "epsilon_covariance", "initial_temperature", "initial_penalty"):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"vmpo.{name} must be positive, but is {getattr(self, name)}.")


class Duals(NamedTuple):
    """Dual variables before `softplus` makes them positive; each (task,)."""

    temperature: jax.Array
    mean: jax.Array
    covariance: jax.Array


class VmpoLoss(NamedTuple):
    """Scalar terms, each the mean over the tasks present; the total is their sum. `kl_mean` and `kl_covariance` are (task,), in nats."""

    policy: jax.Array
    temperature: jax.Array
    penalty: jax.Array
    dual: jax.Array
    kl_mean: jax.Array
    kl_covariance: jax.Array

    @property
    def total(self) -> jax.Array:
        """The scalar to descend."""
        return self.policy + self.temperature + self.penalty + self.dual


def initial_duals(config: VmpoConfig, num_tasks: int) -> Duals:
    """Dual variables at the config's initial values."""
    temperature = jnp.zeros(num_tasks) + _inverse_softplus(config.initial_temperature)
    penalty = jnp.zeros(num_tasks) + _inverse_softplus(config.initial_penalty)
    return Duals(temperature, penalty, penalty.copy())


def positive(duals: Duals) -> Duals:
    """The dual variables as used."""
    return Duals(*(jax.nn.softplus(raw) + _TINY for raw in duals))


def top_rows(advantage: jax.Array, mask: jax.Array, fraction: float) -> jax.Array:
    """Mark the best rows among those that count.

    Args:
        advantage: (time, world).
        mask: (time, world), 0 for rows that do not count.
        fraction: part of the counting rows to keep, rounded down, at least one.

    Returns:
        (time, world), 1 for kept rows; more than the fraction only if advantages tie.
    """
    counted = jnp.where(mask > 0.0, advantage, -jnp.inf).reshape(-1)
    keep = jnp.maximum(jnp.floor(fraction * jnp.sum(mask > 0.0)).astype(int), 1)
    threshold = -jnp.sort(-counted)[keep - 1]
    return jnp.where((mask > 0.0) & (advantage >= threshold), 1.0, 0.0)


def expectation_step(
    advantage: jax.Array, weight: jax.Array, mask: jax.Array, temperature: jax.Array, config: VmpoConfig
) -> tuple[jax.Array, jax.Array]:
    """Weights of one task's rows, and the temperature's loss.

    Args:
        advantage: (time, world).
        weight: (time, world), clipped importance ratio.
        mask: (time, world), 1 for this task's counting rows.
        temperature: scalar, positive.
        config: bound and fraction.

    Returns:
        weights (time, world), summing to 1 (or 0 if no row counts), without gradient; temperature loss, a scalar.
    """
    kept = top_rows(advantage, mask, config.top_fraction)
    scaled = jnp.where(kept > 0.0, advantage / temperature, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.max(scaled))
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    exponential = jnp.where(kept > 0.0, jnp.exp(jnp.where(kept > 0.0, scaled, 0.0) - largest), 0.0) * weight
    total = jnp.sum(exponential) + _TINY
    log_mean = jnp.log(total) + largest - jnp.log(jnp.sum(kept * weight) + _TINY)
    loss = temperature * (config.epsilon_temperature + log_mean)
    return jax.lax.stop_gradient(exponential / total), jnp.where(jnp.sum(kept) > 0.0, loss, 0.0)


def vmpo_loss(
    config: VmpoConfig,
    duals: Duals,
    task: jax.Array,
    advantage: jax.Array,
    weight: jax.Array,
    mask: jax.Array,
    action: jax.Array,
    policy: Gaussian,
    anchor: Gaussian,
) -> VmpoLoss:
    """The actor's loss over a batch of unrolls.

    Args:
        config: bounds.
        duals: dual variables, (task,).
        task: (world,), index of the task each unroll comes from.
        advantage: (time, world), in standard deviations of the task's value targets; no gradient flows to it.
        weight: (time, world), clipped importance ratio; no gradient flows to it.
        mask: (time, world), 0 for rows that do not count (final observations, burn-in).
        action: (time, world, action), taken.
        policy: (time, world, action), of the agent that learns.
        anchor: (time, world, action), of the policy that bounds it; no gradient flows to it.

    Returns:
        the terms of the loss.
    """
    anchor, advantage, weight = jax.lax.stop_gradient((anchor, advantage, weight))
    use = positive(duals)
    member = jax.nn.one_hot(task, duals.mean.shape[0], axis=0)[:, None, :] * mask
    weights, temperature_loss = jax.vmap(lambda m, eta: expectation_step(advantage, weight, m, eta, config))(member, use.temperature)
    likelihood = log_prob(Gaussian(policy.mean, anchor.log_std), action) + log_prob(Gaussian(anchor.mean, policy.log_std), action)
    count = jnp.sum(member, axis=(1, 2))
    present = (count > 0.0) / jnp.maximum(jnp.sum(count > 0.0), 1.0)
    divergence = [jnp.sum(member * kl, axis=(1, 2)) / jnp.maximum(count, 1.0) for kl in kl_mean_and_covariance(anchor, policy)]
    bounds = (config.epsilon_mean, config.epsilon_covariance)
    penalty = sum(jax.lax.stop_gradient(alpha) * kl for alpha, kl in zip(use[1:], divergence, strict=True))
    dual = sum(alpha * (bound - jax.lax.stop_gradient(kl)) for alpha, bound, kl in zip(use[1:], bounds, divergence, strict=True))
    return VmpoLoss(
        policy=jnp.sum(present * -jnp.sum(weights * likelihood, axis=(1, 2))),
        temperature=jnp.sum(present * temperature_loss),
        penalty=jnp.sum(present * penalty),
        dual=jnp.sum(present * dual),
        kl_mean=divergence[0],
        kl_covariance=divergence[1],
    )


def _inverse_softplus(value: float) -> jax.Array:
    return value + jnp.log(-jnp.expm1(-value))
