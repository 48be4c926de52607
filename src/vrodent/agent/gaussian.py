"""Diagonal Gaussians over actions: `mean` and `log_std`, both (..., action). All results are summed over actions."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

_LOG_2PI = math.log(2.0 * math.pi)


def sample(mean: jax.Array, log_std: jax.Array, key: jax.Array) -> jax.Array:
    """One draw, (..., action). It is not clipped; `Agent.ctrl` clips the control that it stands for, so its density stays Gaussian."""
    return mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape, mean.dtype)


def log_prob(action: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """Log density of `action` (..., action), in nats, (...)."""
    scaled = (action - mean) * jnp.exp(-log_std)
    return -0.5 * jnp.sum(scaled * scaled + 2.0 * log_std + _LOG_2PI, axis=-1)


def entropy(log_std: jax.Array) -> jax.Array:
    """Differential entropy in nats, (...)."""
    return jnp.sum(log_std + 0.5 * (1.0 + _LOG_2PI), axis=-1)


def kl(mean_p: jax.Array, log_std_p: jax.Array, mean_q: jax.Array, log_std_q: jax.Array) -> jax.Array:
    """KL(p || q) in nats, (...)."""
    return jnp.sum(_kl(mean_p, log_std_p, mean_q, log_std_q), axis=-1)


def kl_mean_and_covariance(
    mean_p: jax.Array, log_std_p: jax.Array, mean_q: jax.Array, log_std_q: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The two parts of KL(p || q) that MPO bounds separately, in nats, (..., action), not summed.

    The first is KL(p || q's mean with p's deviation), the second KL(p || p's mean with q's deviation): the gradient of the first
    reaches q's mean alone, of the second q's deviation alone. They add up to KL(p || q) when means or deviations agree.

    Source: Abdolmaleki et al. 2018, arXiv:1812.02256, section 4.2.1; V-MPO, arXiv:1909.12238, section 4.3.
    """
    return _kl(mean_p, log_std_p, mean_q, log_std_p), _kl(mean_p, log_std_p, mean_p, log_std_q)


def _kl(mean_p: jax.Array, log_std_p: jax.Array, mean_q: jax.Array, log_std_q: jax.Array) -> jax.Array:
    ratio = jnp.exp(2.0 * (log_std_p - log_std_q))
    distance = (mean_p - mean_q) * jnp.exp(-log_std_q)
    return 0.5 * (ratio + distance * distance - 1.0) + log_std_q - log_std_p
