"""PopArt: value targets of every task brought to one scale without changing what the value function says.

The agent has one value head a task and is told nothing of the task; the learner, which knows from which task an unroll came, picks the
head. A head says a *normalised* value: (value - mean) / deviation of that task's targets, which are estimated here as the agent learns.
When an estimate moves, the head's last layer is rewritten so that no value moves. Tasks whose returns differ a hundredfold (orbs of 50,
bowl steps of 0.1) then weigh alike in the critic and in the actor.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

_LEAST_VARIANCE = 1e-4


class TargetStatistics(NamedTuple):
    """Mean and variance of each task's value targets, and how many batches they come from; each (task,)."""

    mean: jax.Array
    variance: jax.Array
    batches: jax.Array


def initial_statistics(num_tasks: int) -> TargetStatistics:
    """Mean 0, variance 1, from no batch."""
    return TargetStatistics(jnp.zeros(num_tasks), jnp.ones(num_tasks), jnp.zeros(num_tasks))


def deviation(statistics: TargetStatistics) -> jax.Array:
    """Standard deviation of each task's targets, (task,), in units of return, never below 0.01."""
    return jnp.sqrt(jnp.maximum(statistics.variance, _LEAST_VARIANCE))


def normalise(statistics: TargetStatistics, value: jax.Array, task: jax.Array) -> jax.Array:
    """A value (time, world) in units of return, brought to the normalised scale of each world's task (world,)."""
    return (value - statistics.mean[task]) / deviation(statistics)[task]


def unnormalise(statistics: TargetStatistics, value: jax.Array, task: jax.Array) -> jax.Array:
    """The inverse of `normalise`."""
    return value * deviation(statistics)[task] + statistics.mean[task]


def update_statistics(
    statistics: TargetStatistics, target: jax.Array, mask: jax.Array, task: jax.Array, *, step_size: float
) -> TargetStatistics:
    """Move mean and variance of each task towards those of its targets in a batch.

    A task's first batches count fully (step 1/n for batch n) until the step has fallen to `step_size`. A task without a row in the batch
    keeps its statistics.

    Args:
        statistics: before.
        target: (time, world), value targets in units of return.
        mask: (time, world), 0 for rows that do not count.
        task: (world,).
        step_size: of the exponential average.

    Returns:
        the statistics after; their variance is that of the mixture of the old distribution and the batch.
    """
    member = jax.nn.one_hot(task, statistics.mean.shape[0], axis=0)[:, None, :] * mask
    count = jnp.sum(member, axis=(1, 2))
    batch_mean = jnp.sum(member * target, axis=(1, 2)) / jnp.maximum(count, 1.0)
    centred = (target - batch_mean[:, None, None]) ** 2
    batch_variance = jnp.sum(member * centred, axis=(1, 2)) / jnp.maximum(count, 1.0)
    present = count > 0.0
    batches = statistics.batches + present
    step = jnp.where(present, jnp.maximum(step_size, 1.0 / jnp.maximum(batches, 1.0)), 0.0)
    shift = batch_mean - statistics.mean
    variance = (1.0 - step) * (statistics.variance + step * shift**2) + step * batch_variance
    return TargetStatistics(statistics.mean + step * shift, variance, batches)


def rescale(
    weight: jax.Array, bias: jax.Array, before: TargetStatistics, after: TargetStatistics
) -> tuple[jax.Array, jax.Array]:
    """The last layer that says after the statistics' update exactly what it said before it.

    Args:
        weight: (feature, task), one head a task.
        bias: (task,).
        before: statistics the layer was normalised by.
        after: statistics it will be normalised by.

    Returns:
        weight and bias.

    Source: van Hasselt et al. 2016, arXiv:1602.07714, proposition 1; Hessel et al. 2018, arXiv:1809.04474, for many tasks.
    """
    old, new = deviation(before), deviation(after)
    return weight * (old / new), (old * bias + before.mean - after.mean) / new
