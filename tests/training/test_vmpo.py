"""The actor's loss against rlax, hand arithmetic and double-precision finite differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax
from jax.flatten_util import ravel_pytree

from vrodent.training.gaussian import Gaussian, kl_mean_and_covariance, log_prob
from vrodent.training.vmpo import Duals, VmpoConfig, expectation_step, initial_duals, positive, top_rows, vmpo_loss

CONFIG = VmpoConfig(epsilon_mean=0.02, epsilon_covariance=0.003, initial_temperature=0.7, initial_penalty=1.3)
TIME, WORLD, ACTION = 6, 4, 3


def _batch(seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    def gaussian():
        return Gaussian(rng.normal(size=(TIME, WORLD, ACTION)), 0.2 * rng.normal(size=(TIME, WORLD, ACTION)))
    return {
        "task": np.array([0, 0, 1, 1]),
        "advantage": rng.normal(size=(TIME, WORLD)),
        "weight": np.minimum(np.exp(rng.normal(size=(TIME, WORLD))), 1.0),
        "mask": np.ones((TIME, WORLD)),
        "action": rng.normal(size=(TIME, WORLD, ACTION)),
        "policy": gaussian(),
        "anchor": gaussian(),
    }


def test_one_task_with_unit_ratios_equals_rlax():
    with jax.enable_x64(True):
        batch = _batch() | {"task": np.zeros(WORLD, int), "weight": np.ones((TIME, WORLD))}
        duals = initial_duals(CONFIG, 1)
        ours = vmpo_loss(CONFIG, duals, **batch)
        use = positive(duals)
        policy, anchor = batch["policy"], batch["anchor"]
        likelihood = log_prob(Gaussian(policy.mean, anchor.log_std), batch["action"])
        likelihood += log_prob(Gaussian(anchor.mean, policy.log_std), batch["action"])
        by_mean, by_covariance = kl_mean_and_covariance(anchor, policy)
        constraints = [
            (by_mean, rlax.LagrangePenalty(use.mean[0], CONFIG.epsilon_mean)),
            (by_covariance, rlax.LagrangePenalty(use.covariance[0], CONFIG.epsilon_covariance)),
        ]
        loss, parts = rlax.vmpo_loss(
            likelihood, batch["advantage"], rlax.LagrangePenalty(use.temperature[0], CONFIG.epsilon_temperature), constraints
        )
        assert float(ours.policy) == pytest.approx(float(parts.policy_loss.mean()), rel=1e-7)
        assert float(ours.temperature) == pytest.approx(float(parts.temperature_loss), rel=1e-7)
        assert float(ours.total) == pytest.approx(float(loss.mean()), rel=1e-7)


def test_expectation_step_by_hand():
    """Four rows, one not counting; two of the other three are kept? No: floor(0.5 * 3) = 1, the best. With all kept, a softmax."""
    advantage, mask = jnp.array([[1.0], [2.0], [9.0], [0.0]]), jnp.array([[1.0], [1.0], [0.0], [1.0]])
    np.testing.assert_array_equal(top_rows(advantage, mask, 0.5)[:, 0], [0, 1, 0, 0])
    weight = jnp.array([[0.5], [1.0], [1.0], [0.25]])
    config = VmpoConfig(top_fraction=1.0, epsilon_temperature=0.1)
    psi, loss = expectation_step(advantage, weight, mask, jnp.array(2.0), config)
    exponential = np.array([0.5 * np.exp(0.5), np.exp(1.0), 0.0, 0.25])
    np.testing.assert_allclose(psi[:, 0], exponential / exponential.sum(), rtol=1e-6)
    assert float(loss) == pytest.approx(2.0 * (0.1 + np.log(exponential.sum() / 1.75)), rel=1e-6)


def test_tasks_do_not_mix():
    """A task's weights are what they would be alone, however large the other task's advantages are."""
    batch = _batch()
    duals = Duals(*(raw for raw in initial_duals(CONFIG, 2)))
    gradient = jax.grad(lambda d, b: vmpo_loss(CONFIG, d, **b).total)
    alone = gradient(duals, batch | {"mask": batch["mask"] * (batch["task"] == 0)})
    louder = batch["advantage"] * np.where(batch["task"] == 1, 1000.0, 1.0)
    together = gradient(duals, batch | {"advantage": louder})
    np.testing.assert_allclose(together.temperature[0] * 2.0, alone.temperature[0], rtol=1e-5)
    np.testing.assert_array_equal(alone.temperature[1], 0.0)
    np.testing.assert_array_equal(alone.mean[1], 0.0)


def test_no_counting_row_gives_zero_and_finite_gradients():
    batch = _batch() | {"mask": np.zeros((TIME, WORLD))}
    value, gradient = jax.value_and_grad(lambda d, p: vmpo_loss(CONFIG, d, **(batch | {"policy": p})).total, argnums=(0, 1))(
        initial_duals(CONFIG, 2), jax.tree.map(jnp.asarray, batch["policy"])
    )
    assert float(value) == 0.0
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_gradients_match_double_precision_finite_differences():
    """The dual terms stop gradients by design, so the derivative by the policy is of policy + penalty, and by the duals of the rest."""
    with jax.enable_x64(True):
        batch, duals = _batch(), initial_duals(CONFIG, 2)

        def by_policy(policy):
            terms = vmpo_loss(CONFIG, duals, **(batch | {"policy": policy}))
            return terms.policy + terms.penalty

        def by_duals(duals):
            terms = vmpo_loss(CONFIG, duals, **batch)
            return terms.temperature + terms.dual

        for function, argument in ((by_policy, jax.tree.map(jnp.asarray, batch["policy"])), (by_duals, duals)):
            flat, rebuild = ravel_pytree(argument)
            direction = np.random.default_rng(3).normal(size=flat.shape)
            step = 1e-5
            numeric = (function(rebuild(flat + step * direction)) - function(rebuild(flat - step * direction))) / (2 * step)
            whole = jax.grad(lambda a: vmpo_loss(CONFIG, *_put(duals, batch, a)).total)(argument)
            analytic = ravel_pytree(whole)[0] @ direction
            assert float(analytic) == pytest.approx(float(numeric), rel=1e-7)


def _put(duals, batch, argument):
    if isinstance(argument, Duals):
        duals = argument
    else:
        batch = batch | {"policy": argument}
    return (duals, *(batch[name] for name in ("task", "advantage", "weight", "mask", "action", "policy", "anchor")))


def test_penalty_grows_when_the_divergence_exceeds_its_bound():
    batch, duals = _batch(), initial_duals(CONFIG, 2)
    gradient = jax.grad(lambda d: vmpo_loss(CONFIG, d, **batch).total)(duals)
    assert np.all(np.asarray(gradient.mean) < 0.0)
    same = jax.grad(lambda d: vmpo_loss(CONFIG, d, **(batch | {"policy": batch["anchor"]})).total)(duals)
    assert np.all(np.asarray(same.mean) > 0.0)


@pytest.mark.parametrize("bad", [{"top_fraction": 0.0}, {"top_fraction": 1.5}, {"epsilon_mean": 0.0}, {"initial_temperature": -1.0}])
def test_bad_config_is_refused_with_its_value(bad):
    (name, value), = bad.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        VmpoConfig(**bad)
