"""PopArt: nothing the value function says changes when the statistics do."""

from __future__ import annotations

import jax
import numpy as np

from vrodent.training.popart import (
    initial_statistics,
    normalise,
    rescale,
    unnormalise,
    update_statistics,
)

TASK = np.array([0, 1, 1, 2])


def _targets(seed: int, scale: np.ndarray) -> np.ndarray:
    return np.random.default_rng(seed).normal(loc=3.0, size=(20, 4)) * scale


def test_values_do_not_move_when_statistics_do():
    with jax.enable_x64(True):
        rng = np.random.default_rng(5)
        statistics, weight, bias = initial_statistics(3), rng.normal(size=(6, 3)), rng.normal(size=3)
        features = rng.normal(size=(7, 4, 6))

        def value(statistics, weight, bias):
            heads = features @ np.asarray(weight) + np.asarray(bias)
            return unnormalise(statistics, heads[:, np.arange(4), TASK], TASK)

        first = value(statistics, weight, bias)
        for seed in range(5):
            after = update_statistics(statistics, _targets(seed, np.array([1.0, 50.0, 50.0, 0.02])), np.ones((20, 4)), TASK, step_size=0.3)
            weight, bias = rescale(weight, bias, statistics, after)
            statistics = after
            np.testing.assert_allclose(value(statistics, weight, bias), first, rtol=1e-11, atol=1e-11)


def test_first_batch_gives_that_batchs_mean_and_variance_per_task():
    with jax.enable_x64(True):
        target = _targets(0, np.array([1.0, 50.0, 50.0, 0.5]))
        mask = np.ones((20, 4))
        mask[:10, 1] = 0.0
        statistics = update_statistics(initial_statistics(4), target, mask, TASK, step_size=1e-3)
        middle = np.concatenate([target[10:, 1], target[:, 2]])
        np.testing.assert_allclose(statistics.mean, [target[:, 0].mean(), middle.mean(), target[:, 3].mean(), 0.0], rtol=1e-12)
        np.testing.assert_allclose(statistics.variance, [target[:, 0].var(), middle.var(), target[:, 3].var(), 1.0], rtol=1e-12)
        np.testing.assert_array_equal(statistics.batches, [1, 1, 1, 0])


def test_variance_is_that_of_the_mixture():
    """Half weight on the old data and half on the new is the plain variance of both together."""
    with jax.enable_x64(True):
        one, two = _targets(1, np.ones(4))[:, :1], _targets(2, 7.0 * np.ones(4))[:, :1]
        task = np.array([0])
        statistics = update_statistics(initial_statistics(1), one, np.ones((20, 1)), task, step_size=0.5)
        statistics = update_statistics(statistics, two, np.ones((20, 1)), task, step_size=0.5)
        both = np.concatenate([one, two])
        np.testing.assert_allclose([statistics.mean[0], statistics.variance[0]], [both.mean(), both.var()], rtol=1e-12)


def test_normalised_targets_have_unit_scale_in_every_task():
    target = _targets(3, np.array([1.0, 50.0, 50.0, 0.5]))
    statistics = update_statistics(initial_statistics(3), target, np.ones((20, 4)), TASK, step_size=1e-3)
    scaled = np.asarray(normalise(statistics, target, TASK))
    for task in range(3):
        assert abs(scaled[:, task == TASK].mean()) < 1e-5
        assert abs(scaled[:, task == TASK].std() - 1.0) < 1e-4
