"""The learner: what it changes, and one jitted update of all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from vrodent.agent import Agent, Precision, in_precision, learned
from vrodent.training.hints import HintHead
from vrodent.training.losses import LossConfig, LossReport, unroll_loss
from vrodent.training.popart import TargetStatistics, initial_statistics, rescale, update_statistics
from vrodent.training.sharding import ShardedAgent, by_world, on_each
from vrodent.training.unroll import Unroll
from vrodent.training.vmpo import Duals, initial_duals


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How it is descended.

    Attributes:
        learning_rate: Adam's, for the agent.
        final_learning_rate: reached by a cosine at the run's last update; None keeps the rate.
        warmup_updates: over which the rate rises from 0.
        dual_learning_rate: Adam's, for the dual variables.
        largest_gradient: global norm that the agent's gradient is clipped to.
        anchor_period: updates after which the actor's anchor becomes a copy of the agent.
        popart_step: step of the running statistics of value targets.
        num_devices: that an update's worlds are divided between; None takes all that JAX sees, or the one that `warp_device` names.
        image_precision: of the image encoder's convolutions, in the learner and in whoever acts for it: bfloat16 is faster on a GPU.
            All else is float32, and so is any agent that is evaluated or loaded.
        loss: what is descended.
    """

    learning_rate: float = 3e-4
    final_learning_rate: float | None = None
    warmup_updates: int = 100
    dual_learning_rate: float = 1e-2
    largest_gradient: float = 5.0
    anchor_period: int = 50
    popart_step: float = 1e-3
    num_devices: int | None = None
    image_precision: Precision = "float32"
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        for name in ("learning_rate", "dual_learning_rate", "largest_gradient", "anchor_period", "popart_step"):
            if getattr(self, name) <= 0:
                raise ValueError(f"learner.{name} must be positive, but is {getattr(self, name)}.")
        if self.image_precision not in ("float32", "bfloat16"):
            raise ValueError(f"learner.image_precision must be float32 or bfloat16, but is {self.image_precision!r}.")
        if self.num_devices is not None and self.num_devices < 1:
            raise ValueError(f"learner.num_devices must be at least 1, or None for all, but is {self.num_devices}.")
        if self.warmup_updates < 0:
            raise ValueError(f"learner.warmup_updates must not be negative, but is {self.warmup_updates}.")


class Optimiser(NamedTuple):
    """Adam's moments for the agent, for the dual variables, and for the head that foretells hints."""

    agent: optax.OptState
    duals: optax.OptState
    hint_head: optax.OptState


class Learned(NamedTuple):
    """Everything that updates change; all of it goes into a checkpoint.

    Attributes:
        agent: that learns.
        anchor: the copy that bounds the actor.
        duals: the actor's dual variables.
        statistics: of each task's value targets.
        optimiser: moments.
        update: updates so far, int32.
        skipped: updates left out because their loss or gradient was not finite, int32.
        hint_head: foretells hints; None where there are none.
    """

    agent: Agent
    anchor: Agent
    duals: Duals
    statistics: TargetStatistics
    optimiser: Optimiser
    update: jax.Array
    skipped: jax.Array
    hint_head: HintHead | None = None


class UpdateReport(NamedTuple):
    """One update's loss terms, the global norm of the agent's gradient before clipping, and whether it was left out (0 or 1)."""

    loss: LossReport
    gradient_norm: jax.Array
    skipped: jax.Array


Update = Callable[[Learned, Unroll, jax.Array], tuple[Learned, UpdateReport]]


def initial_learned(
    config: LearnerConfig, agent: Agent, num_tasks: int, total_updates: int, *, hint_size: int = 0, seed: int = 0
) -> Learned:
    """Where learning begins.

    Raises:
        ValueError: the agent has another number of value heads than there are tasks.
    """
    if agent.config.num_value_heads != num_tasks:
        raise ValueError(
            f"The agent has {agent.config.num_value_heads} value heads for {num_tasks} tasks; give AgentConfig num_value_heads={num_tasks}."
        )
    by_agent, by_duals = _optimisers(config, total_updates)
    duals = initial_duals(config.loss.vmpo, num_tasks)
    head = HintHead(agent.config.core_size, hint_size, seed) if hint_size and config.loss.hint_weight > 0.0 else None
    optimiser = Optimiser(by_agent.init(eqx.filter(agent, learned(agent))), by_duals.init(duals), by_agent.init(head))
    count = jnp.zeros((), jnp.int32)
    return Learned(_copy(agent), _copy(agent), duals, initial_statistics(num_tasks), optimiser, count, count.copy(), head)


