"""A teacher taken to another reach: the same rat, with more room, or less, to move its limbs in."""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp

from vrodent.training.teachers.network import LOG_STD_HALF_RANGE, Critic, Teacher
from vrodent.training.teachers.privileged import PREVIOUS_ACTION


def teacher_with_reach(teacher: Teacher, action_scale: float) -> Teacher:
    """The teacher that moves the rat as before by actions of another scale.

    Pre-squash means and the view of the previous action are scaled exactly; the squash bends means near the ends of the reach, and the
    exploration noise keeps its size in control units where it was in the middle of its range.

    Args:
        teacher: the networks.
        action_scale: of the actions to come: ctrl = clip(stance + action_scale * action, -1, 1).
    """
    share = teacher.config.action_scale / action_scale
    count = teacher.config.action_size
    moved = math.atanh(min(max(math.log(share) / LOG_STD_HALF_RANGE, -0.9), 0.9))
    factor = jnp.concatenate([jnp.full(count, share), jnp.ones(count)])
    offset = jnp.concatenate([jnp.zeros(count), jnp.full(count, moved)])

    def parts(t: Teacher) -> tuple[jax.Array, ...]:
        return t.actor.net.outlet.weight, t.actor.net.outlet.bias, t.observation_mean, t.observation_variance

    weight, bias, mean, variance = parts(teacher)
    mean, variance = mean.at[PREVIOUS_ACTION].multiply(share), variance.at[PREVIOUS_ACTION].multiply(share**2)
    fresh = Teacher(jax.random.key(0), dataclasses.replace(teacher.config, action_scale=action_scale))
    fresh = eqx.tree_at(lambda t: t.actor, fresh, teacher.actor)
    return eqx.tree_at(parts, fresh, (weight * factor, bias * factor + offset, mean, variance))


def critic_with_reach(critic: Critic, before: float, after: float, action_size: int = 38) -> Critic:
    """Critics of actions of scale `before`, made critics of the same movements as actions of scale `after`. Exact."""

    def inlets(c: Critic) -> list[jax.Array]:
        return [net.inlet.weight for net in c.nets]

    return eqx.tree_at(inlets, critic, [weight.at[-action_size:].multiply(after / before) for weight in inlets(critic)])
