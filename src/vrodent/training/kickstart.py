"""Learning from a teacher: the divergence that pulls the student's policy towards the teacher's, and its annealing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp

from vrodent.training.gaussian import Gaussian, kl


@dataclass(frozen=True, kw_only=True)
class TeachingConfig:
    """How strongly teachers pull.

    `clone` compares means only, in units of a fixed spread, and brings the spread of the student to that one: the loss to begin with
    (DAgger), since its gradient does not explode when the student has become sure of something else. `kl` is KL(teacher || student),
    the kickstarting term; `cross_entropy` the same up to the teacher's entropy, which no parameter of the student changes.

    Attributes:
        kind: the divergence.
        weight: of the term at the first update, times the task's weight; the paper's kickstarting had 0.001-0.005.
        final_weight: from update `anneal_updates` on.
        anneal_updates: updates over which the weight goes from one to the other, linearly in its logarithm (linearly if either is 0).
        spread: standard deviation that `clone` measures with and teaches, in units of the action.
        outlier: root mean square distance between the means, in units of the action, from which on `clone` pulls the less the farther off
            the student is (Cauchy's loss: Barron 2019, arXiv:1701.03077, limit of eq. 1 for alpha 0); 0 pulls ever more. What a teacher
            says where it has never been is noise, and squared, noise is most of the loss.
    """

    kind: Literal["clone", "kl", "cross_entropy"] = "clone"
    weight: float = 1.0
    final_weight: float = 1.0
    anneal_updates: int = 1
    spread: float = 0.2
    outlier: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("clone", "kl", "cross_entropy"):
            raise ValueError(f"teaching.kind must be clone, kl or cross_entropy, not {self.kind!r}.")
        for name in ("weight", "final_weight"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"teaching.{name} must not be negative, but is {getattr(self, name)}.")
        if self.outlier < 0.0:
            raise ValueError(f"teaching.outlier must not be negative, but is {self.outlier}.")
        if self.anneal_updates < 1 or self.spread <= 0.0:
            raise ValueError(f"teaching needs anneal_updates >= 1 and spread > 0, not {self.anneal_updates} and {self.spread}.")


def teaching_weight(config: TeachingConfig, update: jax.Array | int) -> jax.Array:
    """Weight of the teaching term at an update, a scalar."""
    part = jnp.clip(jnp.asarray(update) / config.anneal_updates, 0.0, 1.0)
    if config.weight > 0.0 and config.final_weight > 0.0:
        return config.weight * (config.final_weight / config.weight) ** part
    return config.weight + (config.final_weight - config.weight) * part


def teaching_loss(config: TeachingConfig, teacher: Gaussian, student: Gaussian) -> jax.Array:
    """The divergence between teacher and student in each row.

    Args:
        config: chooses the divergence.
        teacher: (..., action); no gradient flows to it.
        student: (..., action).

    Returns:
        (...), in nats, summed over the action's dimensions.

    Source: Schmitt et al. 2018, arXiv:1803.03835, eq. 4 (kickstarting); Ross et al. 2011, arXiv:1011.0686 (DAgger).
    """
    teacher = jax.lax.stop_gradient(teacher)
    if config.kind == "clone":
        taught = jnp.full_like(student.log_std, jnp.log(config.spread))
        distance = jnp.sum((student.mean - teacher.mean) ** 2, axis=-1)
        if config.outlier > 0.0:
            bound = teacher.mean.shape[-1] * config.outlier**2
            distance = bound * jnp.log1p(distance / bound)
        return 0.5 * distance / config.spread**2 + 0.5 * jnp.sum((student.log_std - taught) ** 2, axis=-1)
    divergence = kl(teacher, student)
    if config.kind == "cross_entropy":
        divergence = divergence + jnp.sum(teacher.log_std + 0.5 * jnp.log(2.0 * jnp.pi * jnp.e), axis=-1)
    return divergence