def make_update(config: LearnerConfig, total_updates: int, mesh: Mesh | None = None, stakes: np.ndarray | None = None) -> Update:
    """Compile one update.

    Args:
        config: rates and loss.
        total_updates: of the run, for the schedule of the learning rate.
        mesh: devices that share the batch, see `vrodent.training.sharding`; None for one.
        stakes: of the agent's skills, see `unroll_loss`.

    Returns:
        (learned, batch with the world axis first, task (world,)) -> (learned, report). What is passed as `learned` is given up (its
        buffers are reused). An update whose loss or gradient is not finite changes nothing but the counts.
    """
    by_agent, by_duals = _optimisers(config, total_updates)
    at_stake = None if stakes is None else jnp.asarray(stakes, jnp.float32)

    def update(before: Learned, batch: Unroll, task: jax.Array) -> tuple[Learned, UpdateReport]:
        unroll = _time_first(batch)
        mask = learned(before.agent)
        trained, fixed = eqx.partition(before.agent, mask)

        def loss(parameters: tuple[Agent, Duals, HintHead | None]):
            agent = eqx.combine(parameters[0], fixed)
            anchor = before.anchor if config.loss.needs_copy else None
            anchor = None if anchor is None else _computing(config, anchor, mesh)
            duals, head = parameters[1:]
            unrolled = _computing(config, agent, mesh)
            return unroll_loss(config.loss, unrolled, anchor, duals, before.statistics, unroll, task, before.update, head, at_stake)

        (total, output), (gradient, by_dual, by_head) = jax.value_and_grad(loss, has_aux=True)((trained, before.duals, before.hint_head))
        norm = optax.tree.norm(gradient)
        good = jnp.isfinite(total) & jnp.isfinite(norm) & jnp.isfinite(optax.tree.norm((by_dual, by_head)))
        change, agent_moments = by_agent.update(gradient, before.optimiser.agent, trained)
        dual_change, dual_moments = by_duals.update(by_dual, before.optimiser.duals, before.duals)
        head_change, head_moments = by_agent.update(by_head, before.optimiser.hint_head)
        agent = eqx.combine(optax.apply_updates(trained, change), fixed)
        duals = optax.apply_updates(before.duals, dual_change)
        head = optax.apply_updates(before.hint_head, head_change)
        statistics = update_statistics(before.statistics, output.target, output.counted, task, step_size=config.popart_step)
        agent = rescale_heads(agent, before.statistics, statistics)
        anchor = before.anchor
        if config.loss.needs_copy:
            renew = (before.update + 1) % config.anchor_period == 0
            anchor = _where(renew, agent, rescale_heads(anchor, before.statistics, statistics))
        moments = Optimiser(agent_moments, dual_moments, head_moments)
        after = Learned(agent, anchor, duals, statistics, moments, before.update, before.skipped, head)
        after = _where(good, after, before)
        after = after._replace(update=before.update + 1, skipped=before.skipped + (~good).astype(jnp.int32))
        return after, UpdateReport(output.report, norm, (~good).astype(jnp.float32))

    return jax.jit(update, donate_argnums=0) if mesh is None else _placing(update, mesh)


def rescale_heads(agent: Agent, before: TargetStatistics, after: TargetStatistics) -> Agent:
    """The agent whose values, unnormalised by `after`, are those that the given one has when unnormalised by `before`."""
    output = agent.value_head.output
    weight, bias = rescale(output.weight, output.bias, before, after)
    return eqx.tree_at(lambda a: (a.value_head.output.weight, a.value_head.output.bias), agent, (weight, bias))


def set_normaliser(agent: Agent, mean: jax.Array, std: jax.Array) -> Agent:
    """The agent with other statistics of proprioception, (158,) each."""
    return eqx.tree_at(lambda a: (a.normaliser.mean, a.normaliser.std), agent, (mean, std))


def copy_of(agent: Agent, device: Any = None) -> Agent:
    """A copy for the actors, which an update's reuse of buffers does not touch; on a device, or where the agent is."""
    copied = _copy(agent)
    return copied if device is None else jax.device_put(copied, device)


def _optimisers(config: LearnerConfig, total_updates: int) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    rate: optax.ScalarOrSchedule = config.learning_rate
    if config.final_learning_rate is not None or config.warmup_updates:
        last = config.learning_rate if config.final_learning_rate is None else config.final_learning_rate
        end = max(total_updates, config.warmup_updates + 1)
        rate = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, config.warmup_updates, end, last)
    by_agent = optax.chain(optax.clip_by_global_norm(config.largest_gradient), optax.adam(rate, eps=1e-7))
    return by_agent, optax.adam(config.dual_learning_rate)


def _computing(config: LearnerConfig, agent: Agent, mesh: Mesh | None) -> Any:
    """The agent in the learner's precision and on its devices."""
    agent = in_precision(agent, config.image_precision)
    return agent if mesh is None else ShardedAgent(agent, mesh)


def _placing(update: Update, mesh: Mesh) -> Update:
    """Compile for several devices; arguments are brought to where they belong."""
    whole, parts = on_each(mesh), by_world(mesh)
    compiled = jax.jit(update, donate_argnums=0, in_shardings=(whole, parts, parts), out_shardings=whole)

    def place(before: Learned, batch: Unroll, task: jax.Array) -> tuple[Learned, UpdateReport]:
        return compiled(jax.device_put(before, whole), jax.device_put(batch, parts), jax.device_put(task, parts))

    return place


def _time_first(batch: Unroll) -> Unroll:
    swapped = [jnp.swapaxes(leaf, 0, 1) for leaf in batch[:-1]]
    return Unroll(*swapped, memory=batch.memory)


def _where(condition: jax.Array, new, old):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def _copy(tree):
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)
