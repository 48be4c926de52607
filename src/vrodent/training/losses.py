"""The loss of a batch of unrolls: critic, actor and teaching, each of which can be switched off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from vrodent.agent import Agent, UnrollOutput
from vrodent.agent.motor import Motor
from vrodent.training.gaussian import Gaussian, log_prob
from vrodent.training.hints import HintHead, command_error, hint_error, hint_weight
from vrodent.training.kickstart import TeachingConfig, teaching_loss, teaching_weight
from vrodent.training.popart import TargetStatistics, deviation, unnormalise
from vrodent.training.teachers.privileged import TOUCHED_ONCE
from vrodent.training.unroll import Unroll
from vrodent.training.vmpo import Duals, VmpoConfig, vmpo_loss
from vrodent.training.vtrace import vtrace_targets

LOSS_TERMS = ("value", "policy", "temperature", "penalty", "dual", "teaching", "hint", "command")
"""What a loss is the sum of."""

_LARGEST_LOG_RATIO = 20.0


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is descended.

    Attributes:
        gamma: discount per control step of 0.02 s.
        clip_rho, clip_c: V-trace's bounds of importance ratios.
        critic_policy: whose value the critic learns: "target", the learning agent's, corrected off-policy by V-trace (the paper's); or
            "behaviour", that of whoever acted, without correction: while a teacher still changes the agent so much that hardly a replayed
            action is likely under it, a corrected critic would learn nothing.
        value_weight: of the critic's squared error, in standard deviations of the task's targets.
        policy_weight: of the actor's loss; 0 leaves it out.
        anchor: what the actor's KL is measured from: a slowly following copy of the agent, or the Gaussians the actions came from.
        burn_in: first steps of an unroll that only warm up the memory.
        vmpo: of the actor.
        teaching: of the teachers.
        task_teaching: factor of the teaching term per task, in the order of the tasks; empty is 1 for all.
        hint_weight: of foretelling from the core what the teacher is told.
        command_weight: of an agent's commanding its skills as the hint tells: that of who has the rat, and by what it is told; and of
            estimating what else they are given.
        touched_weight: how much more than others the rows count, in teaching and hints, where an orb has been touched once. They are few in
            a hundred and decide whether it is touched again: counted as all others, they were the last to be learned.
    """

    gamma: float = 0.99
    clip_rho: float = 1.0
    clip_c: float = 1.0
    critic_policy: Literal["target", "behaviour"] = "target"
    value_weight: float = 1.0
    policy_weight: float = 1.0
    anchor: Literal["copy", "behaviour"] = "copy"
    burn_in: int = 0
    vmpo: VmpoConfig = field(default_factory=VmpoConfig)
    teaching: TeachingConfig = field(default_factory=TeachingConfig)
    task_teaching: tuple[float, ...] = ()
    hint_weight: float = 0.0
    command_weight: float = 0.0
    touched_weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"loss.gamma must be in [0, 1), but is {self.gamma}.")
        for name in ("clip_rho", "clip_c", "touched_weight"):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"loss.{name} must be positive, but is {getattr(self, name)}.")
        for name in ("value_weight", "policy_weight", "burn_in", "hint_weight", "command_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"loss.{name} must not be negative, but is {getattr(self, name)}.")
        if self.critic_policy not in ("target", "behaviour") or self.anchor not in ("copy", "behaviour"):
            raise ValueError(f"loss.critic_policy {self.critic_policy!r} or loss.anchor {self.anchor!r} is not a choice.")

    @property
    def needs_copy(self) -> bool:
        """Whether the anchor has to be unrolled beside the agent."""
        return self.policy_weight > 0.0 and self.anchor == "copy"


class LossReport(NamedTuple):
    """What a loss is made of. Terms are scalars, as weighted in the total; the rest is (task,), means over the rows that count.

    Attributes:
        importance_ratio: mean of min(ratio, clip_rho): near 1 on-policy, near 0 where replay is too old to learn a value from.
        explained: 1 - variance(target - value) / variance(target): how much of the returns the critic foresees.
        teaching_distance: root mean square difference of the student's and the teacher's mean action, in units of action; NaN untaught.
        deviation: mean standard deviation of the policy, in units of action.
        hint_distance: root mean square error of the hints foretold; NaN where there are none.
        touched_distance: teaching_distance in the rows where an orb has been touched once; NaN where there are none.
        command_distance: root mean square error of what skills are told; NaN for an agent without.
    """

    value: jax.Array
    policy: jax.Array
    temperature: jax.Array
    penalty: jax.Array
    dual: jax.Array
    teaching: jax.Array
    hint: jax.Array
    command: jax.Array
    importance_ratio: jax.Array
    explained: jax.Array
    mean_value: jax.Array
    mean_reward: jax.Array
    kl_mean: jax.Array
    kl_covariance: jax.Array
    teaching_distance: jax.Array
    deviation: jax.Array
    hint_distance: jax.Array
    touched_distance: jax.Array
    command_distance: jax.Array


class LossOutput(NamedTuple):
    """The report, and the value targets (time, world) with the mask of rows that count, for PopArt."""

    report: LossReport
    target: jax.Array
    counted: jax.Array


def unroll_loss(
    config: LossConfig,
    agent: Agent,
    anchor: Agent | None,
    duals: Duals,
    statistics: TargetStatistics,
    unroll: Unroll,
    task: jax.Array,
    update: jax.Array,
    hint_head: HintHead | None = None,
    stakes: jax.Array | None = None,
) -> tuple[jax.Array, LossOutput]:
    """The loss of a batch.

    Args:
        config: weights.
        agent: that learns; gradients flow to it and to the duals only.
        anchor: the copy that bounds the actor, where `config.needs_copy`.
        duals: (task,).
        statistics: of the value targets, (task,); the agent's value heads are normalised by them.
        unroll: arrays (time, world, ...).
        task: (world,), index of each unroll's task, which is the index of its value head.
        update: scalar, for annealing.
        hint_head: foretells hints, where the unroll holds any.
        stakes: (skills, told), how much depends on what an agent's skills are told: errors of it weigh one and as much more.

    Returns:
        the loss, a scalar, and what it is made of.
    """
    observation = {"proprioception": unroll.proprioception, "egocentric": unroll.egocentric}
    output, _ = agent.unroll(observation, unroll.memory, unroll.reset > 0.0)
    policy = Gaussian(output.mean[:-1], output.log_std[:-1])
    counted = unroll.acted * (jnp.arange(unroll.acted.shape[0]) >= config.burn_in)[:, None]
    rows = _Rows(policy, Gaussian(unroll.behaviour_mean, unroll.behaviour_log_std), counted, unroll, task, statistics)
    ratio = _importance_ratio(config, rows)
    value_loss, target, advantage, critic = _critic(config, rows, output.value, ratio)
    terms = dict.fromkeys(LOSS_TERMS, jnp.zeros(())) | {"value": value_loss}
    divergences = dict.fromkeys(("kl_mean", "kl_covariance"), jnp.zeros_like(statistics.mean))
    if config.policy_weight > 0.0:
        held = rows.behaviour
        if config.needs_copy and anchor is not None:
            copied, _ = anchor.unroll(observation, unroll.memory, unroll.reset > 0.0)
            held = Gaussian(copied.mean[:-1], copied.log_std[:-1])
        weight = jnp.minimum(ratio, 1.0)
        actor = vmpo_loss(config.vmpo, duals, task, advantage, weight, counted, unroll.action, policy, held)
        terms |= {name: config.policy_weight * getattr(actor, name) for name in ("policy", "temperature", "penalty", "dual")}
        divergences = {name: getattr(actor, name) for name in divergences}
    terms["teaching"], distance, touched = _teaching(config, rows, update)
    terms["command"], astray = _command(config, rows, agent.motor, output, stakes)
    terms["hint"], missed = _hint(config, rows, hint_head, output.core[:-1], stakes)
    spread = rows.by_task(jnp.mean(jnp.exp(policy.log_std), axis=-1))
    distances = {"teaching_distance": distance, "touched_distance": touched, "hint_distance": missed, "command_distance": astray}
    report = LossReport(**terms, **divergences, **critic, **distances, deviation=spread)
    return jnp.sum(jnp.stack(list(terms.values()))), LossOutput(jax.lax.stop_gradient(report), target, counted)


class _Rows(NamedTuple):
    """What every term needs; arrays (time, world, ...) of the rows with an action."""

    policy: Gaussian
    behaviour: Gaussian
    counted: jax.Array
    unroll: Unroll
    task: jax.Array
    statistics: TargetStatistics

    def by_task(self, x: jax.Array) -> jax.Array:
        """Means (task,) over each task's rows that count, NaN for a task without any."""
        return self.by_task_where(x, self.counted)

    def by_task_where(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        """Means (task,) weighted by (time, world)."""
        member = jax.nn.one_hot(self.task, self.statistics.mean.shape[0], axis=0)[:, None, :] * weight
        return jnp.sum(member * x, axis=(1, 2)) / jnp.sum(member, axis=(1, 2))

    @property
    def touched(self) -> jax.Array:
        """(time, world), 1 where a row counts and an orb has been touched once."""
        told = self.unroll.hint
        return self.counted * (told[..., TOUCHED_ONCE] > 0.5) if told.shape[-1] >= -TOUCHED_ONCE else jnp.zeros_like(self.counted)

    def stressed(self, config: LossConfig) -> jax.Array:
        """(time, world), how much each row counts in what is taught."""
        return self.counted if config.touched_weight == 1.0 else self.counted + (config.touched_weight - 1.0) * self.touched


def _critic(
    config: LossConfig, rows: _Rows, heads: jax.Array, ratio: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, dict[str, jax.Array]]:
    """The critic's loss, value targets in units of return, advantages in standard deviations of them, and what to report."""
    task, unroll = rows.task, rows.unroll
    head = jnp.broadcast_to(task[None, :, None], (*heads.shape[:2], 1))
    value = unnormalise(rows.statistics, jnp.take_along_axis(heads, head, axis=2)[..., 0], task)
    kept = jax.lax.stop_gradient(value)
    discount = config.gamma * unroll.discount
    clips = {"clip_rho": config.clip_rho, "clip_c": config.clip_c}
    target, advantage = vtrace_targets(unroll.reward, discount, kept[:-1], kept[-1], ratio, **clips)
    scale = deviation(rows.statistics)[task]
    loss = config.value_weight * 0.5 * _mean(((value[:-1] - target) / scale) ** 2, rows.counted)

    def variance(x: jax.Array) -> jax.Array:
        return rows.by_task(x**2) - rows.by_task(x) ** 2

    report = {
        "importance_ratio": rows.by_task(jnp.minimum(ratio, config.clip_rho)),
        "explained": 1.0 - variance(target - kept[:-1]) / variance(target),
        "mean_value": rows.by_task(kept[:-1]),
        "mean_reward": rows.by_task(unroll.reward),
    }
    return loss, target, advantage / scale, report


def _teaching(config: LossConfig, rows: _Rows, update: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The teaching term, weighted; distances (task,) of the student's mean actions from the teacher's: in all rows; after first touches."""
    unroll, num_tasks = rows.unroll, rows.statistics.mean.shape[0]
    if not unroll.teacher_mean.shape[-1]:
        unknown = jnp.full(num_tasks, jnp.nan)
        return jnp.zeros(()), unknown, unknown
    teacher = Gaussian(unroll.teacher_mean, unroll.teacher_log_std)
    squared = jnp.mean((jax.lax.stop_gradient(rows.policy.mean) - teacher.mean) ** 2, axis=-1)
    distance, touched = jnp.sqrt(rows.by_task(squared)), jnp.sqrt(rows.by_task_where(squared, rows.touched))
    if config.teaching.weight == config.teaching.final_weight == 0.0:
        return jnp.zeros(()), distance, touched  # without the time that the gradient through skills would take
    factor = jnp.asarray(config.task_teaching or (1.0,) * num_tasks)[rows.task]
    divergence = teaching_loss(config.teaching, teacher, rows.policy) * factor
    return teaching_weight(config.teaching, update) * _mean(divergence, rows.stressed(config)), distance, touched


def _hint(
    config: LossConfig, rows: _Rows, head: HintHead | None, core: jax.Array, stakes: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """The loss of foretelling hints, weighted, and the distance (task,) of those foretold from those given."""
    if head is None:
        return jnp.zeros(()), jnp.full_like(rows.statistics.mean, jnp.nan)
    hint = rows.unroll.hint
    error = hint_error(head, core, hint, 1.0 if stakes is None else hint_weight(hint, stakes))
    distance = jnp.sqrt(rows.by_task(2.0 * hint_error(head, core, hint) / hint.shape[-1]))
    return config.hint_weight * _mean(error, rows.stressed(config)), distance


def _command(
    config: LossConfig, rows: _Rows, motor: Motor | None, output: UnrollOutput, stakes: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """The loss of commanding skills, weighted, and the distance (task,) of what they are told from what their teachers were."""
    if output.command is None or motor is None or not rows.unroll.hint.shape[-1]:
        return jnp.zeros(()), jnp.full_like(rows.statistics.mean, jnp.nan)
    heeded = motor.heeded * (1.0 + (0.0 if stakes is None else stakes))
    error, told = command_error(jax.tree.map(lambda x: x[:-1], output.command), rows.unroll.hint, heeded)
    return config.command_weight * _mean(error, rows.stressed(config)), jnp.sqrt(rows.by_task(told))


def _importance_ratio(config: LossConfig, rows: _Rows) -> jax.Array:
    """(time, world), 0 where nothing was done, so that V-trace stops there; no gradient flows through it."""
    if config.critic_policy == "behaviour":
        return rows.unroll.acted
    difference = log_prob(rows.policy, rows.unroll.action) - log_prob(rows.behaviour, rows.unroll.action)
    bounded = jnp.clip(difference, -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO)
    return jax.lax.stop_gradient(jnp.exp(bounded)) * rows.unroll.acted


def _mean(x: jax.Array, weight: jax.Array) -> jax.Array:
    return jnp.sum(weight * jnp.where(weight > 0.0, x, 0.0)) / jnp.maximum(jnp.sum(weight), 1.0)
