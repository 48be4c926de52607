"""V-trace: value targets and advantages from unrolls that an older policy collected."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def vtrace_targets(
    reward: jax.Array,
    discount: jax.Array,
    value: jax.Array,
    bootstrap_value: jax.Array,
    importance_ratio: jax.Array,
    *,
    clip_rho: float = 1.0,
    clip_c: float = 1.0,
) -> tuple[jax.Array, jax.Array]:
    """V-trace value targets and policy advantages.

    An episode that ends inside an unroll takes one row more than it had actions: the row of its final observation, in which nothing is
    done. That row has discount 0 and importance ratio 0, so its target is its value, and the action before it bootstraps from it:
    with `gamma` where the episode was truncated, with 0 where it terminated. Nothing passes to the next episode.

    Args:
        reward: (time, world), reward received after each action.
        discount: (time, world), gamma, or 0 where the episode terminated.
        value: (time, world), V of the observation the action was taken in.
        bootstrap_value: (world,), V of the observation after the last action; for a truncated episode, of its final observation.
        importance_ratio: (time, world), pi(a|x) / mu(a|x).
        clip_rho: upper bound of the ratio that scales a temporal difference.
        clip_c: upper bound of the ratio that carries later differences back.

    Returns:
        targets (time, world) and advantages (time, world); no gradient flows through either. An advantage is r + discount v' - V, *not*
        multiplied by the ratio: a policy gradient multiplies it, V-MPO's E-step takes the ratio as a weight of its own.

    Source: Espeholt et al. 2018, arXiv:1802.01561, eq. 1.
    """
    rho = jnp.minimum(importance_ratio, clip_rho)
    carry_back = discount * jnp.minimum(importance_ratio, clip_c)
    next_value = jnp.concatenate([value[1:], bootstrap_value[None]])
    difference = rho * (reward + discount * next_value - value)

    def back(error: jax.Array, row: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        error = row[0] + row[1] * error
        return error, error

    _, errors = jax.lax.scan(back, jnp.zeros_like(bootstrap_value), (difference, carry_back), reverse=True)
    targets = value + errors
    next_target = jnp.concatenate([targets[1:], bootstrap_value[None]])
    advantages = reward + discount * next_target - value
    return jax.lax.stop_gradient(targets), jax.lax.stop_gradient(advantages)
