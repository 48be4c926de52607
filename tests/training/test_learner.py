"""The whole loss and the update: which loss trains what, gradients against double precision, and that it learns."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from vrodent.agent import Agent
from vrodent.training.kickstart import TeachingConfig
from vrodent.training.learner import LearnerConfig, initial_learned, make_update, rescale_heads, set_normaliser
from vrodent.training.losses import LossConfig, unroll_loss
from vrodent.training.popart import TargetStatistics, initial_statistics, update_statistics
from vrodent.training.unroll import Unroll
from vrodent.training.vmpo import initial_duals

TASK = np.array([0, 0, 1, 1])


pytestmark = pytest.mark.usefixtures("quick_compilation")


def _time_first(batch: Unroll) -> Unroll:
    return Unroll(*(np.swapaxes(leaf, 0, 1) for leaf in batch[:-1]), memory=batch.memory)


def _gradient(config: LossConfig, agent: Agent, batch: Unroll) -> Agent:
    duals = initial_duals(config.vmpo, 2)

    def loss(trained: Agent) -> jax.Array:
        return unroll_loss(config, trained, agent, duals, initial_statistics(2), _time_first(batch), TASK, 0)[0]

    return jax.jit(jax.grad(loss))(agent)


def _largest(tree) -> float:
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))


def test_policy_and_teaching_losses_have_exactly_zero_gradient_on_core_encoders_and_value(agent, make_unrolls):
    gradient = _gradient(LossConfig(value_weight=0.0), agent, make_unrolls(agent.config))
    for part in (gradient.core, gradient.image_encoder, gradient.proprioception_encoder, gradient.value_head):
        assert _largest(part) == 0.0
    assert all(_largest(part) > 0.0 for part in (*gradient.policy, gradient.mean_head, gradient.log_std_head))


def test_policy_loss_reaches_encoders_but_never_the_core_where_it_is_allowed_to(make_unrolls, small_config):
    agent = Agent(small_config(policy_trains_encoders=True), seed=3)
    gradient = _gradient(LossConfig(value_weight=0.0), agent, make_unrolls(agent.config))
    assert _largest(gradient.core) == 0.0
    assert _largest(gradient.image_encoder) > 0.0


def test_value_loss_trains_core_and_encoders_and_no_policy(agent, make_unrolls):
    config = LossConfig(policy_weight=0.0, teaching=TeachingConfig(weight=0.0, final_weight=0.0))
    gradient = _gradient(config, agent, make_unrolls(agent.config))
    assert _largest((gradient.policy, gradient.mean_head, gradient.log_std_head)) == 0.0
    assert all(_largest(part) > 0.0 for part in (gradient.core, gradient.image_encoder, gradient.proprioception_encoder))


def test_frozen_eyes_learn_nothing_and_all_else_learns_as_with_pictures(agent, make_unrolls):
    """With features in the place of pictures the gradient is that of the pictures, and none reaches the image encoder.

    In double precision, but for what is computed in single within (differences of 1e-9 were seen): all in single precision, the same
    comparison was off by 5e-5 on one processor of two.
    """
    with jax.enable_x64(True):
        agent, batch = _double(agent), _double(make_unrolls(agent.config))
        seen = batch._replace(egocentric=np.asarray(agent.see(jnp.asarray(batch.egocentric))))
        with_pictures, frozen = (_gradient(LossConfig(), agent, unrolls) for unrolls in (batch, seen))
        assert _largest(frozen.image_encoder) == 0.0 < _largest(with_pictures.image_encoder)
        for part in ("core", "proprioception_encoder", "value_head", "policy", "mean_head"):
            for one, other in zip(*(jax.tree.leaves(getattr(g, part)) for g in (with_pictures, frozen)), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


def _double(tree):
    return jax.tree.map(lambda x: x if x.dtype == np.uint8 else x.astype(np.float64), tree)


@pytest.mark.parametrize("which", ["value", "teaching"])
def test_gradients_match_double_precision_finite_differences(which, make_unrolls, small_config):
    """Along random directions, through encoders, both kinds of LSTM, resets and masks, with targets that do not move.

    With gamma 0 the value targets are the rewards. Along a direction of the policy's own parameters nothing is stopped on the way.
    """
    with jax.enable_x64(True):
        agent, batch = _double(Agent(small_config(), seed=3)), _time_first(_double(make_unrolls(small_config())))
        taught = TeachingConfig(kind="kl", weight=float(which == "teaching"), final_weight=float(which == "teaching"))
        config = LossConfig(gamma=0.0, policy_weight=0.0, value_weight=float(which == "value"), critic_policy="behaviour", teaching=taught)
        flat, rebuild = ravel_pytree(agent)
        duals = initial_duals(config.vmpo, 2)

        def loss(flat: jax.Array) -> jax.Array:
            return unroll_loss(config, rebuild(flat), None, duals, initial_statistics(2), batch, TASK, 0)[0]

        direction = jax.tree.map(lambda x: np.random.default_rng(x.size).normal(size=x.shape), agent)
        still = jax.tree.map(jnp.zeros_like, agent)
        moving = (lambda a: (a.policy, a.mean_head, a.log_std_head)) if which == "teaching" else (
            lambda a: (a.core, a.value_head, a.image_encoder, a.proprioception_encoder)
        )
        direction, _ = ravel_pytree(eqx.tree_at(moving, still, moving(direction)))
        loss = jax.jit(loss)
        analytic = float(jax.jit(jax.grad(loss))(flat) @ direction)
        step = 1e-6
        numeric = float((loss(flat + step * direction) - loss(flat - step * direction)) / (2 * step))
        assert abs(analytic) > 0.1
        assert analytic == pytest.approx(numeric, rel=1e-6)


def test_value_loss_by_hand(agent, make_unrolls):
    """Three rows of one world, on-policy, gamma 0.5; the second is a final observation after a truncation. V is the agent's own."""
    batch = jax.tree.map(lambda x: x[:1], make_unrolls(agent.config, time=3))
    batch = batch._replace(acted=np.array([[1.0, 0.0, 1.0]]), discount=np.array([[1.0, 0.0, 0.0]]), reward=np.array([[2.0, 0.0, 7.0]]))
    batch = batch._replace(reset=np.array([[0.0, 0.0, 1.0, 0.0]]))
    statistics = TargetStatistics(jnp.array([1.0, 0.0]), jnp.array([4.0, 1.0]), jnp.ones(2))
    unroll = _time_first(batch)
    observation = {"proprioception": unroll.proprioception, "egocentric": unroll.egocentric}
    value = 1.0 + 2.0 * np.asarray(agent.unroll(observation, unroll.memory, unroll.reset > 0.0)[0].value)[:, 0, 0]
    config = LossConfig(gamma=0.5, policy_weight=0.0, critic_policy="behaviour", teaching=TeachingConfig(weight=0.0, final_weight=0.0))
    total, output = unroll_loss(config, agent, None, initial_duals(config.vmpo, 2), statistics, unroll, TASK[:1], 0)
    targets = [2.0 + 0.5 * value[1], value[1], 7.0]
    np.testing.assert_allclose(output.target[:, 0], targets, rtol=1e-5)
    by_hand = 0.5 * (((value[0] - targets[0]) / 2.0) ** 2 + ((value[2] - targets[2]) / 2.0) ** 2) / 2.0
    assert float(total) == pytest.approx(by_hand, rel=1e-5)


