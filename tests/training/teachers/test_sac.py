"""Soft actor-critic: densities by quadrature, targets by hand, and a problem with a known answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vrodent.training.teachers.network import Actor, Teacher, TeacherConfig
from vrodent.training.teachers.sac import SacConfig, SacLearner
from vrodent.training.teachers.transitions import Transitions


def test_density_of_squashed_action_integrates_to_one():
    """Importance sampling: the mean over samples of uniform / density is the volume of the uniform, whatever the actor."""
    actor = Actor(jax.random.key(0), TeacherConfig(observation_size=3, action_size=1, actor_width=8))
    observation = jnp.tile(jnp.array([[0.3, -1.0, 2.0]]), (200_000, 1))
    action, log_density = actor.sample(observation, jax.random.key(1))
    action, density = np.asarray(action)[:, 0], np.exp(np.asarray(log_density, dtype=np.float64))
    low, high = np.quantile(action, [0.1, 0.9])
    inside = (action > low) & (action < high)
    # standard error of the mean of 2e5 bounded weights is under 1 %
    assert np.mean(inside / density) == pytest.approx(high - low, rel=0.02)


def test_terminal_target_is_the_scaled_reward_and_others_bootstrap_pessimistically():
    learner = SacLearner(TeacherConfig(observation_size=4, action_size=2, actor_width=8, critic_width=8), SacConfig(reward_scale=0.5))
    variables = learner.initial(0)
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    reward, discount = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.0, 0.9, 0.9])
    batch = Transitions(draw(3, 4), draw(3, 2), reward, discount, draw(3, 4))
    key = jax.random.key(7)
    target = learner.critic_target(variables, batch, key)
    assert target[0] == pytest.approx(0.5)
    action, log_density = variables.actor.sample(batch.next_observation, key)
    values = np.stack(variables.target_critic(batch.next_observation, action))
    soft = values.min(axis=0) - 0.01 * np.asarray(log_density)
    np.testing.assert_allclose(target[1:], (0.5 * reward + discount * soft)[1:], rtol=1e-5)


def test_learns_the_best_action_of_a_one_step_problem():
    """Reward -(a - 0.4)^2 with discount 0: the mean action must come to 0.4."""
    learner = SacLearner(
        TeacherConfig(observation_size=2, action_size=1, actor_width=32, critic_width=32),
        SacConfig(learning_rate=3e-3, reward_scale=1.0, target_entropy=-2.0),
    )
    variables = learner.initial(0)
    rng = np.random.default_rng(0)
    for _ in range(40):
        observation = rng.normal(size=(10, 2, 64, 2)).astype(np.float32)
        action = rng.uniform(-1, 1, (10, 2, 64, 1)).astype(np.float32)
        reward = -((action[..., 0] - 0.4) ** 2)
        batches = Transitions(observation, action, reward, np.zeros_like(reward), observation)
        variables, metrics = learner.update(variables, batches)
    mean = np.tanh(np.asarray(variables.actor(jnp.asarray(rng.normal(size=(100, 2)), jnp.float32))[0]))
    assert np.abs(mean - 0.4).max() < 0.1
    assert float(metrics.critic_loss) < 0.01


def test_smoothness_finds_the_slope_that_costs_least():
    """The best action jumps from -0.5 to 0.5 at zero. Without a price of change the actor jumps too, with one it rises gently."""
    jumps = []
    for smoothness in (0.0, 20.0):
        config = SacConfig(learning_rate=3e-3, reward_scale=1.0, target_entropy=-2.0, smoothness=smoothness)
        learner = SacLearner(TeacherConfig(observation_size=1, action_size=1, actor_width=32, critic_width=32), config)
        variables, rng = learner.initial(0), np.random.default_rng(0)
        for _ in range(40):
            observation = rng.normal(size=(10, 2, 64, 1)).astype(np.float32)
            action = rng.uniform(-1, 1, (10, 2, 64, 1)).astype(np.float32)
            reward = -((action[..., 0] - 0.5 * np.sign(observation[..., 0])) ** 2)
            variables, _ = learner.update(variables, Transitions(observation, action, reward, np.zeros_like(reward), observation))
        sides = np.tanh(np.asarray(variables.actor(jnp.array([[-0.15], [0.15]]))[0]))[:, 0]
        jumps.append(sides[1] - sides[0])
    assert jumps[0] > 0.6
    assert 0.0 < jumps[1] < 0.5 * jumps[0]


def test_same_seed_same_bytes():
    learner = SacLearner(TeacherConfig(observation_size=4, action_size=2, actor_width=8, critic_width=8))
    batch = Transitions(*(np.ones((1, 2, 8, *shape), np.float32) for shape in ((4,), (2,), (), (), (4,))))
    once, twice = (learner.update(learner.initial(3), batch)[0] for _ in range(2))
    other = learner.update(learner.initial(4), batch)[0]
    leaves = [jax.tree.leaves(v.actor) for v in (once, twice, other)]
    assert all(np.array_equal(a, b) for a, b in zip(leaves[0], leaves[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(leaves[0], leaves[2], strict=True))


def test_teacher_acts_within_range_and_rejects_nonsense():
    teacher = Teacher(jax.random.key(0), TeacherConfig(observation_size=5))
    mean, log_std = teacher.act(jnp.asarray(np.random.default_rng(0).normal(size=(6, 5)) * 100, jnp.float32))
    assert mean.shape == log_std.shape == (6, 38)
    assert np.abs(mean).max() <= 1
    with pytest.raises(ValueError, match="actor_width"):
        TeacherConfig(observation_size=5, actor_width=0)
