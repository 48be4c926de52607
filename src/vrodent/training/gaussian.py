"""Diagonal Gaussians over actions as one value, and the divergences that training needs. The formulas are `vrodent.agent.gaussian`'s."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vrodent.agent import gaussian as formula


class Gaussian(NamedTuple):
    """A diagonal Gaussian over actions; both arrays are (..., action)."""

    mean: jax.Array
    log_std: jax.Array


def log_prob(gaussian: Gaussian, action: jax.Array) -> jax.Array:
    """Log-density of an action (..., action): (...), in nats, summed over the action's dimensions."""
    return formula.log_prob(action, *gaussian)


def kl(first: Gaussian, second: Gaussian) -> jax.Array:
    """KL(first || second): (...), in nats."""
    return formula.kl(*first, *second)


def kl_mean_and_covariance(first: Gaussian, second: Gaussian) -> tuple[jax.Array, jax.Array]:
    """KL(first || second) if only the means differed, and if only the covariances did; both (...), in nats.

    A gradient of the one reaches only the second's mean, of the other only its deviation.
    """
    mean, covariance = formula.kl_mean_and_covariance(*first, second.mean, second.log_std)
    return jnp.sum(mean, axis=-1), jnp.sum(covariance, axis=-1)