def test_the_next_episodes_observation_never_enters_a_target(agent, make_unrolls):
    """Changing everything after an end changes no target before it."""
    batch = make_unrolls(agent.config)
    config = LossConfig(policy_weight=0.0)

    def targets(changed: Unroll) -> np.ndarray:
        arguments = (initial_duals(config.vmpo, 2), initial_statistics(2), _time_first(changed), TASK, 0)
        return np.asarray(unroll_loss(config, agent, None, *arguments)[1].target)

    other = jax.tree.map(np.copy, batch)
    other.proprioception[1, 3:] += 5.0
    other.reward[1, 3:] += 9.0
    before, after = targets(batch), targets(other)
    np.testing.assert_array_equal(before[:3, 1], after[:3, 1])
    assert np.all(before[3:, 1] != after[3:, 1])


def test_rescaling_heads_keeps_every_value(agent):
    with jax.enable_x64(True):
        agent = _double(agent)
        before, core = initial_statistics(2), np.random.default_rng(0).normal(size=(5, 8))
        target = np.random.default_rng(1).normal(size=(6, 4)) * np.array([1.0, 1.0, 300.0, 300.0]) + 40.0
        after = update_statistics(before, target, np.ones((6, 4)), TASK, step_size=0.1)
        changed = rescale_heads(agent, before, after)
        values = [a.value_head(core) * np.sqrt(s.variance) + s.mean for a, s in ((agent, before), (changed, after))]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-10)
        assert not np.allclose(agent.value_head(core), changed.value_head(core))


