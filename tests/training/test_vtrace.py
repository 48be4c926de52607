"""V-trace against a direct sum, against rlax, and at the ends of episodes."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import rlax

from vrodent.training.vtrace import vtrace_targets

TIME, WORLD = 9, 3


@pytest.fixture(name="unroll")
def _unroll() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "reward": rng.normal(size=(TIME, WORLD)),
        "discount": rng.choice([0.0, 0.9, 0.99], size=(TIME, WORLD)),
        "value": rng.normal(size=(TIME, WORLD)),
        "bootstrap_value": rng.normal(size=WORLD),
        "importance_ratio": np.exp(rng.normal(size=(TIME, WORLD))),
    }


def _direct(reward, discount, value, bootstrap_value, importance_ratio, clip_rho, clip_c):
    """Equation 1 of the paper, term by term: v_s = V_s + sum_t prod(discount) prod(c) rho_t (r_t + discount_t V_t+1 - V_t)."""
    time = len(reward)
    values = np.concatenate([value, bootstrap_value[None]])
    target = np.zeros((time + 1, value.shape[1]))
    target[time] = bootstrap_value
    for start in range(time):
        total = values[start].copy()
        for t in range(start, time):
            factor = np.prod(discount[start:t] * np.minimum(importance_ratio[start:t], clip_c), axis=0)
            delta = np.minimum(importance_ratio[t], clip_rho) * (reward[t] + discount[t] * values[t + 1] - values[t])
            total = total + factor * delta
        target[start] = total
    return target[:time], reward + discount * target[1:] - value


@pytest.mark.parametrize(("clip_rho", "clip_c"), [(1.0, 1.0), (2.0, 0.7)])
def test_equals_the_direct_sum_in_double_precision(unroll, clip_rho, clip_c):
    with jax.enable_x64(True):
        targets, advantages = vtrace_targets(**unroll, clip_rho=clip_rho, clip_c=clip_c)
        direct_targets, direct_advantages = _direct(**unroll, clip_rho=clip_rho, clip_c=clip_c)
        np.testing.assert_allclose(targets, direct_targets, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(advantages, direct_advantages, rtol=1e-13, atol=1e-13)


def test_equals_rlax(unroll):
    with jax.enable_x64(True):
        targets, advantages = vtrace_targets(**unroll, clip_rho=1.0, clip_c=1.0)
        for world in range(WORLD):
            column = {name: array[..., world] for name, array in unroll.items()}
            next_value = np.append(column["value"][1:], column["bootstrap_value"])
            theirs = rlax.vtrace_td_error_and_advantage(
                column["value"], next_value, column["reward"], column["discount"], column["importance_ratio"]
            )
            np.testing.assert_allclose(targets[:, world] - column["value"], theirs.errors, rtol=1e-12, atol=1e-12)
            weighted = advantages[:, world] * np.minimum(column["importance_ratio"], 1.0)
            np.testing.assert_allclose(weighted, theirs.pg_advantage, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("last_discount", [0.0, 0.97], ids=["terminated", "truncated"])
def test_two_episodes_in_one_unroll_equal_two_calls(unroll, last_discount):
    """Rows 0-3 are one episode, row 4 its final observation, rows 5-8 the next episode."""
    unroll["discount"][[*range(4), *range(5, 9)]] = 0.97
    unroll["discount"][3] = last_discount
    unroll["discount"][4] = 0.0
    unroll["importance_ratio"][4] = 0.0
    with jax.enable_x64(True):
        targets, advantages = vtrace_targets(**unroll)
        first = {name: array[:4] for name, array in unroll.items() if name != "bootstrap_value"}
        second = {name: array[5:] for name, array in unroll.items() if name != "bootstrap_value"}
        for rows, part, bootstrap in ((slice(4), first, unroll["value"][4]), (slice(5, 9), second, unroll["bootstrap_value"])):
            alone = vtrace_targets(**part, bootstrap_value=bootstrap)
            np.testing.assert_allclose(targets[rows], alone[0], rtol=1e-13)
            np.testing.assert_allclose(advantages[rows], alone[1], rtol=1e-12)
        np.testing.assert_array_equal(targets[4], unroll["value"][4])


def test_truncation_bootstraps_from_the_final_observation_and_termination_does_not():
    """One action, reward 2; the final observation's value is 10, the next episode's first one is 1000."""
    reward, value = np.array([[2.0], [0.0], [5.0]]), np.array([[0.0], [10.0], [1000.0]])
    ratio = np.array([[1.0], [0.0], [1.0]])
    for discount, expected in ((0.9, 2.0 + 0.9 * 10.0), (0.0, 2.0)):
        targets, _ = vtrace_targets(reward, np.array([[discount], [0.0], [0.9]]), value, np.array([0.0]), ratio)
        assert float(targets[0, 0]) == pytest.approx(expected, rel=1e-6)


def test_no_gradient_flows_through_targets(unroll):
    def total(value):
        targets, advantages = vtrace_targets(**{**unroll, "value": value})
        return targets.sum() + advantages.sum()

    assert not np.any(jax.grad(total)(unroll["value"]))
