"""Diagonal Gaussians over actions: log-probabilities and the divergences that training needs, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

_LOG_2PI = 1.8378770664093453


class Gaussian(NamedTuple):
    """A diagonal Gaussian over actions; both arrays are (..., action)."""

    mean: jax.Array
    log_std: jax.Array


def log_prob(gaussian: Gaussian, action: jax.Array) -> jax.Array:
    """Log-density of an action.

    Args:
        gaussian: (..., action).
        action: (..., action).

    Returns:
        (...), in nats, summed over the action's dimensions.
    """
    scaled = (action - gaussian.mean) * jnp.exp(-gaussian.log_std)
    return -jnp.sum(0.5 * (scaled**2 + _LOG_2PI) + gaussian.log_std, axis=-1)


def entropy(gaussian: Gaussian) -> jax.Array:
    """Differential entropy (...), in nats."""
    return jnp.sum(gaussian.log_std + 0.5 * (1.0 + _LOG_2PI), axis=-1)


def kl_mean(first: Gaussian, second: Gaussian) -> jax.Array:
    """KL(first || second) if only the means differed and both had the first one's covariance: (...), in nats.

    Source: Abdolmaleki et al. 2018, arXiv:1812.02256, the decoupled constraint on the mean.
    """
    return jnp.sum(0.5 * ((second.mean - first.mean) * jnp.exp(-first.log_std)) ** 2, axis=-1)


def kl_covariance(first: Gaussian, second: Gaussian) -> jax.Array:
    """KL(first || second) if only the covariances differed: (...), in nats.

    Source: Abdolmaleki et al. 2018, arXiv:1812.02256, the decoupled constraint on the covariance.
    """
    difference = first.log_std - second.log_std
    return jnp.sum(0.5 * (jnp.exp(2.0 * difference) - 1.0) - difference, axis=-1)


def kl(first: Gaussian, second: Gaussian) -> jax.Array:
    """KL(first || second): (...), in nats."""
    distance = 0.5 * ((second.mean - first.mean) * jnp.exp(-second.log_std)) ** 2
    return kl_covariance(first, second) + jnp.sum(distance, axis=-1)