def _learn(config: LearnerConfig, agent: Agent, batches: Iterable[Unroll], updates: int):
    now, update = initial_learned(config, agent, 2, updates), make_update(config, updates)
    reports = []
    for batch in itertools.islice(batches, updates):
        now, report = update(now, batch, TASK)
        reports.append(jax.tree.map(np.asarray, report))
    return now, reports


def test_updates_bring_the_critic_to_the_returns_and_the_student_to_the_teacher(agent, make_unrolls):
    """Returns of task 1 are 50 times those of task 0; both are learned."""
    batch = make_unrolls(agent.config)
    batch.reward[2:] *= 50.0
    batch.teacher_mean[:] = 0.3 * np.tanh(batch.proprioception[:, :-1, :1])
    config = LearnerConfig(learning_rate=1e-2, warmup_updates=5, loss=LossConfig(policy_weight=0.0, critic_policy="behaviour"))
    now, reports = _learn(config, agent, itertools.repeat(batch), 1000)
    assert (reports[-1].loss.explained > 0.99).all()
    assert (reports[-1].loss.teaching_distance < 0.5 * reports[0].loss.teaching_distance).all()
    assert int(now.update) == 1000
    assert int(now.skipped) == 0
    np.testing.assert_array_equal(now.agent.normaliser.mean, agent.normaliser.mean)
    np.testing.assert_array_equal(now.agent.stance, agent.stance)


def test_actor_makes_rewarded_actions_likelier_within_its_bounds(agent, make_unrolls):
    """A bandit with fresh actions in every batch: the reward is the action's first component, so its mean must rise everywhere."""
    still, rng = make_unrolls(agent.config, taught=False), np.random.default_rng(4)

    def batches():
        while True:
            noise = rng.normal(size=still.action.shape).astype(np.float32)
            action = still.behaviour_mean + np.exp(still.behaviour_log_std) * noise
            yield still._replace(action=action, reward=action[..., 0] * still.acted, discount=np.zeros_like(still.discount))

    config = LearnerConfig(learning_rate=1e-3, warmup_updates=0, anchor_period=10, loss=LossConfig(critic_policy="behaviour"))
    now, reports = _learn(config, agent, batches(), 200)
    observation = {"proprioception": still.proprioception[:, 0], "egocentric": still.egocentric[:, 0]}
    before, after = (np.asarray(a.act(observation, still.memory)[0].mean) for a in (agent, now.agent))
    assert (after[:, 0] > before[:, 0] + 0.03).all()
    assert np.abs(after - before)[:, 1:].mean() < 0.5 * (after - before)[:, 0].mean()
    assert np.mean([report.loss.kl_mean for report in reports[100:]]) < 3.0 * config.loss.vmpo.epsilon_mean
    assert np.mean([report.loss.kl_covariance for report in reports[100:]]) < 10.0 * config.loss.vmpo.epsilon_covariance


def test_an_update_that_is_not_finite_changes_nothing_and_is_counted(agent, make_unrolls):
    batch = make_unrolls(agent.config)
    config = LearnerConfig(warmup_updates=0)
    now, update = initial_learned(config, agent, 2, 10), make_update(config, 10)
    now, _ = update(now, batch, TASK)
    before = jax.tree.map(np.array, now)
    broken = batch._replace(reward=np.where(batch.reward > 1.0, np.nan, batch.reward))
    now, report = update(now, broken, TASK)
    assert update._cache_size() == 1, "the second update was compiled anew"
    assert float(report.skipped) == 1.0
    assert (int(now.skipped), int(now.update)) == (1, 2)
    for name in ("agent", "anchor", "duals", "statistics", "optimiser"):
        jax.tree.map(np.testing.assert_array_equal, getattr(now, name), getattr(before, name))


def test_same_batches_same_bytes(agent, make_unrolls):
    batch, config = make_unrolls(agent.config), LearnerConfig()
    jax.tree.map(np.testing.assert_array_equal, *(_learn(config, agent, itertools.repeat(batch), 3)[0] for _ in range(2)))


def test_normaliser_is_set_and_wrong_heads_are_refused(agent):
    changed = set_normaliser(agent, jnp.ones(158), 2.0 * jnp.ones(158))
    np.testing.assert_allclose(changed.normaliser(3.0 * np.ones((1, 158))), 1.0)
    with pytest.raises(ValueError, match="2 value heads for 4 tasks"):
        initial_learned(LearnerConfig(), agent, 4, 1)


@pytest.mark.parametrize("bad", [{"gamma": 1.0}, {"clip_rho": 0.0}, {"burn_in": -1}, {"anchor": "rope"}])
def test_bad_loss_config_is_refused(bad):
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        LossConfig(**bad)
